package northbound

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/encoding/prototext"

	"router/cmd/routerd/datastore/tree"
	"router/intf"
	"router/models"
)

// What an encoder writes is what a sender would send, in every encoding, leaf by
// leaf of a configuration with state.
func TestEncoderAgreesWithSender(t *testing.T) {
	b := newBed(t, nil)
	key := intf.UnitKey{Device: "ge0", ID: "7"}
	b.state.devices["ge0"] = models.DeviceState{Name: "ge0", Drops: map[string]uint64{"ttl": 1 << 60}, OffloadsOff: []string{"gro", "lro"}}
	b.state.units[key] = models.UnitState{Key: key, OperReason: "no \"carrier\"", Counters: models.Counters{InOctets: 1<<64 - 1},
		Families: []models.FamilyState{{Family: intf.Inet}, {Family: intf.Inet6}}}
	b.set("/interface", `[{"name":"ge0","unit":[{"id":"7","config":{"description":"a \"b\" é"},"vlan":{"config":{"outer-vlan-id":7}},"family":[{"type":"inet","address":[{"prefix":"192.0.2.1/24"}]}]}]}]`)
	for i := range 3 {
		b.state.routes["default"] = append(b.state.routes["default"], models.RouteState{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), 0, 0}), 16), Tag: 7,
			Members: []models.MemberState{{Egress: "ge0.7", Weight: 1}, {Gateway: netip.MustParseAddr("192.0.2.9"), Weight: 2}}})
	}
	for _, encoding := range []gnmi.Encoding{gnmi.Encoding_PROTO, gnmi.Encoding_JSON, gnmi.Encoding_JSON_IETF, gnmi.Encoding_ASCII} {
		for _, prefix := range []*gnmi.Path{nil, {Target: "edge"}} {
			var plain, encoded capture
			c := &stream{Server: b.server, prefix: prefix, encoding: encoding}
			s := &sender{c: c, origin: "routerd", stamp: 42, duplicates: 3}
			w, err := c.encoder("routerd", 42, 3)
			if err != nil {
				t.Fatal(err)
			}
			leaves, nodes := 0, 0
			g := gatherer{emit: func(b batchOf) error {
				if b.at != nil {
					nodes++
				}
				return s.send(b)
			}}
			if err := c.each(nil, func(l tree.LeafValue) error {
				leaves++
				v, err := c.encode(l)
				if err != nil {
					return err
				}
				wanted := leaves%7 > 0
				c.out = &plain
				if err := g.leaf(l, v, wanted); err != nil {
					return err
				}
				if w.value, err = c.appendValue(w.value[:0], l); err != nil {
					return err
				}
				c.out = &encoded
				return w.leaf(l, w.value, wanted)
			}); err != nil {
				t.Fatal(err)
			}
			c.out = &plain
			if err := g.end(); err != nil {
				t.Fatal(err)
			}
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
			c.out = &encoded
			if err := w.flush(); err != nil {
				t.Fatal(err)
			}
			if leaves < 100 || len(plain.updates) < leaves*5/7 || nodes < 3 {
				t.Fatalf("%v: %d leaves, %d updates, %d atomic nodes", encoding, leaves, len(plain.updates), nodes)
			}
			slices.Sort(plain.updates)
			slices.Sort(encoded.updates)
			for i := range min(len(plain.updates), len(encoded.updates)) {
				if plain.updates[i] != encoded.updates[i] {
					t.Fatalf("%v: %s\nis encoded as %s", encoding, plain.updates[i], encoded.updates[i])
				}
			}
			if len(plain.updates) != len(encoded.updates) {
				t.Fatalf("%v: %d updates, %d encoded", encoding, len(plain.updates), len(encoded.updates))
			}
		}
	}
}

// A capture is a stream that keeps what is sent: each update with what its notification
// says of all.
type capture struct {
	gnmi.GNMI_SubscribeServer
	updates []string
}

func (c *capture) Send(r *gnmi.SubscribeResponse) error {
	n := r.GetUpdate()
	of := prototext.Format(&gnmi.Notification{Timestamp: n.GetTimestamp(), Prefix: n.GetPrefix(), Atomic: n.GetAtomic()})
	if n.GetAtomic() {
		of += fmt.Sprintf("of %d ", len(n.GetUpdate()))
	}
	for _, u := range n.GetUpdate() {
		c.updates = append(c.updates, of+prototext.Format(u))
	}
	return nil
}

func (c *capture) SendMsg(m any) error {
	buffers, err := newCodec().Marshal(m)
	if err != nil {
		return err
	}
	r := &gnmi.SubscribeResponse{}
	if err := newCodec().Unmarshal(buffers, r); err != nil {
		return err
	}
	return c.Send(r)
}
