package tree

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// A Path is a gNMI path's elements, from the root down. Paths that a function
// of this package returns or passes on are concrete: no wildcards, no missing keys, no module
// names. Their elements are shared and must not be changed.
type Path []*gnmi.PathElem

// String is the path in gNMI's text form, "/interface[name=ge0]/config", with
// the keys of an element in the order of their names.
func (p Path) String() string {
	if len(p) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, e := range p {
		b.WriteByte('/')
		writeElem(&b, e)
	}
	return b.String()
}

func writeElem(b *strings.Builder, e *gnmi.PathElem) {
	b.WriteString(e.GetName())
	switch len(e.GetKey()) {
	case 0:
		return
	case 1:
		for k, v := range e.GetKey() {
			writeKey(b, k, v)
		}
		return
	}
	for _, k := range slices.Sorted(maps.Keys(e.GetKey())) {
		writeKey(b, k, e.GetKey()[k])
	}
}

// elemLen is how many octets of a path's text e is, with the slash before it.
func elemLen(e *gnmi.PathElem) int {
	n := 1 + len(e.GetName())
	for k, v := range e.GetKey() {
		n += len(k) + len(v) + len("[=]") + strings.Count(v, `\`) + strings.Count(v, "]")
	}
	return n
}

var keyEscaper = strings.NewReplacer(`\`, `\\`, `]`, `\]`)

func writeKey(b *strings.Builder, k, v string) {
	b.WriteByte('[')
	b.WriteString(k)
	b.WriteByte('=')
	if strings.ContainsAny(v, `\]`) {
		v = keyEscaper.Replace(v)
	}
	b.WriteString(v)
	b.WriteByte(']')
}

// Child is a new path, p and then e.
func (p Path) Child(e *gnmi.PathElem) Path {
	return append(p[:len(p):len(p)], e)
}

// Named is a new path, p and then an element without keys.
func (p Path) Named(name string) Path { return p.Child(&gnmi.PathElem{Name: name}) }

// HasPrefix reports whether p is prefix or lies below it; both are concrete.
func (p Path) HasPrefix(prefix Path) bool {
	if len(p) < len(prefix) {
		return false
	}
	for i, e := range prefix {
		if p[i].GetName() != e.GetName() || !maps.Equal(p[i].GetKey(), e.GetKey()) {
			return false
		}
	}
	return true
}

// An ErrorKind says what is wrong with an operation or a path.
type ErrorKind uint8

const (
	Malformed   ErrorKind = iota // the path can't be understood
	Unknown                      // the model has no such node
	Invalid                      // the value, or the operation on this node, is refused
	Unsupported                  // the encoding or the feature is not implemented
	Denied                       // who asks for it may not do it
)

// An Error is one thing wrong with the node at Path.
type Error struct {
	Kind ErrorKind
	Path string
	Err  error
}

func (e *Error) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap gives the reason without the path.
func (e *Error) Unwrap() error { return e.Err }

func errorAt(kind ErrorKind, p Path, format string, args ...any) *Error {
	return &Error{Kind: kind, Path: p.String(), Err: fmt.Errorf(format, args...)}
}

const anyName = "*"

// Check finds out whether the pattern p (which may have wildcards and missing
// keys) can match anything that the model allows. The error is an [*Error]
// that names the first element that can't.
func (s *Schema) Check(p Path) error {
	if s.plain(p) != nil {
		return nil
	}
	for i, e := range p {
		if err := checkElem(e); err != nil {
			return &Error{Kind: Malformed, Path: p[:i+1].String(), Err: err}
		}
	}
	nodes := map[*Node]bool{s.Root: true}
	for i, e := range p {
		next := make(map[*Node]bool)
		var bad error
		for n := range nodes {
			for _, c := range patternChildren(n, e.GetName()) {
				if err := checkKeys(c, e); err != nil {
					bad = err
					continue
				}
				next[c] = true
			}
		}
		if len(next) > 0 {
			nodes = next
			continue
		}
		if bad != nil {
			return &Error{Kind: Malformed, Path: p[:i+1].String(), Err: bad}
		}
		return errorAt(Unknown, p[:i+1], "the model has no node %q here%s", e.GetName(), suggestion(nodes))
	}
	return nil
}

// plain is the node of a path without wildcards among its names; nil where there is one, and
// for a path that is not sound.
func (s *Schema) plain(p Path) *Node {
	n := s.Root
	for _, e := range p {
		// A wildcard is the name of no node.
		if n = n.Child(e.GetName()); n == nil || checkElem(e) != nil || checkKeys(n, e) != nil {
			return nil
		}
	}
	return n
}

// Nodes lists the schema nodes that the pattern p can match; p passed Check.
func (s *Schema) Nodes(p Path) []*Node {
	if n := s.plain(p); n != nil {
		return []*Node{n}
	}
	nodes := []*Node{s.Root}
	for _, e := range p {
		var next []*Node
		for _, n := range nodes {
			for _, c := range patternChildren(n, e.GetName()) {
				if !slices.Contains(next, c) {
					next = append(next, c)
				}
			}
		}
		nodes = next
	}
	return nodes
}

// patternChildren are the nodes that an element's name can stand for below n.
// "..." stands for n itself and everything below.
func patternChildren(n *Node, name string) []*Node {
	switch name {
	case anyName:
		return n.Children
	case "...":
		all := []*Node{n}
		for i := 0; i < len(all); i++ {
			all = append(all, all[i].Children...)
		}
		return all
	}
	if c := n.Child(name); c != nil {
		return []*Node{c}
	}
	return nil
}

func checkElem(e *gnmi.PathElem) error {
	switch {
	case e.GetName() == "":
		return errors.New("an element without a name")
	case e.GetName() == "..." && len(e.GetKey()) > 0:
		return errors.New("\"...\" takes no keys")
	case strings.ContainsAny(e.GetName(), "[]/= "):
		return fmt.Errorf("the name %q has characters that no node has: put keys into the element's key map", e.GetName())
	}
	return nil
}

// checkKeys reports keys that the node doesn't have.
func checkKeys(n *Node, e *gnmi.PathElem) error {
	for k := range e.GetKey() {
		if n.Kind != List {
			return fmt.Errorf("%s is no list and takes no key %q", n.Name, k)
		}
		if !slices.ContainsFunc(n.Keys, func(l *Node) bool { return l.Name == k }) {
			return fmt.Errorf("list %s has no key %q, but %s", n.Name, k, n.keyNames())
		}
	}
	return nil
}

func (n *Node) keyNames() string {
	names := make([]string, len(n.Keys))
	for i, k := range n.Keys {
		names[i] = k.Name
	}
	return strings.Join(names, ", ")
}

// suggestion names what could have stood there, when that is short.
func suggestion(nodes map[*Node]bool) string {
	var names []string
	for n := range nodes {
		for _, c := range n.Children {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 || len(names) > 24 {
		return ""
	}
	return "; there are " + strings.Join(names, ", ")
}

// Parse reads a path in gNMI's text form, such as
// "/interface[name=ge0]/unit[id=0]/config". It is the inverse of String; "",
// and "/" are the root. Errors name the place.
func Parse(text string) (Path, error) {
	var p Path
	s := strings.TrimPrefix(text, "/")
	for s != "" {
		end := strings.IndexAny(s, "/[")
		if end < 0 {
			end = len(s)
		}
		e := &gnmi.PathElem{Name: s[:end]}
		if e.Name == "" || strings.ContainsAny(e.Name, "]=") {
			return nil, fmt.Errorf("path %q: bad element name %q", text, e.Name)
		}
		s = s[end:]
		for strings.HasPrefix(s, "[") {
			k, v, rest, err := parseKey(s)
			if err != nil {
				return nil, fmt.Errorf("path %q: element %s: %w", text, e.Name, err)
			}
			if _, dup := e.Key[k]; dup {
				return nil, fmt.Errorf("path %q: element %s: key %q twice", text, e.Name, k)
			}
			if e.Key == nil {
				e.Key = make(map[string]string, 1)
			}
			e.Key[k], s = v, rest
		}
		p = append(p, e)
		if s == "" {
			break
		}
		if s[0] != '/' || s == "/" {
			return nil, fmt.Errorf("path %q: %q after element %s", text, s, e.Name)
		}
		s = s[1:]
	}
	return p, nil
}

// parseKey reads "[k=v]" from the start of s.
func parseKey(s string) (k, v, rest string, err error) {
	k, s, ok := strings.Cut(s[1:], "=")
	if !ok || k == "" || strings.ContainsAny(k, "[]/") {
		return "", "", "", fmt.Errorf("a key must read [name=value]")
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i == len(s) {
				return "", "", "", fmt.Errorf("key %q ends in a lone backslash", k)
			}
			b.WriteByte(s[i])
		case ']':
			return k, b.String(), s[i+1:], nil
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", "", fmt.Errorf("key %q has no closing bracket", k)
}
