package gribi

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	spb "github.com/openconfig/gribi/v1/proto/service"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore/journal"
	"router/intf"
	"router/models"
	"router/routing"
)

// A Router is what is programmed.
type Router interface {
	// Program runs change while nobody else changes routes, publishes what it did,
	// and runs after, which may look at what came of it. Either may be nil.
	Program(change, after func(Tables))
	// Changed tells that the state of the service has changed.
	Changed()
}

// Tables are a router's tables during a Program call. Deleting a route or letting
// a next hop go that isn't there is no error.
type Tables interface {
	// Instance is the index of an instance; born differs when it was deleted and
	// made anew.
	Instance(name string) (index uint32, born uint64, ok bool)
	// Unit is the if_index of a unit by name.
	Unit(name string) (intf.Index, bool)

	Hold(f intf.Family, nh routing.NextHop) (routing.NextHopID, error)
	LetGo(id routing.NextHopID) error
	NewGroup(f intf.Family, members []routing.Member) (routing.NextHop, error)
	SetGroup(group routing.NextHop, members []routing.Member) error
	DropGroup(group routing.NextHop) error
	SetRoute(instance string, prefix netip.Prefix, nh routing.NextHop) error
	DeleteRoute(instance string, prefix netip.Prefix) error
	// Route says whether packets follow the programmed route to a prefix; full is
	// why the forwarding table should have it and has not.
	Route(instance string, prefix netip.Prefix) (active bool, full string)

	Settings() models.GRIBISpec
}

// Options say how a server is made.
type Options struct {
	Router Router
	Log    *slog.Logger // nil for none
	// Caller says who calls; nil for nobody.
	Caller func(context.Context) string
	Now    func() time.Time // nil for time.Now
	// Dir is where entries and the election outlive the process; empty for nowhere. FS is the
	// file system, nil for the machine's.
	Dir string
	FS  journal.FS
}

// A Server is the gRIBI service. Its methods are safe for concurrent use.
type Server struct {
	spb.UnimplementedGRIBIServer
	opt  Options
	log  *slog.Logger
	wake chan struct{}
	tend chan struct{} // the file of what is kept wants to be looked after
	done chan struct{} // closed by Stop: streams end

	operations, failed, flushes atomic.Uint64

	mu      sync.Mutex
	table   table
	clients map[uint32]*client
	lastID  uint32
	roll    election
	stopped bool

	restored time.Time // when a former run's entries were; zero for never
	claimed  bool      // a client has taken them over
	told     string    // why nothing is kept, as Run has told it; its own

	shownMu sync.Mutex
	shown   models.GRIBIState // as of the last call of State that found nobody at work
}

// New makes a server that is registered nowhere yet.
func New(opt Options) *Server {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.FS == nil {
		opt.FS = journal.OS{}
	}
	if opt.Caller == nil {
		opt.Caller = func(context.Context) string { return "" }
	}
	return &Server{
		opt: opt, log: opt.Log, wake: make(chan struct{}, 1), tend: make(chan struct{}, 1), done: make(chan struct{}),
		table:   newTable(func(err error) { opt.Log.Error("an entry could not be removed whole", "err", err) }),
		clients: map[uint32]*client{},
	}
}

// Register makes g answer the service's calls.
func (s *Server) Register(g grpc.ServiceRegistrar) { spb.RegisterGRIBIServer(g, s) }

// Look has Run look at the settings and the instances again. It doesn't block.
func (s *Server) Look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run follows the settings and the instances until ctx ends: a service that is
// disabled loses its clients and entries, an instance that is gone its entries. It looks
// after what outlives the process, and ends a former run's entries when their time is over.
func (s *Server) Run(ctx context.Context) {
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		timer.Reset(min(s.expire(), s.lookAfter()))
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			s.look()
		case <-s.tend:
		case <-timer.C:
		}
	}
}

func (s *Server) look() {
	// The state is asked for when it is told to have changed.
	defer s.opt.Router.Changed()
	s.mu.Lock()
	defer s.mu.Unlock()
	enabled := true
	s.opt.Router.Program(func(t Tables) {
		enabled = t.Settings().Enabled
		s.table.dropGone(t)
	}, nil)
	s.table.keep.write()
	if enabled {
		return
	}
	for _, c := range s.clients {
		c.end()
	}
	if s.table.count > 0 {
		s.removeAll(func(*instance) bool { return true })
		s.log.Info("gribi is disabled, its entries are removed")
	}
}

// Stop refuses new calls and ends streams. What was programmed stays.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.stopped = true
		close(s.done)
	}
}

// serving refuses calls while the service is disabled.
func (s *Server) serving() error {
	enabled := false
	s.opt.Router.Program(nil, func(t Tables) { enabled = t.Settings().Enabled })
	if !enabled {
		return status.Error(codes.Unavailable, "gribi is disabled: set /gribi/config/enabled to true")
	}
	return nil
}
