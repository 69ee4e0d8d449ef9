package dataplane

import (
	"errors"
	"net/netip"

	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/dataplane/session"
	"router/intf"
	"router/routing"
)

// A TraceSpec is a packet to try out.
type TraceSpec struct {
	// Packet is the packet from its IP header on, up to [port.MaxJumbo] octets with
	// the link-layer header that it gets.
	Packet []byte
	// Unit is where the packet comes in, or which unit the host sends it by.
	Unit intf.Index
	// FromHost says that the host sends it; Instance is then the index of the routing
	// instance that it is looked up in. What comes in is looked up where the unit's
	// family says.
	FromHost bool
	Instance uint32
	// Station is the link-layer address of the neighbour that a received packet comes
	// from.
	Station intf.MAC
}

// ErrNoPort says that nothing can come in by a unit, because it has no port.
var ErrNoPort = errors.New("dataplane: the unit has no port")

// A TraceKind says what a TraceStep tells. It is a closed set.
type TraceKind uint8

// The kinds. The fields named are those of TraceStep that they fill.
const (
	TraceArrived    TraceKind = iota // by IfIndex on Port, in Instance
	TraceOriginated                  // by the host, which chose IfIndex, in Instance
	TraceFilter                      // Hook of IfIndex: Terms, and Verdict
	TraceSource                      // RPF check of Addr in Instance: Passed
	TraceLookup                      // of Addr in Instance
	TraceNextHop                     // NextHop: Via, and what its kind names of IfIndex, Addr, Instance, Reject
	TraceBucket                      // Bucket of Buckets of the group
	TraceNeighbor                    // Addr on IfIndex: MAC, zero while it is unknown; Stale
	TraceUnresolved                  // Addr on IfIndex has to be asked for its link-layer address
	TraceFragmented                  // to fit MTU
	TraceSent                        // Frame on Port by IfIndex
	TraceSession                     // Session of Class: Consumer
	TraceDelivered                   // to the host by IfIndex: Frame from the IP header on
	TraceControl                     // to the router's own neighbour discovery
	TraceReported                    // the control plane would be told of the flow
	TraceICMP                        // an error: Type and Code, from Addr; MTU where it says one
	TraceEcho                        // an echo reply
	TraceReset                       // a TCP reset
	TraceRedirect                    // ICMP redirect to Addr on IfIndex
	TraceDropped                     // for Reason
)

// A TraceStep is one thing that would happen to a packet.
type TraceStep struct {
	Kind    TraceKind
	Subject int // of whom it tells, a place in Trace.Subjects

	IfIndex  intf.Index
	Port     PortID
	Instance uint32
	Addr     netip.Addr

	Hook    filter.Hook
	Terms   []filter.Step
	Verdict filter.Verdict

	RPF    intf.RPFCheck
	Passed bool

	NextHop         routing.NextHopID
	Via             routing.Kind
	Reject          routing.RejectCode
	Bucket, Buckets int

	MAC   intf.MAC
	Stale bool
	MTU   uint16
	Frame []byte

	Session  SessionID // 0 where none matches
	Class    ClassID   // at least MaxClasses then
	Consumer session.Consumer

	Type, Code uint8
	Reason     Reason
}

// A TraceSubjectKind tells the packets of a Trace apart. It is a closed set.
type TraceSubjectKind uint8

// The kinds.
const (
	TracePacket TraceSubjectKind = iota // the one that was asked about
	TraceCopy                           // its copy by IfIndex, of a multicast route
	TraceMirror                         // its copy by IfIndex, of a filter
	TraceAnswer                         // an answer to it: an ICMP message or a reset
)

// A TraceSubject is a packet that steps tell of.
type TraceSubject struct {
	Kind    TraceSubjectKind
	IfIndex intf.Index
}

// A Trace is what would happen to a packet, in order.
type Trace struct {
	Subjects []TraceSubject // the first is the packet itself
	Steps    []TraceStep
}

// Buffers of a tracer. What is sent is given back at once, so that a packet needs
// as many as it has answers.
const (
	traceBuffers = 64
	traceSpans   = 4
)

// Trace says what would become of a packet now. It takes the packet through the
// pipeline that all packets go through, over the same tables, on a worker that has no
// queues: nothing is sent, delivered, counted or logged, no policer is charged, and no
// neighbour is asked for. Rates of ICMP messages are taken as unused. It may be called
// from any goroutine; one packet is traced at a time.
//
// The error is ErrNoUnit, ErrNoPort or ErrTooLong.
func (e *Engine) Trace(s TraceSpec) (Trace, error) {
	if len(s.Packet) > port.MaxJumbo-maxHeader {
		return Trace{}, ErrTooLong
	}
	e.tracing.Lock()
	defer e.tracing.Unlock()
	w, err := e.newTracer()
	if err != nil {
		return Trace{}, err
	}
	defer w.reader.Close()
	w.reader.Unpark()
	defer w.reader.Park()
	w.snap = e.snapshot.Load()
	u := w.snap.units.at(uint32(s.Unit))
	if u == nil {
		return Trace{}, ErrNoUnit
	}
	// The share of the tracer alone: as if no message had been sent for long.
	u.stats.blocks[w.id].icmp, u.stats.blocks[w.id].redirect = bucket{}, bucket{}
	if s.FromHost {
		w.traceOriginated(s, u)
	} else if err := w.traceReceived(s, u); err != nil {
		return Trace{}, err
	}
	w.sendReplies()
	for _, b := range w.touched {
		clear(b.pend[:])
		b.dirty = false
	}
	return w.trace.result, nil
}

// newTracer makes a worker that takes packets through the pipeline and shows what
// happens to them.
func (e *Engine) newTracer() (*worker, error) {
	w := &worker{
		engine: e, id: len(e.workers), base: e.base, clock: e.workers[0].clock,
		mem:     make([]byte, traceBuffers*port.ChunkSize+traceSpans*port.SpanSize),
		filters: e.filters.DryWorker(),
		replies: make([]pkt, 0, traceBuffers),
	}
	w.trace = &tracing{worker: w, result: Trace{Subjects: []TraceSubject{{Kind: TracePacket}}}}
	var err error
	if w.pool, err = port.NewJumboPool(w.mem, traceSpans); err != nil {
		return nil, err
	}
	w.reader = e.config.Domain.Reader()
	return w, nil
}

// traceReceived takes in a packet as the frame that a neighbour on unit u would
// send.
func (w *worker) traceReceived(s TraceSpec, u *unit) error {
	if u.port == 0 {
		return ErrNoPort
	}
	fam := intf.Inet
	if len(s.Packet) > 0 && s.Packet[0]>>4 == 6 {
		fam = intf.Inet6
	}
	w.trace.add(TraceStep{Kind: TraceArrived, IfIndex: u.index, Port: u.port, Instance: u.fam[fam].instance})
	n := packet.EthernetLen(u.spec.VLAN)
	frame := make([]byte, n, n+len(s.Packet))
	packet.PutEthernet(frame, stationFor(s.Packet, u), s.Station, u.spec.VLAN, etherTypes[fam])
	q := rxQueue{
		port: u.port, queue: &oneFrame{pool: w.pool, frame: append(frame, s.Packet...)},
		block: new(counterBlock), drops: new(dropCounts),
	}
	w.receive(&q)
	return nil
}

// traceOriginated takes a packet from the host, as injected does.
func (w *worker) traceOriginated(s TraceSpec, u *unit) {
	w.trace.add(TraceStep{Kind: TraceOriginated, IfIndex: u.index, Instance: s.Instance})
	p := pkt{flags: flagOriginated, n: uint16(len(s.Packet)), in: u}
	start, ok := w.pool.GetFor(len(s.Packet))
	if !ok {
		w.countDrop(&p, DropNoBuffer)
		return
	}
	p.at = start + port.Headroom
	p.buf = port.Buf{Addr: p.at, Len: p.n}
	copy(w.pool.Room(start)[port.Headroom:], s.Packet)
	if w.parseInjected(&p, s.Instance) {
		w.originate(&p)
	}
}

// stationFor is the link-layer address that a neighbour on unit u sends a packet to.
func stationFor(l3 []byte, u *unit) intf.MAC {
	if ip, fault := packet.CheckIPv4(l3); fault == packet.FaultNone {
		switch dst := ip.Dst32(); {
		case dst == 0xffffffff:
			return intf.Broadcast
		case dst>>28 == 0xe:
			return packet.MulticastMAC(ip.Dst())
		}
	} else if ip, fault := packet.CheckIPv6(l3); fault == packet.FaultNone {
		if hi, _ := ip.Dst64(); hi>>56 == 0xff {
			return packet.MulticastMAC(ip.Dst())
		}
	}
	return u.spec.MAC
}

// oneFrame is a [port.Queue] that receives one frame, and sends nothing.
type oneFrame struct {
	pool  *port.Pool
	frame []byte // nil once it has come in
}

func (q *oneFrame) Receive(bufs []port.Buf) int {
	if q.frame == nil || len(bufs) == 0 {
		return 0
	}
	start, ok := q.pool.GetFor(len(q.frame))
	if !ok {
		return 0
	}
	n := copy(q.pool.Room(start)[port.Headroom:], q.frame)
	bufs[0] = port.Buf{Addr: start + port.Headroom, Len: uint16(n)}
	q.frame = nil
	return 1
}

func (q *oneFrame) Transmit([]port.Buf) int { return 0 }
func (q *oneFrame) Flush()                  {}
func (q *oneFrame) FD() int                 { return -1 }
func (q *oneFrame) Stats() port.Stats       { return port.Stats{} }
func (q *oneFrame) Err() error              { return nil }
func (q *oneFrame) Close() error            { return nil }
