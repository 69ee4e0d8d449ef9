// Package northbound is the router's gNMI server: Capabilities, Get, Set and
// Subscribe over the model, on TLS and on a Unix socket.
//
// Invariant: nothing that a client does, or fails to do, holds up another
// client, a commit or the dataplane: values are collected under locks and sent without any, and
// what waits for a slow reader is bounded by what it subscribed to.
//
// Source: the gNMI specification 0.10 and its extension documents; docs/gnmi.md
// says which rows of the checklist hold.
package northbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"router/cmd/routerd/access"
	"router/cmd/routerd/audit"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen/configpb"
)

// Options say how a server is made.
type Options struct {
	Store *datastore.Store
	State State
	Log   *slog.Logger // nil for none

	// MaxMessage bounds a message in both directions, in octets; 0 means 64 MiB.
	MaxMessage int
	// MinSample is the fastest sampling, and what an interval of 0 asks for; 0
	// means 100 ms.
	MinSample time.Duration
	// Volatile is how often ON_CHANGE looks at counters, which announce no
	// change; 0 means 5 s. TARGET_DEFINED samples them at twice that.
	Volatile time.Duration
	// Register adds services to each listener's server, beside gNMI.
	Register []func(grpc.ServiceRegistrar)

	// Guard says who may do what; nil lets everybody do everything.
	Guard *access.Guard
	// Trusted reports whether a caller from an address may do everything without
	// credentials as long as no user is declared; nil trusts nobody.
	Trusted func(from netip.Addr) bool
	Audit   *audit.Log // nil for none
	Limits  Limits
	// LogReader has the log for clients; nil for none.
	LogReader LogReader
	// Clearer clears counters and neighbours; nil for a router that can't.
	Clearer Clearer
	// Capturer captures frames; nil for a router that can't.
	Capturer Capturer

	now func() time.Time
}

// A Server is the gNMI service. Its methods are safe for concurrent use.
type Server struct {
	gnmi.UnimplementedGNMIServer
	opt    Options
	log    *slog.Logger
	store  *datastore.Store
	schema *tree.Schema
	source *source
	now    func() time.Time
	calls  *callStats
	turns  chan struct{} // of the feeds and streams that look at changes
	pacer  *pacer        // of the members of feeds that send them
	first  precedence    // of commits
	feeds  feeds

	masters masters  // of Set
	conns   sync.Map // of connKey to *markedConn
	rate    *rateLimit
	limited atomic.Uint64
	open    map[string]bool // services whose RPCs need no rule
	health  *health.Server

	mu      sync.Mutex
	servers []*grpc.Server
	stopped bool
	done    chan struct{} // closed by Stop: streams end
}

// New makes a server that listens nowhere yet.
func New(opt Options) *Server {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.MaxMessage == 0 {
		opt.MaxMessage = 64 << 20
	}
	if opt.MinSample == 0 {
		opt.MinSample = 100 * time.Millisecond
	}
	if opt.Volatile == 0 {
		opt.Volatile = 5 * time.Second
	}
	if opt.now == nil {
		opt.now = time.Now
	}
	opt.Limits = opt.Limits.withDefaults()
	s := &Server{opt: opt, log: opt.Log, store: opt.Store, schema: opt.Store.Schema(), now: opt.now,
		source: newSource(opt.Store, opt.State), calls: newCallStats(), turns: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)), pacer: newPacer(),
		feeds: feeds{by: map[string]*feed{}}, done: make(chan struct{}),
		rate: newRateLimit(opt.Limits.Rate), open: map[string]bool{}, health: health.NewServer()}
	for _, name := range openServices {
		s.open[name] = true
	}
	return s
}

// work takes a turn, rest gives it back. There are fewer turns than processors, so
// that a change that many streams tell of leaves one for the commits that follow it.
func (s *Server) work() { s.turns <- struct{}{} }
func (s *Server) rest() { <-s.turns }

// Limited is how many calls and connections were refused because of a limit.
func (s *Server) Limited() uint64 { return s.limited.Load() }

// Serve answers on l until Stop, over TLS; a nil config means plaintext. It
// takes l over and returns nil after Stop.
func (s *Server) Serve(l net.Listener, config *tls.Config) error {
	creds := insecure.NewCredentials()
	if config != nil {
		creds = credentials.NewTLS(config)
	}
	return s.serve(&markedListener{Listener: l, conns: &s.conns}, creds)
}

// ServeSocket answers on the Unix socket l until Stop, to root and to the user
// that the daemon runs as, by the peer's credentials.
func (s *Server) ServeSocket(l net.Listener) error { return s.serve(l, peerCredentials{}) }

const (
	// maxHeaders bounds a call's metadata, in octets.
	maxHeaders = 16 << 10
	// callWorkers are the goroutines that calls are handed to, where one is idle: their
	// stacks have grown already, which takes a tenth of a small Set's time.
	callWorkers = 4
	// streamWindow and connWindow are how many octets of a call, and of a connection, may be
	// under way. Windows that grow with what is measured take a ping and its answer with each
	// call.
	streamWindow = 1 << 20
	connWindow   = 2 << 20
)

func (s *Server) serve(l net.Listener, creds credentials.TransportCredentials) error {
	g := grpc.NewServer(
		grpc.Creds(creds),
		grpc.MaxRecvMsgSize(s.opt.MaxMessage),
		grpc.MaxSendMsgSize(s.opt.MaxMessage),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
		grpc.ConnectionTimeout(20*time.Second),
		grpc.MaxConcurrentStreams(uint32(s.opt.Limits.Streams)),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.NumStreamWorkers(callWorkers),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.StatsHandler(connections{}),
		grpc.ChainUnaryInterceptor(s.unary),
		grpc.ChainStreamInterceptor(s.stream),
		grpc.StatsHandler(s.calls),
		grpc.ForceServerCodecV2(newCodec()),
	)
	gnmi.RegisterGNMIServer(g, s)
	configpb.RegisterConfigurationServer(g, &configuration{s: s})
	configpb.RegisterStateServer(g, &stateService{s: s})
	configpb.RegisterOperationsServer(g, &operations{s: s})
	for _, register := range s.opt.Register {
		register(g)
	}
	reflection.Register(g)
	healthpb.RegisterHealthServer(g, s.health)
	// The stored configuration is in place before anybody is served.
	for name := range g.GetServiceInfo() {
		s.health.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	s.calls.serves(g)
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return l.Close()
	}
	s.servers = append(s.servers, g)
	s.mu.Unlock()
	if l.Addr().Network() != "unix" {
		l = limitListener(l, s.opt.Limits.Connections, func(from string) {
			s.limited.Add(1)
			s.log.Warn("connection refused: too many from this address (max-connections), or in all", "from", from)
		})
	}
	if err := g.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("gnmi on %s: %w", l.Addr(), err)
	}
	return nil
}

// Stop refuses new calls, ends streams, and waits for the calls under way until
// ctx ends; then it cuts them off.
func (s *Server) Stop(ctx context.Context) {
	s.mu.Lock()
	servers := s.servers
	if !s.stopped {
		s.stopped = true
		close(s.done)
		s.health.Shutdown()
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, g := range servers {
		wg.Go(g.GracefulStop)
	}
	graceful := make(chan struct{})
	go func() {
		wg.Wait()
		close(graceful)
	}()
	select {
	case <-graceful:
	case <-ctx.Done():
		for _, g := range servers {
			g.Stop()
		}
		<-graceful
	}
}

// Capabilities implements gNMI's Capabilities (specification, section 3.2).
func (s *Server) Capabilities(_ context.Context, req *gnmi.CapabilityRequest) (*gnmi.CapabilityResponse, error) {
	if _, err := extensions(req.GetExtension(), rpcCapabilities); err != nil {
		return nil, err
	}
	return &gnmi.CapabilityResponse{SupportedModels: modelData(), SupportedEncodings: encodings, GNMIVersion: version,
		Extension: supportedExtensions()}, nil
}
