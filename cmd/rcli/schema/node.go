// Package schema is the model as the shell shows it: YANG's tree in words.
//
// Words leave out the containers config and state of the OpenConfig style, and a
// list is followed by the values of its keys:
//
//	interface eth1 unit 0 family inet address 192.0.2.1/24
//	/interface[name=eth1]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]
//
// Everything comes from the schema that gen carries: a new leaf in yang/ needs no
// change here. Nodes are made once and never change: they are safe for concurrent
// use.
package schema

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/openconfig/goyang/pkg/yang"

	"router/gen"
)

// A Kind is what a node is (RFC 7950, section 7).
type Kind uint8

// The kinds of nodes that the model uses.
const (
	Container Kind = iota
	List
	Leaf
	LeafList
)

// A View chooses which side of the model words walk.
type View uint8

// Config walks what can be configured, State what the router says of itself.
const (
	Config View = iota
	State
)

// A Node is a node of the model.
type Node struct {
	Name      string
	Kind      Kind
	Help      string // the whole description
	Default   []string
	Units     string
	Config    bool // false: state
	Mandatory bool
	IsKey     bool // the key of a list, or its copy in config or state
	Ordered   bool // a list that its user orders
	Keys      []*Node
	Type      *Type  // of a leaf or leaf-list, through leafrefs; nil for others
	Refers    string // path of the list whose keys the value names, "" for none
	Parent    *Node

	children []*Node // by name
	index    map[string]*Node
	words    [2][]*Node // by View
}

// Root is the root of the model.
func Root() *Node { return root() }

var root = sync.OnceValue(func() *Node {
	n := build(gen.SchemaTree["Device"], nil, true)
	n.Name = ""
	n.resolve()
	lists := map[string][]*Node{}
	n.keyTypes(lists)
	n.refer(lists)
	n.spell()
	return n
})

// keyTypes collects the lists that are configured by the typedef of their key.
func (n *Node) keyTypes(lists map[string][]*Node) {
	if n.Kind == List && n.Config && len(n.Keys) == 1 && n.Keys[0].Type != nil {
		name := n.Keys[0].Type.Name
		lists[name] = append(lists[name], n)
	}
	for _, c := range n.children {
		c.keyTypes(lists)
	}
}

// refer finds what leaves refer to that don't say it: where the keys of a single list
// are of a typedef whose name ends in -name, a value of that typedef is one of them.
func (n *Node) refer(lists map[string][]*Node) {
	if n.Refers == "" && n.Type != nil && !n.IsKey && strings.HasSuffix(n.Type.Name, "-name") && len(lists[n.Type.Name]) == 1 {
		n.Refers = lists[n.Type.Name][0].Path()
	}
	for _, c := range n.children {
		c.refer(lists)
	}
}

// entryRule is a must that wants an entry with the value as its key.
var entryRule = regexp.MustCompile(`^(/[\w-]+)\[config/[\w-]+ = current\(\)\]$`)

func build(e *yang.Entry, parent *Node, config bool) *Node {
	n := &Node{Name: e.Name, Help: e.Description, Default: e.Default, Units: e.Units, Parent: parent, Mandatory: e.Mandatory == yang.TSTrue, index: map[string]*Node{}}
	n.Config = config && e.Config != yang.TSFalse
	switch {
	case e.IsLeaf():
		n.Kind = Leaf
	case e.IsLeafList():
		n.Kind = LeafList
	case e.IsList():
		n.Kind = List
		n.Ordered = e.ListAttr != nil && e.ListAttr.OrderedByUser
	}
	if e.ListAttr != nil && e.ListAttr.MinElements > 0 {
		n.Mandatory = true
	}
	if e.Type != nil {
		n.Type = newType(e.Type)
		n.Units = cmp.Or(n.Units, e.Type.Units)
		if len(n.Default) == 0 && e.Type.HasDefault {
			n.Default = []string{e.Type.Default}
		}
	}
	for _, x := range e.Exts {
		if strings.HasSuffix(x.Keyword, ":refers-to") {
			n.Refers = x.Argument
		}
	}
	for _, m := range e.Extra["must"] {
		// A rule that asks for an entry says what its value refers to.
		if m, ok := m.(map[string]any); ok && n.Refers == "" {
			if found := entryRule.FindStringSubmatch(fmt.Sprint(m["Name"])); found != nil {
				n.Refers = found[1]
			}
		}
	}
	n.take(e, false)
	slices.SortFunc(n.children, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	for _, k := range strings.Fields(e.Key) {
		if key := n.index[k]; key != nil {
			n.Keys = append(n.Keys, key)
			key.IsKey = true
			for _, side := range []string{"config", "state"} {
				if s := n.index[side]; s != nil && s.index[k] != nil {
					s.index[k].IsKey = true
				}
			}
		}
	}
	return n
}

// take makes the nodes below an entry. A choice and its cases are no nodes: what they
// have stands in their place; of a mandatory choice each of it has to be there as long
// as nothing else of it is.
func (n *Node) take(e *yang.Entry, mandatory bool) {
	for name, child := range e.Dir {
		if child.IsChoice() || child.IsCase() {
			n.take(child, mandatory || child.Mandatory == yang.TSTrue)
			continue
		}
		c := build(child, n, n.Config)
		c.Name = name
		c.Mandatory = c.Mandatory || mandatory
		n.children = append(n.children, c)
		n.index[name] = c
	}
}

// resolve gives leafrefs the type of what they point to: a key its copy's, with
// its description.
func (n *Node) resolve() {
	for hops, at := 0, n; n.Type != nil && n.Type.path != "" && hops < 8; hops++ {
		to := at.follow(at.Type.path)
		if to == nil || to.Type == nil {
			break
		}
		if n.IsKey && to.IsKey {
			n.Help = to.Help
		} else if list := to.List(); list != nil && n.Refers == "" {
			n.Refers = list.Path()
		}
		if at = to; to.Type.path == "" {
			n.Type, n.Units = to.Type, cmp.Or(n.Units, to.Units)
			break
		}
	}
	for _, c := range n.children {
		c.resolve()
	}
}

// follow follows the path of a leafref, predicates left out.
func (n *Node) follow(path string) *Node {
	at := n
	if strings.HasPrefix(path, "/") {
		for at.Parent != nil {
			at = at.Parent
		}
	}
	for part := range strings.SplitSeq(path, "/") {
		if part, _, _ = strings.Cut(part, "["); part == "" {
			continue
		}
		if _, local, ok := strings.Cut(part, ":"); ok {
			part = local
		}
		if at == nil {
			return nil
		}
		if part == ".." {
			at = at.Parent
		} else {
			at = at.index[part]
		}
	}
	return at
}

// List is the list that the leaf is a key of, or a copy of a key; nil for
// others.
func (n *Node) List() *Node {
	if !n.IsKey {
		return nil
	}
	p := n.Parent
	if p.Kind != List {
		p = p.Parent
	}
	return p
}

// spell fills in the children in words.
func (n *Node) spell() {
	for _, c := range n.children {
		c.spell()
	}
	n.words[Config] = n.spelled("config", func(c *Node) bool { return c.Config })
	n.words[State] = n.spelled("state", func(c *Node) bool { return !c.Config || c.Kind == Container || c.Kind == List })
}

func (n *Node) spelled(through string, keep func(*Node) bool) []*Node {
	var list []*Node
	for _, c := range n.children {
		switch {
		case c.IsKey || !keep(c):
		case c.Kind == Container && (c.Name == "config" || c.Name == "state"):
			if c.Name == through {
				for _, leaf := range c.children {
					if !leaf.IsKey && keep(leaf) {
						list = append(list, leaf)
					}
				}
			}
		default:
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Child is the child of that name, nil for none. It is the real tree's: config
// and state are children.
func (n *Node) Child(name string) *Node { return n.index[name] }

// Children are the children in the real tree, by name. The caller must not change
// them.
func (n *Node) Children() []*Node { return n.children }

// Words are the children as words name them, by name: what stands in config (or
// state) stands in its parent, and keys are left out. The caller must not change
// them.
func (n *Node) Words(v View) []*Node { return n.words[v] }

// Path is the node's schema path, /interface/unit/config/enabled.
func (n *Node) Path() string {
	if n.Parent == nil {
		return ""
	}
	return n.Parent.Path() + "/" + n.Name
}

// String is Path, "/" for the root.
func (n *Node) String() string { return cmp.Or(n.Path(), "/") }

// Summary is the first sentence of the description.
func (n *Node) Summary() string { return sentence(n.Help) }

func sentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for i := range len(text) {
		if text[i] == '.' && (i+1 == len(text) || text[i+1] == ' ') {
			return text[:i]
		}
	}
	return text
}

// Find is the node at a schema path such as /instance/config/name.
func Find(path string) (*Node, error) {
	n := Root().follow(path)
	if n == nil {
		return nil, fmt.Errorf("%s: the model has no such node", path)
	}
	return n, nil
}

// Bookkeeping reports whether n is the list in which the router keeps what is inactive
// and what is noted of nodes: commands of their own change it, and help doesn't offer it.
func (n *Node) Bookkeeping() bool {
	return n.Name == "mark" && n.Kind == List && n.Parent != nil && n.Parent.Parent == nil
}

// Secret reports whether n is a leaf whose value nobody is shown. What is set is a hash,
// which is made of what a person types.
func (n *Node) Secret() bool { return n.Kind == Leaf && n.Type != nil && n.Type.secret() }

// Secrets are the names of the leaves of the configuration that hold secrets.
func Secrets() []string {
	var names []string
	var find func(n *Node)
	find = func(n *Node) {
		if n.Secret() && n.Config && !slices.Contains(names, n.Name) {
			names = append(names, n.Name)
		}
		for _, c := range n.children {
			find(c)
		}
	}
	find(Root())
	return names
}
