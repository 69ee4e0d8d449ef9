package northbound

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// Stats count the calls of the server since it was made.
type Stats struct {
	Active    map[string]int64 // calls under way by method, "/gnmi.gNMI/Set"
	Done      map[Call]uint64  // calls that ended
	Updates   uint64           // values sent to subscribers
	Coalesced uint64           // changes that slow subscribers did not get one by one
}

// A Call is a method and how a call of it ended.
type Call struct {
	Method string
	Code   codes.Code
}

// callStats gathers Stats. It is a grpc.StatsHandler, so that it sees the calls of
// all services, those that interceptors refuse included.
type callStats struct {
	mu     sync.Mutex
	known  map[string]bool // methods that are served: others would be labels without bound
	active map[string]int64
	done   map[Call]uint64

	updates, coalesced atomic.Uint64
}

func newCallStats() *callStats {
	return &callStats{known: map[string]bool{}, active: map[string]int64{}, done: map[Call]uint64{}}
}

// serves notes the methods of g, once its services are registered.
func (s *callStats) serves(g *grpc.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for service, info := range g.GetServiceInfo() {
		for _, m := range info.Methods {
			s.known["/"+service+"/"+m.Name] = true
		}
	}
}

type methodKey struct{}

// TagRPC implements stats.Handler.
func (s *callStats) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, methodKey{}, info.FullMethodName)
}

// HandleRPC implements stats.Handler.
func (s *callStats) HandleRPC(ctx context.Context, r stats.RPCStats) {
	step := int64(0)
	var end *stats.End
	switch r := r.(type) {
	case *stats.Begin:
		step = 1
	case *stats.End:
		step, end = -1, r
	default:
		return
	}
	method, _ := ctx.Value(methodKey{}).(string)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.known[method] {
		method = "unknown"
	}
	s.active[method] += step
	if end != nil {
		s.done[Call{method, status.Code(end.Error)}]++
	}
}

// TagConn implements stats.Handler.
func (s *callStats) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (s *callStats) HandleConn(context.Context, stats.ConnStats) {}

// Stats counts the calls so far.
func (s *Server) Stats() Stats {
	c := s.calls
	c.mu.Lock()
	defer c.mu.Unlock()
	st := Stats{Active: make(map[string]int64, len(c.active)), Done: make(map[Call]uint64, len(c.done)),
		Updates: c.updates.Load(), Coalesced: c.coalesced.Load()}
	for m, n := range c.active {
		st.Active[m] = n
	}
	for call, n := range c.done {
		st.Done[call] = n
	}
	return st
}
