package northbound

import (
	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// Some nodes of the model must be read whole: half a route's next hops are a
// lie. Their leaves come in one notification that is marked atomic, whose prefix is
// the node, and which has all of them that are subscribed to, whichever has changed
// (gNMI specification, sections 2.1.1 and 3.5.2.5).

// A batchOf is what a stream sends at a time: the leaves of the atomic node at,
// by paths below it, or one leaf when at is nil.
type batchOf struct {
	at      tree.Path
	updates []*gnmi.Update
}

// A gatherer puts the leaves of a walk into batches, and emits those with news.
type gatherer struct {
	emit func(batchOf) error
	open batchOf
	news bool
}

// leaf takes the next leaf of the walk; news says whether the client is to have
// it in any case.
func (g *gatherer) leaf(l tree.LeafValue, v *gnmi.TypedValue, news bool) error {
	n := l.Node.AtomicElems()
	if n == 0 {
		if err := g.end(); err != nil || !news {
			return err
		}
		return g.emit(batchOf{updates: []*gnmi.Update{{Path: &gnmi.Path{Elem: l.Path}, Val: v}}})
	}
	if at := l.Path[:n]; len(g.open.at) != n || !at.HasPrefix(g.open.at) {
		if err := g.end(); err != nil {
			return err
		}
		g.open.at = at
	}
	g.open.updates = append(g.open.updates, &gnmi.Update{Path: &gnmi.Path{Elem: l.Path[n:]}, Val: v})
	g.news = g.news || news
	return nil
}

// end ends the walk.
func (g *gatherer) end() error {
	b, news := g.open, g.news
	g.open, g.news = batchOf{}, false
	if !news {
		return nil
	}
	return g.emit(b)
}

// send adds a batch to the notifications.
func (s *sender) send(b batchOf) error {
	if b.at == nil {
		u := b.updates[0]
		return s.update(u.GetPath().GetElem(), u.GetVal())
	}
	n, err := s.alone(b.at)
	if err != nil {
		return err
	}
	n.Atomic, n.Update = true, b.updates
	for _, u := range n.Update {
		u.Duplicates = s.duplicates
	}
	return s.flush()
}

// gone tells that nothing of the atomic node is left.
func (s *sender) gone(at tree.Path) error {
	n, err := s.alone(at)
	if err != nil {
		return err
	}
	n.Delete = []*gnmi.Path{{}}
	return s.flush()
}

// alone begins a notification of the atomic node's own.
func (s *sender) alone(at tree.Path) (*gnmi.Notification, error) {
	if err := s.flush(); err != nil {
		return nil, err
	}
	n := s.notification()
	n.Prefix = &gnmi.Path{Target: s.c.prefix.GetTarget(), Origin: s.c.prefix.GetOrigin() + s.origin, Elem: at}
	return n, nil
}

// atomicAt is how many elements of the concrete path p lead to the atomic node
// that it lies in, 0 for none.
func (c *stream) atomicAt(p tree.Path) int {
	n := c.schema.Root
	for _, e := range p {
		if n = n.Child(e.GetName()); n == nil {
			return 0
		}
	}
	return n.AtomicElems()
}

// widened is a changed path, or the atomic node around it.
func (c *stream) widened(p tree.Path) tree.Path {
	if n := c.atomicAt(p); n > 0 && n < len(p) {
		return p[:n]
	}
	return p
}

// deletes sends what is gone, but for atomic nodes of which something is left:
// these it returns, each once, to be sent whole.
func (c *stream) deletes(s *sender, gone []tree.Path, left func(at tree.Path) bool) (changed []tree.Path, err error) {
	told := make(map[string]bool)
	for _, p := range gone {
		n := c.atomicAt(p)
		if n == 0 {
			if err := s.delete(p); err != nil {
				return nil, err
			}
			continue
		}
		at := p[:n]
		if id := at.String(); told[id] {
			continue
		} else {
			told[id] = true
		}
		if left(at) {
			changed = append(changed, at)
		} else if err := s.gone(at); err != nil {
			return nil, err
		}
	}
	return changed, nil
}

// whole sends all that the subscription has of the atomic nodes; note, when set,
// gets each of the values.
func (c *stream) whole(s *sender, sub *subscription, nodes []tree.Path, note func(tree.LeafValue, *gnmi.TypedValue)) error {
	for _, at := range nodes {
		q, filter, ok := intersect(sub.pattern, at)
		if !ok {
			continue
		}
		g := gatherer{emit: s.send}
		err := c.eachOf(sub, q, func(l tree.LeafValue) error {
			if filter && !matches(sub.pattern, l.Path) {
				return nil
			}
			v, err := c.encode(l)
			if err != nil {
				return err
			}
			if note != nil {
				note(l, v)
			}
			return g.leaf(l, v, true)
		})
		if err == nil {
			err = g.end()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
