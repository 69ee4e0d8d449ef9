package gnoi

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"time"

	"github.com/openconfig/gnoi/system"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"router/cmd/routerd/northbound/gnoi/note"
	"router/dataplane"
	"router/dataplane/packet"
)

// What Ping does when the request doesn't say, and what it may ask for.
const (
	pingCount    = 5
	pingInterval = time.Second
	pingWait     = 2 * time.Second
	pingSize     = 56
	pingTTL      = 64

	minInterval = 10 * time.Millisecond
	floodGap    = time.Millisecond // a flood is no load test
	maxInterval = time.Hour
	maxWait     = time.Minute
	// maxPingSize is what a frame buffer for jumbo frames has room for.
	maxPingSize = 9000
	// maxWaiting is how many packets may wait for their answers; it is less than
	// the dataplane remembers.
	maxWaiting = 200
)

// The headers of a stream that say what was chosen.
const (
	// HeaderSource is the address that the packets come from.
	HeaderSource = "probe-source"
	// HeaderDestination is the address that they go to.
	HeaderDestination = "probe-destination"
)

// A pinging is one call of Ping.
type pinging struct {
	probe          Probe
	group          bool // the destination is one: many may answer
	count          int  // negative: until the client goes
	size           int
	interval, wait time.Duration
	flood          bool // the next packet goes out a floodGap after the answer to the last
	send           func(*system.PingResponse) error
	now            func() time.Time

	waiting  map[uint16]time.Time // until when, of packets not yet answered
	sent     int
	received int
	min, max time.Duration
	sum, sq  float64 // of the round trips in nanoseconds, and of their squares
}

// Ping implements gNOI's Ping, through the dataplane of the instance that the
// request names. Each echo reply is a message as it comes; an ICMP error is one
// without bytes, whose note says what it is. Packets without an answer have none.
// The last message is the summary.
func (s *systemService) Ping(req *system.PingRequest, stream system.System_PingServer) error {
	p := pinging{
		count: int(req.GetCount()), size: int(req.GetSize()), interval: time.Duration(req.GetInterval()), wait: time.Duration(req.GetWait()),
		send: stream.Send, now: s.now, waiting: map[uint16]time.Time{},
	}
	if err := p.check(); err != nil {
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
	q.Protocol = packet.ProtocolICMPv4
	if q.Destination.Is6() {
		q.Protocol = packet.ProtocolICMPv6
	}
	p.group = q.Destination.IsMulticast()
	probe, src, err := s.prober.StartProbe(q)
	if err != nil {
		return probeStatus(err)
	}
	defer probe.Close()
	p.probe = probe
	if err := stream.SendHeader(metadata.Pairs(HeaderSource, src.String(), HeaderDestination, q.Destination.String())); err != nil {
		return err
	}
	return p.run(ctx, q.Destination)
}

// check fills in what the request leaves open.
func (p *pinging) check() error {
	switch {
	case p.count == 0:
		p.count = pingCount
	case p.count < -1:
		return failf(codes.InvalidArgument, "count %d: want a number of packets, or -1 for no end", p.count)
	}
	switch {
	case p.interval == 0:
		p.interval = pingInterval
	case p.interval == -1:
		p.flood, p.interval = true, minInterval
	case p.interval < minInterval || p.interval > maxInterval:
		return failf(codes.InvalidArgument, "interval %v: want %v to %v, or -1 to flood", p.interval, minInterval, maxInterval)
	}
	switch {
	case p.wait == 0:
		p.wait = pingWait
	case p.wait < 0 || p.wait > maxWait:
		return failf(codes.InvalidArgument, "wait %v: want up to %v", p.wait, maxWait)
	}
	switch {
	case p.size == 0:
		p.size = pingSize
	case p.size < 0 || p.size > maxPingSize:
		return failf(codes.InvalidArgument, "size %d: want 1 to %d octets", p.size, maxPingSize)
	}
	return nil
}

// run sends and receives until all packets are answered or given up.
func (p *pinging) run(ctx context.Context, dst netip.Addr) error {
	start := p.now()
	due := start
	for {
		now := p.now()
		p.expire(now)
		more := p.count < 0 || p.sent < p.count
		if more && !now.Before(due) {
			seq := uint16(p.sent + 1)
			if err := p.probe.Send(seq, pingTTL, p.size); err != nil && !errors.Is(err, dataplane.ErrBusy) {
				return sendStatus(err)
			}
			p.sent++
			p.waiting[seq] = now.Add(p.wait)
			due = now.Add(p.interval)
			more = p.count < 0 || p.sent < p.count
		}
		if !more && len(p.waiting) == 0 {
			return p.summary(dst, p.now().Sub(start))
		}
		until := due
		if !more {
			until = p.last()
		}
		a, err := receive(ctx, p.probe, until.Sub(now))
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return receiveStatus(ctx, err)
		}
		if err := p.answered(&a); err != nil {
			return err
		}
		if p.flood && len(p.waiting) == 0 {
			due = now.Add(floodGap)
		}
	}
}

// receive waits for an answer for at most a time; context.DeadlineExceeded says
// that it is over.
func receive(ctx context.Context, p Probe, atMost time.Duration) (dataplane.ProbeAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, max(atMost, 0))
	defer cancel()
	return p.Receive(ctx)
}

// expire gives up what has waited long enough, and the oldest of too many.
func (p *pinging) expire(now time.Time) {
	for seq, until := range p.waiting {
		if !now.Before(until) {
			delete(p.waiting, seq)
		}
	}
	for len(p.waiting) >= maxWaiting {
		oldest := uint16(p.sent)
		for seq := range p.waiting {
			if uint16(p.sent)-seq > uint16(p.sent)-oldest {
				oldest = seq
			}
		}
		delete(p.waiting, oldest)
	}
}

// last is when the last packet is given up.
func (p *pinging) last() (t time.Time) {
	for _, until := range p.waiting {
		if until.After(t) {
			t = until
		}
	}
	return t
}

// answered tells the client of an answer.
func (p *pinging) answered(a *dataplane.ProbeAnswer) error {
	if advice(a) && a.Error {
		return nil
	}
	r := &system.PingResponse{Source: a.From.String(), Sequence: int32(a.Seq), Ttl: int32(a.TTL), Time: int64(a.RTT)}
	_, waited := p.waiting[a.Seq]
	if a.Error {
		if !waited {
			return nil
		}
		delete(p.waiting, a.Seq)
		note.Put(r, meaning(a).words)
		return p.send(r)
	}
	r.Bytes = int32(a.Octets)
	if !waited {
		note.Put(r, "DUP!")
		return p.send(r)
	}
	delete(p.waiting, a.Seq)
	p.received++
	ns := float64(a.RTT)
	p.sum, p.sq = p.sum+ns, p.sq+ns*ns
	if p.received == 1 || a.RTT < p.min {
		p.min = a.RTT
	}
	p.max = max(p.max, a.RTT)
	return p.send(r)
}

// summary is the last message.
func (p *pinging) summary(dst netip.Addr, took time.Duration) error {
	r := &system.PingResponse{Source: dst.String(), Time: int64(took), Sent: int32(p.sent), Received: int32(p.received)}
	if n := float64(p.received); n > 0 {
		mean := p.sum / n
		r.MinTime, r.MaxTime, r.AvgTime = int64(p.min), int64(p.max), int64(mean)
		r.StdDev = int64(math.Sqrt(max(0, p.sq/n-mean*mean)))
	}
	return p.send(r)
}

// sendStatus is the status of a probe that can't go on sending.
func sendStatus(err error) error {
	switch {
	case errors.Is(err, dataplane.ErrTooLong):
		return failf(codes.InvalidArgument, "the packets would be too long for the router's buffers: ask for a smaller size")
	case errors.Is(err, dataplane.ErrNoUnit):
		return failf(codes.FailedPrecondition, "the interface that the packets were sent by is gone")
	}
	return failf(codes.Internal, "%v", err)
}

// receiveStatus is the status of a call that can't go on receiving: the client's
// own doing, most of the time.
func receiveStatus(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	return failf(codes.Internal, "%v", err)
}
