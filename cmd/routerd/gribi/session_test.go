package gribi

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	aft "github.com/openconfig/gribi/v1/proto/gribi_aft"
	spb "github.com/openconfig/gribi/v1/proto/service"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// A bench is a server over an in-memory connection.
type bench struct {
	*testing.T
	router *fakeRouter
	server *Server
	client spb.GRIBIClient
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, router: newFakeRouter()}
	b.server = New(Options{Router: b.router, Caller: func(context.Context) string { return "c" }})
	l := bufconn.Listen(1 << 16)
	g := grpc.NewServer()
	b.server.Register(g)
	go func() { _ = g.Serve(l) }()
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { b.server.Run(ctx) })
	conn, err := grpc.NewClient("passthrough:x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return l.Dial() }))
	if err != nil {
		t.Fatal(err)
	}
	b.client = spb.NewGRIBIClient(conn)
	t.Cleanup(func() {
		conn.Close()
		b.server.Stop()
		g.Stop()
		cancel()
		run.Wait()
	})
	return b
}

// A session is a Modify call.
type session struct {
	*bench
	stream   spb.GRIBI_ModifyClient
	cancel   context.CancelFunc
	election *spb.Uint128
	id       uint64
}

var (
	single   = &spb.SessionParameters{Redundancy: spb.SessionParameters_SINGLE_PRIMARY, Persistence: spb.SessionParameters_PRESERVE, AckType: spb.SessionParameters_RIB_AND_FIB_ACK}
	singleGo = &spb.SessionParameters{Redundancy: spb.SessionParameters_SINGLE_PRIMARY, AckType: spb.SessionParameters_RIB_AND_FIB_ACK}
	all      = &spb.SessionParameters{AckType: spb.SessionParameters_RIB_AND_FIB_ACK}
)

func (b *bench) open(p *spb.SessionParameters, election uint64) *session {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	b.Cleanup(cancel)
	stream, err := b.client.Modify(ctx)
	if err != nil {
		b.Fatal(err)
	}
	s := &session{bench: b, stream: stream, cancel: cancel}
	if p != nil {
		s.send(&spb.ModifyRequest{Params: p})
		s.receive()
	}
	if election != 0 {
		s.elect(0, election, 0, election)
	}
	return s
}

func (s *session) send(m *spb.ModifyRequest) {
	s.Helper()
	if err := s.stream.Send(m); err != nil {
		s.Fatal(err)
	}
}

func (s *session) receive() *spb.ModifyResponse {
	s.Helper()
	m, err := s.stream.Recv()
	if err != nil {
		s.Fatal(err)
	}
	return m
}

// elect announces an election id, and wants to hear another.
func (s *session) elect(high, low, wantHigh, wantLow uint64) {
	s.Helper()
	s.election = &spb.Uint128{High: high, Low: low}
	s.send(&spb.ModifyRequest{ElectionId: s.election})
	if got := idOf(s.receive().GetElectionId()); got != (uint128{wantHigh, wantLow}) {
		s.Errorf("election id %d:%d is answered with %v, want %d:%d", high, low, got, wantHigh, wantLow)
	}
}

// fails wants the call to end with a code, and with a reason if it isn't nil.
func (s *session) fails(code codes.Code, reason *spb.ModifyRPCErrorDetails_Reason) {
	s.Helper()
	var err error
	for err == nil {
		_, err = s.stream.Recv()
	}
	st := status.Convert(err)
	if st.Code() != code {
		s.Errorf("the call ends with %v, want %v", err, code)
	}
	if reason == nil {
		return
	}
	for _, d := range st.Details() {
		if m, ok := d.(*spb.ModifyRPCErrorDetails); ok && m.GetReason() == *reason {
			return
		}
	}
	s.Errorf("the call ends with %v, details %v, want %v", err, st.Details(), *reason)
}

// do sends operations in one request, and returns their answers, which come in
// order.
func (s *session) do(ops ...*spb.AFTOperation) []*spb.AFTResult {
	s.Helper()
	for _, o := range ops {
		s.id++
		o.Id = s.id
		if o.GetElectionId() == nil {
			o.ElectionId = s.election
		}
		if o.GetNetworkInstance() == "" {
			o.NetworkInstance = "default"
		}
	}
	s.send(&spb.ModifyRequest{Operation: ops})
	var list []*spb.AFTResult
	for len(list) < len(ops) {
		list = append(list, s.receive().GetResult()...)
	}
	for i, r := range list {
		if r.GetId() != ops[i].GetId() || r.GetTimestamp() == 0 {
			s.Fatalf("answer %d is %v, want one to operation %d with a timestamp", i, r, ops[i].GetId())
		}
	}
	return list
}

// ok wants a status for each operation.
func (s *session) ok(want spb.AFTResult_Status, ops ...*spb.AFTOperation) {
	s.Helper()
	for i, r := range s.do(ops...) {
		if r.GetStatus() != want {
			s.Errorf("%v is answered %v, want %v", ops[i], r, want)
		}
	}
}

// refuses wants an operation to fail, and to say why.
func (s *session) refuses(why string, op *spb.AFTOperation) {
	s.Helper()
	r := s.do(op)[0]
	if r.GetStatus() != failed || !strings.Contains(r.GetErrorDetails().GetErrorMessage(), why) {
		s.Errorf("%v is answered %v, want FAILED for %q", op, r, why)
	}
}

const (
	add, replace, del = spb.AFTOperation_ADD, spb.AFTOperation_REPLACE, spb.AFTOperation_DELETE
	fib, rib, failed  = spb.AFTResult_FIB_PROGRAMMED, spb.AFTResult_RIB_PROGRAMMED, spb.AFTResult_FAILED
)

func hop(verb spb.AFTOperation_Operation, index uint64, nh *aft.Afts_NextHop) *spb.AFTOperation {
	return &spb.AFTOperation{Op: verb, Entry: &spb.AFTOperation_NextHop{NextHop: &aft.Afts_NextHopKey{Index: index, NextHop: nh}}}
}

func address(a string) *aft.Afts_NextHop { return &aft.Afts_NextHop{IpAddress: stringValue(a)} }

func lookIn(instance string) *aft.Afts_NextHop {
	return &aft.Afts_NextHop{NetworkInstance: stringValue(instance)}
}

func grp(verb spb.AFTOperation_Operation, id, backup uint64, weights map[uint64]uint64) *spb.AFTOperation {
	g := &aft.Afts_NextHopGroup{}
	for index := range uint64(100) {
		if w, ok := weights[index]; ok {
			g.NextHop = append(g.NextHop, &aft.Afts_NextHopGroup_NextHopKey{Index: index, NextHop: &aft.Afts_NextHopGroup_NextHop{Weight: uintValue(w)}})
		}
	}
	if backup != 0 {
		g.BackupNextHopGroup = uintValue(backup)
	}
	return &spb.AFTOperation{Op: verb, Entry: &spb.AFTOperation_NextHopGroup{NextHopGroup: &aft.Afts_NextHopGroupKey{Id: id, NextHopGroup: g}}}
}

func entry(verb spb.AFTOperation_Operation, prefix string, group uint64) *spb.AFTOperation {
	if strings.Contains(prefix, ":") {
		return &spb.AFTOperation{Op: verb, Entry: &spb.AFTOperation_Ipv6{Ipv6: &aft.Afts_Ipv6EntryKey{Prefix: prefix, Ipv6Entry: &aft.Afts_Ipv6Entry{NextHopGroup: uintValue(group)}}}}
	}
	return &spb.AFTOperation{Op: verb, Entry: &spb.AFTOperation_Ipv4{Ipv4: &aft.Afts_Ipv4EntryKey{Prefix: prefix, Ipv4Entry: &aft.Afts_Ipv4Entry{NextHopGroup: uintValue(group)}}}}
}

func in(instance string, o *spb.AFTOperation) *spb.AFTOperation {
	o.NetworkInstance = instance
	return o
}

// entries are all entries of an instance.
func (b *bench) entries(instance string) []*spb.AFTEntry {
	b.Helper()
	stream, err := b.client.Get(b.Context(), &spb.GetRequest{NetworkInstance: &spb.GetRequest_Name{Name: instance}, Aft: spb.AFTType_ALL})
	if err != nil {
		b.Fatal(err)
	}
	var list []*spb.AFTEntry
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			b.Fatal(err)
		}
		list = append(list, m.GetEntry()...)
	}
}
