// Package control is the applied router: it brings the interface tree, the
// routing instances, the neighbours, the dataplane and the host stack to what
// is declared, and keeps them there when links, neighbours or the kernel change.
//
// It is level-triggered. Steps of a commit and events alike only note what is
// wanted or seen and mark objects dirty; [Router.Publish] converges what is
// dirty, make before break. So a commit, a link that comes back and a repair
// all run the same code, and undoing a commit is wanting the old state again.
//
// One mutex guards it all; workers never wait for it.
package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"router/cmd/routerd/reconcile"
	"router/dataplane"
	"router/intf"
	"router/intf/kernel"
	"router/models"
	"router/routing"
	"router/routing/advertise"
	"router/routing/neighbor"
	"router/vrf"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// Links are the kernel's devices in the daemon's namespace.
type Links interface {
	// Get is the link as last seen; Present is false when it isn't there.
	Get(name string) kernel.Link
	// Named is the name of the link with that index as last seen, "" if there is none.
	Named(index int) string
	// Claim prepares a device for the router, Release gives it back.
	Claim(name string, want kernel.DeviceClaim) (warning string, err error)
	Release(name string) error
}

// Config are the parts that a Router is made of.
type Config struct {
	Log      *slog.Logger
	StateDir string
	Engine   *dataplane.Engine
	Domain   *epoch.Domain
	Arena    *fib.Arena // of the route tables
	Links    Links
	Drivers  Drivers
	Host     Host
	Now      func() time.Time
	Access   Access // nil for none
	Memory   Memory // nil for none
	Tables   TablesConfig
	Ledger   Ledger // nil for none
	// Adopting has the router wait for Adopt.
	Adopting bool
}

// An Access keeps users and roles in place; nil takes one away. Its methods don't
// wait.
type Access interface {
	SetUser(name string, spec *models.UserSpec)
	SetRole(name string, spec *models.RoleSpec)
}

// A Router is what is applied. Its methods may be called from any goroutine.
type Router struct {
	log     *slog.Logger
	engine  *dataplane.Engine
	domain  *epoch.Domain
	arena   *fib.Arena
	links   Links
	drivers Drivers
	host    Host
	now     func() time.Time
	access  Access
	events  events

	mu        sync.Mutex
	indexes   *intf.Indexes
	indexFile *indexFile
	saved     map[intf.Index]struct{} // indexes that are in the file
	tree      *intf.Tree
	vrfs      *vrf.Manager
	neighbors *neighbor.Table
	actions   []neighbor.Action  // to be done by drain
	gateways  []gatewayChange    // likewise
	sends     []neighbor.Message // to be sent by transmit
	adverts   *advertise.Table
	// announcements are to be sent by transmit.
	announcements []advertise.Send
	malformed     uint64          // punted messages that were not valid
	edit          *dataplane.Edit // what the next commitEdit publishes

	system    models.SystemSpec
	gribi     models.GRIBISpec
	births    uint64 // instances made so far
	devices   map[string]*device
	units     map[intf.UnitKey]*unit
	byIndex   map[intf.Index]*unit
	borrowers map[intf.UnitKey]map[intf.UnitKey]struct{} // unnumbered units, by the one that lends
	instances map[string]*instance
	names     map[uint32]string // of instances, by index
	statics   map[models.StaticKey]*static
	policy    localPolicy
	feasible  map[string]map[familyID]struct{} // by instance: who needs its second table
	multicast map[models.MulticastKey]*multicast
	aged      time.Duration // the clock's reading when flows were aged last
	ports     map[dataplane.PortID]*device
	filters   filterTable
	filterLog filterLog
	dirty     dirty
	// oldNamespaces are to be let go once nothing is in them.
	oldNamespaces []string
	wake          chan struct{}              // the timers have changed
	nextTick      time.Time                  // when the timers are looked at without being woken
	measured      time.Time                  // when rates were taken last
	waiting       map[models.Object]struct{} // devices and units that are pending
	parts         int                        // of units that are in place, which are not
	pendingRoutes int                        // vrfs.Pending when it was told last
	failed        map[models.Object]*failure // but for devices, which have their own; nil until one has
	lapsed        []error                    // the first failures since the convergence began
	lapses        int                        // all of them
	booted        time.Time
	started       time.Time // when the clock read zero

	ledger    Ledger
	uncounted bool // it has been logged that the ledger does not take all

	tables  TablesConfig
	crowded bool      // routes wait for room in the forwarding tables
	retried time.Time // when they were tried last
	// rewritten is when all was written down again for the fast path.
	rewritten time.Time

	memory    Memory
	recalled  map[intf.Index][]recollection // of the former run, until Adopt
	adopting  bool
	leaving   bool
	takeover  *models.TakeoverState // nil: there was nothing to take over
	forgetful bool                  // the memory has failed, and it was said
}

// dirty is what Publish has to look at.
type dirty struct {
	devices   map[string]struct{}
	units     map[intf.UnitKey]struct{}
	instances map[string]struct{}
	statics   map[models.StaticKey]struct{}
	classes   map[string]struct{}
	sessions  map[string]struct{}

	lists, policers, filters map[string]struct{}
	multicast                map[models.MulticastKey]struct{}
}

func newDirty() dirty {
	return dirty{
		devices: map[string]struct{}{}, units: map[intf.UnitKey]struct{}{},
		instances: map[string]struct{}{}, statics: map[models.StaticKey]struct{}{}, multicast: map[models.MulticastKey]struct{}{},
		classes: map[string]struct{}{}, sessions: map[string]struct{}{},
		lists: map[string]struct{}{}, policers: map[string]struct{}{}, filters: map[string]struct{}{},
	}
}

func (d *dirty) tree(c intf.Changes) {
	for _, name := range c.Devices {
		d.devices[name] = struct{}{}
	}
	for _, key := range c.Units {
		d.units[key] = struct{}{}
	}
}

// New returns a Router with nothing configured but the default instance.
func New(c Config) (*Router, error) {
	file, known, err := openIndexes(c.StateDir)
	if err != nil {
		return nil, err
	}
	indexes, err := intf.NewIndexes(known)
	if err != nil {
		return nil, errors.Join(err, file.close())
	}
	r := &Router{
		log: c.Log, engine: c.Engine, domain: c.Domain, arena: c.Arena, links: c.Links, drivers: c.Drivers, host: c.Host, now: c.Now, access: c.Access,
		gribi:   models.DefaultGRIBI,
		indexes: indexes, indexFile: file, saved: map[intf.Index]struct{}{}, tree: intf.NewTree(indexes),
		devices: map[string]*device{}, units: map[intf.UnitKey]*unit{}, byIndex: map[intf.Index]*unit{},
		borrowers: map[intf.UnitKey]map[intf.UnitKey]struct{}{},
		instances: map[string]*instance{}, names: map[uint32]string{0: vrf.Default}, statics: map[models.StaticKey]*static{},
		multicast: map[models.MulticastKey]*multicast{},
		feasible:  map[string]map[familyID]struct{}{},
		ports:     map[dataplane.PortID]*device{}, filters: newFilterTable(), dirty: newDirty(), waiting: map[models.Object]struct{}{}, wake: make(chan struct{}, 1), booted: c.Now(),
		tables: c.Tables, ledger: c.Ledger, memory: c.Memory, adopting: c.Adopting, recalled: map[intf.Index][]recollection{},
	}
	r.started = r.booted
	r.recall()
	for _, i := range known {
		r.saved[i] = struct{}{}
	}
	r.neighbors = neighbor.New(neighbor.Options{Random: rand.Float64})
	r.adverts = advertise.New(rand.Float64)
	r.vrfs, err = vrf.New(vrf.Config{Arena: c.Arena, Sink: c.Engine, OnGateway: r.onGateway, OnRoute: r.onRoute, OnRoutes: r.onRoutes, OnFull: r.full, OnFlow: r.onFlow})
	if err != nil {
		return nil, errors.Join(err, file.close())
	}
	r.edit = r.engine.Edit()
	r.setTable(vrf.Default, 0)
	r.instances[vrf.Default] = &instance{want: &models.InstanceSpec{Name: vrf.Default, Cache: models.DefaultCache}, applied: true}
	if err := r.limitCache(r.instances[vrf.Default]); err != nil {
		return nil, errors.Join(err, file.close())
	}
	r.commitEdit()
	if err := r.startPolicy(); err != nil {
		return nil, errors.Join(err, file.close())
	}
	r.engine.OnPortError(r.onPortError)
	return r, nil
}

// commitEdit makes what was edited visible to the workers, as one.
func (r *Router) commitEdit() {
	r.edit.Commit()
	r.edit = r.engine.Edit()
	r.transmit()
}

// Do notes what a step wants. It fails, changing nothing, when the step can't
// be taken.
func (r *Router) Do(_ context.Context, s reconcile.Step) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(s); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return nil
}

func (r *Router) note(s reconcile.Step) error {
	if len(r.failed) > 0 {
		r.forgetFailure(objectOf(s)) // it is another attempt's
	}
	switch s.Kind {
	case reconcile.System:
		if s.New.System != nil {
			r.system = *s.New.System
		} else {
			r.system = models.SystemSpec{}
		}
		for name := range r.devices {
			r.dirty.devices[name] = struct{}{}
		}
		r.events.changed(models.Object{Kind: models.System})
	case reconcile.GRIBI:
		return r.wantGRIBI(s.New.GRIBI)
	case reconcile.Instance:
		return r.wantInstance(s.Instance, s.New.Instance)
	case reconcile.Device:
		return r.wantDevice(s.Device, s.New.Device)
	case reconcile.Unit, reconcile.Family, reconcile.Address, reconcile.Neighbor:
		return r.wantUnit(s)
	case reconcile.StaticRoute:
		key := models.StaticKey{Instance: s.Instance, Prefix: s.Prefix}
		st := r.statics[key]
		if st == nil {
			st = &static{}
			r.statics[key] = st
		}
		st.want = s.New.Static
		r.dirty.statics[key] = struct{}{}
	case reconcile.LocalClass:
		r.wantClass(s.Name, s.New.Class)
	case reconcile.Session:
		r.wantSession(s.Name, s.New.Session)
	case reconcile.PrefixList:
		r.wantPrefixList(s.Name, s.New.PrefixList)
	case reconcile.Policer:
		r.wantPolicer(s.Name, s.New.Policer)
	case reconcile.Filter:
		r.wantFilter(s.Name, s.New.Filter)
	case reconcile.User, reconcile.Role:
		r.wantAccess(s)
	case reconcile.MulticastRoute:
		r.wantMulticast(models.MulticastKey{Instance: s.Instance, Group: s.Prefix, Source: s.Source}, s.New.Multicast)
	case reconcile.LogServer:
		// Those are not the packet path's: cmd/routerd takes them.
	}
	return nil
}

// Publish converges everything that steps have marked. The first error ends it;
// what is left stays dirty, so that publishing again, with the old state wanted,
// undoes what was done.
func (r *Router) Publish(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.converge(ctx, true)
}

// Settle is Publish for start-up and undoing: what can't be put in place is noted in its
// object's state and tried again, and holds nothing else up. The error tells of it.
func (r *Router) Settle(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.converge(ctx, false)
	return errors.Join(err, r.lapse())
}

// maxPasses bounds the passes of one convergence. What a pass marks anew, such
// as a unit whose address has become usable, is done in the next; two are common.
const maxPasses = 8

// converge brings what is dirty to what is wanted. strict makes a device that
// can't be opened an error; else it is tried again later.
func (r *Router) converge(ctx context.Context, strict bool) error {
	timers := false // of what is worked on
	defer func() {
		if timers {
			r.kick()
		} else {
			r.kickWithin(time.Second)
		}
	}()
	r.lapsed, r.lapses = r.lapsed[:0], 0
	for range maxPasses {
		if r.dirty.empty() {
			return nil
		}
		timers = timers || !r.dirty.onlyStatics()
		var p pass
		if err := r.pass(ctx, strict, &p); err != nil {
			if strict {
				r.dirty.add(p)
			}
			return err
		}
	}
	return nil
}

// A pass is the objects that one pass looks at, in order, so that equal changes
// take equal ways.
type pass struct {
	devices   []string
	units     []intf.UnitKey
	instances []string
	statics   []models.StaticKey
	multicast []models.MulticastKey
	classes   []string
	sessions  []string

	lists, policers, filters []string
}

func (d *dirty) empty() bool {
	return len(d.statics) == 0 && d.onlyStatics()
}

// onlyStatics reports whether nothing but static routes is dirty, which have no timers of
// their own.
func (d *dirty) onlyStatics() bool {
	return len(d.devices)+len(d.units)+len(d.instances)+len(d.multicast)+len(d.classes)+len(d.sessions)+
		len(d.lists)+len(d.policers)+len(d.filters) == 0
}

// add marks what a pass has taken.
func (d *dirty) add(p pass) {
	mark(d.devices, p.devices)
	mark(d.units, p.units)
	mark(d.instances, p.instances)
	mark(d.statics, p.statics)
	mark(d.classes, p.classes)
	mark(d.sessions, p.sessions)
	mark(d.lists, p.lists)
	mark(d.policers, p.policers)
	mark(d.filters, p.filters)
	mark(d.multicast, p.multicast)
}

func mark[K comparable](set map[K]struct{}, keys []K) {
	for _, k := range keys {
		set[k] = struct{}{}
	}
}

// keptDirty is how many entries a set may have had that is used again. A map never shrinks, so
// that after a large change each small one would go through all the room of that.
const keptDirty = 1024

// take empties a set and returns what was in it, in order.
func take[K comparable](set *map[K]struct{}, compare func(a, b K) int) []K {
	if len(*set) == 0 {
		return nil
	}
	keys := make([]K, 0, len(*set))
	for k := range *set {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	if len(keys) > keptDirty {
		*set = make(map[K]struct{})
	} else {
		clear(*set)
	}
	return keys
}

// each calls f for each key until one fails.
func each[K any](keys []K, f func(K) error) error {
	for _, k := range keys {
		if err := f(k); err != nil {
			return err
		}
	}
	return nil
}

// pass works once through all that is dirty, and takes down in p what that is. Where it
// isn't strict, what fails holds nothing else up.
func (r *Router) pass(ctx context.Context, strict bool, p *pass) error {
	w := &worklist{r: r, strict: strict}
	// Build: whatever is new stands before anything refers to it.
	p.instances = take(&r.dirty.instances, strings.Compare)
	if err := r.buildInstances(w, p.instances); err != nil {
		return err
	}
	// Those of new instances are among them.
	if err := w.rest(r.indexFile.flush()); err != nil {
		return err
	}
	r.commitEdit()
	if err := r.buildFilters(w, p); err != nil {
		return err
	}
	p.devices = take(&r.dirty.devices, strings.Compare)
	err := each(p.devices, func(name string) error { return r.buildDevice(ctx, name, strict) })
	if err != nil {
		return err
	}
	p.units = take(&r.dirty.units, intf.UnitKey.Compare)
	if err := build(w, p.units, unitObject, r.buildUnit); err != nil {
		return err
	}
	r.commitEdit()
	p.statics = take(&r.dirty.statics, models.StaticKey.Compare)
	p.multicast = take(&r.dirty.multicast, models.MulticastKey.Compare)
	err = w.rest(r.vrfs.Batch(func() error {
		return errors.Join(build(w, p.statics, staticObject, r.buildStatic), build(w, p.multicast, models.MulticastKey.Object, r.buildMulticast))
	}))
	if err != nil {
		return err
	}
	p.classes = take(&r.dirty.classes, strings.Compare)
	if err := build(w, p.classes, named(models.Class), r.buildClass); err != nil {
		return err
	}
	p.sessions = take(&r.dirty.sessions, strings.Compare)
	if err := build(w, p.sessions, named(models.Session), r.buildSession); err != nil {
		return err
	}

	// Clear away, from the top down.
	if err := clearAway(w, p.sessions, named(models.Session), r.clearSession); err != nil {
		return err
	}
	if err := clearAway(w, p.classes, named(models.Class), r.clearClass); err != nil {
		return err
	}
	if len(p.sessions) > 0 {
		if err := w.rest(r.shareAnew()); err != nil {
			return err
		}
	}
	err = w.rest(r.vrfs.Batch(func() error {
		return errors.Join(clearAway(w, p.statics, staticObject, r.clearStatic), clearAway(w, p.multicast, models.MulticastKey.Object, r.clearMulticast))
	}))
	if err != nil {
		return err
	}
	if err := clearAway(w, p.units, unitObject, r.clearUnit); err != nil {
		return err
	}
	r.commitEdit()
	if err := w.rest(r.clearFilters(p)); err != nil {
		return err
	}
	for _, name := range p.devices {
		r.clearDevice(name)
	}
	if err := clearAway(w, p.instances, instanceObject, r.clearInstance); err != nil {
		return err
	}
	return errors.Join(append(w.errs, r.clearNamespaces(), r.drain())...)
}

// repair is converge for events: there is nobody to tell but the log.
func (r *Router) repair(ctx context.Context) {
	if err := r.converge(ctx, false); err != nil {
		r.log.Error("cannot converge", "err", err)
	}
}

// saveIndex has the if_index of a name stored before anyone can see it.
func (r *Router) saveIndex(name string, i intf.Index) {
	if _, ok := r.saved[i]; !ok {
		r.indexFile.add(name, i)
		r.saved[i] = struct{}{}
	}
}

// onRoute is told of every prefix whose routes changed.
func (r *Router) onRoute(instance uint32, prefix netip.Prefix) {
	name := r.names[instance]
	r.events.route(name, prefix)
	if len(r.multicast) > 0 {
		r.changedGroup(models.MulticastKey{Instance: name, Group: prefix})
	}
	if len(r.statics) == 0 {
		return
	}
	// Whether it waits for its next hop is state of the declared route, too.
	if key := (models.StaticKey{Instance: name, Prefix: prefix}); r.statics[key] != nil {
		r.events.changed(staticObject(key))
	}
	r.tellPending()
}

// tellPending tells that another number of routes is pending.
func (r *Router) tellPending() {
	if n := r.vrfs.Pending(); n != r.pendingRoutes {
		r.pendingRoutes = n
		r.events.changed(models.Object{Kind: models.System})
	}
}

// onRoutes is told that the ways of many routes of an instance changed.
func (r *Router) onRoutes(instance uint32, f intf.Family) {
	r.events.tell(Event{Object: models.Object{Kind: models.Instance, Instance: r.names[instance]}, Table: true, Family: f})
}

var _ routing.Sink = (*dataplane.Engine)(nil)
