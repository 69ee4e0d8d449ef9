package northbound

import (
	"sync"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/intf"
	"router/models"
)

// A mark is a subtree that may have changed.
type mark struct {
	id    string // path as text
	path  tree.Path
	in    *tree.Schema // whose path it is; nil for the native tree and all that it shows in
	last  time.Time    // of the newest change
	times uint32
}

// A dirty set holds the subtrees that changed since a feed last looked. What
// changes again meanwhile is counted, not stored. A feed waits for nobody, so that the set
// stays small. Only adding and taking are concurrent.
type dirty struct {
	mu    sync.Mutex
	marks map[string]*mark
	order []*mark
	ends  []boundary    // of commits all of whose marks stand in order, or are taken
	wake  chan struct{} // has room for one

	bounded bool // ends are noted; not changed once commits are watched
}

func newDirty() *dirty {
	return &dirty{marks: make(map[string]*mark), wake: make(chan struct{}, 1)}
}

func (d *dirty) add(now time.Time, paths ...tree.Path) { d.addIn(nil, now, paths...) }

// addIn adds what changed in one tree.
func (d *dirty) addIn(in *tree.Schema, now time.Time, paths ...tree.Path) {
	d.mu.Lock()
	for _, p := range paths {
		id := p.String()
		if in != nil {
			id = "in " + id
		}
		m := d.marks[id]
		if m == nil {
			m = &mark{id: id, path: p, in: in}
			d.marks[id] = m
			d.order = append(d.order, m)
		}
		m.last = now
		m.times++
	}
	d.mu.Unlock()
	d.again()
}

// latest is when what m, which has been taken, stands for has changed last: what is
// read now may be of a change that is marked anew.
func (d *dirty) latest(m *mark) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if newer := d.marks[m.id]; newer != nil {
		return newer.last
	}
	return m.last
}

// again wakes the reader.
func (d *dirty) again() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// take returns up to n marks, the oldest first, and whether there are more; when
// there are none, also the commits that end with these.
func (d *dirty) take(n int) (list []*mark, more bool, ends []boundary) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n = min(n, len(d.order))
	list, d.order = d.order[:n:n], d.order[n:]
	for _, m := range list {
		delete(d.marks, m.id)
	}
	if more = len(d.order) > 0; !more {
		ends, d.ends = d.ends, nil
	}
	return list, more, ends
}

// committed marks what a commit touched, and where it shows in state.
func (d *dirty) committed(e datastore.Event) {
	d.add(e.Time, e.Touched...)
	d.end(e)
	d.add(e.Time, commitPaths(e)...)
}

// changed marks the part of the tree where a change of state shows.
func (d *dirty) changed(now time.Time, c StateChange) { d.add(now, changedPaths(c)...) }

func keyed(name, key, value string) *gnmi.PathElem {
	return &gnmi.PathElem{Name: name, Key: map[string]string{key: value}}
}

// ribState is where the routes of a family of an instance are counted.
func ribState(instance tree.Path, f intf.Family) tree.Path {
	return instance.Child(keyed("rib", "afi", f.String())).Named("state")
}

// changedPaths leaves out what has events of its own: the units of a device,
// the routes of an instance.
func changedPaths(c StateChange) []tree.Path {
	o := c.Object
	if c.Group.IsValid() {
		in := tree.Path{keyed("instance", "name", o.Instance)}
		flow := in.Child(keyed("rib", "afi", intf.FamilyOf(c.Group).String()))
		flow = flow.Child(&gnmi.PathElem{Name: "flow", Key: map[string]string{"group": c.Group.String(), "source": c.Route.String()}})
		return []tree.Path{flow, ribState(in, intf.FamilyOf(c.Group)), in.Named("multicast")} // which count the flows
	}
	if c.Route.IsValid() {
		in, f := tree.Path{keyed("instance", "name", o.Instance)}, intf.FamilyOf(c.Route.Addr())
		route := in.Child(keyed("rib", "afi", f.String())).Child(keyed("route", "prefix", c.Route.String()))
		return []tree.Path{route, ribState(in, f)}
	}
	if c.Table {
		// The way of a declared route is what it waits for, too.
		in := tree.Path{keyed("instance", "name", o.Instance)}
		return []tree.Path{in.Child(keyed("rib", "afi", c.Family.String())).Named("route"), in.Named("static-route")}
	}
	switch o.Kind {
	case models.System:
		return []tree.Path{{{Name: "system"}}}
	case models.Device:
		p := tree.Path{keyed("interface", "name", o.Device)}
		return []tree.Path{p.Named("name"), p.Named("state")}
	case models.Unit:
		return []tree.Path{{keyed("interface", "name", o.Device), keyed("unit", "id", o.Unit)}}
	case models.Instance:
		p := tree.Path{keyed("instance", "name", o.Instance)}
		paths := []tree.Path{p.Named("name"), p.Named("state")}
		paths = append(paths, p.Named("multicast"))
		for _, f := range intf.Families {
			rib := p.Child(keyed("rib", "afi", f.String()))
			paths = append(paths, rib.Named("afi"), rib.Named("state"))
		}
		return paths
	case models.Static:
		return []tree.Path{{keyed("instance", "name", o.Instance), keyed("static-route", "prefix", o.Prefix)}}
	case models.Class:
		return []tree.Path{{keyed("local-class", "name", o.Name)}}
	case models.Session:
		return []tree.Path{{keyed("session", "name", o.Name)}}
	case models.PrefixList:
		return []tree.Path{{keyed("prefix-list", "name", o.Name)}}
	case models.Policer:
		return []tree.Path{{keyed("policer", "name", o.Name)}}
	case models.Filter:
		return []tree.Path{{keyed("filter", "name", o.Name)}}
	case models.FilterLog:
		return []tree.Path{{keyed("filter-log", "slot", o.Name)}}
	case models.GRIBI:
		return []tree.Path{{{Name: "gribi"}}}
	case models.User:
		return []tree.Path{{keyed("user", "name", o.Name)}}
	case models.Role:
		return []tree.Path{{keyed("role", "name", o.Name)}}
	case models.Audit:
		return []tree.Path{{keyed("audit", "number", o.Name)}}
	case models.LogServer:
		return []tree.Path{{keyed("log-server", "name", o.Name)}}
	case models.Multicast:
		return []tree.Path{{keyed("instance", "name", o.Instance),
			{Name: "multicast-route", Key: map[string]string{"group": o.Group, "source": o.Source}}}}
	}
	return nil
}
