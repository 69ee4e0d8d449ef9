package conf

import (
	"bufio"
	"io"
	"slices"
	"strings"

	"router/cmd/rcli/schema"
)

const indent = "    "

// Write writes what stands below the node in the form with braces.
func (n *Node) Write(w io.Writer) error {
	b := bufio.NewWriter(w)
	n.body(b, "")
	return b.Flush()
}

// Text is what Write writes.
func (n *Node) Text() string {
	var b strings.Builder
	w := bufio.NewWriter(&b)
	n.body(w, "")
	_ = w.Flush() // a Builder takes everything
	return b.String()
}

// ordered are the children as they are shown: leaves before what has braces.
func (n *Node) ordered() []*Node {
	list := slices.Clone(n.Children)
	slices.SortStableFunc(list, func(a, b *Node) int {
		switch x, y := a.IsLeaf(), b.IsLeaf(); {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
	return list
}

func (n *Node) body(b *bufio.Writer, margin string) {
	for _, c := range n.ordered() {
		c.statement(b, margin)
	}
}

func (n *Node) statement(b *bufio.Writer, margin string) {
	if n.Comment != "" {
		b.WriteString(margin + "/* " + commentText(n.Comment) + " */\n")
	}
	b.WriteString(margin)
	if n.Inactive {
		b.WriteString("inactive: ")
	}
	b.WriteString(n.head())
	if len(n.Children) == 0 {
		if n.Path.Target().Kind == schema.Container {
			b.WriteString(" { }\n") // what is left of one, with a comment
			return
		}
		b.WriteString(";\n")
		return
	}
	b.WriteString(" {\n")
	n.body(b, margin+indent)
	b.WriteString(margin + "}\n")
}

// commentText is a comment as it stands between /* and */.
func commentText(s string) string {
	s = strings.NewReplacer("\n", " ", "\r", " ").Replace(s)
	return strings.ReplaceAll(s, "*/", "* /")
}

// head is the statement without what it holds.
func (n *Node) head() string {
	e := n.Path.Elems[len(n.Path.Elems)-1]
	words := []string{e.Name}
	for _, k := range e.Keys {
		words = append(words, Quote(k.Value))
	}
	if n.IsLeaf() {
		words = append(words, valueText(n.Values)...)
	}
	return strings.Join(words, " ")
}

func valueText(values []string) []string {
	words := make([]string, 0, len(values)+2)
	for _, v := range values {
		words = append(words, Quote(v))
	}
	if len(values) > 1 {
		words = append(append([]string{"["}, words...), "]")
	}
	return words
}

// Commands writes what stands at and below the node as the set-commands that make it, in
// paths or in words: `set interface eth1 mru 1600`.
func (n *Node) Commands(w io.Writer, inWords bool) error {
	b := bufio.NewWriter(w)
	name := func(p schema.Path) string {
		if inWords {
			return p.Words()
		}
		return PathWord(p)
	}
	var set func(n *Node)
	var notes []string
	set = func(n *Node) {
		if n.Comment != "" {
			notes = append(notes, "annotate "+name(n.Path)+" "+quoted(n.Comment))
		}
		for _, c := range n.ordered() {
			set(c)
		}
		if n.Inactive {
			notes = append(notes, "deactivate "+name(n.Path))
		}
		if len(n.Path.Elems) == 0 || !n.IsLeaf() && (n.Path.Target().Kind != schema.List || len(n.Children) > 0) {
			return
		}
		b.WriteString("set " + name(n.Path))
		for _, v := range n.Values {
			b.WriteString(" " + schema.Quote(v))
		}
		b.WriteByte('\n')
	}
	set(n)
	for _, line := range notes {
		b.WriteString(line + "\n")
	}
	return b.Flush()
}

// PathWord is a path as a word of a set-command.
func PathWord(p schema.Path) string {
	text := p.String()
	if strings.ContainsAny(text, "\"\n\r\t") {
		return quoted(text)
	}
	return text
}

func quoted(s string) string {
	return `"` + quotes.Replace(s) + `"`
}
