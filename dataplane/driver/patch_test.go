package driver

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"

	"router/dataplane/port"
	"router/internal/testnet"
	"router/intf"
)

var (
	nativeCopy  = Option{Driver: intf.DriverAFXDP, XDP: XDPNative}
	genericCopy = Option{Driver: intf.DriverAFXDP, XDP: XDPGeneric}
	packets     = Option{Driver: intf.DriverAFPacket}
)

// each runs a test with every option that can be had without hardware.
func each(t *testing.T, test func(*testing.T, Option)) {
	testnet.Require(t)
	for _, o := range []Option{nativeCopy, genericCopy, packets} {
		t.Run(o.String(), func(t *testing.T) { test(t, o) })
	}
}

// A patch is a router's namespace with two devices, a host behind each, and a
// worker that copies what one device receives to the other.
type patch struct {
	router  *testnet.Namespace
	hosts   [2]testnet.End
	devices [2]*Device
	memory  *Memory

	stop, done chan struct{}
	marked     int // frames with port.PartialChecksum
	seen       func(from int, frame []byte)
}

func newPatch(t *testing.T, veth testnet.Veth) *patch {
	t.Helper()
	p := &patch{router: testnet.New(t, "router")}
	for i := range p.hosts {
		p.hosts[i] = testnet.End{In: testnet.New(t, fmt.Sprintf("host%d", i)), Name: "eth0"}
		veth.Pair(t, p.hosts[i], testnet.End{In: p.router, Name: fmt.Sprintf("ge%d", i)})
	}
	memory, err := NewMemory(8192)
	if err != nil {
		t.Fatal(err)
	}
	p.memory = memory
	t.Cleanup(func() {
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// open takes a device with one option alone.
func (p *patch) open(t *testing.T, i int, o Option, change func(*Spec)) {
	t.Helper()
	spec := Spec{
		Device: fmt.Sprintf("ge%d", i), RingSize: 512, Memories: []*Memory{p.memory}, Driver: o.Driver,
		only: &o,
	}
	if change != nil {
		change(&spec)
	}
	err := p.router.Do(func() (err error) {
		p.devices[i], err = Open(spec)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.devices[i].Option; got != o {
		t.Fatalf("opened with %s, want %s (%s)", got, o, p.devices[i].Reason())
	}
}

// start runs the worker until stop, which also closes the devices.
func (p *patch) start(t *testing.T) {
	p.stop, p.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(p.done)
		runtime.LockOSThread()
		p.work()
		for _, d := range p.devices {
			for _, q := range d.Queues {
				if err := q.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	t.Cleanup(func() { p.end(t) })
	time.Sleep(20 * time.Millisecond) // the first Receives have given buffers
}

func (p *patch) end(t *testing.T) {
	if p.stop == nil {
		return
	}
	close(p.stop)
	<-p.done
	p.stop = nil
	for _, d := range p.devices {
		// On a thread of another namespace: closing must not depend on it.
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if free, size := p.memory.Pool.Free(), p.memory.Pool.Size(); free != size {
		t.Errorf("%d of %d buffers are lost", size-free, size)
	}
}

func (p *patch) work() {
	bufs := make([]port.Buf, 64)
	pool := p.memory.Pool
	for {
		select {
		case <-p.stop:
			return
		default:
		}
		idle := true
		for i, d := range p.devices {
			for k, q := range d.Queues {
				n := q.Receive(bufs)
				if n == 0 {
					continue
				}
				idle = false
				for _, b := range bufs[:n] {
					frame := pool.Frame(b)
					if p.seen != nil {
						p.seen(i, frame)
					}
					if b.Flags&port.PartialChecksum != 0 {
						p.marked++
					}
					if b.Flags&port.PartialChecksum != 0 || d.Checksum == Complete && !d.Marked {
						completeTCP(frame)
					}
				}
				out := p.devices[1-i].Queues
				to := out[k%len(out)]
				sent := to.Transmit(bufs[:n])
				for _, b := range bufs[sent:n] {
					pool.Put(b.Addr)
				}
				to.Flush()
			}
		}
		if idle {
			runtime.Gosched()
		}
	}
}

// completeTCP computes the checksum of a TCP segment over IPv4, whatever it was.
func completeTCP(frame []byte) {
	at := 12
	for binary.BigEndian.Uint16(frame[at:]) == 0x8100 {
		at += 4
	}
	ip := frame[at+2:]
	if binary.BigEndian.Uint16(frame[at:]) != 0x0800 || ip[9] != 6 {
		return
	}
	ip = ip[:binary.BigEndian.Uint16(ip[2:])]
	segment := ip[int(ip[0]&15)*4:]
	segment[16], segment[17] = 0, 0
	sum := uint32(6 + len(segment))
	add := func(b []byte) {
		for i := 0; i+1 < len(b); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
		if len(b)%2 == 1 {
			sum += uint32(b[len(b)-1]) << 8
		}
	}
	add(ip[12:20])
	add(segment)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(segment[16:], ^uint16(sum))
}

// testFrame is a frame of an experimental type; its content follows from number.
func testFrame(size, number int, tags ...uint16) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	for i := 0; i < len(tags); i += 2 {
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, tags[i]), tags[i+1])
	}
	b = append(b, 0x88, 0xb5)
	for i := len(b); i < size; i++ {
		b = append(b, byte(i*7+number))
	}
	return b
}
