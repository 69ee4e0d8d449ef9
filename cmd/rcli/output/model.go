package output

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/openconfig/goyang/pkg/yang"

	"router/cmd/rcli/render"
	"router/gen"
)

// entryAt is the schema of the node at a path; nil when the model has none there.
// Its parents are those on the way, the root first.
func entryAt(path string) (e *yang.Entry, parents []*yang.Entry) {
	e = gen.SchemaTree["Device"]
	for _, s := range steps(path) {
		name, _, _ := strings.Cut(s, "[")
		parents = append(parents, e)
		if e = e.Dir[local(name)]; e == nil {
			return nil, nil
		}
	}
	return e, parents
}

// steps are the elements of a path, keys included: a slash in a key's value is
// none that separates.
func steps(path string) []string {
	var list []string
	start, depth := 0, 0
	escaped := false
	for i, r := range path {
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '[':
			depth++
		case r == ']' && depth > 0:
			depth--
		case r == '/' && depth == 0:
			list = append(list, path[start:i])
			start = i + 1
		}
	}
	list = append(list, path[start:])
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// local is a name without its module's.
func local(name string) string {
	if _, after, ok := strings.Cut(name, ":"); ok {
		return after
	}
	return name
}

// child is the schema below e; nil without one.
func child(e *yang.Entry, name string) *yang.Entry {
	if e == nil {
		return nil
	}
	return e.Dir[local(name)]
}

// keysOf are the names of a list's keys.
func keysOf(e *yang.Entry) []string {
	if e == nil {
		return nil
	}
	return strings.Fields(e.Key)
}

// A yangSink writes what the model says of the nodes, each once.
type yangSink struct {
	w    io.Writer
	seen map[string]bool
}

// Value implements Sink.
func (s *yangSink) Value(v Value) error {
	if v.Path == "" {
		return errNoPath
	}
	e, parents := entryAt(v.Path)
	if e == nil {
		return fmt.Errorf("the model built into rcli has no %s", v.Path)
	}
	path := schemaPath(v.Path)
	if s.seen[path] {
		return nil
	}
	s.seen[path] = true
	config := true
	for _, p := range append(parents, e) {
		config = config && p.Config != yang.TSFalse
	}
	var b strings.Builder
	if len(parents) == 0 {
		for _, name := range slices.Sorted(maps.Keys(e.Dir)) {
			statement(&b, name, e.Dir[name], "", true, false)
		}
	} else {
		fmt.Fprintf(&b, "// %s\n", path)
		statement(&b, e.Name, e, "", config, isKey(parents, e))
	}
	_, err := io.WriteString(s.w, b.String())
	return err
}

// Close implements Sink.
func (s *yangSink) Close() error { return nil }

// schemaPath is a path without keys.
func schemaPath(path string) string {
	var b strings.Builder
	for _, s := range steps(path) {
		name, _, _ := strings.Cut(s, "[")
		b.WriteString("/" + name)
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

func isKey(parents []*yang.Entry, e *yang.Entry) bool {
	return len(parents) > 0 && slices.Contains(keysOf(parents[len(parents)-1]), e.Name)
}

// statement writes a node as a statement of YANG (RFC 7950, section 7), types
// resolved.
func statement(b *strings.Builder, name string, e *yang.Entry, indent string, config, key bool) {
	fmt.Fprintf(b, "%s%s %s {\n", indent, keyword(e), name)
	in := indent + "  "
	sub := func(word, text string) {
		if text != "" {
			fmt.Fprintf(b, "%s%s %s;\n", in, word, text)
		}
	}
	if e.Key != "" {
		sub("key", strconv.Quote(e.Key))
	}
	if e.Type != nil {
		typeStatement(b, e.Type, in)
		sub("units", quoted(cmp.Or(e.Units, e.Type.Units)))
	}
	if len(e.Default) > 0 {
		sub("default", quoted(strings.Join(e.Default, " ")))
	}
	if e.Mandatory == yang.TSTrue {
		sub("mandatory", "true")
	}
	if config && e.Config == yang.TSFalse {
		sub("config", "false")
	}
	if e.ListAttr != nil && e.ListAttr.OrderedByUser {
		sub("ordered-by", "user")
	}
	if d := strings.Join(strings.Fields(e.Description), " "); d != "" && !key {
		lines := render.Wrap(d, max(40, 76-len(in)))
		fmt.Fprintf(b, "%sdescription\n%s  %q", in, in, lines[0])
		for _, l := range lines[1:] {
			fmt.Fprintf(b, "\n%s + %q", in, " "+l)
		}
		b.WriteString(";\n")
	}
	config = config && e.Config != yang.TSFalse
	keys := keysOf(e)
	for _, n := range slices.SortedFunc(maps.Keys(e.Dir), func(x, y string) int {
		return order(keys, x, y)
	}) {
		statement(b, n, e.Dir[n], in, config, slices.Contains(keys, n))
	}
	fmt.Fprintf(b, "%s}\n", indent)
}

// order has keys first, in their order, and then all by name.
func order(keys []string, x, y string) int {
	i, j := slices.Index(keys, x), slices.Index(keys, y)
	switch {
	case i >= 0 && j >= 0:
		return i - j
	case i >= 0:
		return -1
	case j >= 0:
		return 1
	}
	return strings.Compare(x, y)
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return strconv.Quote(text)
}

func keyword(e *yang.Entry) string {
	switch {
	case e.IsLeafList():
		return "leaf-list"
	case e.IsLeaf():
		return "leaf"
	case e.IsList():
		return "list"
	}
	return "container"
}

func typeStatement(b *strings.Builder, t *yang.YangType, in string) {
	var inner strings.Builder
	deep := in + "  "
	if len(t.Range) > 0 && t.Kind != yang.Ystring && !whole(t) {
		fmt.Fprintf(&inner, "%srange %q;\n", deep, t.Range.String())
	}
	if len(t.Length) > 0 {
		fmt.Fprintf(&inner, "%slength %q;\n", deep, t.Length.String())
	}
	for _, p := range t.Pattern {
		fmt.Fprintf(&inner, "%spattern '%s';\n", deep, p)
	}
	if t.Enum != nil {
		for _, n := range t.Enum.Names() {
			fmt.Fprintf(&inner, "%senum %s;\n", deep, n)
		}
	}
	if t.Path != "" {
		fmt.Fprintf(&inner, "%spath %q;\n", deep, t.Path)
	}
	for _, m := range t.Type {
		typeStatement(&inner, m, deep)
	}
	name, remark := yang.TypeKindToName[t.Kind], ""
	if t.Name != "" && t.Name != name {
		remark = " // " + t.Name
	}
	if inner.Len() == 0 {
		fmt.Fprintf(b, "%stype %s;%s\n", in, name, remark)
		return
	}
	fmt.Fprintf(b, "%stype %s {%s\n%s%s}\n", in, name, remark, inner.String(), in)
}

// whole reports whether the range is all that the integer type has.
func whole(t *yang.YangType) bool {
	return slices.ContainsFunc([]yang.YangRange{
		yang.Int8Range, yang.Int16Range, yang.Int32Range, yang.Int64Range,
		yang.Uint8Range, yang.Uint16Range, yang.Uint32Range, yang.Uint64Range,
	}, t.Range.Equal)
}

// Tree draws the model at and below a path as RFC 8340 has it, depth levels of it, 0
// for all. The error says that the model has no such node.
func Tree(path string, depth int) (string, error) {
	e, parents := entryAt(path)
	if e == nil {
		return "", fmt.Errorf("the model has no %s", path)
	}
	config := true
	for _, p := range append(parents, e) {
		config = config && p.Config != yang.TSFalse
	}
	var b strings.Builder
	if len(parents) == 0 {
		b.WriteString("module: routerd\n")
		branches(&b, e, "  ", depth, true)
		return b.String(), nil
	}
	fmt.Fprintf(&b, "%s\n", schemaPath(path))
	if e.IsLeaf() || e.IsLeafList() {
		leafLine(&b, e.Name, e, "  ", 0, config, isKey(parents, e))
	}
	branches(&b, e, "  ", depth, config)
	return b.String(), nil
}

// branches draws the children of e.
func branches(b *strings.Builder, e *yang.Entry, indent string, depth int, config bool) {
	keys := keysOf(e)
	names := slices.SortedFunc(maps.Keys(e.Dir), func(x, y string) int { return order(keys, x, y) })
	longest := 0
	for _, n := range names {
		if c := e.Dir[n]; c.IsLeaf() || c.IsLeafList() {
			longest = max(longest, len(n))
		}
	}
	for i, n := range names {
		c := e.Dir[n]
		can := config && c.Config != yang.TSFalse
		if c.IsLeaf() || c.IsLeafList() {
			leafLine(b, n, c, indent, longest, can, slices.Contains(keys, n))
			continue
		}
		mark := ""
		if c.IsList() {
			mark = "* [" + c.Key + "]"
		}
		more := ""
		if depth == 1 && len(c.Dir) > 0 {
			more = " ..."
		}
		fmt.Fprintf(b, "%s+--%s %s%s%s\n", indent, access(can), n, mark, more)
		if depth != 1 {
			bar := "|  "
			if i == len(names)-1 {
				bar = "   "
			}
			branches(b, c, indent+bar, max(0, depth-1), can)
		}
	}
}

func leafLine(b *strings.Builder, name string, e *yang.Entry, indent string, longest int, config, key bool) {
	mark := "?"
	switch {
	case e.IsLeafList():
		mark = "*"
	case key || e.Mandatory == yang.TSTrue:
		mark = " "
	}
	fmt.Fprintf(b, "%s+--%s %-*s   %s\n", indent, access(config), longest+1, name+mark, e.Type.Name)
}

func access(config bool) string {
	if config {
		return "rw"
	}
	return "ro"
}
