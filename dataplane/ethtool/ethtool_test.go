package ethtool_test

import (
	"bytes"
	"errors"
	"maps"
	"testing"

	"golang.org/x/sys/unix"

	"router/dataplane/ethtool"
	"router/internal/testnet"
)

// dial makes a veth "ge0" of two queues and a Conn where it is.
func dial(t *testing.T) (*ethtool.Conn, *testnet.Namespace) {
	t.Helper()
	testnet.Require(t)
	ns, peer := testnet.New(t, "ns"), testnet.New(t, "peer")
	testnet.Veth{Queues: 2}.Pair(t, testnet.End{In: ns, Name: "ge0"}, testnet.End{In: peer, Name: "eth0"})
	var c *ethtool.Conn
	err := ns.Do(func() (err error) {
		c, err = ethtool.Dial()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, ns
}

func TestSet(t *testing.T) {
	c, _ := dial(t)
	cases := []struct {
		name   string
		want   map[string]bool
		former map[string]bool
		err    error
	}{
		{"one turns on", map[string]bool{ethtool.RxGRO: true}, map[string]bool{ethtool.RxGRO: false}, nil},
		{"again", map[string]bool{ethtool.RxGRO: true}, nil, nil},
		{"two turn", map[string]bool{ethtool.RxGRO: false, ethtool.TxVLANInsert: false},
			map[string]bool{ethtool.RxGRO: true, ethtool.TxVLANInsert: true}, nil},
		{"what the device lacks may be off", map[string]bool{ethtool.RxLRO: false}, nil, nil},
		{"but not on", map[string]bool{ethtool.RxLRO: true, ethtool.TxVLANInsert: true},
			map[string]bool{ethtool.TxVLANInsert: false}, ethtool.ErrFixed},
		{"what the kernel does not know may be off", map[string]bool{"rx-nonsense": false}, nil, nil},
		{"and not on", map[string]bool{"rx-nonsense": true}, nil, ethtool.ErrFixed},
	}
	for _, step := range cases {
		former, err := c.Set("ge0", step.want)
		if !errors.Is(err, step.err) || !maps.Equal(former, step.former) {
			t.Errorf("%s: former settings %v, error %v; want %v, %v", step.name, former, err, step.former, step.err)
		}
		for feature, on := range step.want {
			if active, err := c.Active("ge0", feature); active != (on && step.err == nil || feature == ethtool.TxVLANInsert && on) {
				t.Errorf("%s: %s is %v: %v", step.name, feature, active, err)
			}
		}
	}
}

func TestChannels(t *testing.T) {
	c, _ := dial(t)
	for _, want := range []ethtool.Channels{{Rx: 2, Tx: 2}, {Rx: 2, Tx: 1}} {
		if err := c.SetChannels("ge0", want); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Channels("ge0"); err != nil || got != want {
			t.Errorf("channels are %+v, %v; want %+v", got, err, want)
		}
	}
	if err := c.SetChannels("ge0", ethtool.Channels{Rx: 99, Tx: 99}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("99 channels: %v", err)
	}
	if _, err := c.Channels("lo"); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("channels of the loopback: %v", err)
	}
}

func TestDevicesAreTold(t *testing.T) {
	c, ns := dial(t)
	if got, err := c.Name(ns.Link(t, "ge0").Attrs().Index); err != nil || got != "ge0" {
		t.Errorf("name is %q, %v", got, err)
	}
	if got, err := c.Name(9999); !errors.Is(err, unix.ENODEV) {
		t.Errorf("a device that is not there is called %q, %v", got, err)
	}
	if got, err := c.MAC("ge0"); err != nil || !bytes.Equal(got[:], ns.MAC(t, "ge0")) {
		t.Errorf("address is %x, %v", got, err)
	}
	if got, err := c.Driver("ge0"); err != nil || got != "veth" {
		t.Errorf("driver is %q, %v", got, err)
	}
	for name, errno := range map[string]error{"ge9": unix.ENODEV, "a-name-that-is-too-long": nil} {
		_, err1 := c.MAC(name)
		_, err2 := c.Driver(name)
		_, err3 := c.Set(name, map[string]bool{ethtool.RxGRO: true})
		for _, err := range []error{err1, err2, err3} {
			if err == nil || errno != nil && !errors.Is(err, errno) {
				t.Errorf("device %s: %v", name, err)
			}
		}
	}
}
