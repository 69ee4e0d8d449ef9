package testnet

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"router/dataplane/ethtool"
)

func TestPairCarriesPings(t *testing.T) {
	Require(t)
	a, b := New(t, "a"), New(t, "b")
	Veth{GRO: true, Queues: 2, MTU: 1400}.Pair(t, End{a, "west"}, End{b, "east"})
	a.Address(t, "west", "192.0.2.1/24", "2001:db8::1/64")
	b.Address(t, "east", "192.0.2.2/24", "2001:db8::2/64")
	for _, target := range []string{"192.0.2.2", "2001:db8::2"} {
		if _, err := a.Run("ping", "-c", "1", "-W", "2", target); err != nil {
			t.Error(err)
		}
	}
	if mtu := b.Link(t, "east").Attrs().MTU; mtu != 1400 {
		t.Errorf("peer's MTU is %d, want 1400", mtu)
	}
	err := b.Do(func() error {
		c, err := ethtool.Dial()
		if err != nil {
			return err
		}
		defer c.Close()
		ch, err := c.Channels("east")
		if err == nil && ch != (ethtool.Channels{Rx: 2, Tx: 2}) {
			t.Errorf("channels are %+v, want two each", ch)
		}
		driver, err := c.Driver("east")
		if driver != "veth" {
			t.Errorf("driver is %q (%v), want veth", driver, err)
		}
		if on, err := c.Active("east", ethtool.RxGRO); !on {
			t.Errorf("GRO is off: %v", err)
		}
		former, err := c.Set("east", map[string]bool{ethtool.RxGRO: false, ethtool.TxTSO: true})
		if err != nil || len(former) != 1 || !former[ethtool.RxGRO] {
			t.Errorf("set GRO off: former settings %v, error %v; want GRO on alone", former, err)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNamespaceGoesWithItsTest(t *testing.T) {
	Require(t)
	var path string
	t.Run("inside", func(t *testing.T) {
		ns := New(t, "gone")
		path = ns.Path()
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		out, err := ns.Run("ip", "-o", "link")
		if err != nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "LOOPBACK,UP") {
			t.Errorf("want the loopback alone, up; got %q, %v", out, err)
		}
	})
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", path, err)
	}
}

func TestTagPutsADeviceIntoAVLAN(t *testing.T) {
	Require(t)
	a, b := New(t, "a"), New(t, "b")
	Pair(t, End{a, "west"}, End{b, "east"})
	a.Address(t, "west", "192.0.2.1/24")
	b.Address(t, "east", "192.0.2.2/24")
	ping := func() error {
		_, err := a.Run("ping", "-c", "1", "-W", "1", "192.0.2.2")
		return err
	}
	a.Tag(t, "west", 100)
	wire := NewWire(t, End{b, "east"})
	if err := ping(); err == nil {
		t.Error("an untagged peer answers to VLAN 100")
	}
	frame := wire.Receive(time.Now().Add(time.Second))
	if len(frame) < 16 || !bytes.Equal(frame[12:16], []byte{0x81, 0, 0, 100}) {
		t.Errorf("frame on the wire is %x, want tag 100", frame)
	}
	b.Tag(t, "east", 100)
	// The first request may wait behind the ARP requests that the peer, untagged,
	// did not answer: the kernel repeats them once a second.
	err := ping()
	for tries := 1; err != nil && tries < 5; tries++ {
		err = ping()
	}
	if err != nil {
		t.Errorf("both in VLAN 100: %v", err)
	}
}
