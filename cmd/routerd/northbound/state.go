package northbound

import (
	"net/netip"

	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/intf"
	"router/models"
)

// A State is where operational state comes from. Its methods are safe for
// concurrent use, never wait for a client, and may be called with the running
// configuration locked: they must not call the datastore.
type State interface {
	// Names lists the objects of a kind that have state: the devices, instances,
	// classes and sessions by name, the units of device parent by id, the static routes of
	// instance parent by prefix as text, the entries of the filter log by slot, those of the
	// audit log by number.
	Names(kind models.Kind, parent string) []string

	// Fill writes the state of object o into dst, by the Fill function of models
	// that belongs to its kind. It reports false, writing nothing, when the
	// object has none. The server adds what of the system the datastore knows.
	Fill(dst *gen.Device, o models.Object) bool

	// Routes appends the routes that q asks for to dst, in the order of
	// netip.Prefix.Compare, all routes of a prefix together.
	Routes(dst []models.RouteState, q RouteQuery) []models.RouteState

	// Groups lists the routes of groups of an instance, in the order of their
	// keys, as objects of kind Multicast.
	Groups(instance string) []models.Object

	// Flows appends the routes by source that q asks for to dst, in the order of
	// groups, all routes of a group together, and of one source together.
	Flows(dst []models.FlowState, q FlowQuery) []models.FlowState

	// Watch calls fn after each change of state, counters aside, until stop is
	// called. fn doesn't block.
	Watch(fn func(StateChange)) (stop func())
}

// A RouteQuery asks for routes of one family of an instance: those of Prefix
// when it is valid, else those of the prefixes after After (from the first on when it is
// not valid), until Limit or a few more have been found. No route found means
// that there are no more.
type RouteQuery struct {
	Instance string
	Family   intf.Family
	Prefix   netip.Prefix
	After    netip.Prefix
	Limit    int
}

// A FlowQuery asks for routes by source of one family of an instance, as a
// RouteQuery does for routes: those of Group, or of the groups after After.
type FlowQuery struct {
	Instance string
	Family   intf.Family
	Group    netip.Addr
	After    netip.Addr
	Limit    int
}

// A StateChange says what changed: an object, or, when Route is valid, the
// routes of one prefix of Object.Instance; with a valid Group too, those of the
// group for the sources Route.
type StateChange struct {
	Object models.Object
	Route  netip.Prefix
	Group  netip.Addr

	// Table says that the way of any route of Family in Object.Instance may have
	// changed.
	Table  bool
	Family intf.Family
}

// routeChunk bounds how many routes are copied at a time, and so for how long
// the RIB is held.
const routeChunk = 1024

// A source hands the state out piece by piece, as walks ask for it.
type source struct {
	state                                       State
	store                                       *datastore.Store
	log                                         *tree.Node // the list of commits
	commit                                      datastore.Commit
	system, device, unit, instance, static, rib *tree.Node
	class, session                              *tree.Node

	named           map[*tree.Node]namedList // lists at the root, of objects that have a name only
	multicast, flow *tree.Node

	volatile   []tree.Path // where counters and gauges stand
	isVolatile map[*tree.Node]bool
	gribi      *tree.Node

	wanted  tree.Path    // the pattern of a walk that needs no more than that; nil for all
	between func() error // called between two chunks of routes, when all of one have been visited; nil for nothing
}

func newSource(store *datastore.Store, state State) *source {
	root := store.Schema().Root
	return &source{
		volatile:   volatilePaths(root),
		isVolatile: volatileLeaves(root),
		state:      state,
		store:      store,
		log:        root.Child("system").Child("commit"),
		system:     root.Child("system"),
		device:     root.Child("interface"),
		unit:       root.Child("interface").Child("unit"),
		instance:   root.Child("instance"),
		static:     root.Child("instance").Child("static-route"),
		class:      root.Child("local-class"),
		session:    root.Child("session"),
		rib:        root.Child("instance").Child("rib").Child("route"),
		named: map[*tree.Node]namedList{
			root.Child("prefix-list"): {models.PrefixList, func(d *gen.Device, name string) ygot.GoStruct { return d.PrefixList[name] }},
			root.Child("policer"):     {models.Policer, func(d *gen.Device, name string) ygot.GoStruct { return d.Policer[name] }},
			root.Child("filter"):      {models.Filter, func(d *gen.Device, name string) ygot.GoStruct { return d.Filter[name] }},
			root.Child("user"):        {models.User, func(d *gen.Device, name string) ygot.GoStruct { return d.User[name] }},
			root.Child("role"):        {models.Role, func(d *gen.Device, name string) ygot.GoStruct { return d.Role[name] }},
			root.Child("audit"): {models.Audit, func(d *gen.Device, _ string) ygot.GoStruct {
				for _, r := range d.Audit {
					return r // Fill makes one
				}
				return nil
			}},
			root.Child("log-server"): {models.LogServer, func(d *gen.Device, name string) ygot.GoStruct { return d.LogServer[name] }},
			root.Child("filter-log"): {models.FilterLog, func(d *gen.Device, _ string) ygot.GoStruct {
				for _, e := range d.FilterLog {
					return e // Fill makes one
				}
				return nil
			}},
		},

		multicast: root.Child("instance").Child("multicast-route"),
		flow:      root.Child("instance").Child("rib").Child("flow"),
		gribi:     root.Child("gribi"),
	}
}

// at is the source for a walk through the configuration of commit c. What else the
// datastore knows of itself can be asked while that is locked.
func (s *source) at(c datastore.Commit) *source {
	with := *s
	with.commit = c
	return &with
}

// Container implements [tree.Source].
func (s *source) Container(n *tree.Node, _ tree.Path) ygot.GoStruct {
	dev := &gen.Device{}
	if n == s.gribi {
		if !s.state.Fill(dev, models.Object{Kind: models.GRIBI}) {
			return nil
		}
		return dev.Gribi
	}
	if n != s.system {
		return nil
	}
	// Each commit is looked at in the log; some of what is beside that is asked of the kernel.
	if !inLog(s.wanted) && !s.state.Fill(dev, models.Object{Kind: models.System}) {
		return nil
	}
	models.FillDatastore(dev, datastoreState(s.commit, s.store.Status()))
	return dev.System
}

// inLog reports whether p lies in the log of commits.
func inLog(p tree.Path) bool {
	return len(p) > 1 && p[0].GetName() == "system" && p[1].GetName() == "commit"
}

// Entries implements [tree.Source].
func (s *source) Entries(n *tree.Node, at tree.Path, keys map[string]string, visit func(ygot.GoStruct) error) (bool, error) {
	switch n {
	case s.device:
		return true, s.objects(n, keys, models.Device, "", func(name string) models.Object {
			return models.Object{Kind: models.Device, Device: name}
		}, func(d *gen.Device, name string) ygot.GoStruct { return d.Interface[name] }, visit)
	case s.unit:
		device := at[0].GetKey()["name"]
		return true, s.objects(n, keys, models.Unit, device, func(id string) models.Object {
			return models.Object{Kind: models.Unit, Device: device, Unit: id}
		}, func(d *gen.Device, id string) ygot.GoStruct { return d.Interface[device].Unit[id] }, visit)
	case s.instance:
		return true, s.objects(n, keys, models.Instance, "", func(name string) models.Object {
			return models.Object{Kind: models.Instance, Instance: name}
		}, func(d *gen.Device, name string) ygot.GoStruct { return d.Instance[name] }, visit)
	case s.static:
		instance := at[0].GetKey()["name"]
		return true, s.objects(n, keys, models.Static, instance, func(prefix string) models.Object {
			return models.Object{Kind: models.Static, Instance: instance, Prefix: prefix}
		}, func(d *gen.Device, prefix string) ygot.GoStruct { return d.Instance[instance].StaticRoute[prefix] }, visit)
	case s.class:
		return true, s.objects(n, keys, models.Class, "", func(name string) models.Object {
			return models.Object{Kind: models.Class, Name: name}
		}, func(d *gen.Device, name string) ygot.GoStruct { return d.LocalClass[name] }, visit)
	case s.session:
		return true, s.objects(n, keys, models.Session, "", func(name string) models.Object {
			return models.Object{Kind: models.Session, Name: name}
		}, func(d *gen.Device, name string) ygot.GoStruct { return d.Session[name] }, visit)
	case s.log:
		return true, s.commits(keys, visit)
	case s.rib:
		return true, s.routes(at, keys, visit)
	case s.multicast:
		return true, s.groups(at[0].GetKey()["name"], keys, visit)
	case s.flow:
		return true, s.flows(at, keys, visit)
	}
	if l, ok := s.named[n]; ok {
		return true, s.objects(n, keys, l.kind, "", func(name string) models.Object {
			return models.Object{Kind: l.kind, Name: name}
		}, l.entry, visit)
	}
	return false, nil
}

// A namedList is a list whose entries are objects of one kind.
type namedList struct {
	kind  models.Kind
	entry func(*gen.Device, string) ygot.GoStruct
}

// objects visits the entries that keys select of n, the one list that holds the objects of a
// kind; it has one key.
func (s *source) objects(n *tree.Node, keys map[string]string, kind models.Kind, parent string, object func(string) models.Object,
	entry func(*gen.Device, string) ygot.GoStruct, visit func(ygot.GoStruct) error) error {
	key, one := exact(keys, n.Keys[0].Name)
	names := []string{key}
	if !one {
		names = s.state.Names(kind, parent)
	}
	for _, name := range names {
		dev := &gen.Device{}
		if !s.state.Fill(dev, object(name)) {
			continue // gone since it was listed
		}
		if err := visit(entry(dev, name)); err != nil {
			return err
		}
	}
	return nil
}

// routes visits the prefixes that keys select of the RIB at, /instance[name=I]/rib[afi=F].
func (s *source) routes(at tree.Path, keys map[string]string, visit func(ygot.GoStruct) error) error {
	q := RouteQuery{Instance: at[0].GetKey()["name"], Limit: routeChunk}
	afi, ok := familyOf(at[1].GetKey()["afi"])
	if !ok {
		return nil
	}
	q.Family = afi
	if key, one := exact(keys, "prefix"); one {
		p, err := netip.ParsePrefix(key)
		if err != nil || p.Masked().String() != key {
			return nil // no route stands under such a key
		}
		q.Prefix = p
	}
	var chunk []models.RouteState
	dev := &gen.Device{}
	for {
		chunk = s.state.Routes(chunk[:0], q)
		for rest := chunk; len(rest) > 0; {
			n := 1
			for n < len(rest) && rest[n].Prefix == rest[0].Prefix {
				n++
			}
			for _, r := range rest[:n] {
				models.FillRoute(dev, q.Instance, r)
			}
			// The structs around the routes are made once.
			for _, rib := range dev.Instance[q.Instance].Rib {
				for prefix, route := range rib.Route {
					if err := visit(route); err != nil {
						return err
					}
					delete(rib.Route, prefix)
				}
			}
			rest = rest[n:]
		}
		if q.Prefix.IsValid() || len(chunk) == 0 {
			return nil
		}
		q.After = chunk[len(chunk)-1].Prefix
		if s.between != nil {
			if err := s.between(); err != nil {
				return err
			}
		}
	}
}

func familyOf(afi string) (intf.Family, bool) {
	for _, f := range intf.Families {
		if f.String() == afi {
			return f, true
		}
	}
	return 0, false
}
