package gribi

import (
	"fmt"
	"net/netip"

	"router/intf"
	"router/routing"
)

// A table is all entries. It knows no clients but as holders, and changes the
// router's tables as it changes.
type table struct {
	instances map[string]*instance
	count     int // entries of all kinds
	failed    func(error)
	keep      *keeper // of what outlives the process; nil for none
	// former holds what a former run has left and no client has sent again; stale counts that.
	former *client
	stale  int
}

// newTable makes a table without entries. failed is told what goes wrong where
// nobody waits for an answer.
func newTable(failed func(error)) table {
	return table{instances: map[string]*instance{}, failed: failed}
}

// An instance is the entries of one routing instance.
type instance struct {
	name     string
	born     uint64
	routes   [len(intf.Families)]map[netip.Prefix]*route
	groups   map[uint64]*group
	nexthops map[uint64]*nexthop
}

// A route is an entry of a prefix.
type route struct {
	group    *group
	metadata string
	holders
}

// A group is an entry of a next-hop group.
type group struct {
	in        *instance
	id        uint64
	members   []member
	backup    *group
	color     *uint64
	backupFor map[*group]struct{}
	// shared is the router's group by family, its Kind 0 until an entry needs it.
	shared [len(intf.Families)]routing.NextHop
	// users counts the entries that go by the group, by their instance.
	users map[*instance]int
	holders
}

// A member is a next hop of a group with its weight.
type member struct {
	nexthop *nexthop
	weight  uint64
}

// A nexthop is an entry of a next hop.
type nexthop struct {
	in     *instance
	index  uint64
	via    via
	hop    routing.NextHop
	held   []routing.NextHopID
	groups map[*group]struct{}
	holders
}

// holders are the clients whose an entry is: one, but for ALL_PRIMARY. None is
// left where those are gone and the entry stays.
type holders struct {
	one  *client
	more map[*client]struct{} // beside one
}

// take makes c a holder: the only one, or with shared one more.
func (h *holders) take(c *client, shared bool) {
	if !shared || h.one == nil {
		h.one = c
		h.more = nil
		return
	}
	if h.one != c {
		if h.more == nil {
			h.more = map[*client]struct{}{}
		}
		h.more[c] = struct{}{}
	}
}

func (h *holders) has(c *client) bool {
	_, more := h.more[c]
	return h.one == c || more
}

// kept reports whether an entry outlives the process: the client that wrote it last asked for
// that.
func (h *holders) kept() bool { return h.one != nil && h.one.params.preserve }

// leave ends that c is a holder, and reports whether nobody is left.
func (h *holders) leave(c *client) (last bool) {
	delete(h.more, c)
	if h.one == c {
		h.one = nil
		for o := range h.more {
			h.one = o
			delete(h.more, o)
			break
		}
	}
	return h.one == nil
}

// at finds the entries of an instance, for a change to them.
func (t *table) at(tb Tables, name string) (*instance, error) {
	_, born, ok := tb.Instance(name)
	in := t.instances[name]
	if in != nil && (!ok || in.born != born) {
		t.dropInstance(tb, in)
		in = t.instances[name]
	}
	if !ok {
		return nil, fmt.Errorf("network instance %s does not exist", name)
	}
	if in == nil {
		in = &instance{name: name, born: born, groups: map[uint64]*group{}, nexthops: map[uint64]*nexthop{}}
		for f := range in.routes {
			in.routes[f] = map[netip.Prefix]*route{}
		}
		t.instances[name] = in
	}
	in.born = born
	return in, nil
}

// empty reports whether nothing is left of an instance.
func (in *instance) empty() bool {
	return len(in.routes[0])+len(in.routes[1])+len(in.groups)+len(in.nexthops) == 0
}

// forget drops the record of an instance without entries.
func (t *table) forget(in *instance) {
	if in.empty() && t.instances[in.name] == in {
		delete(t.instances, in.name)
	}
}

// dropGone drops the entries of instances that the router doesn't have any
// more.
func (t *table) dropGone(tb Tables) {
	for name, in := range t.instances {
		if _, born, ok := tb.Instance(name); !ok || born != in.born {
			t.dropInstance(tb, in)
		}
	}
}

// dropInstance drops the entries of an instance that is gone. Groups and next
// hops that entries elsewhere go by stay with the next instance of the name.
func (t *table) dropInstance(tb Tables, in *instance) {
	for f := range in.routes {
		for p := range in.routes[f] {
			t.note(t.removeRoute(tb, in, p))
		}
	}
	// A backup can go once the group is gone that it is for.
	for range 2 {
		for _, g := range in.groups {
			if g.used() == nil {
				t.note(t.removeGroup(tb, g))
			}
		}
	}
	for _, n := range in.nexthops {
		if len(n.groups) == 0 {
			t.note(t.removeNexthop(tb, n))
		}
	}
	t.forget(in)
}

// wrote notes that c has written an entry by o.
func (t *table) wrote(c *client, h *holders, o *operation) {
	kept, stale := h.kept(), t.isStale(h)
	h.take(c, !c.params.single)
	switch now := t.isStale(h); {
	case stale && !now:
		t.stale--
	case now && !stale:
		t.stale++
	}
	switch {
	case h.kept():
		t.keep.set(o)
	case kept:
		t.unkeep(o.kind, o.instance, o.prefix, o.index)
	}
}

// goes notes that an entry is removed.
func (t *table) goes(h *holders, k kind, instance string, p netip.Prefix, index uint64) {
	if t.isStale(h) {
		t.stale--
	}
	if h.kept() {
		t.unkeep(k, instance, p, index)
	}
}

func (t *table) unkeep(k kind, instance string, p netip.Prefix, index uint64) {
	switch k {
	case routeEntry:
		t.keep.removeRoute(instance, p)
	case groupEntry:
		t.keep.remove(removeGroupRecord, instance, index)
	case nexthopEntry:
		t.keep.remove(removeNexthopRecord, instance, index)
	}
}

// isStale reports whether an entry is a former run's, and no client has sent it again.
func (t *table) isStale(h *holders) bool { return t.former != nil && h.one == t.former }

func (t *table) note(err error) {
	if err != nil {
		t.failed(err)
	}
}

// limit refuses one more entry when there are as many as may be.
func (t *table) limit(tb Tables) error {
	if most := tb.Settings().EntryLimit; t.count >= int(most) {
		return fmt.Errorf("there are %d entries, the most that /gribi/config/entry-limit allows", most)
	}
	return nil
}
