package driver

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"router/dataplane/bpf"
	"router/dataplane/ethtool"
	"router/dataplane/port"
	"router/internal/testnet"
	"router/intf"
)

func TestFramesPassUnchanged(t *testing.T) {
	each(t, func(t *testing.T, o Option) {
		p := newPatch(t, testnet.Veth{GRO: true})
		p.open(t, 0, o, nil)
		p.open(t, 1, o, nil)
		p.start(t)
		wires := [2]*testnet.Wire{testnet.NewWire(t, p.hosts[0]), testnet.NewWire(t, p.hosts[1])}
		var before [2]port.Stats // what came before the first Receive found no buffers
		for i, d := range p.devices {
			before[i] = d.Queues[0].Stats()
		}
		tags := map[string][]uint16{
			"untagged":      nil,
			"802.1Q":        {0x8100, 0xa000 | 100},
			"802.1ad":       {0x88a8, 4094},
			"802.1ad and Q": {0x88a8, 10, 0x8100, 20},
			"Q in Q":        {0x8100, 10, 0x8100, 20},
		}
		for name, stack := range tags {
			for size := 64; size <= 1514; size += 290 {
				for from := range wires {
					// A second tag of 4 octets does not fit beside a full MTU.
					want := testFrame(size, size+from, stack...)
					if err := wires[from].Send(want); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					wires[1-from].Expect(t, want)
				}
			}
		}
		for i, d := range p.devices {
			after := d.Queues[0].Stats()
			after.WakeupsTaken = before[i].WakeupsTaken
			if after != before[i] {
				t.Errorf("device %d dropped: %+v, after %+v", i, after, before[i])
			}
		}
	})
}

func TestTagsInMetadataArrive(t *testing.T) {
	// As a host's VLAN device leaves them, and as veth keeps them.
	testnet.Require(t)
	for _, o := range []Option{nativeCopy, packets} {
		t.Run(o.String(), func(t *testing.T) {
			p := newPatch(t, testnet.Veth{GRO: true})
			for i, host := range p.hosts {
				host.In.Tag(t, host.Name, 100)
				host.In.Address(t, host.Name, fmt.Sprintf("192.0.2.%d/24", i+1))
			}
			tagged := 0
			p.seen = func(_ int, frame []byte) {
				if binary.BigEndian.Uint16(frame[12:]) == 0x8100 && binary.BigEndian.Uint16(frame[14:])&0xfff == 100 {
					tagged++
				}
			}
			p.open(t, 0, o, nil)
			p.open(t, 1, o, nil)
			p.start(t)
			_, err := p.hosts[0].In.Run("ping", "-c", "2", "-i", "0.1", "-W", "2", "192.0.2.2")
			p.end(t)
			if err != nil || tagged < 4 {
				t.Errorf("%d frames came with tag 100: %v", tagged, err)
			}
		})
	}
}

// transfer sends size octets by TCP from one host to the other.
func transfer(t *testing.T, from, to *testnet.Namespace, address string, size int) time.Duration {
	t.Helper()
	var listener net.Listener
	err := to.Do(func() (err error) {
		listener, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	received := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
			var n int64
			if n, err = io.Copy(io.Discard, conn); err == nil && n != int64(size) {
				err = fmt.Errorf("%d octets arrived of %d", n, size)
			}
		}
		received <- err
	}()
	start := time.Now()
	var conn net.Conn
	err = from.Do(func() (err error) {
		conn, err = net.DialTimeout("tcp", listener.Addr().String(), 5*time.Second)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := conn.Write(make([]byte, size)); err != nil {
		t.Error(err)
	}
	_ = conn.Close()
	if err := <-received; err != nil {
		t.Error(err)
	}
	return time.Since(start)
}

func TestTCPPasses(t *testing.T) {
	// Between stacks of one machine: partial checksums, and super-frames
	// unless the driver prevents them. Generic mode can't.
	testnet.Require(t)
	for _, o := range []Option{nativeCopy, packets} {
		t.Run(o.String(), func(t *testing.T) {
			p := newPatch(t, testnet.Veth{GRO: true})
			for i, host := range p.hosts {
				host.In.Address(t, host.Name, fmt.Sprintf("192.0.2.%d/24", i+1))
			}
			p.open(t, 0, o, nil)
			p.open(t, 1, o, nil)
			p.start(t)
			const size = 8 << 20
			took := transfer(t, p.hosts[0].In, p.hosts[1].In, "192.0.2.2:0", size)
			t.Logf("%d octets in %v, %.0f Mbit/s", size, took, 8*size/took.Seconds()/1e6)
			p.end(t)
			if o == packets && p.marked < size/1500 {
				t.Errorf("%d frames were marked as having a partial checksum, want most", p.marked)
			}
			for i, d := range p.devices {
				if d.Checksum != Complete || d.Marked != (o == packets) {
					t.Errorf("device %d reports checksums %s, marked %v", i, d.Checksum, d.Marked)
				}
			}
		})
	}
}

func TestSharedDeviceIsSplit(t *testing.T) {
	each(t, func(t *testing.T, o Option) {
		p := newPatch(t, testnet.Veth{GRO: true})
		host := p.hosts[0].In
		host.Address(t, "eth0", "192.0.2.2/24")
		p.router.Address(t, "ge0", "192.0.2.1/24")
		seen := make(map[string]int)
		p.seen = func(from int, frame []byte) {
			if from == 0 {
				seen[fmt.Sprintf("%x", frame[12:16])]++
			}
		}
		p.open(t, 0, o, func(s *Spec) {
			s.Attach = intf.Shared
			s.Claims = []bpf.Claim{{Tags: intf.VLAN{OuterTPID: 0x8100, OuterID: 100}}}
		})
		p.open(t, 1, o, nil)
		p.start(t)
		ping := func(target string) error {
			_, err := host.Run("ping", "-c", "1", "-W", "1", target)
			return err
		}
		in, out := testnet.NewWire(t, p.hosts[0]), testnet.NewWire(t, p.hosts[1])
		claimed, other := testFrame(128, 1, 0x8100, 100), testFrame(128, 2, 0x8100, 200)
		if err := ping("192.0.2.1"); err != nil {
			t.Errorf("the kernel, untagged: %v", err)
		}
		if err := errors.Join(in.Send(other), in.Send(claimed)); err != nil {
			t.Fatal(err)
		}
		out.Expect(t, claimed) // which came second, so the other did not pass
		// Now untagged, less what the kernel owns there, in place of the VLAN.
		err := p.devices[0].SetClaims([]bpf.Claim{
			{Tags: intf.VLAN{}, Kernel: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := ping("192.0.2.1"); err != nil {
			t.Errorf("the kernel's own address on a claimed stack: %v", err)
		}
		untagged := testFrame(128, 3)
		if err := errors.Join(in.Send(claimed), in.Send(untagged)); err != nil {
			t.Fatal(err)
		}
		out.Expect(t, untagged)
		_ = ping("192.0.2.77") // ARP for somebody else is ours now
		counters, err := p.devices[0].Counters()
		if err != nil || counters.Passed == 0 || counters.Redirected == 0 {
			t.Errorf("counters are %+v, %v; want some of each", counters, err)
		}
		p.end(t)
		if seen["810000c8"] != 0 || seen["81000064"] > 1 {
			t.Errorf("unclaimed frames came to the router: %v", seen)
		}
		if seen["81000064"] == 0 || seen["08060001"] == 0 {
			t.Errorf("frames by kind: %v; want claimed VLAN and ARP among them", seen)
		}
	})
}

func TestExclusiveDeviceIsHiddenFromTheKernel(t *testing.T) {
	each(t, func(t *testing.T, o Option) {
		p := newPatch(t, testnet.Veth{GRO: true})
		host := p.hosts[0].In
		host.Address(t, "eth0", "192.0.2.2/24")
		p.router.Address(t, "ge0", "192.0.2.1/24")
		if _, err := host.Run("ping", "-c", "1", "-W", "1", "192.0.2.1"); err != nil {
			t.Fatalf("before: %v", err)
		}
		p.open(t, 0, o, nil)
		p.open(t, 1, o, nil)
		p.start(t)
		if _, err := host.Run("ping", "-c", "1", "-W", "1", "192.0.2.1"); err == nil {
			t.Error("the kernel answers on a device that is the router's")
		}
		p.end(t)
		if _, err := host.Run("ping", "-c", "1", "-W", "1", "192.0.2.1"); err != nil {
			t.Errorf("after closing: %v", err)
		}
	})
}

func TestReopeningAndSeveralQueues(t *testing.T) {
	each(t, func(t *testing.T, o Option) {
		p := newPatch(t, testnet.Veth{GRO: true, Queues: 2})
		in, out := testnet.NewWire(t, p.hosts[0]), testnet.NewWire(t, p.hosts[1])
		for round := range 3 {
			p.open(t, 0, o, func(s *Spec) { s.Queues = 2 })
			p.open(t, 1, o, func(s *Spec) { s.Queues = 2 })
			if n := p.devices[0].QueueCount; n != 2 {
				t.Fatalf("%d queues, want 2", n)
			}
			p.start(t)
			for i := range 20 {
				want := testFrame(200, 20*round+i)
				if err := in.Send(want); err != nil {
					t.Fatal(err)
				}
				out.Expect(t, want)
			}
			p.end(t)
		}
	})
}

func TestDeviceDeletedWhileOpen(t *testing.T) {
	each(t, func(t *testing.T, o Option) {
		p := newPatch(t, testnet.Veth{GRO: true})
		p.open(t, 0, o, nil)
		p.open(t, 1, o, nil)
		p.start(t)
		p.router.Delete(t, "ge0")
		deadline := time.Now().Add(30 * time.Second)
		for p.devices[0].Queues[0].Err() == nil && time.Now().Before(deadline) {
			time.Sleep(5 * time.Millisecond)
		}
		if err := p.devices[0].Queues[0].Err(); !errors.Is(err, port.ErrGone) {
			t.Errorf("error is %v, want %v", err, port.ErrGone)
		}
		if err := p.devices[1].Queues[0].Err(); err != nil {
			t.Errorf("the other device: %v", err)
		}
	})
}

func TestClosingSparesADeviceOfTheSameName(t *testing.T) {
	testnet.Require(t)
	p := newPatch(t, testnet.Veth{GRO: true})
	p.open(t, 0, packets, nil)
	p.open(t, 1, packets, nil)
	p.start(t)
	if len(p.devices[0].Changed) == 0 {
		t.Fatal("nothing was changed that could be given back")
	}
	p.router.Delete(t, "ge0")
	testnet.Veth{}.Pair(t, testnet.End{In: p.hosts[0].In, Name: "eth1"}, testnet.End{In: p.router, Name: "ge0"})
	p.end(t)
	err := p.router.Do(func() error {
		c, err := ethtool.Dial()
		if err != nil {
			return err
		}
		defer c.Close()
		on, err := c.Active("ge0", ethtool.RxGRO)
		if on {
			t.Error("GRO of the new device was turned on, as the old one had it")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDownIsNotGone(t *testing.T) {
	each(t, func(t *testing.T, o Option) {
		p := newPatch(t, testnet.Veth{GRO: true})
		p.open(t, 0, o, nil)
		p.open(t, 1, o, nil)
		p.start(t)
		link := p.router.Link(t, "ge1")
		if err := p.router.Netlink().LinkSetDown(link); err != nil {
			t.Fatal(err)
		}
		in, out := testnet.NewWire(t, p.hosts[0]), testnet.NewWire(t, p.hosts[1])
		for i := range 10 {
			_ = in.Send(testFrame(100, i))
			time.Sleep(2 * time.Millisecond)
		}
		if err := p.devices[1].Queues[0].Err(); err != nil {
			t.Errorf("device that is down: %v", err)
		}
		if err := p.router.Netlink().LinkSetUp(link); err != nil {
			t.Fatal(err)
		}
		p.router.Up(t, "ge1")
		time.Sleep(20 * time.Millisecond)
		// What waited in rings meanwhile may come first.
		want := testFrame(300, 99)
		if err := in.Send(want); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; {
			got := out.Receive(deadline)
			if got == nil {
				t.Fatal("no frame passes after the device came up again")
			}
			if bytes.Equal(got, want) {
				return
			}
		}
	})
}

func TestChoiceAndReasons(t *testing.T) {
	testnet.Require(t)
	router, host := testnet.New(t, "router"), testnet.New(t, "host")
	testnet.Veth{GRO: true}.Pair(t, testnet.End{In: host, Name: "eth0"}, testnet.End{In: router, Name: "ge0"})
	memory, err := NewMemory(4096)
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	open := func(t *testing.T, spec Spec) (*Device, error) {
		t.Helper()
		spec.Memories = []*Memory{memory}
		var d *Device
		err := router.Do(func() (err error) {
			d, err = Open(spec)
			return err
		})
		if err == nil {
			t.Cleanup(func() {
				for _, q := range d.Queues {
					_ = q.Close()
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		return d, err
	}
	t.Run("veth takes native copy", func(t *testing.T) {
		d, err := open(t, Spec{Device: "ge0"})
		if err != nil {
			t.Fatal(err)
		}
		if d.Option != nativeCopy || d.Checksum != Complete || d.QueueCount != 1 {
			t.Errorf("report is %+v", d.Report)
		}
		if r := d.Reason(); !strings.Contains(r, "af-xdp native zero-copy: ") || !strings.Contains(r, "has no zero-copy") {
			t.Errorf("reason is %q", r)
		}
	})
	t.Run("a held device goes to AF_PACKET", func(t *testing.T) {
		holder, err := bpf.Load(bpf.Config{Queues: 1, MaxFrame: 1500})
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		if err := router.Do(func() error { return holder.AttachPass(router.Link(t, "ge0").Attrs().Index) }); err != nil {
			t.Fatal(err)
		}
		d, err := open(t, Spec{Device: "ge0"})
		if err != nil {
			t.Fatal(err)
		}
		if d.Option != packets || !strings.Contains(d.Reason(), "held by XDP program pass") {
			t.Errorf("took %s because %q", d.Option, d.Reason())
		}
		if _, err := open(t, Spec{Device: "ge0", Driver: intf.DriverAFXDP}); err == nil || !strings.Contains(err.Error(), "held by") {
			t.Errorf("AF_XDP or nothing: %v", err)
		}
	})
	t.Run("features are given back", func(t *testing.T) {
		active := func() (on bool) {
			err := router.Do(func() error {
				c, err := ethtool.Dial()
				if err != nil {
					return err
				}
				defer c.Close()
				on, err = c.Active("ge0", ethtool.RxGRO)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return on
		}
		if !active() {
			t.Fatal("GRO is off before")
		}
		t.Run("open", func(t *testing.T) {
			if _, err := open(t, Spec{Device: "ge0", Driver: intf.DriverAFPacket}); err != nil {
				t.Fatal(err)
			}
			if active() {
				t.Error("GRO is on under AF_PACKET")
			}
		})
		if !active() {
			t.Error("GRO is off after closing")
		}
	})
	t.Run("a device that is down", func(t *testing.T) {
		if err := router.Netlink().LinkSetDown(router.Link(t, "ge0")); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, Spec{Device: "ge0"}); err == nil || !strings.Contains(err.Error(), "set it up") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("no such device", func(t *testing.T) {
		if _, err := open(t, Spec{Device: "ge9"}); err == nil || !strings.Contains(err.Error(), "ge9") {
			t.Errorf("error is %v", err)
		}
	})
	if memory.Pool.Free() != memory.Pool.Size() {
		t.Errorf("%d buffers are lost", memory.Pool.Size()-memory.Pool.Free())
	}
}
