package conf

import (
	"bufio"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

// A change is a node of what differs between two configurations.
type change struct {
	path     schema.Path
	old, new []string // of a leaf, or of the order of a list
	key      int      // of an entry: it comes (1), it goes (-1), it stays (0)
	order    bool     // old and new are keys of the list's entries
	inactive int      // it becomes inactive (1) or active (-1)
	note     *note
	children []*change
	index    map[string]*change
}

type note struct{ old, new string }

func (c *change) child(p schema.Path) *change {
	want := label(p.Elems[len(p.Elems)-1])
	if d := c.index[want]; d != nil {
		return d
	}
	d := &change{path: p}
	if c.index == nil {
		c.index = make(map[string]*change)
	}
	c.index[want] = d
	c.children = append(c.children, d)
	return d
}

func (c *change) at(p schema.Path) *change {
	target, cur := schema.Root(), c
	var steps schema.Path
	for _, e := range p.Elems {
		next := target.Child(e.Name)
		if next == nil {
			return cur
		}
		steps = schema.Path{Elems: append(slices.Clip(steps.Elems), e), Node: next}
		if target = next; !hidden(next) {
			cur = cur.child(steps)
		}
	}
	return cur
}

// valuesOf are the values of a difference, RFC 7951 JSON.
func valuesOf(text string) []string {
	if text == "" {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return []string{text}
	}
	list, ok := v.([]any)
	if !ok {
		return []string{scalarText(v)}
	}
	if len(list) == 1 && list[0] == nil {
		return []string{""} // a leaf of type empty
	}
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = scalarText(e)
	}
	return out
}

func scalarText(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case json.Number:
		return x.String()
	case bool:
		if x {
			return "true"
		}
		return "false"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// changesOf makes the tree of differences.
func changesOf(list []*configpb.Difference) *change {
	root := &change{}
	for _, d := range list {
		p, err := schema.ParsePath(d.GetPath())
		if err != nil {
			continue // of another version of the model: the text leaves it out
		}
		switch d.GetAspect() {
		case configpb.Difference_INACTIVE:
			c := root.at(p)
			if c.inactive = 1; d.GetNew() == "" {
				c.inactive = -1
			}
			continue
		case configpb.Difference_COMMENT:
			root.at(p).note = &note{strings.Join(valuesOf(d.GetOld()), ""), strings.Join(valuesOf(d.GetNew()), "")}
			continue
		case configpb.Difference_VALUE:
		}
		n := p.Target()
		if n.IsKey {
			if list := n.List(); list != nil && n.Parent == list {
				c := root.at(schema.Path{Elems: p.Elems[:len(p.Elems)-1], Node: list})
				if c.key = 1; d.GetNew() == "" {
					c.key = -1
				}
			}
			continue
		}
		c := root.at(p)
		c.old, c.new = valuesOf(d.GetOld()), valuesOf(d.GetNew())
		c.order = n.Kind == schema.List
	}
	root.sort()
	return root
}

// sort puts leaves first, entries in the order of people, and orders of lists last.
func (c *change) sort() {
	rank := func(c *change) int {
		switch {
		case c.order:
			return 2
		case isLeaf(c.path):
			return 0
		}
		return 1
	}
	slices.SortStableFunc(c.children, func(a, b *change) int {
		if x, y := rank(a), rank(b); x != y {
			return x - y
		}
		x, y := a.path.Elems[len(a.path.Elems)-1], b.path.Elems[len(b.path.Elems)-1]
		if d := strings.Compare(x.Name, y.Name); d != 0 {
			return d
		}
		if a.path.Node.Ordered {
			return 0
		}
		for i := range min(len(x.Keys), len(y.Keys)) {
			if d := Natural(x.Keys[i].Value, y.Keys[i].Value); d != 0 {
				return d
			}
		}
		return 0
	})
	for _, d := range c.children {
		if d.order {
			arrange(c.children, d, 1)
		}
		d.sort()
	}
}

// only reports whether all that the change has below it comes (1) or goes (-1), with
// nothing that needs words of its own.
func (c *change) only(side int) bool {
	if c.inactive != 0 || c.note != nil || c.order {
		return false
	}
	if isLeaf(c.path) {
		return side > 0 && c.old == nil || side < 0 && c.new == nil
	}
	if c.path.Target().Kind == schema.List && c.key != side {
		return false
	}
	for _, d := range c.children {
		if !d.order && !d.only(side) {
			return false
		}
	}
	return true
}

// Compare writes differences as people read them: below banners that say where, what goes
// with a minus, what comes with a plus, and what of a node changes beside its values with an
// exclamation mark. Parse reads it back: load patch.
//
//	[edit interface eth1]
//	-  mru 1500;
//	+  mru 1600;
//	+  unit 7 {
//	+      vlan {
//	+          outer-vlan-id 7;
//	+      }
//	+  }
//	!  inactive: unit 0;
func Compare(w io.Writer, list []*configpb.Difference, base schema.Path) error {
	b := bufio.NewWriter(w)
	c := changesOf(list)
	if len(base.Elems) > 0 {
		at := c.find(base)
		if at == nil {
			return b.Flush()
		}
		// What happens to the place itself is told by its parent.
		if at.key != 0 || at.inactive != 0 || at.note != nil {
			parent := base.Up(1)
			b.WriteString(banner(parent))
			at.lines(b)
			if at.key != 0 {
				return b.Flush()
			}
		}
		c = at
	}
	c.write(b)
	return b.Flush()
}

func (c *change) find(p schema.Path) *change {
	target, cur := schema.Root(), c
	for _, e := range p.Elems {
		next := target.Child(e.Name)
		if next == nil {
			return nil
		}
		if target = next; hidden(next) {
			continue
		}
		if cur = cur.index[label(e)]; cur == nil {
			return nil
		}
	}
	return cur
}

func banner(p schema.Path) string {
	if len(p.Elems) == 0 {
		return "[edit]\n"
	}
	return "[edit " + p.Words() + "]\n"
}

// told reports whether the change is told by its parent rather than under a banner
// of its own.
func (c *change) told() bool {
	return isLeaf(c.path) || c.key != 0 || c.order || c.only(1)
}

// write writes the changes below c, each under the banner of where it is.
func (c *change) write(b *bufio.Writer) {
	headed := false
	for _, d := range c.children {
		if !d.told() && d.inactive == 0 && d.note == nil || d.order && !reordered(c, d) {
			continue
		}
		if !headed {
			b.WriteString(banner(c.path))
			headed = true
		}
		d.lines(b)
	}
	for _, d := range c.children {
		if !d.told() {
			d.write(b)
		}
	}
}

// lines writes what a node's parent tells of it.
func (c *change) lines(b *bufio.Writer) {
	switch {
	case c.order:
		list := c.path.Elems[len(c.path.Elems)-1].Name
		b.WriteString("!  order " + list + " " + strings.Join(valueBrackets(c.new), " ") + ";\n")
		return
	case isLeaf(c.path):
		if c.old != nil {
			b.WriteString("-  " + c.head(c.old) + ";\n")
		}
		if c.new != nil {
			b.WriteString("+  " + c.head(c.new) + ";\n")
		}
	case c.key < 0:
		c.block(b, "-  ", -1)
		return // marks go with it
	case c.key > 0 || c.only(1):
		c.block(b, "+  ", 1)
	}
	c.marks(b, nil)
}

// marks writes what becomes inactive, and comments, at and, in what comes whole, below a
// node; above are the words between the banner and the node.
func (c *change) marks(b *bufio.Writer, above []string) {
	words := append(slices.Clip(above), c.words())
	name := strings.Join(words, " ")
	switch c.inactive {
	case 1:
		b.WriteString("!  inactive: " + name + ";\n")
	case -1:
		if !c.gone() {
			b.WriteString("!  active: " + name + ";\n")
		}
	}
	if c.note != nil {
		b.WriteString("!  annotate " + name + " " + quoted(c.note.new) + ";\n")
	}
	if c.key > 0 {
		for _, d := range c.children {
			d.marks(b, words)
		}
	}
}

// gone reports whether the node isn't there any more.
func (c *change) gone() bool { return c.key < 0 || isLeaf(c.path) && c.old != nil && c.new == nil }

func (c *change) words() string {
	e := c.path.Elems[len(c.path.Elems)-1]
	words := []string{e.Name}
	for _, k := range e.Keys {
		words = append(words, Quote(k.Value))
	}
	return strings.Join(words, " ")
}

func (c *change) head(values []string) string {
	return strings.Join(append([]string{c.words()}, valueText(values)...), " ")
}

func valueBrackets(values []string) []string {
	words := []string{"["}
	for _, v := range values {
		words = append(words, Quote(v))
	}
	return append(words, "]")
}

// block writes what comes or goes as a whole.
func (c *change) block(b *bufio.Writer, margin string, side int) {
	values := c.new
	if side < 0 {
		values = c.old
	}
	if isLeaf(c.path) {
		if values != nil {
			b.WriteString(margin + c.head(values) + ";\n")
		}
		return
	}
	if c.order {
		return // the entries come in it
	}
	inner := slices.Clone(c.children)
	for _, d := range c.children {
		if d.order && d.path.Node != nil {
			arrange(inner, d, side)
		}
	}
	inner = slices.DeleteFunc(inner, func(d *change) bool { return !d.has(side) })
	if len(inner) == 0 {
		b.WriteString(margin + c.words() + ";\n")
		return
	}
	b.WriteString(margin + c.words() + " {\n")
	for _, d := range inner {
		d.block(b, margin+indent, side)
	}
	b.WriteString(margin + "}\n")
}

// has reports whether there is something of that side at or below the change.
func (c *change) has(side int) bool {
	switch {
	case c.order:
		return false
	case isLeaf(c.path):
		return side > 0 && c.new != nil || side < 0 && c.old != nil
	case c.key == side:
		return true
	}
	return slices.ContainsFunc(c.children, func(d *change) bool { return d.has(side) })
}

// arrange puts the entries of a list into the order that it has on that side; the rest
// stay where they are.
func arrange(list []*change, order *change, side int) {
	keys := order.new
	if side < 0 {
		keys = order.old
	}
	place := func(d *change) int {
		e := d.path.Elems[len(d.path.Elems)-1]
		if d.order || d.path.Node != order.path.Node || len(e.Keys) == 0 {
			return -1
		}
		return slices.Index(keys, e.Keys[0].Value)
	}
	var at []int
	var entries []*change
	for i, d := range list {
		if place(d) >= 0 {
			at, entries = append(at, i), append(entries, d)
		}
	}
	slices.SortFunc(entries, func(a, b *change) int { return place(a) - place(b) })
	for i, d := range entries {
		list[at[i]] = d
	}
}

// reordered reports whether the order of a list is more than what its entries that
// come and go make it: those that come are appended.
func reordered(parent, order *change) bool {
	var appended []string
	gone := make(map[string]bool)
	for _, d := range parent.children {
		e := d.path.Elems[len(d.path.Elems)-1]
		if d.order || d.path.Node != order.path.Node || len(e.Keys) == 0 {
			continue
		}
		switch {
		case d.key < 0 || d.inactive > 0:
			gone[e.Keys[0].Value] = true
		case d.key > 0:
			appended = append(appended, e.Keys[0].Value)
		case d.inactive < 0:
			return true // where it comes back to, only the order tells
		}
	}
	var want []string
	for _, k := range order.old {
		if !gone[k] {
			want = append(want, k)
		}
	}
	slices.SortStableFunc(appended, func(a, b string) int { return slices.Index(order.new, a) - slices.Index(order.new, b) })
	return !slices.Equal(append(want, appended...), order.new)
}

// CompareCommands writes differences as commands that make them, in words.
func CompareCommands(w io.Writer, list []*configpb.Difference, base schema.Path) error {
	b := bufio.NewWriter(w)
	c := changesOf(list)
	if len(base.Elems) > 0 {
		if c = c.find(base); c == nil {
			return b.Flush()
		}
	}
	var last []string
	c.commands(b, nil, &last)
	for _, line := range last {
		b.WriteString(line)
	}
	return b.Flush()
}

func (c *change) commands(b *bufio.Writer, parent *change, last *[]string) {
	name := ""
	if len(c.path.Elems) > 0 {
		name = c.path.Words()
	}
	if c.inactive < 0 && !c.gone() {
		b.WriteString("activate " + name + "\n")
	}
	switch {
	case c.order:
		if parent == nil || !reordered(parent, c) {
			return
		}
		before := "first"
		for _, k := range c.new {
			*last = append(*last, "insert "+c.path.WithKey(k).Words()+" "+before+"\n")
			before = "after " + schema.Quote(k)
		}
		return
	case isLeaf(c.path):
		switch {
		case c.old != nil && c.new == nil:
			b.WriteString("delete " + name + "\n")
		case c.old != nil:
			b.WriteString("replace " + name + " " + quoteAll(c.new) + "\n")
		case c.new != nil:
			b.WriteString("set " + name + " " + quoteAll(c.new) + "\n")
		}
	case c.key < 0:
		b.WriteString("delete " + name + "\n")
		return
	case c.key > 0 && !slices.ContainsFunc(c.children, func(d *change) bool { return d.has(1) }):
		b.WriteString("set " + name + "\n")
	}
	for _, d := range c.children {
		d.commands(b, c, last)
	}
	if c.inactive > 0 {
		*last = append(*last, "deactivate "+name+"\n")
	}
	if c.note != nil {
		*last = append(*last, "annotate "+name+" "+quoted(c.note.new)+"\n")
	}
}

// Join is what differences do one after the other: what one changes and a later
// one changes back is left out.
func Join(first, second []*configpb.Difference) []*configpb.Difference {
	type id struct {
		path   string
		aspect configpb.Difference_Aspect
	}
	index := make(map[id]*configpb.Difference, len(first))
	var out []*configpb.Difference
	for _, list := range [][]*configpb.Difference{first, second} {
		for _, d := range list {
			at := id{d.GetPath(), d.GetAspect()}
			if have := index[at]; have != nil {
				have.New = d.GetNew()
				continue
			}
			c := &configpb.Difference{Path: d.GetPath(), Old: d.GetOld(), New: d.GetNew(), Aspect: d.GetAspect()}
			index[at] = c
			out = append(out, c)
		}
	}
	return slices.DeleteFunc(out, func(d *configpb.Difference) bool { return d.GetOld() == d.GetNew() })
}
