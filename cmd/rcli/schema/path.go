package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A Key is the value of one key of a list entry.
type Key struct{ Name, Value string }

// An Elem is one step of a path. A list without keys is the list itself.
type Elem struct {
	Name string
	Keys []Key
}

// A Path leads to a node of the real tree, or to a list entry. Its zero value is
// the root. Paths are values: functions that extend one make a new one.
type Path struct {
	Elems []Elem
	Node  *Node // nil for the root's zero value
}

// Target is the node that the path leads to.
func (p Path) Target() *Node {
	if p.Node == nil {
		return Root()
	}
	return p.Node
}

// IsRoot reports whether the path is that of the whole tree.
func (p Path) IsRoot() bool { return len(p.Elems) == 0 }

// IsPattern reports whether a key is a wildcard or a range, as in eth[0-3].
func (p Path) IsPattern() bool {
	return slices.ContainsFunc(p.Elems, func(e Elem) bool {
		return slices.ContainsFunc(e.Keys, func(k Key) bool { return IsPattern(k.Value) })
	})
}

// IsPattern reports whether a key as it was typed stands for several.
func IsPattern(key string) bool { return strings.ContainsAny(key, "*?[") }

// Child extends the path by one step of the real tree.
func (p Path) Child(n *Node) Path {
	return Path{Elems: append(slices.Clip(p.Elems), Elem{Name: n.Name}), Node: n}
}

// WithKey gives the last step, a list's, its next key.
func (p Path) WithKey(value string) Path {
	elems := slices.Clone(p.Elems)
	last := &elems[len(elems)-1]
	last.Keys = append(slices.Clip(last.Keys), Key{Name: p.Node.Keys[len(last.Keys)].Name, Value: value})
	return Path{Elems: elems, Node: p.Node}
}

// MissingKey is the key that the last step's list still wants; nil for none.
func (p Path) MissingKey() *Node {
	if len(p.Elems) == 0 || p.Node.Kind != List {
		return nil
	}
	if n := len(p.Elems[len(p.Elems)-1].Keys); n < len(p.Node.Keys) {
		return p.Node.Keys[n]
	}
	return nil
}

// Up is the path n words up: config and state are no words, and a list entry goes
// with its keys. It is the root at last.
func (p Path) Up(n int) Path {
	for ; n > 0 && len(p.Elems) > 0; n-- {
		p = p.parent()
		for len(p.Elems) > 0 && p.Node.hidden() {
			p = p.parent()
		}
	}
	return p
}

func (p Path) parent() Path {
	up := Path{Elems: slices.Clip(p.Elems[:len(p.Elems)-1])}
	if len(up.Elems) > 0 {
		up.Node = p.Node.Parent
	}
	return up
}

// hidden reports whether words leave the node out.
func (n *Node) hidden() bool {
	return n.Kind == Container && (n.Name == "config" || n.Name == "state")
}

var keyEscapes = strings.NewReplacer(`\`, `\\`, `]`, `\]`)

// String is the path in gNMI's text form, "/" for the root.
func (p Path) String() string {
	if len(p.Elems) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, e := range p.Elems {
		b.WriteString("/" + e.Name)
		for _, k := range e.Keys {
			b.WriteString("[" + k.Name + "=" + keyEscapes.Replace(k.Value) + "]")
		}
	}
	return b.String()
}

// Words is the path as the shell's words name it, "" for the root.
func (p Path) Words() string {
	var words []string
	n := Root()
	for _, e := range p.Elems {
		if n = n.Child(e.Name); n == nil || !n.hidden() {
			words = append(words, e.Name)
		}
		for _, k := range e.Keys {
			words = append(words, Quote(k.Value))
		}
		if n == nil {
			break
		}
	}
	return strings.Join(words, " ")
}

// quotes escapes what can't stand in double quotes.
var quotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// Quote is a value as a word of the shell: bare where that is unambiguous.
func Quote(s string) string {
	if s != "" && s[0] != '#' && !strings.ContainsFunc(s, quotable) {
		return s
	}
	return `"` + quotes.Replace(s) + `"`
}

// quotable reports whether a value with the character stands in quotes. All blanks are, those
// that don't break a line too: the router's language ends a word there.
func quotable(r rune) bool {
	return strings.ContainsRune("\"'\\|", r) || unicode.IsSpace(r) || !unicode.IsPrint(r)
}

// Brief is a word as messages quote it, the beginning of a long one.
func Brief(word string) string {
	const most = 60
	if n := 0; len(word) > most {
		for i := range word {
			if n++; n > most {
				return strconv.Quote(word[:i]) + "..."
			}
		}
	}
	return strconv.Quote(word)
}

// A PathError is a mistake in a path, at an octet of its text.
type PathError struct {
	At, End int
	Msg     string
	Names   []string // what could stand there
}

func (e *PathError) Error() string { return e.Msg }

// ParsePath reads an absolute path in gNMI's text form against the model. List keys
// may be left out at the path's end and, with all of them, anywhere before it.
func ParsePath(text string) (Path, error) {
	p := Path{}
	rest, at := text, 0
	for {
		trimmed := strings.TrimLeft(rest, "/")
		at += len(rest) - len(trimmed)
		if rest = trimmed; rest == "" {
			return p, nil
		}
		end := strings.IndexAny(rest, "/[")
		if end < 0 {
			end = len(rest)
		}
		name := rest[:end]
		if _, local, ok := strings.Cut(name, ":"); ok {
			name = local
		}
		n := p.Target().Child(name)
		if n == nil {
			return p, &PathError{At: at, End: at + end, Msg: fmt.Sprintf("%s has no node %s", p.Target(), Brief(name)), Names: names(p.Target().children)}
		}
		p = p.Child(n)
		rest, at = rest[end:], at+end
		for strings.HasPrefix(rest, "[") {
			key, value, used, err := parseKey(rest)
			if err != nil {
				return p, &PathError{At: at, End: at + len(rest), Msg: err.Error()}
			}
			if !slices.ContainsFunc(n.Keys, func(k *Node) bool { return k.Name == key }) {
				return p, &PathError{At: at + 1, End: at + 1 + len(key), Msg: fmt.Sprintf("%s has no key %s", n, Brief(key)), Names: names(n.Keys)}
			}
			last := &p.Elems[len(p.Elems)-1]
			last.Keys = append(last.Keys, Key{key, value})
			rest, at = rest[used:], at+used
		}
		last := &p.Elems[len(p.Elems)-1]
		slices.SortStableFunc(last.Keys, func(a, b Key) int { return keyIndex(n, a.Name) - keyIndex(n, b.Name) })
		if len(last.Keys) > 0 && len(last.Keys) < len(n.Keys) {
			return p, &PathError{At: at, End: at, Msg: fmt.Sprintf("%s has the keys %s: give all of them", n, strings.Join(names(n.Keys), " "))}
		}
	}
}

func keyIndex(n *Node, name string) int {
	return slices.IndexFunc(n.Keys, func(k *Node) bool { return k.Name == name })
}

func names(list []*Node) []string {
	out := make([]string, len(list))
	for i, n := range list {
		out[i] = n.Name
	}
	return out
}

// parseKey reads [name=value] at the start of text. The value may have brackets
// in pairs, as in eth[0-3], and a bracket behind a backslash.
func parseKey(text string) (name, value string, used int, err error) {
	name, _, ok := strings.Cut(text[1:], "=")
	if !ok || strings.ContainsAny(name, "[]/") {
		return "", "", 0, fmt.Errorf("want a key such as [name=eth1]")
	}
	// As a path is written by String, every closing bracket of a value is escaped.
	for _, pairs := range []bool{true, false} {
		if value, end, ok := keyValue(text, 1+len(name)+1, pairs); ok {
			return name, value, end, nil
		}
	}
	return "", "", 0, fmt.Errorf("the bracket of key %s is not closed", name)
}

// keyValue reads a value up to the bracket that ends it, past brackets in pairs or
// not.
func keyValue(text string, at int, pairs bool) (value string, end int, ok bool) {
	var b strings.Builder
	depth := 0
	for i := at; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
			continue
		case c == '[' && pairs:
			depth++
		case c == ']' && depth == 0:
			return b.String(), i + 1, true
		case c == ']':
			depth--
		}
		b.WriteByte(text[i])
	}
	return "", 0, false
}
