package gribi

import (
	"errors"
	"fmt"
	"net/netip"

	spb "github.com/openconfig/gribi/v1/proto/service"

	"router/intf"
	"router/routing"
)

// apply carries out one operation of c. It changes nothing when it fails.
func (t *table) apply(tb Tables, c *client, o *operation) error {
	in, err := t.at(tb, o.instance)
	if err != nil {
		return err
	}
	defer t.forget(in)
	if o.verb == spb.AFTOperation_DELETE {
		return t.delete(tb, c, in, o)
	}
	switch o.kind {
	case routeEntry:
		return t.setRoute(tb, c, in, o)
	case groupEntry:
		return t.setGroup(tb, c, in, o)
	case nexthopEntry:
		return t.setNexthop(tb, c, in, o)
	}
	return nil
}

// missing is the answer to a REPLACE of what isn't there.
func missing(what string, key any, in *instance) error {
	return fmt.Errorf("%s %v of network instance %s does not exist: add it first", what, key, in.name)
}

func (t *table) setRoute(tb Tables, c *client, in *instance, o *operation) error {
	f := intf.FamilyOf(o.prefix.Addr())
	r := in.routes[f][o.prefix]
	if r == nil {
		if o.verb == spb.AFTOperation_REPLACE {
			return missing("entry", o.prefix, in)
		}
		if err := t.limit(tb); err != nil {
			return err
		}
	}
	at, err := t.at(tb, o.groupInstance)
	if err != nil {
		return err
	}
	g := at.groups[o.group]
	t.forget(at)
	if g == nil {
		return fmt.Errorf("next-hop group %d of network instance %s does not exist: add it first", o.group, o.groupInstance)
	}
	if g.looksUpIn(tb, in) {
		return fmt.Errorf("next-hop group %d looks up in network instance %s, to which the entry itself belongs", g.id, in.name)
	}
	if r == nil || r.group != g {
		if err := g.share(tb, f); err != nil {
			return err
		}
		if err := tb.SetRoute(in.name, o.prefix, g.shared[f]); err != nil {
			return err
		}
	}
	if r == nil {
		r = &route{}
		in.routes[f][o.prefix] = r
		t.count++
		// It may have been forgotten as empty.
		t.instances[in.name] = in
	}
	r.use(in, g)
	r.metadata = o.metadata
	t.wrote(c, &r.holders, o)
	return nil
}

// use makes r, an entry of in, go by g, which may be nil.
func (r *route) use(in *instance, g *group) {
	if g != nil {
		g.users[in]++
	}
	if old := r.group; old != nil {
		if old.users[in]--; old.users[in] == 0 {
			delete(old.users, in)
		}
	}
	r.group = g
}

func (t *table) setNexthop(tb Tables, c *client, in *instance, o *operation) error {
	n := in.nexthops[o.index]
	if n == nil {
		if o.verb == spb.AFTOperation_REPLACE {
			return missing("next hop", o.index, in)
		}
		if err := t.limit(tb); err != nil {
			return err
		}
	}
	hop, err := o.via.hop(tb, o.instance)
	if err != nil {
		return fmt.Errorf("next hop %d: %w", o.index, err)
	}
	if n == nil {
		n = &nexthop{in: in, index: o.index, groups: map[*group]struct{}{}}
	} else if n.hop == hop {
		n.via = o.via
		t.wrote(c, &n.holders, o)
		return nil
	}
	held, err := hold(tb, hop)
	if err != nil {
		return fmt.Errorf("next hop %d: %w", o.index, err)
	}
	old := n.hop
	n.hop = hop
	if err := regroup(tb, n.affected()); err != nil {
		n.hop = old
		return errors.Join(fmt.Errorf("next hop %d: %w", o.index, err), release(tb, held))
	}
	err = release(tb, n.held)
	n.held, n.via = held, o.via
	if in.nexthops[o.index] == nil {
		in.nexthops[o.index] = n
		t.count++
	}
	t.wrote(c, &n.holders, o)
	return err
}

// hop is the router's next hop for what an entry of an instance says.
func (v via) hop(tb Tables, instance string) (routing.NextHop, error) {
	if v.device != "" {
		i, ok := tb.Unit(v.unit())
		switch {
		case !ok:
			return routing.NextHop{}, fmt.Errorf("interface %s does not exist", v.unit())
		case v.address.IsValid():
			return routing.NextHop{Kind: routing.Forward, IfIndex: i, Gateway: v.address}, nil
		}
		return routing.NextHop{Kind: routing.Resolve, IfIndex: i}, nil
	}
	if v.instance != "" {
		instance = v.instance
	}
	index, _, ok := tb.Instance(instance)
	switch {
	case !ok:
		return routing.NextHop{}, fmt.Errorf("network instance %s does not exist", instance)
	case v.address.IsValid():
		return routing.NextHop{Kind: routing.Indirect, Gateway: v.address, Instance: index}, nil
	}
	return routing.NextHop{Kind: routing.Lookup, Instance: index}, nil
}

// hold puts a next hop into the dataplane before any group has it, and has its
// neighbour asked for.
func hold(tb Tables, hop routing.NextHop) ([]routing.NextHopID, error) {
	families := intf.Families[:]
	if hop.Gateway.IsValid() {
		families = []intf.Family{intf.FamilyOf(hop.Gateway)}
	}
	var held []routing.NextHopID
	for _, f := range families {
		id, err := tb.Hold(f, hop)
		if err != nil {
			return nil, errors.Join(err, release(tb, held))
		}
		held = append(held, id)
	}
	return held, nil
}

func release(tb Tables, held []routing.NextHopID) error {
	var errs []error
	for _, id := range held {
		errs = append(errs, tb.LetGo(id))
	}
	return errors.Join(errs...)
}

// delete removes an entry, when c is the last client that holds it. One that
// isn't there is no error.
func (t *table) delete(tb Tables, c *client, in *instance, o *operation) error {
	// keep reports that clients beside c hold an entry.
	keep := func(h *holders) bool { return !c.params.single && h.one != nil && !h.leave(c) }
	switch o.kind {
	case routeEntry:
		r := in.routes[intf.FamilyOf(o.prefix.Addr())][o.prefix]
		if r == nil || keep(&r.holders) {
			return nil
		}
		return t.removeRoute(tb, in, o.prefix)
	case groupEntry:
		g := in.groups[o.index]
		if g == nil {
			return nil
		}
		if err := g.used(); err != nil {
			return err
		}
		if keep(&g.holders) {
			return nil
		}
		return t.removeGroup(tb, g)
	case nexthopEntry:
		n := in.nexthops[o.index]
		if n == nil {
			return nil
		}
		if len(n.groups) > 0 {
			return fmt.Errorf("next hop %d of network instance %s is used by %d next-hop groups: change these first", n.index, in.name, len(n.groups))
		}
		if keep(&n.holders) {
			return nil
		}
		return t.removeNexthop(tb, n)
	}
	return nil
}

// removeRoute removes the entry of a prefix, which there is.
func (t *table) removeRoute(tb Tables, in *instance, p netip.Prefix) error {
	f := intf.FamilyOf(p.Addr())
	r := in.routes[f][p]
	t.goes(&r.holders, routeEntry, in.name, p, 0)
	r.use(in, nil)
	delete(in.routes[f], p)
	t.count--
	return tb.DeleteRoute(in.name, p)
}

// used says what a group can't be deleted for.
func (g *group) used() error {
	entries := 0
	for _, n := range g.users {
		entries += n
	}
	switch {
	case entries > 0:
		return fmt.Errorf("next-hop group %d of network instance %s is used by %d entries: change these first", g.id, g.in.name, entries)
	case len(g.backupFor) > 0:
		return fmt.Errorf("next-hop group %d of network instance %s is the backup of %d others: change these first", g.id, g.in.name, len(g.backupFor))
	}
	return nil
}

// removeGroup removes a group that isn't used.
func (t *table) removeGroup(tb Tables, g *group) error {
	t.goes(&g.holders, groupEntry, g.in.name, netip.Prefix{}, g.id)
	g.link(nil, nil)
	delete(g.in.groups, g.id)
	t.count--
	var errs []error
	for _, nh := range g.shared {
		if nh.Kind != 0 {
			errs = append(errs, tb.DropGroup(nh))
		}
	}
	return errors.Join(errs...)
}

// removeNexthop removes a next hop that isn't used.
func (t *table) removeNexthop(tb Tables, n *nexthop) error {
	t.goes(&n.holders, nexthopEntry, n.in.name, netip.Prefix{}, n.index)
	delete(n.in.nexthops, n.index)
	t.count--
	return release(tb, n.held)
}
