package tree

import (
	"reflect"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"
)

// A Source gives the operational side of the tree in pieces, so that a walk
// costs only what its path covers. The structs that it hands out belong to the
// walk from then on.
type Source interface {
	// Entries calls visit with every entry of list n below the concrete path at
	// that matches keys (see gNMI wildcards; an absent key is a wildcard), its key
	// leaves set. handled is false for a list whose entries already stand in
	// the struct above it. An error from visit ends the walk and is returned.
	Entries(n *Node, at Path, keys map[string]string, visit func(ygot.GoStruct) error) (handled bool, err error)

	// Container returns the filled struct of a container at the root, or nil.
	Container(n *Node, at Path) ygot.GoStruct
}

// A Filter chooses leaves by what they say.
type Filter uint8

const (
	All         Filter = iota
	ConfigOnly         // config true
	StateOnly          // config false
	Operational        // config false, and no mirror of a config leaf
)

func (f Filter) wants(n *Node) bool {
	switch f {
	case All:
		return true
	case ConfigOnly:
		return n.Config
	case StateOnly:
		return !n.Config
	case Operational:
		return !n.Config && !n.MirrorsConfig()
	}
	return false
}

// A LeafValue is one leaf that a walk found.
type LeafValue struct {
	Node  *Node
	Path  Path
	Value Value
	// Extra marks a key that the filter leaves out, given because the list's
	// entries can't be told apart without it.
	Extra bool
}

// A Walker reads the leaves below paths, from configuration laid over state.
// The order is that of schema names and of list keys; that of a list ordered by
// its user is the user's.
type Walker struct {
	Schema   *Schema
	Config   ygot.GoStruct // nil for none; the caller keeps it from changing
	State    Source        // nil for none
	Filter   Filter
	Defaults bool // give unset leaves with a default
	Hide     bool // give Hidden in place of secrets
	Depth    int  // most elements of a leaf's path below its match; 0 for no limit

	// Brief says that Leaf keeps no path: each is good until Leaf returns.
	Brief bool
	// Match, if set, is called with each node that the path matches, before the
	// leaves below it.
	Match func(n *Node, p Path) error
	// Leaf is called with every leaf.
	Leaf func(LeafValue) error
	// Defer, if set, is asked about every state list that the walk comes to; true
	// passes over the list. Resume walks it later.
	Defer func(Deferred) bool
}

// A Deferred is a list that a walk passed over.
type Deferred struct {
	Node    *Node
	At      Path              // of the list's parent
	Keys    map[string]string // the pattern for the entries
	rest    Path              // the pattern below an entry
	matched bool              // the path's match was at or above the list
	base    int               // elements of the match's path
}

// A pair is one node as configuration and as state have it; either may be
// missing. live is set where the enclosing configuration exists, so that defaults are in use.
type pair struct {
	cfg, st reflect.Value
	live    bool
}

// walk is one run of a Walker.
type walk struct {
	*Walker
	state bool // the path can reach state
	base  int  // elements of the match's path

	leaf  Path                     // Brief: of the leaf that is visited
	elems map[*Node]*gnmi.PathElem // of lists below lists, of the entry visited before
}

// Walk visits what the pattern matches. The pattern passed Check.
func (w *Walker) Walk(pattern Path) error {
	run := walk{Walker: w}
	if w.State != nil && w.Filter != ConfigOnly {
		run.state = slices.ContainsFunc(w.Schema.Nodes(pattern), hasState)
	}
	top := pair{live: w.Config != nil}
	if w.Config != nil {
		top.cfg = reflect.ValueOf(w.Config)
	}
	return run.step(w.Schema.Root, top, nil, pattern)
}

// Resume walks a list that Defer passed over. It reads state only.
func (w *Walker) Resume(d Deferred) error {
	run := walk{Walker: w, state: true, base: d.base}
	return run.entries(d.Node, pair{}, d.At, d.Keys, func(c pair, p Path) error {
		if d.matched {
			return run.all(d.Node, c, p)
		}
		return run.step(d.Node, c, p, d.rest)
	})
}

// hasState reports whether state can stand at n or below it.
func hasState(n *Node) bool {
	return !n.Config || n.IsKey() && hasState(n.Parent) ||
		slices.ContainsFunc(n.Children, func(c *Node) bool { return !c.IsKey() && hasState(c) })
}

func (w *walk) step(n *Node, at pair, done, pattern Path) error {
	if len(pattern) == 0 {
		if w.Match != nil {
			if err := w.Match(n, done); err != nil {
				return err
			}
		}
		w.base = len(done)
		return w.all(n, at, done)
	}
	el, rest := pattern[0], pattern[1:]
	if el.GetName() == "..." {
		return w.anyDepth(n, at, done, pattern)
	}
	for _, c := range patternChildren(n, el.GetName()) {
		if checkKeys(c, el) != nil {
			continue
		}
		if err := w.child(c, at, done, el.GetKey(), rest); err != nil {
			return err
		}
	}
	return nil
}

// anyDepth matches "..." and then the rest at every depth below n.
func (w *walk) anyDepth(n *Node, at pair, done, pattern Path) error {
	rest := pattern[1:]
	if len(rest) == 0 {
		return w.step(n, at, done, nil)
	}
	if err := w.step(n, at, done, rest); err != nil {
		return err
	}
	for _, c := range n.Children {
		if c.IsLeaf() {
			continue
		}
		if err := w.child(c, at, done, nil, pattern); err != nil {
			return err
		}
	}
	return nil
}

// child goes on at child c of the struct pair at.
func (w *walk) child(c *Node, at pair, done Path, keys map[string]string, rest Path) error {
	switch c.Kind {
	case Leaf, LeafList:
		v, ok := w.value(c, at)
		if len(rest) > 0 || !ok || !w.Filter.wants(c) {
			return nil
		}
		p := done.Child(c.static())
		if w.Match != nil {
			if err := w.Match(c, p); err != nil {
				return err
			}
		}
		return w.Leaf(LeafValue{Node: c, Path: p, Value: v})
	case Container:
		p := done.Child(c.static())
		sub, ok := w.container(c, at, p)
		if !ok {
			return nil
		}
		return w.step(c, sub, p, rest)
	case List:
		if w.deferred(Deferred{Node: c, At: done, Keys: keys, rest: rest}) {
			return nil
		}
		return w.entries(c, at, done, keys, func(sub pair, p Path) error { return w.step(c, sub, p, rest) })
	}
	return nil
}

func (w *walk) deferred(d Deferred) bool {
	return w.Defer != nil && w.state && !d.Node.Config && w.Filter != ConfigOnly && w.Defer(d)
}

// all visits every leaf below the struct pair at, of node n.
func (w *walk) all(n *Node, at pair, done Path) error {
	if w.Depth > 0 && len(done)-w.base >= w.Depth {
		return nil
	}
	for _, c := range n.Children {
		if err := w.below(c, at, done); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) below(c *Node, at pair, done Path) error {
	switch c.Kind {
	case Leaf, LeafList:
		want := w.Filter.wants(c)
		if !want && !c.IsKey() {
			return nil
		}
		if v, ok := w.value(c, at); ok {
			p := done
			if w.Brief {
				p = append(append(w.leaf[:0], done...), c.static())
				w.leaf = p
			} else {
				p = done.Child(c.static())
			}
			return w.Leaf(LeafValue{Node: c, Path: p, Value: v, Extra: !want})
		}
	case Container:
		if w.Filter == ConfigOnly && !c.Config {
			return nil
		}
		p := done.Child(c.static())
		if sub, ok := w.container(c, at, p); ok {
			return w.all(c, sub, p)
		}
	case List:
		if w.Filter == ConfigOnly && !c.Config || w.deferred(Deferred{Node: c, At: done, matched: true, base: w.base}) {
			return nil
		}
		return w.entries(c, at, done, nil, func(sub pair, p Path) error { return w.all(c, sub, p) })
	}
	return nil
}

// elem is the path element of an entry: that of the entry before when both have the
// same keys, as entries of lists inside other entries often have.
func (w *walk) elem(c *Node, entry reflect.Value) *gnmi.PathElem {
	last := w.elems[c]
	if last != nil && c.matches(entry, last.GetKey()) {
		return last
	}
	if w.elems == nil {
		w.elems = make(map[*Node]*gnmi.PathElem)
	}
	e := c.elem(entry)
	for _, v := range e.GetKey() {
		if v == anyName {
			return e // as a pattern it would fit any
		}
	}
	w.elems[c] = e
	return e
}

// container is the struct pair of container c; ok is false if nothing can
// stand in it.
func (w *walk) container(c *Node, at pair, p Path) (sub pair, ok bool) {
	sub.live = at.live && c.Config
	if at.cfg.IsValid() {
		if f := at.cfg.Elem().Field(c.field); !f.IsNil() {
			sub.cfg = f
		}
	}
	if c.Parent.Parent == nil && w.state {
		if s := w.State.Container(c, p); s != nil && !reflect.ValueOf(s).IsNil() {
			sub.st = reflect.ValueOf(s)
		}
	} else if at.st.IsValid() {
		if f := at.st.Elem().Field(c.field); !f.IsNil() {
			sub.st = f
		}
	}
	return sub, sub.cfg.IsValid() || sub.st.IsValid() || sub.live
}

// entries calls visit with the entries of list c that match keys.
func (w *walk) entries(c *Node, at pair, done Path, keys map[string]string, visit func(pair, Path) error) error {
	var pairs []pair
	known := map[any]int(nil)
	if at.cfg.IsValid() {
		for _, e := range c.find(at.cfg.Elem().Field(c.field), keys) {
			pairs = append(pairs, pair{cfg: e, live: true})
		}
	}
	n := len(pairs)
	if !w.state {
		n = -1
	}
	add := func(s ygot.GoStruct) error {
		e := reflect.ValueOf(s)
		if !c.Config {
			return visit(pair{st: e}, done.Child(w.elem(c, e)))
		}
		if known == nil {
			known = make(map[any]int, n)
			for i := range n {
				known[c.keyOf(pairs[i].cfg).Interface()] = i
			}
		}
		if i, ok := known[c.keyOf(e).Interface()]; ok {
			pairs[i].st = e
		} else {
			pairs = append(pairs, pair{st: e})
		}
		return nil
	}
	if w.state {
		handled, err := w.State.Entries(c, done, keys, add)
		if err != nil {
			return err
		}
		if !handled && at.st.IsValid() {
			for _, e := range c.find(at.st.Elem().Field(c.field), keys) {
				if err := add(e.Interface().(ygot.GoStruct)); err != nil {
					return err
				}
			}
		}
	}
	if len(pairs) > n && n >= 0 && !c.ordered {
		slices.SortFunc(pairs, func(a, b pair) int { return c.compare(a.any(), b.any()) })
	}
	for _, p := range pairs {
		if err := visit(p, done.Child(c.elem(p.any()))); err != nil {
			return err
		}
	}
	return nil
}

func (p pair) any() reflect.Value {
	if p.cfg.IsValid() {
		return p.cfg
	}
	return p.st
}

// value is the leaf's value: configured, observed, or its default.
func (w *walk) value(c *Node, at pair) (Value, bool) {
	for _, side := range []reflect.Value{at.cfg, at.st} {
		if side.IsValid() {
			if f := side.Elem().Field(c.field); isSet(f) {
				if c.secret && w.Hide {
					return Value{hiddenValue}, true
				}
				return Value{freeze(f)}, true
			}
		}
	}
	if w.Defaults && at.live && c.HasDefault() {
		return Value{freeze(c.def)}, true
	}
	return Value{}, false
}

// freeze detaches a value from the struct that holds it: the field may be
// given another value, but what it points to is never changed.
func freeze(f reflect.Value) reflect.Value {
	switch f.Kind() {
	case reflect.Pointer, reflect.Interface:
		return f.Elem()
	default:
		return reflect.ValueOf(f.Interface())
	}
}

// static is the path element of a node without keys; it is shared.
func (n *Node) static() *gnmi.PathElem { return n.pathElem }
