package schema

import (
	"fmt"
	"slices"
	"strings"
)

// A Statement is what words say of one node: `interface eth1 mru 1600` is a leaf
// with its value, `interface eth1` an entry.
type Statement struct {
	Path   Path
	Values []string // of a leaf or leaf-list; none for the node itself
}

// Options say how far words go.
type Options struct {
	View   View
	Values bool // leaves take values, as in set; else a path ends at the leaf
	Some   bool // leaf-lists may take values, as in delete: some of theirs
	Whole  bool // a list may stand without keys
}

// A Walker follows words through the model. Next takes them one by one; what could
// come next is in Next's neighbours Children, Key and Leaf. It is made by NewWalker
// and not safe for concurrent use.
type Walker struct {
	opt   Options
	base  Path
	at    Path // where the next word is looked up
	done  []Statement
	leaf  bool     // the leaf at the end of at wants values
	vals  []string // of the leaf
	fresh bool     // no word has come
}

// NewWalker begins at base.
func NewWalker(base Path, opt Options) *Walker {
	return &Walker{opt: opt, base: base, at: base, fresh: true}
}

// A WordError is a word that the model has no place for.
type WordError struct {
	Msg    string
	Names  []string // what could stand there
	At, To int      // octets of the word that are wrong; To 0 for all
}

func (e *WordError) Error() string { return e.Msg }

// Fresh reports whether no word has come yet: an absolute path may.
func (w *Walker) Fresh() bool { return w.fresh }

// At is where the walker stands: the path of what has been said.
func (w *Walker) At() Path { return w.at }

// Key is the key whose value comes next, nil for none.
func (w *Walker) Key() *Node {
	if w.leaf {
		return nil
	}
	return w.at.MissingKey()
}

// Leaf is the leaf whose value comes next, nil for none.
func (w *Walker) Leaf() *Node {
	if w.leaf {
		return w.at.Node
	}
	return nil
}

// Given are the values of Leaf that have come.
func (w *Walker) Given() []string { return w.vals }

// Children are the nodes that may be named next: none where a key or a leaf's
// value is wanted.
func (w *Walker) Children() []*Node {
	n := w.at.Target()
	if w.leaf || w.at.MissingKey() != nil || n.Kind == Leaf || n.Kind == LeafList {
		return nil
	}
	if !w.opt.Values && len(w.done) > 0 {
		return nil
	}
	if len(w.done) == 0 {
		return n.Words(w.opt.View)
	}
	// Behind a leaf's value come its siblings.
	var leaves []*Node
	for _, c := range n.Words(w.opt.View) {
		if c.Kind == Leaf || c.Kind == LeafList {
			leaves = append(leaves, c)
		}
	}
	return leaves
}

// Next takes a word. A quoted one is never an abbreviation.
func (w *Walker) Next(word string, quoted bool) error {
	fresh := w.fresh
	w.fresh = false
	switch {
	case fresh && strings.HasPrefix(word, "/") && !quoted:
		return w.absolute(word)
	case w.leaf:
		return w.value(word, quoted)
	}
	if key := w.at.MissingKey(); key != nil {
		if word == "" {
			return &WordError{Msg: fmt.Sprintf("the key %s of %s wants a value", key.Name, w.at.Node.Name)}
		}
		if key.Type != nil && !IsPattern(word) {
			if err := key.Type.Check(word); err != nil {
				return &WordError{Msg: fmt.Sprintf("%s %s: %v", w.at.Node.Name, key.Name, err), Names: key.Type.Names()}
			}
		}
		w.at = w.at.WithKey(word)
		return nil
	}
	list := w.Children()
	n, err := pick(list, word, quoted)
	if err != nil {
		what := w.at.Words()
		if what == "" {
			what = "the configuration"
			if w.opt.View == State {
				what = "the router's state"
			}
		}
		if len(list) == 0 {
			err.Msg = fmt.Sprintf("%s ends here: nothing follows %q", what, w.at.Target().Name)
			if w.at.Target().Kind == LeafList {
				err.Msg += "; it is taken with all of its values"
			}
		} else {
			err.Msg = what + " " + err.Msg
		}
		return err
	}
	w.step(n)
	return nil
}

// step goes to a child of the words' view.
func (w *Walker) step(n *Node) {
	if n.Parent != w.at.Target() {
		w.at = w.at.Child(n.Parent)
	}
	w.at = w.at.Child(n)
	w.leaf = w.takes(n)
}

// takes reports whether values may follow the node.
func (w *Walker) takes(n *Node) bool {
	return w.opt.Values && n.Kind == Leaf || (w.opt.Values || w.opt.Some) && n.Kind == LeafList
}

func (w *Walker) absolute(word string) error {
	p, err := ParsePath(word)
	if err != nil {
		e, ok := err.(*PathError) //nolint:errorlint // ParsePath wraps none
		if !ok {
			return err
		}
		return &WordError{Msg: e.Msg, Names: e.Names, At: e.At, To: max(e.End, e.At+1)}
	}
	w.at = p
	w.leaf = w.takes(p.Target())
	return nil
}

// pick finds the node that a word names or abbreviates.
func pick(list []*Node, word string, quoted bool) (*Node, *WordError) {
	var found []*Node
	for _, n := range list {
		if n.Name == word {
			return n, nil
		}
		if !quoted && word != "" && strings.HasPrefix(n.Name, word) {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, &WordError{Msg: fmt.Sprintf("has no %s", Brief(word)), Names: names(list)}
	}
	return nil, &WordError{Msg: fmt.Sprintf("has several words that begin with %s: %s", Brief(word), strings.Join(names(found), ", "))}
}

// value takes a value of the leaf. A leaf takes one, and the words go on beside it;
// a leaf-list takes the rest, or a list in brackets.
func (w *Walker) value(word string, quoted bool) error {
	n := w.at.Node
	values := []string{word}
	if n.Kind == LeafList && !quoted && strings.HasPrefix(word, "[") && strings.HasSuffix(word, "]") {
		values = strings.Fields(strings.Trim(word, "[]"))
	}
	for i, v := range values {
		if n.Secret() {
			// What was typed is perhaps the secret itself: no message repeats it.
			if !strings.HasPrefix(v, "@") && n.Type.Check(v) != nil {
				return &WordError{Msg: n.Name + ": that is no hash of a password: end the line before it, and the password is asked for; or give @FILE"}
			}
			continue
		}
		full, err := n.Type.expand(v, quoted)
		if err != nil {
			return &WordError{Msg: fmt.Sprintf("%s: %v", n.Name, err), Names: n.Type.Names()}
		}
		values[i] = full
	}
	w.vals = append(w.vals, values...)
	if n.Kind == Leaf {
		w.finish()
	}
	return nil
}

// expand completes an abbreviated name, and checks the value.
func (t *Type) expand(v string, quoted bool) (string, error) {
	err := t.Check(v)
	if err == nil || quoted {
		return v, err
	}
	var found []string
	for _, name := range t.Names() {
		if v != "" && strings.HasPrefix(name, v) {
			found = append(found, name)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return v, err
}

// finish ends the statement of a leaf and goes back to where its siblings are.
func (w *Walker) finish() {
	w.done = append(w.done, Statement{Path: w.at, Values: w.vals})
	w.at, w.leaf, w.vals = w.at.Up(1), false, nil
}

// End takes the end of the words and returns what they said: one statement, or
// several of sibling leaves.
func (w *Walker) End() ([]Statement, error) {
	if w.leaf {
		if len(w.vals) == 0 && !w.at.Node.Secret() && !w.opt.Some {
			return nil, &WordError{Msg: fmt.Sprintf("%s wants a value: %s", w.at.Node.Name, w.at.Node.ValueHelp())}
		}
		w.finish()
	}
	if len(w.done) > 0 {
		return w.done, nil
	}
	if key := w.at.MissingKey(); key != nil && !w.opt.Whole {
		return nil, &WordError{Msg: fmt.Sprintf("%s wants its key %s: %s", w.at.Node.Name, key.Name, key.ValueHelp())}
	}
	return []Statement{{Path: w.at}}, nil
}

// ValueHelp says what a value of the leaf is: type, bounds, units and default.
func (n *Node) ValueHelp() string {
	if n.Type == nil {
		return ""
	}
	parts := []string{n.Type.Describe()}
	if list := n.Type.Names(); len(list) > 0 && len(list) <= 8 {
		parts[0] = strings.Join(list, " | ")
	}
	if n.Units != "" {
		parts = append(parts, n.Units)
	}
	if len(n.Default) > 0 {
		parts = append(parts, "default "+strings.Join(n.Default, " "))
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}
