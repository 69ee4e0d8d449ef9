package gnoi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openconfig/gnoi/system"
	"github.com/openconfig/gnoi/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/control"
	"router/cmd/routerd/northbound/gnoi/note"
	"router/dataplane"
)

// a wire answers packets as the test says.
type wire struct {
	answers chan dataplane.ProbeAnswer
	sent    []time.Time
	answer  func(seq uint16, ttl uint8) []dataplane.ProbeAnswer
	delay   time.Duration
	asked   control.ProbeRequest
	err     error
	closed  bool
}

func (w *wire) StartProbe(q control.ProbeRequest) (Probe, netip.Addr, error) {
	w.asked = q
	return w, netip.MustParseAddr("192.0.2.1"), w.err
}

func (w *wire) Send(seq uint16, ttl uint8, _ int) error {
	w.sent = append(w.sent, time.Now())
	for _, a := range w.answer(seq, ttl) {
		time.AfterFunc(w.delay, func() { w.answers <- a })
	}
	return nil
}

func (w *wire) Receive(ctx context.Context) (dataplane.ProbeAnswer, error) {
	select {
	case a := <-w.answers:
		return a, nil
	case <-ctx.Done():
		return dataplane.ProbeAnswer{}, ctx.Err()
	}
}

func (w *wire) Close() { w.closed = true }

// stream keeps what a call sends.
type stream[T any] struct {
	grpc.ServerStream
	ctx context.Context
	got []*T
}

func (s *stream[T]) Context() context.Context     { return s.ctx }
func (s *stream[T]) SendHeader(metadata.MD) error { return nil }
func (s *stream[T]) Send(m *T) error              { s.got = append(s.got, m); return nil }

var far = netip.MustParseAddr("198.51.100.9")

// pong is an echo reply.
func pong(seq uint16) dataplane.ProbeAnswer {
	return dataplane.ProbeAnswer{Seq: seq, From: far, TTL: 60, Octets: 64, RTT: time.Duration(seq) * time.Millisecond}
}

func service(w *wire) *systemService {
	w.answers = make(chan dataplane.ProbeAnswer, 100)
	return &systemService{prober: w, lookup: resolver{}, life: newLife(), log: slog.New(slog.DiscardHandler), now: time.Now}
}

func TestPing(t *testing.T) {
	unreachable := dataplane.ProbeAnswer{From: netip.MustParseAddr("203.0.113.1"), Error: true, Type: 3, Code: 13}
	for _, c := range []struct {
		name   string
		req    *system.PingRequest
		answer func(seq uint16, _ uint8) []dataplane.ProbeAnswer
		want   []string
		took   time.Duration
	}{
		{"five by default, a second apart", &system.PingRequest{}, func(seq uint16, _ uint8) []dataplane.ProbeAnswer { return []dataplane.ProbeAnswer{pong(seq)} },
			[]string{"1 64 ", "2 64 ", "3 64 ", "4 64 ", "5 64 ", "5 sent 5 received 1ms/3ms/5ms/1.414213ms"}, 4*time.Second + 10*time.Millisecond},
		{"loss", &system.PingRequest{Count: 3, Interval: 1e8, Wait: 5e8}, func(seq uint16, _ uint8) []dataplane.ProbeAnswer {
			if seq == 2 {
				return nil
			}
			return []dataplane.ProbeAnswer{pong(seq)}
		}, []string{"1 64 ", "3 64 ", "3 sent 2 received 1ms/2ms/3ms/1ms"}, 600 * time.Millisecond},
		{"a duplicate", &system.PingRequest{Count: 2, Interval: 1e9}, func(seq uint16, _ uint8) []dataplane.ProbeAnswer {
			if seq == 1 {
				return []dataplane.ProbeAnswer{pong(1), pong(1)}
			}
			return []dataplane.ProbeAnswer{pong(2)}
		}, []string{"1 64 ", "1 64 DUP!", "2 64 ", "2 sent 2 received 1ms/1.5ms/2ms/500µs"}, time.Second + 10*time.Millisecond},
		{"an error, and advice that is none", &system.PingRequest{Count: 1}, func(seq uint16, _ uint8) []dataplane.ProbeAnswer {
			e, redirect := unreachable, unreachable
			e.Seq, redirect.Seq, redirect.Type = seq, seq, 5
			return []dataplane.ProbeAnswer{redirect, e, e}
		}, []string{"1 0 Packet filtered", "1 sent 0 received 0s/0s/0s/0s"}, 10 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{answer: c.answer, delay: 10 * time.Millisecond}
				s := &stream[system.PingResponse]{ctx: t.Context()}
				c.req.Destination = far.String()
				began := time.Now()
				if err := service(w).Ping(c.req, s); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				var got []string
				for _, r := range s.got {
					if r.GetSent() > 0 {
						got = append(got, fmt.Sprintf("%d sent %d received %v/%v/%v/%v", r.GetSent(), r.GetReceived(), time.Duration(r.GetMinTime()), time.Duration(r.GetAvgTime()), time.Duration(r.GetMaxTime()), time.Duration(r.GetStdDev())))
						continue
					}
					got = append(got, fmt.Sprintf("%d %d %s", r.GetSequence(), r.GetBytes(), note.Of(r)))
				}
				if !slices.Equal(got, c.want) || !w.closed {
					t.Errorf("%q, want %q; closed %v", got, c.want, w.closed)
				}
			})
		})
	}
}

// TestPingBounds keeps a flood to a packet a millisecond, and what waits within
// what the dataplane remembers.
func TestPingBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: func(seq uint16, _ uint8) []dataplane.ProbeAnswer { return []dataplane.ProbeAnswer{pong(seq)} }}
		if err := service(w).Ping(&system.PingRequest{Destination: far.String(), Count: 1000, Interval: -1}, &stream[system.PingResponse]{ctx: t.Context()}); err != nil {
			t.Fatal(err)
		}
		if took := w.sent[len(w.sent)-1].Sub(w.sent[0]); len(w.sent) != 1000 || took < 999*time.Millisecond {
			t.Errorf("%d packets in %v", len(w.sent), took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := &wire{answer: func(uint16, uint8) []dataplane.ProbeAnswer { return nil }}
		s := &stream[system.PingResponse]{ctx: t.Context()}
		if err := service(w).Ping(&system.PingRequest{Destination: far.String(), Count: 1000, Interval: 1e7, Wait: 6e10}, s); err != nil {
			t.Fatal(err)
		}
		if len(w.sent) != 1000 || len(s.got) != 1 || s.got[0].GetReceived() != 0 {
			t.Errorf("%d packets, %v", len(w.sent), s.got)
		}
	})
}

func TestPingRefused(t *testing.T) {
	for _, c := range []struct {
		req  *system.PingRequest
		err  error
		want codes.Code
	}{
		{&system.PingRequest{}, nil, codes.InvalidArgument},
		{&system.PingRequest{Destination: "198.51.100.9", Count: -2}, nil, codes.InvalidArgument},
		{&system.PingRequest{Destination: "198.51.100.9", Interval: 1}, nil, codes.InvalidArgument},
		{&system.PingRequest{Destination: "198.51.100.9", Interval: int64(2 * time.Hour)}, nil, codes.InvalidArgument},
		{&system.PingRequest{Destination: "198.51.100.9", Wait: -1}, nil, codes.InvalidArgument},
		{&system.PingRequest{Destination: "198.51.100.9", Size: -1}, nil, codes.InvalidArgument},
		{&system.PingRequest{Destination: "198.51.100.9", Size: 65507}, nil, codes.InvalidArgument},
		{&system.PingRequest{Destination: "198.51.100.9", L3Protocol: types.L3Protocol_IPV6}, nil, codes.InvalidArgument},
		{&system.PingRequest{Destination: "198.51.100.9", L3Protocol: 9}, nil, codes.InvalidArgument},
		{&system.PingRequest{Destination: "198.51.100.9"}, &control.ProbeError{Fault: control.ProbeNotFound, Err: errors.New("x")}, codes.NotFound},
		{&system.PingRequest{Destination: "198.51.100.9"}, &control.ProbeError{Fault: control.ProbeBusy, Err: errors.New("x")}, codes.ResourceExhausted},
		{&system.PingRequest{Destination: "198.51.100.9"}, &control.ProbeError{Fault: control.ProbeNoSource, Err: errors.New("x")}, codes.FailedPrecondition},
	} {
		err := service(&wire{err: c.err}).Ping(c.req, &stream[system.PingResponse]{ctx: t.Context()})
		if status.Code(err) != c.want {
			t.Errorf("%v: %v, want %v", c.req, err, c.want)
		}
	}
	w := &wire{answer: func(uint16, uint8) []dataplane.ProbeAnswer { return nil }}
	synctest.Test(t, func(t *testing.T) {
		s := service(w)
		time.AfterFunc(time.Second, s.life.end)
		err := s.Ping(&system.PingRequest{Destination: "fe80::1%ge0.0", Source: "lo0.0", Count: -1}, &stream[system.PingResponse]{ctx: t.Context()})
		if status.Code(err) != codes.Unavailable || w.asked.Unit != "ge0.0" || w.asked.SourceUnit != "lo0.0" || w.asked.Destination.Zone() != "" {
			t.Errorf("%v, %+v", err, w.asked)
		}
	})
}

// TestTraceroute has a silent hop, a lossy one and a destination that says its
// port is closed.
func TestTraceroute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		router := func(n byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, n}) }
		w := &wire{delay: 20 * time.Millisecond}
		w.answer = func(seq uint16, ttl uint8) []dataplane.ProbeAnswer {
			a := dataplane.ProbeAnswer{Seq: seq, From: router(ttl), Error: true, Type: 11, RTT: time.Millisecond}
			switch {
			case ttl == 2, ttl == 3 && seq%3 == 1:
				return nil
			case ttl >= 4:
				a.From, a.Type, a.Code = far, 3, 3
			}
			return []dataplane.ProbeAnswer{a}
		}
		s := &stream[system.TracerouteResponse]{ctx: t.Context()}
		began := time.Now()
		err := service(w).Traceroute(&system.TracerouteRequest{Destination: far.String(), L4Protocol: system.TracerouteRequest_UDP, DoNotResolve: true, Wait: 1e9}, s)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range s.got[1:] {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%d %s %s %s", r.GetHop(), r.GetAddress(), r.GetState(), note.Of(r))))
		}
		want := []string{
			"1 10.0.0.1 DEFAULT", "1 10.0.0.1 DEFAULT", "1 10.0.0.1 DEFAULT", "2  NONE", "2  NONE", "2  NONE",
			"3 10.0.0.3 DEFAULT", "3  NONE", "3 10.0.0.3 DEFAULT", "4 198.51.100.9 DEFAULT", "4 198.51.100.9 DEFAULT", "4 198.51.100.9 DEFAULT",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
		// The silent hop costs one wait, not three, and nothing goes on beyond what has answered.
		if took := time.Since(began); took > 1100*time.Millisecond || len(w.sent) > 3*7 {
			t.Errorf("it took %v and %d packets", took, len(w.sent))
		}
	})
}
