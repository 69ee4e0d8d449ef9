package northbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/intf"
	"router/models"
)

// fakeState is a State of maps.
type fakeState struct {
	mu        sync.Mutex
	system    models.SystemState
	devices   map[string]models.DeviceState
	units     map[intf.UnitKey]models.UnitState
	instances map[string]models.InstanceState
	routes    map[string][]models.RouteState
	watchers  map[int]func(StateChange)
	next      int
	filled    map[models.Object]int
	read      func() // called once, after the next routes have been read
	unapplied map[models.Object][]models.Unapplied
}

func newFakeState() *fakeState {
	return &fakeState{devices: map[string]models.DeviceState{}, units: map[intf.UnitKey]models.UnitState{},
		instances: map[string]models.InstanceState{"default": {Name: "default", RIBs: []models.RIBState{{Family: intf.Inet}, {Family: intf.Inet6}}}},
		routes:    map[string][]models.RouteState{}, watchers: map[int]func(StateChange){}, filled: map[models.Object]int{}}
}

func (f *fakeState) Names(kind models.Kind, parent string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch kind {
	case models.Device:
		return slices.Sorted(maps.Keys(f.devices))
	case models.Unit:
		var ids []string
		for k := range f.units {
			if k.Device == parent {
				ids = append(ids, k.ID)
			}
		}
		return ids
	case models.Instance:
		return slices.Sorted(maps.Keys(f.instances))
	case models.System, models.Static, models.Class, models.Session, models.PrefixList, models.Policer, models.Filter, models.FilterLog, models.Multicast, models.GRIBI, models.User, models.Role, models.Audit, models.LogServer:
	}
	return nil
}

func (f *fakeState) Fill(dst *gen.Device, o models.Object) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.filled[o]++
	switch o.Kind {
	case models.System:
		models.FillSystem(dst, f.system)
		return true
	case models.Device:
		d, ok := f.devices[o.Device]
		if ok {
			models.FillDevice(dst, d)
		}
		return ok
	case models.Unit:
		u, ok := f.units[intf.UnitKey{Device: o.Device, ID: o.Unit}]
		if ok {
			models.FillUnit(dst, u)
		}
		return ok
	case models.Instance:
		i, ok := f.instances[o.Instance]
		if ok {
			models.FillInstance(dst, i)
		}
		return ok
	case models.Static, models.Class, models.Session, models.PrefixList, models.Policer, models.Filter, models.FilterLog, models.Multicast, models.GRIBI, models.User, models.Role, models.Audit, models.LogServer:
	}
	return false
}

func (f *fakeState) Routes(dst []models.RouteState, q RouteQuery) []models.RouteState {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() {
		if after := f.read; after != nil {
			f.read = nil
			after()
		}
	}()
	all := f.routes[q.Instance]
	at := 0
	if q.After.IsValid() {
		at, _ = slices.BinarySearchFunc(all, q.After, func(r models.RouteState, p netip.Prefix) int {
			if r.Prefix.Compare(p) <= 0 {
				return -1
			}
			return 1
		})
	}
	for _, r := range all[at:] {
		switch {
		case intf.FamilyOf(r.Prefix.Addr()) != q.Family, q.Prefix.IsValid() && r.Prefix != q.Prefix:
			continue
		case len(dst) >= q.Limit:
			return dst
		}
		dst = append(dst, r)
	}
	return dst
}

func (f *fakeState) Watch(fn func(StateChange)) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.next
	f.next++
	f.watchers[id] = fn
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, id)
	}
}

// change edits the state and tells watchers of c.
func (f *fakeState) change(c StateChange, edit func()) {
	f.mu.Lock()
	edit()
	fns := slices.Collect(maps.Values(f.watchers))
	f.mu.Unlock()
	for _, fn := range fns {
		fn(c)
	}
}

func (f *fakeState) watching() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watchers)
}

// applier takes everything, or fails when told to.
type applier struct{ fail error }

func (a *applier) Start(context.Context, *models.Intent) error { return nil }
func (a *applier) Apply(context.Context, models.Change) error  { return a.fail }
func (a *applier) Revert(context.Context, models.Change) error { return nil }

// A bed is a server with all that it needs, and a client.
type bed struct {
	t       testing.TB
	state   *fakeState
	applier *applier
	dir     string
	store   *datastore.Store
	server  *Server
	conn    *grpc.ClientConn
	client  gnmi.GNMIClient
	depth   uint32 // of the subscriptions that watch and stalled make; 0 for all
}

func newBed(t testing.TB, edit func(*Options)) *bed {
	t.Helper()
	return newBedIn(t, t.TempDir(), edit)
}

// restarted is another server over the same state directory; this one ends.
func (b *bed) restarted() *bed {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	b.server.Stop(ctx)
	if err := b.store.Close(); err != nil {
		b.t.Fatal(err)
	}
	return newBedIn(b.t, b.dir, nil)
}

func newBedIn(t testing.TB, dir string, edit func(*Options)) *bed {
	t.Helper()
	b := &bed{t: t, state: newFakeState(), applier: &applier{}}
	var err error
	b.store, err = datastore.Open(context.Background(), datastore.Options{Dir: dir, Applier: b.applier})
	if err != nil {
		t.Fatal(err)
	}
	b.dir = dir
	opt := Options{Store: b.store, State: b.state, MinSample: 20 * time.Millisecond, Volatile: 50 * time.Millisecond}
	if edit != nil {
		edit(&opt)
	}
	b.server = New(opt)
	l, target, config, creds := b.transport()
	served := make(chan error, 1)
	go func() { served <- b.server.Serve(l, config) }()
	b.conn, err = grpc.NewClient(target, grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			if pipe, ok := l.(*bufconn.Listener); ok {
				return pipe.DialContext(ctx)
			}
			return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	b.client = gnmi.NewGNMIClient(b.conn)
	t.Cleanup(func() {
		b.conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		b.server.Stop(ctx)
		if err := <-served; err != nil {
			t.Error(err)
		}
		b.store.Close()
	})
	return b
}

// transport is how the bed's client reaches it: TLS over TCP in tests, memory in
// benchmarks and fuzz tests.
func (b *bed) transport() (l net.Listener, target string, config *tls.Config, creds credentials.TransportCredentials) {
	switch b.t.(type) {
	case *testing.B, *testing.F:
		return bufconn.Listen(1 << 20), "passthrough:bed", nil, insecure.NewCredentials()
	}
	cert, err := testCertificate()
	if err != nil {
		b.t.Fatal(err)
	}
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		b.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	return l, "passthrough:" + l.Addr().String(), &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}},
		credentials.NewTLS(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
}

func (b *bed) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	b.t.Cleanup(cancel)
	return ctx
}

func p(t testing.TB, text string) *gnmi.Path {
	t.Helper()
	parsed, err := tree.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return &gnmi.Path{Elem: parsed}
}

func ietf(s string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(s)}}
}

func str(s string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: s}}
}

// set updates path by path; values are RFC 7951 JSON.
func (b *bed) set(pathsAndValues ...string) {
	b.t.Helper()
	req := &gnmi.SetRequest{}
	for i := 0; i < len(pathsAndValues); i += 2 {
		req.Update = append(req.Update, &gnmi.Update{Path: p(b.t, pathsAndValues[i]), Val: ietf(pathsAndValues[i+1])})
	}
	if _, err := b.client.Set(b.ctx(), req); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) delete(paths ...string) {
	b.t.Helper()
	req := &gnmi.SetRequest{}
	for _, text := range paths {
		req.Delete = append(req.Delete, p(b.t, text))
	}
	if _, err := b.client.Set(b.ctx(), req); err != nil {
		b.t.Fatal(err)
	}
}

func (f *fakeState) Groups(string) []models.Object { return nil }

func (f *fakeState) Flows(dst []models.FlowState, _ FlowQuery) []models.FlowState { return dst }

func (f *fakeState) EachUnapplied(_ string, visit func(models.Unapplied) bool) {
	f.mu.Lock()
	var all []models.Unapplied
	for _, list := range f.unapplied {
		all = append(all, list...)
	}
	f.mu.Unlock()
	slices.SortFunc(all, func(a, b models.Unapplied) int { return strings.Compare(a.Path, b.Path) })
	for _, u := range all {
		if !visit(u) {
			return
		}
	}
}

func (f *fakeState) Unapplied(o models.Object) []models.Unapplied {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unapplied[o]
}
