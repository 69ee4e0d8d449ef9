package vrf

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"router/intf"
	"router/routing"
	"router/vrf/fib"
)

// Default is the name of the instance that always exists. Its index is 0.
const Default = "default"

// Config says what a Manager works with. Callbacks run within the calls that
// cause them, and must not call the Manager.
type Config struct {
	// Arena is the memory of all FIBs.
	Arena *fib.Arena
	// Sink is the data plane's table of next hops.
	Sink routing.Sink
	// OnGateway tells which neighbours usable user routes go through: used when
	// the first such route appears, not used when the last one is gone. May be nil.
	OnGateway func(ifindex intf.Index, gateway netip.Addr, used bool)
	// OnRoute tells of each prefix whose routes or whose choice of the best
	// changed, once per call or Batch, when the FIB is up to date. May be nil.
	OnRoute func(instance uint32, prefix netip.Prefix)
	// OnRoutes tells, where these are many, that the way of any route of a family
	// in an instance may have changed. May be nil.
	OnRoutes func(instance uint32, f intf.Family)
	// OnFull is told that a FIB had no room for some of what changed: those routes are in the RIB
	// inactive, with the reason, and wait for Retry. Where it is nil, methods
	// that change routes return that.
	OnFull func(error)
	// OnFlow is OnRoute for the routes of a group by source. May be nil.
	OnFlow func(instance uint32, group netip.Addr, source netip.Prefix)
}

// A Manager keeps the routing instances.
//
// Methods are for one goroutine at a time, those that only read included; the
// readers of a FIB need nobody's leave. An error of a method that changes
// routes says that a FIB had no room (see Config.OnFull), or that the arguments name
// something that doesn't exist (nothing has changed then).
type Manager struct {
	arena    *fib.Arena
	store    *routing.Store
	byName   map[string]*instance
	byIndex  map[uint32]*instance
	families map[familyKey]*family
	tellFlow func(instance uint32, group netip.Addr, source netip.Prefix)
	tallies  uint32 // numbers handed out to routes that are counted
}

// An instance is one routing instance.
type instance struct {
	name  string
	index uint32
	table *fib.Table
	// feasible is the second table, for the check of sources; nil unless wanted.
	feasible *fib.Table
	rib      *routing.RIB
	used     int // families in it
	mcast    multicast
}

// New returns a Manager with the default instance.
func New(c Config) (*Manager, error) {
	m := &Manager{
		arena:    c.Arena,
		tellFlow: c.OnFlow,
		byName:   map[string]*instance{},
		byIndex:  map[uint32]*instance{},
		families: map[familyKey]*family{},
	}
	m.store = routing.NewStore(routing.Config{Sink: c.Sink, OnGateway: c.OnGateway, OnRoute: c.OnRoute, OnRoutes: c.OnRoutes, OnFull: c.OnFull, OnSource: m.onFlow})
	if err := m.AddInstance(Default, 0); err != nil {
		return nil, err
	}
	return m, nil
}

// AddInstance makes an instance with its permanent routes. Its index is the
// caller's choice, and not to be reused while anything may remember it. Adding
// one that is there already changes nothing.
func (m *Manager) AddInstance(name string, index uint32) error {
	if ri := m.byName[name]; ri != nil {
		if ri.index != index {
			return fmt.Errorf("instance %s has index %d: delete it before giving it index %d", name, ri.index, index)
		}
		return nil
	}
	if ri := m.byIndex[index]; ri != nil {
		return fmt.Errorf("instance %s: index %d is taken by instance %s", name, index, ri.name)
	}
	table, err := m.arena.NewTable()
	if err != nil {
		return fmt.Errorf("instance %s: %w", name, err)
	}
	rib, err := m.store.AddRIB(index, table)
	if err != nil {
		table.Close()
		return fmt.Errorf("instance %s: %w", name, err)
	}
	err = m.store.Batch(func() error {
		for _, r := range permanent {
			if err := rib.Set(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		err = errors.Join(err, m.store.RemoveRIB(rib))
		table.Close()
		return fmt.Errorf("instance %s: %w", name, err)
	}
	ri := &instance{name: name, index: index, table: table, rib: rib, mcast: newMulticast()}
	m.byName[name], m.byIndex[index] = ri, ri
	return nil
}

// DeleteInstance removes an instance with all its routes. No family may be in
// it any more, and the data plane must have stopped to begin lookups in its
// table. Deleting what is absent is no error.
func (m *Manager) DeleteInstance(name string) error {
	ri := m.byName[name]
	switch {
	case ri == nil:
		return nil
	case name == Default:
		return fmt.Errorf("instance %s always exists", name)
	case ri.used > 0:
		return fmt.Errorf("instance %s is used by %d families: move them to another instance first", name, ri.used)
	}
	if err := errors.Join(m.removeGroups(ri), m.store.RemoveRIB(ri.rib)); err != nil {
		return fmt.Errorf("instance %s: %w", name, err)
	}
	delete(m.byName, name)
	delete(m.byIndex, ri.index)
	ri.table.Close()
	if ri.feasible != nil {
		ri.feasible.Close()
	}
	return nil
}

// SetFeasible makes an instance's second FIB, which has for each prefix a next
// hop that leads wherever any route to it leads, or removes it; then the data
// plane must have stopped to begin lookups in it. It costs about as much memory
// as the first one.
func (m *Manager) SetFeasible(instance string, on bool) error {
	ri, err := m.instance(instance)
	if err != nil {
		return err
	}
	if on == (ri.feasible != nil) {
		return nil
	}
	if !on {
		err := ri.rib.SetFeasible(nil)
		ri.feasible.Close()
		ri.feasible = nil
		return err
	}
	table, err := m.arena.NewTable()
	if err != nil {
		return fmt.Errorf("instance %s: %w", instance, err)
	}
	if err := ri.rib.SetFeasible(table); err != nil {
		err = errors.Join(err, ri.rib.SetFeasible(nil))
		table.Close()
		return fmt.Errorf("instance %s: %w", instance, err)
	}
	ri.feasible = table
	return nil
}

// Feasible is the second FIB of an instance, nil when it has none.
func (m *Manager) Feasible(name string) *fib.Table {
	if ri := m.byName[name]; ri != nil {
		return ri.feasible
	}
	return nil
}

// Index is the index of an instance; ok is false when there is none of that name.
func (m *Manager) Index(name string) (index uint32, ok bool) {
	if ri := m.byName[name]; ri != nil {
		return ri.index, true
	}
	return 0, false
}

// Name is the name of the instance with the given index, "" when there is none.
func (m *Manager) Name(index uint32) string {
	if ri := m.byIndex[index]; ri != nil {
		return ri.name
	}
	return ""
}

// Instances lists the names of all instances, sorted.
func (m *Manager) Instances() []string { return slices.Sorted(maps.Keys(m.byName)) }

// FIB is the forwarding table of an instance, nil when there is none of that name.
func (m *Manager) FIB(name string) *fib.Table {
	if ri := m.byName[name]; ri != nil {
		return ri.table
	}
	return nil
}

// RIB is the routes of an instance, to be read only; nil when there is no
// instance of that name.
func (m *Manager) RIB(name string) *routing.RIB {
	if ri := m.byName[name]; ri != nil {
		return ri.rib
	}
	return nil
}

// Batch runs f, and publishes what f changes at once: the FIBs see the
// difference between before and after, additions first. An error of f does not
// undo what f did; it is returned together with those of publishing.
func (m *Manager) Batch(f func() error) error { return m.store.Batch(f) }

// Waiting is how many routes wait for room in their FIBs, and Retry tries those again that
// have waited longest, about most of them, until there is no room.
func (m *Manager) Waiting() int { return m.store.Waiting() }

// Retry is explained at Waiting.
func (m *Manager) Retry(most int) error { return m.store.Retry(most) }

// instance is the instance of that name, or an error.
func (m *Manager) instance(name string) (*instance, error) {
	if ri := m.byName[name]; ri != nil {
		return ri, nil
	}
	return nil, fmt.Errorf("instance %s does not exist: create it first", name)
}
