package gnoi

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/openconfig/gnoi/system"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"router/cmd/routerd/northbound/gnoi/note"
	"router/dataplane"
	"router/dataplane/packet"
)

// What Traceroute does when the request doesn't say, and otherwise.
const (
	traceTTL     = 30
	traceWait    = 3 * time.Second
	traceSize    = 32 // octets of data: as much as traceroute(8) sends
	traceUDPPort = 33434
	traceTCPPort = 80
	perHop       = 3
	atOnce       = 16 // packets that wait for answers, as traceroute(8) has it
	maxTTL       = 255
)

// A tracing is one call of Traceroute.
type tracing struct {
	probe       Probe
	first, last int // TTLs
	wait        time.Duration
	send        func(*system.TracerouteResponse) error
	name        func(netip.Addr) string // nil: names are not wanted
	names       map[netip.Addr]string
	now         func() time.Time
	closes      bool // a closed port is how the destination answers

	results []traced
	sent    int
	told    int
	waiting int
	final   int // the first TTL that somebody has answered for good
}

// traced is a packet of a tracing.
type traced struct {
	until time.Time // when it is given up
	done  bool
	lost  bool
	a     dataplane.ProbeAnswer
}

// Traceroute implements gNOI's Traceroute, through the dataplane of the instance
// that the request names. Three packets are sent for each hop, sixteen are under
// way at a time, and all are of one flow, so that they take one of several paths.
// Their answers are told in the order of hops.
func (s *systemService) Traceroute(req *system.TracerouteRequest, stream system.System_TracerouteServer) error {
	t := tracing{
		first: int(req.GetInitialTtl()), last: int(req.GetMaxTtl()), wait: time.Duration(req.GetWait()),
		send: stream.Send, now: s.now, names: map[netip.Addr]string{},
	}
	if err := t.check(req); err != nil {
		return err
	}
	ctx, release := s.life.of(stream)
	defer release()
	q, err := s.request(ctx, probeTarget{
		destination: req.GetDestination(), source: req.GetSource(), instance: req.GetNetworkInstance(),
		protocol: req.GetL3Protocol(), dontFragment: req.GetDoNotFragment(),
	})
	if err != nil {
		return err
	}
	if q.Destination.IsMulticast() {
		return failf(codes.InvalidArgument, "destination %s is a group: there is no way to a group, but many", q.Destination)
	}
	head, size := packet.IPv4MinHeaderLen, traceSize
	q.Protocol = packet.ProtocolICMPv4
	if q.Destination.Is6() {
		head, q.Protocol = packet.IPv6HeaderLen, packet.ProtocolICMPv6
	}
	total := head + packet.ICMPHeaderLen + size
	switch req.GetL4Protocol() {
	case system.TracerouteRequest_ICMP:
	case system.TracerouteRequest_UDP:
		q.Protocol, q.Port, t.closes = packet.ProtocolUDP, traceUDPPort, true
	case system.TracerouteRequest_TCP:
		q.Protocol, q.Port = packet.ProtocolTCP, traceTCPPort
		total = head + packet.TCPMinHeaderLen
	default:
		return failf(codes.InvalidArgument, "l4protocol %d: want ICMP, TCP or UDP", req.GetL4Protocol())
	}
	probe, src, err := s.prober.StartProbe(q)
	if err != nil {
		return probeStatus(err)
	}
	defer probe.Close()
	t.probe = probe
	if !req.GetDoNotResolve() {
		t.name = func(a netip.Addr) string { return s.lookup.name(ctx, a) }
	}
	if err := stream.SendHeader(metadata.Pairs(HeaderSource, src.String(), HeaderDestination, q.Destination.String())); err != nil {
		return err
	}
	err = stream.Send(&system.TracerouteResponse{
		DestinationName: req.GetDestination(), DestinationAddress: q.Destination.String(), Hops: int32(t.last), PacketSize: int32(total),
	})
	if err != nil {
		return err
	}
	return t.run(ctx)
}

// check fills in what the request leaves open.
func (t *tracing) check(req *system.TracerouteRequest) error {
	switch {
	case req.GetInitialTtl() > maxTTL:
		return failf(codes.InvalidArgument, "initial_ttl %d: want 1 to %d", req.GetInitialTtl(), maxTTL)
	case t.first == 0:
		t.first = 1
	}
	switch {
	case t.last == 0:
		t.last = max(traceTTL, t.first)
	case t.last == -1:
		t.last = maxTTL // there are no more
	case t.last < t.first || t.last > maxTTL:
		return failf(codes.InvalidArgument, "max_ttl %d: want %d to %d, or -1", t.last, t.first, maxTTL)
	}
	switch {
	case t.wait == 0:
		t.wait = traceWait
	case t.wait < 0 || t.wait > maxWait:
		return failf(codes.InvalidArgument, "wait %v: want up to %v", t.wait, maxWait)
	}
	t.final = t.last
	t.results = make([]traced, perHop*(t.last-t.first+1))
	return nil
}

func (t *tracing) ttl(i int) int { return t.first + i/perHop }

// run sends and receives until the destination, or somebody for it, has answered,
// or no TTL is left.
func (t *tracing) run(ctx context.Context) error {
	for {
		now := t.now()
		next := now.Add(t.wait)
		for i := range t.results[:t.sent] {
			r := &t.results[i]
			if r.done {
				continue
			}
			if !now.Before(r.until) {
				r.done, r.lost = true, true
				t.waiting--
			} else if r.until.Before(next) {
				next = r.until
			}
		}
		for t.sent < len(t.results) && t.waiting < atOnce && t.ttl(t.sent) <= t.final {
			err := t.probe.Send(uint16(t.sent), uint8(t.ttl(t.sent)), traceSize)
			if err != nil && !errors.Is(err, dataplane.ErrBusy) {
				return sendStatus(err)
			}
			t.results[t.sent].until = now.Add(t.wait)
			t.sent++
			t.waiting++
		}
		for t.told < t.sent && t.results[t.told].done && t.ttl(t.told) <= t.final {
			if err := t.tell(t.told); err != nil {
				return err
			}
			t.told++
		}
		if t.told == len(t.results) || t.ttl(t.told) > t.final {
			return nil
		}
		a, err := receive(ctx, t.probe, next.Sub(now))
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return receiveStatus(ctx, err)
		}
		i := int(a.Seq)
		if i >= t.sent || t.results[i].done || a.Error && advice(&a) {
			continue
		}
		t.results[i].done, t.results[i].a = true, a
		t.waiting--
		if !passing(&a) {
			t.final = min(t.final, t.ttl(i))
		}
	}
}

// tell tells the client of packet i.
func (t *tracing) tell(i int) error {
	r, a := &t.results[i], &t.results[i].a
	m := &system.TracerouteResponse{Hop: int32(t.ttl(i))}
	if r.lost {
		m.State = system.TracerouteResponse_NONE
		return t.send(m)
	}
	m.Address, m.Rtt = a.From.String(), int64(a.RTT)
	if a.Error && !passing(a) {
		m.IcmpCode = int32(a.Code)
		// That the port is closed is what a datagram is sent to find out.
		if !t.closes || !portClosed(a) {
			what := meaning(a)
			m.State = what.state
			note.Put(m, what.words)
		}
	}
	if t.name != nil {
		name, known := t.names[a.From]
		if !known {
			name = t.name(a.From)
			t.names[a.From] = name
		}
		m.Name = name
	}
	return t.send(m)
}
