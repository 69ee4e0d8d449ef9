// Package traffic generates UDP packets at one end of a network of package
// testnet and counts them at another, both by XDP programs: fast enough to
// measure routers, at 64 octets some ten million packets a second on one core.
//
// Packets go to UDP port 9 (discard, RFC 863) and carry a number and the time
// of sending. Everything else passes a [Station] untouched.
package traffic

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"router/internal/testnet"
)

const (
	keySent, keyReceived, keyOctets, keyOthers = 0, 1, 2, 3
	buckets                                    = 512
)

// A Station is an end of a veth pair that takes in and counts test packets.
// Without one at it a device can't generate either.
type Station struct {
	end   testnet.End
	index int
	maps  trafficMaps
}

// Attach makes a device a station until t ends.
func Attach(t testnet.T, end testnet.End) *Station {
	t.Helper()
	s := &Station{end: end, index: end.In.Link(t, end.Name).Attrs().Index}
	var objects struct {
		trafficMaps
		Sink *ebpf.Program `ebpf:"sink"`
	}
	spec, err := loadTraffic()
	if err == nil {
		err = spec.LoadAndAssign(&objects, nil)
	}
	if err != nil {
		t.Fatalf("sink: %v", err)
	}
	defer objects.Sink.Close()
	s.maps = objects.trafficMaps
	t.Cleanup(func() { _ = s.maps.Close() })
	err = end.In.Do(func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: objects.Sink, Interface: s.index, Flags: link.XDPDriverMode})
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatalf("sink at %s in %s: %v", end.Name, end.In.Name, err)
	}
	return s
}

// A Result is what a station took in while something ran.
type Result struct {
	Packets, Octets uint64        // test packets
	Others          uint64        // frames left to the kernel
	Elapsed         time.Duration // from the first test packet to the last
	Latency         Latency
}

// Mpps is the rate at which test packets came, in millions a second. Fewer than
// some hundred unstamped ones have none.
func (r Result) Mpps() float64 {
	if r.Packets < 2 || r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Packets-1) / r.Elapsed.Seconds() / 1e6
}

// settle is how long packets may still be under way after the last was sent.
const settle = 20 * time.Millisecond

// Measure runs f, waits for packets that are under way and says what came.
func (s *Station) Measure(f func() error) (Result, error) {
	if err := s.maps.Times.Put(uint32(0), [2]uint64{}); err != nil {
		return Result{}, fmt.Errorf("reset the sink: %w", err)
	}
	before, err := s.read()
	if err != nil {
		return Result{}, err
	}
	if err := f(); err != nil {
		return Result{}, err
	}
	time.Sleep(settle)
	r, err := s.read()
	if err != nil {
		return Result{}, err
	}
	r.Packets -= before.Packets
	r.Octets -= before.Octets
	r.Others -= before.Others
	for i := range r.Latency {
		r.Latency[i] -= before.Latency[i]
	}
	return r, nil
}

// read is what the station has taken in since it was attached.
func (s *Station) read() (r Result, err error) {
	var errs [4]error
	r.Packets, errs[0] = sum(s.maps.Counters, keyReceived)
	r.Octets, errs[1] = sum(s.maps.Counters, keyOctets)
	r.Others, errs[2] = sum(s.maps.Counters, keyOthers)
	for i := range r.Latency {
		if r.Latency[i], err = sum(s.maps.Latencies, uint32(i)); err != nil {
			return r, err
		}
	}
	r.Elapsed, errs[3] = elapsed(s.maps.Times)
	return r, errors.Join(errs[:]...)
}

// elapsed is the time between the first packet since the map's reset and the
// last.
func elapsed(m *ebpf.Map) (time.Duration, error) {
	var times [2]uint64
	if err := m.Lookup(uint32(0), &times); err != nil {
		return 0, fmt.Errorf("read times: %w", err)
	}
	return time.Duration(times[1] - times[0]), nil
}

func sum(m *ebpf.Map, key uint32) (n uint64, err error) {
	var perCPU []uint64
	if err := m.Lookup(key, &perCPU); err != nil {
		return 0, fmt.Errorf("read counter %d: %w", key, err)
	}
	for _, v := range perCPU {
		n += v
	}
	return n, nil
}

// A Latency is a distribution of one-way times.
type Latency [buckets]uint64

// Quantile is the time within which the fraction q of the packets came, exact
// to an eighth. It is 0 for no packets.
func (l Latency) Quantile(q float64) time.Duration {
	var all, below uint64
	for _, n := range l {
		all += n
	}
	for i, n := range l {
		below += n
		if n > 0 && float64(below) >= q*float64(all) {
			return Upper(i)
		}
	}
	return 0
}

// Upper is the end of bucket i of a Latency: eight for each power of two, single ones below 8.
func Upper(i int) time.Duration {
	if i < 8 {
		return time.Duration(i)
	}
	power, eighth := i/8, i%8
	if power < 3 {
		return 8
	}
	return time.Duration((uint64(8+eighth)+1)<<(power-3) - 1)
}

// A Packet describes the packets of a flow.
type Packet struct {
	SourceMAC, DestMAC net.HardwareAddr
	VLAN               uint16 // 802.1Q id, 0 for none
	Source, Dest       netip.Addr
	Size               int // of the frame in octets, without FCS; 60 to 3000
}

// Frame is the packet from its Ethernet header on, and where its IP header is.
func (p Packet) Frame() (frame []byte, ip int, err error) {
	header := 20
	if p.Dest.Is6() {
		header = 40
	}
	b := append(append([]byte{}, p.DestMAC...), p.SourceMAC...)
	if p.VLAN != 0 {
		b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, unix.ETH_P_8021Q), p.VLAN)
	}
	ip = len(b) + 2
	payload := p.Size - ip
	if payload < header+8 || p.Size < 60 || p.Size > 3000 || p.Source.Is4() != p.Dest.Is4() {
		return nil, 0, fmt.Errorf("no packet of %d octets from %s to %s", p.Size, p.Source, p.Dest)
	}
	if p.Dest.Is4() {
		b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IP)
		b = append(b, 0x45, 0, byte(payload>>8), byte(payload), 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0)
		b = append(append(b, p.Source.AsSlice()...), p.Dest.AsSlice()...)
		var sum uint32
		for i := ip; i < len(b); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
		sum = sum>>16 + sum&0xffff
		binary.BigEndian.PutUint16(b[ip+10:], ^uint16(sum>>16+sum))
	} else {
		b = binary.BigEndian.AppendUint16(b, unix.ETH_P_IPV6)
		n := payload - header
		b = append(b, 0x60, 0, 0, 0, byte(n>>8), byte(n), unix.IPPROTO_UDP, 64)
		b = append(append(b, p.Source.AsSlice()...), p.Dest.AsSlice()...)
	}
	b = append(b, 0x80, 0, 0, 9, byte((payload-header)>>8), byte(payload-header), 0, 0)
	return append(b, make([]byte, p.Size-len(b))...), ip, nil
}

// A Flow generates packets at a station. It is used by one goroutine at a time.
type Flow struct {
	station *Station
	frame   []byte
	program *ebpf.Program
	maps    trafficMaps
	each    time.Duration // that a packet took in the last Blast
}

// A Pattern is what a flow's packets have in common, and in what they differ.
type Pattern struct {
	Packet
	// Destinations are where packets go, at random or in turn; none means p.Dest
	// alone.
	Destinations []netip.Addr
	InTurn       bool
	// Sizes are the frames' lengths in octets, in turn, at most 16 of them; none
	// means p.Size alone.
	Sizes []int
	// VLANs is how many ids packets have in turn, from p.VLAN on; 0 means p.VLAN
	// alone.
	VLANs int
	// Unstamped packets carry neither number nor time, so that the sink tells no
	// latency; reading the clock twice takes about as long as a fast router does.
	Unstamped bool
}

// maxSizes is how many lengths a pattern has at most.
const maxSizes = 16

// Flow prepares packets that go to p.Dest, or if there are destinations, to
// those, at random or in turn. It is freed when t ends.
func (s *Station) Flow(t testnet.T, p Packet, destinations []netip.Addr, inTurn bool) *Flow {
	t.Helper()
	return s.Generate(t, Pattern{Packet: p, Destinations: destinations, InTurn: inTurn})
}

// Generate prepares packets of a pattern. The flow is freed when t ends.
func (s *Station) Generate(t testnet.T, p Pattern) *Flow {
	t.Helper()
	f, err := s.generate(p)
	if err != nil {
		t.Fatalf("flow: %v", err)
	}
	t.Cleanup(func() { _ = errors.Join(f.program.Close(), f.maps.Close()) })
	return f
}

func (s *Station) generate(p Pattern) (*Flow, error) {
	for _, n := range p.Sizes {
		p.Size = max(p.Size, n)
	}
	if len(p.Sizes) > maxSizes || p.VLANs > 0 && p.VLAN == 0 || int(p.VLAN)+p.VLANs > 4095 {
		return nil, fmt.Errorf("%d sizes and %d VLANs from %d on: want up to %d, and ids up to 4094", len(p.Sizes), p.VLANs, p.VLAN, maxSizes)
	}
	frame, at, err := p.Frame()
	if err != nil {
		return nil, err
	}
	var sizes [maxSizes]uint16
	for i, n := range p.Sizes {
		sizes[i] = uint16(n)
	}
	var head [7]uint64
	for i := range head {
		head[i] = binary.NativeEndian.Uint64(frame[8*i:])
	}
	spec, err := loadTraffic()
	if err != nil {
		return nil, err
	}
	spec.Maps["addresses"].MaxEntries = uint32(max(1, len(p.Destinations)))
	for name, value := range map[string]any{
		"at": uint32(at), "in_turn": number(p.InTurn), "destinations": uint32(len(p.Destinations)), "unstamped": number(p.Unstamped),
		"vlans": uint32(p.VLANs), "sizes": uint32(len(p.Sizes)), "size": sizes, "longest": uint32(len(frame)), "head": head,
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, fmt.Errorf("constant %s: %w", name, err)
		}
	}
	var objects struct {
		trafficMaps
		Generate *ebpf.Program `ebpf:"generate"`
	}
	if err := spec.LoadAndAssign(&objects, nil); err != nil {
		return nil, err
	}
	f := &Flow{station: s, frame: frame, program: objects.Generate, maps: objects.trafficMaps}
	if err := fillAddresses(f.maps.Addresses, p.Destinations); err != nil {
		return nil, errors.Join(err, f.program.Close(), f.maps.Close())
	}
	return f, nil
}

// number is a truth as C has it.
func number(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

func fillAddresses(m *ebpf.Map, destinations []netip.Addr) error {
	if len(destinations) == 0 {
		return nil
	}
	keys, values := make([]uint32, len(destinations)), make([][16]byte, len(destinations))
	for i, a := range destinations {
		keys[i] = uint32(i)
		copy(values[i][:], a.AsSlice())
	}
	_, err := m.BatchUpdate(keys, values, nil)
	return err
}

// Sent is how many packets the flow has sent.
func (f *Flow) Sent() (uint64, error) { return sum(f.maps.Counters, keySent) }

// batch is how many packets the kernel makes between two looks around, and
// fewest from how many on their speed is known: the clock is read once a batch.
const (
	batch  = 64
	fewest = 64 * batch
)

// run sends n packets or a few more, from a thread in the station's namespace.
func (f *Flow) run(n int) error {
	// struct xdp_md: data, data_end, data_meta, ingress_ifindex, ...
	context := [6]uint32{1: uint32(len(f.frame)), 3: uint32(f.station.index)}
	_, err := f.program.Run(&ebpf.RunOptions{
		Data: f.frame, Context: context, Repeat: uint32(n), BatchSize: uint32(min(n, batch)), Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES,
	})
	if err != nil {
		return fmt.Errorf("generate at %s in %s: %w", f.station.end.Name, f.station.end.In.Name, err)
	}
	return nil
}

// Blast sends as fast as it can for about a time and returns how many packets
// it sent. cpu is where it runs; -1 is anywhere. The time is kept better from a
// flow's second Blast on, when the flow knows its own speed.
func (f *Flow) Blast(cpu int, d time.Duration) (packets uint64, err error) {
	// A call for more than one packet also waits for two grace periods of RCU,
	// so there are few and long ones.
	n := 256 * batch
	if f.each > 0 {
		n = max(batch, int(d/f.each))
	}
	return f.send(cpu, func() error {
		for end := time.Now().Add(d * 9 / 10); ; {
			if err := f.maps.Times.Put(uint32(0), [2]uint64{}); err != nil {
				return fmt.Errorf("reset the generator: %w", err)
			}
			if err := f.run(n); err != nil {
				return err
			}
			took, err := elapsed(f.maps.Times)
			if err != nil {
				return err
			}
			if n >= fewest {
				f.each = max(1, took/time.Duration(n))
			}
			left := time.Until(end)
			if left <= 0 {
				return nil
			}
			n = max(batch, int(left/f.each))
		}
	})
}

// Pace sends rate packets a second for a time, evenly, and returns how many.
// It spins on its CPU to keep time, at 50,000 a second at most.
func (f *Flow) Pace(cpu, rate int, d time.Duration) (packets uint64, err error) {
	return f.send(cpu, func() error {
		step := time.Second / time.Duration(rate)
		start := time.Now()
		for next := time.Duration(0); next < d; next += step {
			for time.Since(start) < next {
				if next-time.Since(start) > 300*time.Microsecond {
					time.Sleep(100 * time.Microsecond)
				}
			}
			if err := f.run(1); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *Flow) send(cpu int, loop func() error) (uint64, error) {
	before, err := f.Sent()
	if err != nil {
		return 0, err
	}
	err = f.station.end.In.Do(func() error {
		restore, err := Pin(cpu)
		if err != nil {
			return err
		}
		defer restore()
		return loop()
	})
	after, err2 := f.Sent()
	return after - before, errors.Join(err, err2)
}

// Pin has the calling thread, which must be locked, run on one CPU until
// restore is called; cpu -1 changes nothing.
func Pin(cpu int) (restore func(), err error) {
	if cpu < 0 {
		return func() {}, nil
	}
	var was, want unix.CPUSet
	if err := unix.SchedGetaffinity(0, &was); err != nil {
		return nil, fmt.Errorf("read affinity: %w", err)
	}
	want.Set(cpu)
	if err := unix.SchedSetaffinity(0, &want); err != nil {
		return nil, fmt.Errorf("run on CPU %d: %w", cpu, err)
	}
	return func() { _ = unix.SchedSetaffinity(0, &was) }, nil
}
