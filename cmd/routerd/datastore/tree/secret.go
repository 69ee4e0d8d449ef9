package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// Hidden is what reads give for a secret that is set. Written back, it keeps
// the secret that is there (see [Schema.KeepSecrets]).
const Hidden = "<hidden>"

// errSecret is what is wrong with a secret's value. The value is no part of it: it
// may be a password that somebody took for its hash.
var errSecret = errors.New("is a secret that can't be taken as it is: write a bcrypt hash with a cost of 10 to 14, such as rcli hash-password prints, or " + Hidden + " for the one that is there")

var hiddenValue = reflect.ValueOf(Hidden)

// secretType is the typedef whose leaves are secrets (routerd-types.yang).
const secretType = "crypt-hash"

// IsSecret reports whether the leaf's value is shown to nobody.
func (n *Node) IsSecret() bool { return n.secret }

func isSecretType(name string) bool {
	return name == secretType || strings.HasSuffix(name, ":"+secretType)
}

// KeepSecrets puts the secrets that are there, as current tells them by path, in
// place of Hidden, and returns the operations that ask for it, or ops itself when
// none does. Hidden where nothing is there stays, and is no valid value. The cost
// follows the operations that mention Hidden.
func (s *Schema) KeepSecrets(ops []Op, current func(Path) (string, bool)) []Op {
	out := ops
	for i, op := range ops {
		v, ok := s.keepSecrets(op, current)
		if !ok {
			continue
		}
		if &out[0] == &ops[0] {
			out = append([]Op(nil), ops...)
		}
		out[i].Value = v
	}
	return out
}

func (s *Schema) keepSecrets(op Op, current func(Path) (string, bool)) (*gnmi.TypedValue, bool) {
	var text []byte
	switch v := op.Value.GetValue().(type) {
	case *gnmi.TypedValue_JsonVal:
		text = v.JsonVal
	case *gnmi.TypedValue_JsonIetfVal:
		text = v.JsonIetfVal
	case *gnmi.TypedValue_StringVal:
		text = []byte(v.StringVal)
	case *gnmi.TypedValue_AsciiVal: // of set-commands
		text = []byte(v.AsciiVal)
	default:
		return nil, false
	}
	// JSON may spell the brackets as \u003c and \u003e.
	if !bytes.Contains(text, []byte("hidden")) {
		return nil, false
	}
	n, p, err := s.concrete(op.Path)
	if err != nil {
		return nil, false
	}
	v, derr := decode(op.Value)
	if derr != nil {
		return nil, false
	}
	k := secretKeeper{current: current}
	kept := k.keep(n, p, v.plain())
	if !k.kept {
		return nil, false
	}
	if v.scalar {
		text, _ := kept.(string)
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: text}}, true
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return nil, false // it came out of a decoder
	}
	if _, plain := op.Value.GetValue().(*gnmi.TypedValue_JsonVal); plain {
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonVal{JsonVal: b}}, true
	}
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: b}}, true
}

// A secretKeeper walks one value.
type secretKeeper struct {
	current func(Path) (string, bool)
	kept    bool
}

// keep is v, of node n at p, with the secrets that are there. What doesn't follow
// the model is left to the editor, which says so.
func (k *secretKeeper) keep(n *Node, p Path, v any) any {
	if n.IsLeaf() {
		if n.secret && (v == any(Hidden) || v == fromText(Hidden)) {
			if secret, ok := k.current(p); ok {
				k.kept = true
				return secret
			}
		}
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			c := n.Child(name)
			if c == nil {
				continue
			}
			v[name] = k.keep(c, p.Named(c.Name), member)
		}
	case []any:
		if n.Kind != List {
			return v
		}
		for i, item := range v {
			obj, ok := item.(map[string]any)
			if !ok {
				continue
			}
			if el, err := n.bodyElem(obj); err == nil {
				v[i] = k.keep(n, p[:len(p)-1].Child(el), obj)
			}
		}
	}
	return v
}

// Canonical is the pattern p, which passed Check, as the paths of walks are
// spelled: without names of modules, and keys in the form that the model gives
// them. A key that its type doesn't allow stays as it is.
func (s *Schema) Canonical(p Path) Path {
	out := make(Path, len(p))
	nodes := []*Node{s.Root}
	for i, e := range p {
		var next []*Node
		for _, n := range nodes {
			next = append(next, patternChildren(n, e.GetName())...)
		}
		nodes = next
		out[i] = e
		if e.GetName() == anyName || e.GetName() == "..." || len(nodes) == 0 {
			continue
		}
		n := nodes[0]
		made := &gnmi.PathElem{Name: n.Name}
		for name, value := range e.GetKey() {
			if made.Key == nil {
				made.Key = make(map[string]string, len(e.GetKey()))
			}
			made.Key[name] = n.canonicalKey(name, value)
		}
		out[i] = made
	}
	return out
}

func (n *Node) canonicalKey(name, value string) string {
	k := n.index[name]
	if value == anyName || k == nil {
		return value
	}
	holder := reflect.New(n.typ)
	if err := k.set(holder, fromText(value)); err != nil {
		return value
	}
	return textOf(holder.Elem().Field(k.field))
}

// Leaves calls visit with the path of every leaf that writing v at the
// concrete path p would set, and of every list entry that it gives nothing but its
// keys; keys themselves are left out. Paths are canonical. ok is false for what is no value of the
// model there; the editor says what is wrong with it.
func (s *Schema) Leaves(p Path, v *gnmi.TypedValue, visit func(Path)) (ok bool) {
	n, at, err := s.concrete(p)
	if err != nil {
		return false
	}
	decoded, derr := decode(v)
	if derr != nil {
		return false
	}
	return n.leaves(at, decoded.plain(), visit)
}

func (n *Node) leaves(p Path, v any, visit func(Path)) bool {
	if n.IsLeaf() {
		visit(p)
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		if n.Kind == List {
			return n.entryLeaves(p, v, visit)
		}
		for name, member := range v {
			c := n.Child(name)
			if c == nil || !c.leaves(p.Named(c.Name), member, visit) {
				return false
			}
		}
		return true
	case []any:
		for _, item := range v {
			obj, ok := item.(map[string]any)
			if !ok || n.Kind != List {
				return false
			}
			el, err := n.bodyElem(obj)
			if err != nil || !n.entryLeaves(p[:len(p)-1].Child(el), obj, visit) {
				return false
			}
		}
		return true
	}
	return false
}

// entryLeaves is leaves for an entry of list n at p.
func (n *Node) entryLeaves(p Path, obj map[string]any, visit func(Path)) bool {
	some := false
	for name, member := range obj {
		c := n.Child(name)
		if c == nil {
			return false
		}
		if c.IsKey() {
			continue
		}
		if !c.leaves(p.Named(c.Name), member, func(leaf Path) {
			some = true
			visit(leaf)
		}) {
			return false
		}
	}
	if !some {
		visit(p)
	}
	return true
}

// bodyElem is the path element of an entry given as an object.
func (n *Node) bodyElem(obj map[string]any) (*gnmi.PathElem, error) {
	entry, _, err := n.bodyEntry(func(name string) (any, bool) { v, ok := obj[name]; return v, ok })
	if err != nil {
		return nil, err
	}
	return n.elem(entry), nil
}
