package command

import (
	"slices"
	"strings"

	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
)

// A Formatter writes the leaves of a walk as commands. State, which can't be
// set, becomes comments, so that the text can be loaded as it is. The zero
// Formatter is ready; it is not safe for concurrent use.
type Formatter struct {
	b strings.Builder
	// bare is the innermost list entry of which only keys have come: it needs a
	// line of its own unless something below it gets one.
	bare tree.Path
	last tree.Path // of the last line
}

// Add writes one leaf. Leaves come in the order of a [tree.Walker].
func (f *Formatter) Add(l tree.LeafValue) {
	switch {
	case l.Extra: // a key whose entry comes by another leaf
	case !l.Node.Config:
		if !l.Node.IsKey() {
			f.endEntry(l.Path)
			f.b.WriteString("# ")
			f.b.WriteString(strings.TrimRight(pathWord(l.Path.String())+" "+Value(l.Value), " "))
			f.b.WriteByte('\n')
		}
	case l.Node.IsKey():
		f.entry(l.Path[:len(l.Path)-1])
	case l.Node.KeyCopy:
		f.entry(l.Path[:len(l.Path)-2])
	default:
		f.endEntry(l.Path)
		f.line(verbSet, l.Path, Value(l.Value))
	}
}

// entry notes that the list entry p exists.
func (f *Formatter) entry(p tree.Path) {
	if f.bare.HasPrefix(p) && len(f.bare) > 0 || f.last.HasPrefix(p) && len(f.last) > 0 {
		return // something below it says so
	}
	f.endEntry(p)
	f.bare = p
}

// endEntry writes the line of an entry that had nothing but keys, now that the
// node at next follows.
func (f *Formatter) endEntry(next tree.Path) {
	if len(f.bare) > 0 && !next.HasPrefix(f.bare) {
		f.line(verbSet, f.bare, "")
	}
	f.bare = nil
}

func (f *Formatter) line(verb string, p tree.Path, value string) {
	f.last = p
	f.b.WriteString(verb)
	f.b.WriteByte(' ')
	f.b.WriteString(pathWord(p.String()))
	if value != "" {
		f.b.WriteByte(' ')
		f.b.WriteString(value)
	}
	f.b.WriteByte('\n')
}

// Text ends the walk and returns the commands, each with its line feed.
func (f *Formatter) Text() string {
	if len(f.bare) > 0 {
		f.line(verbSet, f.bare, "")
		f.bare = nil
	}
	return f.b.String()
}

// Format writes leaves, in the order of a [tree.Walker], as commands.
func Format(leaves []tree.LeafValue) string {
	var f Formatter
	for _, l := range leaves {
		f.Add(l)
	}
	return f.Text()
}

// Value is the value of a leaf, or the values of a leaf-list, as a command has
// them.
func Value(v tree.Value) string {
	list, ok := v.List()
	if !ok {
		return Quote(v.Text())
	}
	words := make([]string, len(list))
	for i, e := range list {
		words[i] = Quote(e.Text())
	}
	return strings.Join(words, " ")
}

// Notes writes what marks say of nodes as commands, which follow those that make
// the nodes.
func Notes(list []marks.Note) string {
	var b strings.Builder
	for _, n := range list {
		if n.Comment != "" {
			b.WriteString(verbAnnotate + " " + pathWord(n.Path.String()) + " " + quoted(n.Comment) + "\n")
		}
	}
	// Inner parts come first: an inactive node's own stay as they are.
	for _, n := range slices.Backward(list) {
		if n.Inactive {
			b.WriteString(verbDeactivate + " " + pathWord(n.Path.String()) + "\n")
		}
	}
	return b.String()
}
