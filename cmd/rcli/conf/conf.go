// Package conf is the configuration as text: the indented form with curly braces in
// which people read and write it, the set-commands that the router reads and writes, and
// what turns one configuration into another in either form.
//
//	/* to the core */
//	interface eth1 {
//	    mru 1600;
//	    inactive: unit 7 {
//	        vlan {
//	            outer-vlan-id 7;
//	        }
//	    }
//	}
//
// Names follow package schema: the containers config are left out, an entry of a list is its
// list's name and its keys, a leaf-list with several values has them in brackets. It knows
// no router, and its functions are safe for concurrent use.
package conf

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"router/cmd/rcli/schema"
)

// A Node is a node of a configuration in words: a container, an entry of a list, or a
// leaf with its values.
type Node struct {
	Path     schema.Path
	Values   []string // of a leaf or leaf-list
	Inactive bool
	Comment  string
	Children []*Node // in the order of the configuration

	index map[string]*Node // Children by label, where there are many
}

// few is how many children are searched one by one.
const few = 8

// label is what the node is called below its parent: its name and keys.
func label(e schema.Elem) string {
	if len(e.Keys) == 0 {
		return e.Name
	}
	var b strings.Builder
	b.WriteString(e.Name)
	for _, k := range e.Keys {
		b.WriteByte(0)
		b.WriteString(k.Value)
	}
	return b.String()
}

func (n *Node) label() string {
	if len(n.Path.Elems) == 0 {
		return ""
	}
	return label(n.Path.Elems[len(n.Path.Elems)-1])
}

// IsLeaf reports whether the node has values rather than children.
func (n *Node) IsLeaf() bool {
	k := n.Path.Target().Kind
	return k == schema.Leaf || k == schema.LeafList
}

// child finds the child of that element, or makes it.
func (n *Node) child(p schema.Path) *Node {
	want := label(p.Elems[len(p.Elems)-1])
	if n.index != nil {
		if c := n.index[want]; c != nil {
			return c
		}
	} else {
		// What comes in order is at the end.
		for _, c := range slices.Backward(n.Children) {
			if c.label() == want {
				return c
			}
		}
	}
	c := &Node{Path: p}
	n.Children = append(n.Children, c)
	switch {
	case n.index != nil:
		n.index[want] = c
	case len(n.Children) > few:
		n.index = make(map[string]*Node, 2*few)
		for _, c := range n.Children {
			n.index[c.label()] = c
		}
	}
	return c
}

// hidden reports whether words leave the node out.
func hidden(n *schema.Node) bool {
	return n.Kind == schema.Container && (n.Name == "config" || n.Name == "state")
}

// at finds the node at a path, or makes it with all above it.
func (n *Node) at(p schema.Path) *Node {
	target := schema.Root()
	cur := n
	var steps schema.Path
	for _, e := range p.Elems {
		c := target.Child(e.Name)
		if c == nil {
			return cur
		}
		steps = schema.Path{Elems: append(slices.Clip(steps.Elems), e), Node: c}
		if target = c; hidden(c) {
			continue
		}
		cur = cur.child(steps)
	}
	return cur
}

// find is at without making anything; nil for none.
func (n *Node) find(p schema.Path) *Node {
	target, cur := schema.Root(), n
	for _, e := range p.Elems {
		c := target.Child(e.Name)
		if c == nil {
			return nil
		}
		if target = c; hidden(c) {
			continue
		}
		want := label(e)
		var found *Node
		if cur.index != nil {
			found = cur.index[want]
		} else {
			for _, c := range cur.Children {
				if c.label() == want {
					found = c
				}
			}
		}
		if found == nil {
			return nil
		}
		cur = found
	}
	return cur
}

// At is the node at a path, nil for none.
func (n *Node) At(p schema.Path) *Node { return n.find(p) }

// Leaves calls visit with the leaves at and below the node, in order.
func (n *Node) Leaves(visit func(*Node)) {
	if len(n.Values) > 0 {
		visit(n)
	}
	for _, c := range n.Children {
		c.Leaves(visit)
	}
}

// Below is a tree with what show prints of a place: what stands below a container or
// an entry, a leaf itself, all entries that a pattern or a list without keys stands for. It is
// never nil.
func (n *Node) Below(p schema.Path) *Node {
	if at := n.find(p); at != nil {
		if at.IsLeaf() {
			return &Node{Children: []*Node{at}}
		}
		return at
	}
	// The router was asked for what the pattern matches, and nothing else: what has
	// more than one child is where it begins to differ.
	for len(n.Children) == 1 && !n.Children[0].IsLeaf() && len(n.Children[0].Path.Elems) < len(p.Elems) {
		n = n.Children[0]
	}
	return n
}

// Read makes the tree of what the router's set-commands say, from the root of the
// configuration. It is an error when a line is none of set, deactivate and annotate, or has no
// place in the model.
func Read(commands string) (*Node, error) {
	root := &Node{}
	line := 0
	for text := range strings.Lines(commands) {
		line++
		words, err := split(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if len(words) == 0 {
			continue
		}
		if len(words) < 2 {
			return nil, fmt.Errorf("line %d: %s needs a path", line, words[0])
		}
		p, err := schema.ParsePath(words[1])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		n := root.at(p)
		switch words[0] {
		case "set":
			n.Values = append(n.Values, words[2:]...)
		case "deactivate":
			n.Inactive = true
		case "annotate":
			if len(words) > 2 {
				n.Comment = words[2]
			}
		default:
			return nil, fmt.Errorf("line %d: %q says nothing of a configuration", line, words[0])
		}
	}
	root.natural()
	return root, nil
}

// natural puts the entries of lists into the order in which people look for them: ge2
// before ge10. Lists that their user orders stay as they are.
func (n *Node) natural() {
	slices.SortStableFunc(n.Children, func(a, b *Node) int {
		x, y := a.Path.Elems[len(a.Path.Elems)-1], b.Path.Elems[len(b.Path.Elems)-1]
		if x.Name != y.Name || a.Path.Node.Kind != schema.List || a.Path.Node.Ordered {
			return 0
		}
		for i := range min(len(x.Keys), len(y.Keys)) {
			if c := Natural(x.Keys[i].Value, y.Keys[i].Value); c != 0 {
				return c
			}
		}
		return 0
	})
	for _, c := range n.Children {
		c.natural()
	}
}

// Natural compares texts with the numbers in them by value.
func Natural(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			m, n := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
			if len(m) != len(n) {
				return len(m) - len(n)
			}
			if c := strings.Compare(m, n); c != 0 {
				return c
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

// quotes escapes what can't stand in double quotes.
var quotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// Quote is a value as the text has it: bare where that is unambiguous.
func Quote(s string) string {
	if s != "" && !strings.ContainsAny(s, `"'\;{}[]#`) && !strings.Contains(s, "/*") && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return s
	}
	return `"` + quotes.Replace(s) + `"`
}

// split cuts a line of set-commands as the router writes it into its words: the path,
// in which blanks may stand between brackets, and values.
func split(line string) ([]string, error) {
	var words []string
	rest := strings.TrimSpace(line)
	for rest != "" && rest[0] != '#' {
		word, after, err := cut(rest, len(words) == 1)
		if err != nil {
			return nil, err
		}
		words, rest = append(words, word), strings.TrimLeft(after, " \t")
	}
	return words, nil
}

func cut(s string, path bool) (word, rest string, err error) {
	if s[0] == '"' {
		return unquote(s)
	}
	inside := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case path && inside && c == '\\':
			i++
		case path && c == '[':
			inside = true
		case path && c == ']':
			inside = false
		case (c == ' ' || c == '\t') && !inside:
			return s[:i], s[i:], nil
		}
	}
	return s, "", nil
}

// unquote reads the quoted text that s begins with.
func unquote(s string) (word, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], nil
		case '\\':
			if i++; i == len(s) {
				return "", "", fmt.Errorf("the quote is not closed")
			}
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			default:
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", fmt.Errorf("the quote is not closed")
}
