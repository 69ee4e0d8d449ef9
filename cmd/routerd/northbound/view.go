package northbound

import (
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"strings"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/cmd/routerd/northbound/openconfig"
	"router/gen"
)

// This file reads the OpenConfig view for streams: what each, differences and
// the list of counters are for the native tree.

// eachOf calls visit with every leaf of the subscription's tree that the
// pattern matches.
func (c *stream) eachOf(sub *subscription, pattern tree.Path, visit func(tree.LeafValue) error) error {
	if c.depth > 0 && !slices.Equal(pattern, sub.pattern) {
		// The depth counts from what the subscription matches, not from this part of it.
		all := *c
		all.depth = 0
		return all.eachOf(sub, pattern, func(l tree.LeafValue) error {
			if !within(sub.pattern, l.Path, c.depth) {
				return nil
			}
			return visit(l)
		})
	}
	if sub.view == nil {
		return c.each(pattern, visit)
	}
	pieces := []tree.Path{pattern}
	if c.depth == 0 {
		c.store.View(func(dev *gen.Device, _ datastore.Commit) { pieces = openconfig.Pieces(dev, c.source.state, pattern) })
	}
	for _, p := range pieces {
		c.arrive(p)
		if err := c.viewPiece(sub, p, visit); err != nil {
			return err
		}
		if err := c.pause(); err != nil {
			return err
		}
	}
	return nil
}

func (c *stream) viewPiece(sub *subscription, pattern tree.Path, visit func(tree.LeafValue) error) error {
	var leaves []tree.LeafValue
	w := c.walker()
	w.Schema = sub.schema
	w.Leaf = func(l tree.LeafValue) error {
		if c.wanted(l) {
			leaves = append(leaves, l)
		}
		return nil
	}
	var err error
	c.store.View(func(dev *gen.Device, commit datastore.Commit) {
		w.Config, w.State = sub.view.Read(dev, c.source.state, c.now(), commit.Time, pattern)
		err = w.Walk(pattern)
	})
	if err != nil {
		return err
	}
	for _, l := range leaves {
		if instance, id, ok := openconfig.Member(l.Path); ok && sub.onChange {
			sub.sentMember(instance, id)
		}
		if err := visit(l); err != nil {
			return err
		}
	}
	return nil
}

// sentMember notes that the client has an entry of an instance's interfaces, so
// that its end can be told when the unit, which has no list of instances that it left,
// changes.
func (s *subscription) sentMember(instance, id string) {
	if s.members == nil {
		s.members = make(map[string][]string)
	}
	if !slices.Contains(s.members[id], instance) {
		s.members[id] = append(s.members[id], instance)
	}
}

// placesOf lists where in the subscription's tree a change of the native path p
// can show.
func (c *stream) placesOf(sub *subscription, p tree.Path) []tree.Path {
	if sub.view == nil {
		return []tree.Path{p}
	}
	places := openconfig.Touched(p)
	device, unit, ok := openconfig.ChangedUnits(p)
	if !ok {
		return places
	}
	var now map[string][]string
	c.store.View(func(dev *gen.Device, _ datastore.Commit) { now = openconfig.Memberships(dev, device, unit) })
	had := make(map[string][]string)
	if unit != "" {
		if id := device + "." + unit; sub.members[id] != nil {
			had[id] = sub.members[id]
		}
	} else {
		for id, instances := range sub.members {
			if strings.HasPrefix(id, device+".") {
				had[id] = instances
			}
		}
	}
	for id, instances := range had {
		now[id] = append(now[id], instances...)
		delete(sub.members, id) // noted again when it is read
	}
	for id, instances := range now {
		slices.Sort(instances)
		for _, i := range slices.Compact(instances) {
			places = append(places, openconfig.MemberPath(i, id))
		}
	}
	return places
}

// pastPlaces lists where in the subscription's tree changes of native paths in the
// past can show. Which instances a unit was in before isn't known: all are looked at.
func pastPlaces(sub *subscription, paths []tree.Path) []tree.Path {
	if sub.view == nil {
		return paths
	}
	var places []tree.Path
	instances := false
	for _, p := range paths {
		places = append(places, openconfig.Touched(p)...)
		_, _, unit := openconfig.ChangedUnits(p)
		instances = instances || unit
	}
	if instances {
		places = append(places, tree.Path{{Name: "network-instances"}})
	}
	return places
}

// inView tells a violation at a native path by the place in the view, when the
// client has written nowhere else.
func (r *setReader) inView(v datastore.Violation) datastore.Violation {
	if slices.ContainsFunc(r.ops, func(op tree.Op) bool { return op.Expand == nil }) {
		return v
	}
	p, err := tree.Parse(v.Path)
	if err != nil {
		return v
	}
	if place, ok := openconfig.Place(p); ok {
		v.Err = fmt.Errorf("%w (native path %s)", v.Err, v.Path)
		v.Path = place.String()
	}
	return v
}

// viewVolatile are where the view has counters and clocks.
var viewVolatile = []string{"/interfaces/interface/state/counters", "/interfaces/interface/subinterfaces/subinterface/state/counters",
	"/system/state/current-datetime", "/system/state/up-time"}

// volatileOf is where the subscription's tree has what announces no change.
func (c *stream) volatileOf(sub *subscription) ([]tree.Path, error) {
	if sub.view == nil {
		return c.source.volatile, nil
	}
	list := make([]tree.Path, len(viewVolatile))
	for i, text := range viewVolatile {
		var err error
		if list[i], err = tree.Parse(text); err != nil {
			return nil, failf(codes.Internal, "%v", err)
		}
	}
	return list, nil
}
