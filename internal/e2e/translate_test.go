package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"router/dataplane/packet"
	"router/internal/testnet"
	"router/intf"
)

// tagging is one way in which frames of a unit are tagged. The ids of the far
// device are higher by farIDs.
type tagging struct {
	name string
	vlan intf.VLAN
}

const farIDs = 1000

var taggings = []tagging{
	{"untagged", intf.VLAN{}},
	{"802.1Q", intf.VLAN{OuterTPID: 0x8100, OuterID: 100}},
	{"802.1ad and 802.1Q", intf.VLAN{OuterTPID: 0x88a8, OuterID: 200, InnerTPID: 0x8100, InnerID: 7}},
	{"0x9100", intf.VLAN{OuterTPID: 0x9100, OuterID: 300}},
	{"0x9200 and 0x9300", intf.VLAN{OuterTPID: 0x9200, OuterID: 400, InnerTPID: 0x9300, InnerID: 4}},
}

func (g tagging) far() intf.VLAN {
	v := g.vlan
	if v.OuterTPID != 0 {
		v.OuterID += farIDs
	}
	return v
}

// units is the JSON of a device with a unit for each tagging; unit i has the
// address 10.NET.i.1/24, and in 10.NET.i.2 a neighbour with the given MAC.
func units(device, driver string, net int, far bool, neighbor intf.MAC) string {
	var list []string
	for i, g := range taggings {
		v := g.vlan
		if far {
			v = g.far()
		}
		var tags []string
		if v.OuterTPID != 0 {
			tags = append(tags, fmt.Sprintf(`"outer-tpid": "0x%x", "outer-vlan-id": %d`, v.OuterTPID, v.OuterID))
		}
		if v.InnerTPID != 0 {
			tags = append(tags, fmt.Sprintf(`"inner-tpid": "0x%x", "inner-vlan-id": %d`, v.InnerTPID, v.InnerID))
		}
		list = append(list, fmt.Sprintf(`{ "id": "%d", "vlan": { "config": { %s } }, "family": [ { "type": "inet",
			"address": [ { "prefix": "10.%d.%d.1/24" } ],
			"neighbor": [ { "address": "10.%d.%d.2", "config": { "link-layer-address": "%s" } } ] } ] }`,
			i, strings.Join(tags, ", "), net, i, net, i, neighbor))
	}
	return fmt.Sprintf(`{ "name": "%s", "config": { "driver": "%s" }, "unit": [ %s ] }`, device, driver, strings.Join(list, ","))
}

// tagged is an Ethernet header with tags whose control fields are ORed with pcp.
func tagged(dst, src intf.MAC, pcp uint16, tags ...uint16) []byte {
	b := append(append([]byte{}, dst[:]...), src[:]...)
	for i := 0; i < len(tags); i += 2 {
		b = binary.BigEndian.AppendUint16(b, tags[i])
		b = binary.BigEndian.AppendUint16(b, tags[i+1]|pcp)
	}
	return binary.BigEndian.AppendUint16(b, packet.EtherTypeIPv4)
}

func tagsOf(v intf.VLAN) (tags []uint16) {
	if v.OuterTPID != 0 {
		tags = append(tags, v.OuterTPID, v.OuterID)
	}
	if v.InnerTPID != 0 {
		tags = append(tags, v.InnerTPID, v.InnerID)
	}
	return tags
}

// TestTagsAreTranslated sends a packet from each kind of tagging to each other
// one, by each driver: what comes out has the tags of the unit that it leaves by,
// with priority 0, whatever tags and priorities it came with. A priority tag
// counts as none. What tags need of the devices is shown and given back.
func TestTagsAreTranslated(t *testing.T) {
	for _, driver := range []string{"auto", "af-packet"} {
		t.Run(driver, func(t *testing.T) { translate(t, driver) })
	}
}

func translate(t *testing.T, driver string) {
	l := labOf(t)
	l.wire("h1", "ge0")
	l.wire("h2", "ge1")
	router := l.space("router")
	before := vlanFeatures(t, router)
	if !strings.Contains(before, "rx-vlan-offload: on") {
		t.Fatalf("a veth without offloads shows nothing:\n%s", before)
	}
	near, far := intf.MAC(l.space("h1").MAC(l, "eth0")), intf.MAC(l.space("h2").MAC(l, "eth0"))
	own, out := intf.MAC(router.MAC(l, "ge0")), intf.MAC(router.MAC(l, "ge1"))
	l.start()
	l.load(`{ "routerd:interface": [ ` + units("ge0", driver, 0, false, near) + "," + units("ge1", driver, 1, true, far) + ` ] }`)
	in := testnet.NewWire(l, testnet.End{In: l.space("h1"), Name: "eth0"})
	from := testnet.NewWire(l, testnet.End{In: l.space("h2"), Name: "eth0"})

	type arrival struct {
		name string
		unit int
		head []byte
	}
	const pcp = 5 << 13
	var arrivals []arrival
	for i, g := range taggings {
		arrivals = append(arrivals, arrival{g.name, i, tagged(own, near, pcp, tagsOf(g.vlan)...)})
	}
	arrivals = append(arrivals,
		arrival{"priority tag", 0, tagged(own, near, pcp, 0x8100, 0)},
		arrival{"priority S-tag around a priority tag", 0, tagged(own, near, pcp, 0x88a8, 0, 0x8100, 0)},
		arrival{"priority tag in 802.1Q", 1, tagged(own, near, pcp, 0x8100, 100, 0x8100, 0)},
		arrival{"priority S-tag around 802.1Q", 1, tagged(own, near, pcp, 0x88a8, 0, 0x8100, 100)},
	)
	for _, a := range arrivals {
		for i, g := range taggings {
			l3 := packetTo(fmt.Sprintf("10.0.%d.2", a.unit), fmt.Sprintf("10.1.%d.2", i))
			if err := in.Send(append(bytes.Clone(a.head), l3...)); err != nil {
				t.Fatal(err)
			}
			want := append(tagged(far, out, 0, tagsOf(g.far())...), l3...)
			ip := want[len(want)-len(l3):]
			packet.DecrementTTL(ip)
			if got := fetch(from, ip); !bytes.Equal(bytes.TrimRight(got, "\x00"), bytes.TrimRight(want, "\x00")) {
				t.Errorf("%s to %s: received % x\nwant % x", a.name, g.name, got, want)
			}
		}
	}
	off, code := l.rcli("get", "/interface[name=ge0]/state/offloads-off")
	if code != 0 || driver == "auto" && (!strings.Contains(off, "rx-vlan-hw-parse") || !strings.Contains(off, "rx-vlan-stag-hw-parse")) {
		t.Errorf("offloads-off is %s", off)
	}
	if now := vlanFeatures(t, router); driver == "auto" && strings.Contains(now, "rx-vlan-offload: on") {
		t.Errorf("the device still takes tags out:\n%s", now)
	}
	l.check(l.end(15))
	if after := vlanFeatures(t, router); after != before {
		t.Errorf("the device was given back with\n%s\nit had\n%s", after, before)
	}
}

// vlanFeatures is what ethtool says of VLANs on ge0.
func vlanFeatures(t *testing.T, ns *testnet.Namespace) string {
	t.Helper()
	text, err := ns.Run("ethtool", "-k", "ge0")
	if err != nil {
		t.Fatalf("ethtool: %v\n%s", err, text)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "vlan") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// packetTo is a UDP packet with something in it to tell it by.
func packetTo(src, dst string) []byte {
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	b := make([]byte, 48)
	copy(b, []byte{0x45, 0, 0, 48, 0, 1, 0x40, 0, 64, packet.ProtocolUDP, 0, 0})
	copy(b[12:], s[:])
	copy(b[16:], d[:])
	copy(b[20:], []byte{0x10, 0, 0, 9, 0, 28, 0, 0})
	copy(b[28:], "translated, or not..")
	binary.BigEndian.PutUint16(b[10:], ^packet.Sum(b[:20], 0))
	return b
}

// fetch waits for the frame that carries an IP packet.
func fetch(w *testnet.Wire, ip []byte) []byte {
	for deadline := time.Now().Add(3 * time.Second); ; {
		frame := w.Receive(deadline)
		if frame == nil || bytes.Contains(frame, ip) {
			return frame
		}
	}
}
