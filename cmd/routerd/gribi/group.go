package gribi

import (
	"errors"
	"fmt"

	spb "github.com/openconfig/gribi/v1/proto/service"

	"router/intf"
	"router/routing"
)

func (t *table) setGroup(tb Tables, c *client, in *instance, o *operation) error {
	g := in.groups[o.index]
	if g == nil {
		if o.verb == spb.AFTOperation_REPLACE {
			return missing("next-hop group", o.index, in)
		}
		if err := t.limit(tb); err != nil {
			return err
		}
	}
	members := make([]member, 0, len(o.members))
	for _, m := range o.members {
		n := in.nexthops[m.index]
		if n == nil {
			return fmt.Errorf("next-hop group %d: next hop %d of network instance %s does not exist: add it first", o.index, m.index, in.name)
		}
		members = append(members, member{n, m.weight})
	}
	backup, err := o.backupGroup(in, g)
	if err != nil {
		return err
	}
	if g == nil {
		g = &group{in: in, id: o.index, backupFor: map[*group]struct{}{}, users: map[*instance]int{}}
	}
	oldMembers, oldBackup := g.members, g.backup
	g.link(members, backup)
	undo := func(err error) error {
		g.link(oldMembers, oldBackup)
		return err
	}
	affected := map[*group]struct{}{g: {}}
	for user := range g.backupFor {
		affected[user] = struct{}{}
	}
	if err := regroup(tb, affected); err != nil {
		return undo(err)
	}
	// A group that no entry goes by yet is in the dataplane all the same.
	if err := g.share(tb, g.family()); err != nil {
		return undo(err)
	}
	g.color = o.color
	if in.groups[o.index] == nil {
		in.groups[o.index] = g
		t.count++
	}
	t.wrote(c, &g.holders, o)
	return nil
}

// backupGroup is the group that o names as the backup of g, which is nil for a
// new one.
func (o *operation) backupGroup(in *instance, g *group) (*group, error) {
	if !o.hasBackup {
		return nil, nil
	}
	b := in.groups[o.backup]
	switch {
	case o.backup == o.index:
		return nil, fmt.Errorf("next-hop group %d is its own backup", o.index)
	case b == nil:
		return nil, fmt.Errorf("next-hop group %d: its backup %d does not exist in network instance %s: add it first", o.index, o.backup, in.name)
	case b.backup != nil:
		return nil, fmt.Errorf("next-hop group %d: its backup %d has the backup %d, and there is one level of backups only", o.index, b.id, b.backup.id)
	case g != nil && len(g.backupFor) > 0:
		return nil, fmt.Errorf("next-hop group %d is a backup itself, and there is one level of backups only", o.index)
	}
	return b, nil
}

// link makes members and backup those of g.
func (g *group) link(members []member, backup *group) {
	for _, m := range g.members {
		delete(m.nexthop.groups, g)
	}
	if g.backup != nil {
		delete(g.backup.backupFor, g)
	}
	g.members, g.backup = members, backup
	for _, m := range members {
		m.nexthop.groups[g] = struct{}{}
	}
	if backup != nil {
		backup.backupFor[g] = struct{}{}
	}
}

// affected are the groups that a change of n concerns.
func (n *nexthop) affected() map[*group]struct{} {
	all := make(map[*group]struct{}, len(n.groups))
	for g := range n.groups {
		all[g] = struct{}{}
		for user := range g.backupFor {
			all[user] = struct{}{}
		}
	}
	return all
}

// regroup has the router's groups follow. It changes none when one of them would
// not be valid.
func regroup(tb Tables, groups map[*group]struct{}) error {
	lists := make(map[*group][]routing.Member, len(groups))
	for g := range groups {
		list, err := g.list()
		if err != nil {
			return err
		}
		for in := range g.users {
			if g.looksUpIn(tb, in) {
				return fmt.Errorf("next-hop group %d would look up in network instance %s, which has entries that go by it", g.id, in.name)
			}
		}
		lists[g] = list
	}
	var errs []error
	for g, list := range lists {
		for _, nh := range g.shared {
			if nh.Kind != 0 {
				errs = append(errs, tb.SetGroup(nh, list))
			}
		}
	}
	return errors.Join(errs...)
}

// share makes the router's group for packets of a family, if it isn't there.
func (g *group) share(tb Tables, f intf.Family) error {
	if g.shared[f].Kind != 0 {
		return nil
	}
	list, err := g.list()
	if err != nil {
		return err
	}
	g.shared[f], err = tb.NewGroup(f, list)
	if err != nil {
		return fmt.Errorf("next-hop group %d: %w", g.id, err)
	}
	return nil
}

// family is that of the gateways.
func (g *group) family() intf.Family {
	for _, m := range g.members {
		if a := m.nexthop.hop.Gateway; a.IsValid() {
			return intf.FamilyOf(a)
		}
	}
	return intf.Inet
}

// list is the group as the router's groups have it: the members, and those of
// the backup as backups. Next hops that lead the same way are one.
func (g *group) list() ([]routing.Member, error) {
	var list []routing.Member
	for tier, from := range []*group{g, g.backup} {
		if from == nil {
			continue
		}
		var weights []uint64
		first := len(list)
	members:
		for _, m := range from.members {
			for i := range list {
				if list[i].NextHop == m.nexthop.hop {
					// What is a primary already is no use as its backup.
					if i >= first {
						weights[i-first] += m.weight
					}
					continue members
				}
			}
			list = append(list, routing.Member{NextHop: m.nexthop.hop, Backup: tier > 0})
			weights = append(weights, m.weight)
		}
		for i, w := range scale(weights) {
			list[first+i].Weight = w
		}
		lookups := 0
		for _, m := range list[first:] {
			if m.NextHop.Kind == routing.Lookup {
				lookups++
			}
		}
		if lookups > 0 && (len(list)-first > 1 || tier > 0 && first == 1 && list[0].NextHop.Kind == routing.Lookup) {
			return nil, fmt.Errorf("next-hop group %d: a next hop that looks up in another network instance stands alone", from.id)
		}
	}
	if len(list) > routing.MaxMembers {
		return nil, fmt.Errorf("next-hop group %d has %d next hops with its backup: it has %d at most", g.id, len(list), routing.MaxMembers)
	}
	if len(list) > 1 && list[0].NextHop.Kind == routing.Lookup {
		return nil, fmt.Errorf("next-hop group %d looks up in another network instance, and needs no backup", g.id)
	}
	return list, nil
}

// scale brings weights into the range that the router's groups have, as near to
// their proportions as that allows.
func scale(weights []uint64) []uint8 {
	var most uint64
	for _, w := range weights {
		most = max(most, w)
	}
	out := make([]uint8, len(weights))
	for i, w := range weights {
		if most > routing.MaxWeight {
			w = uint64(float64(w)/float64(most)*routing.MaxWeight + 0.5)
		}
		out[i] = uint8(max(w, 1))
	}
	return out
}

// looksUpIn reports whether packets of in that go by g would be looked up in in
// again.
func (g *group) looksUpIn(tb Tables, in *instance) bool {
	index, _, ok := tb.Instance(in.name)
	for _, from := range []*group{g, g.backup} {
		if from == nil {
			continue
		}
		for _, m := range from.members {
			if hop := m.nexthop.hop; ok && hop.Kind == routing.Lookup && hop.Instance == index {
				return true
			}
		}
	}
	return false
}
