package command

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"router/cmd/rcli/schema"
)

// most is how many live values are asked for and shown.
const most = 256

// A Completion is what may come next in a line.
type Completion struct {
	From       int    // octet of the line where the word begins that candidates replace
	Prefix     string // that word, as far as it was typed
	Candidates []Candidate
	Complete   bool   // the line may end here: it is a whole command
	More       bool   // there are more candidates than these
	Err        *Error // the words before this one are wrong
}

// Insert is what Tab may put in place of the word: what the candidates begin with in
// common, and whether the word is then finished. ok is false when nothing is to be
// put in.
func (c *Completion) Insert() (text string, finished, ok bool) {
	var list []Candidate
	for _, x := range c.Candidates {
		if !x.Place && !x.Pipe {
			list = append(list, x)
		}
	}
	if len(list) == 0 || c.More {
		return "", false, false
	}
	text = list[0].Text
	for _, x := range list[1:] {
		text = common(text, x.Text)
	}
	finished = len(list) == 1 && !list[0].Part
	return text, finished, finished || len(text) > len(c.Prefix)
}

func common(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return strings.ToValidUTF8(a[:n], "")
}

// Complete says what may come at the end of line, for Tab and for '?'.
func (t *Table) Complete(ctx context.Context, env *Env, line string, mode Mode, edit schema.Path) *Completion {
	tokens, serr := Split(line)
	c := &Completion{From: len(line)}
	quoted := false
	if n := len(tokens); n > 0 {
		if last := tokens[n-1]; last.End == len(line) && !last.Pipe && (last.open || line[last.At] != '"' && line[last.At] != '\'') {
			tokens = tokens[:n-1]
			c.From, c.Prefix, quoted = last.At, last.Text, last.Quoted
		}
	}
	if serr != nil && c.From == len(line) || comment(line, tokens) {
		return c // a comment
	}
	r := newReader(t, line, mode, edit)
	for _, tok := range tokens {
		if err := r.feed(tok); err != nil {
			c.Err, _ = AsError(err)
			return c
		}
	}
	r.expect(ctx, env, c)
	if quoted {
		c.Candidates = slices.DeleteFunc(c.Candidates, func(x Candidate) bool { return x.Pipe })
		for i := range c.Candidates {
			if !c.Candidates[i].Place {
				c.Candidates[i].Text = `"` + c.Candidates[i].Text + `"`
			}
		}
		c.Prefix = line[c.From:]
	}
	c.Complete = c.Prefix == "" && r.complete()
	return c
}

// comment reports whether the end of the line is one.
func comment(line string, tokens []Token) bool {
	at := 0
	if len(tokens) > 0 {
		at = tokens[len(tokens)-1].End
	}
	return strings.HasPrefix(strings.TrimLeft(line[at:], " \t"), "#")
}

// complete reports whether the words so far are a whole command.
func (r *reader) complete() bool {
	if r.fresh {
		return false
	}
	_, err := r.end(len(r.line))
	return err == nil && r.root.Command != nil
}

// expect adds what may come next.
func (r *reader) expect(ctx context.Context, env *Env, c *Completion) {
	if env == nil {
		env = &Env{}
	}
	if r.phrases != nil {
		if r.depth == 0 && !r.piped && strings.HasPrefix(c.Prefix, "/") {
			if cmd := r.table.pathCommand(r.mode); cmd != nil {
				view := schema.Config
				if cmd.Words == "info" {
					view = schema.State
				}
				c.Candidates = pathCandidates(ctx, env, c.Prefix, view)
			}
			return
		}
		r.expectWords(c)
		own := r.own()
		if own == nil {
			return
		}
		r.choose(*own)
	}
	switch {
	case r.pending != nil && r.pending.Of == Path:
		a := r.pending
		r.begin(a)
		r.expectPath(ctx, env, c)
		r.walk = nil
	case r.pending != nil:
		r.expectValue(ctx, env, r.pending, c)
	case r.walk != nil:
		r.expectPath(ctx, env, c)
		r.expectKeywords(c)
	default:
		r.expectArguments(ctx, env, c)
	}
	if c.Prefix == "" && !r.fresh && r.pending == nil && r.in.Nested == nil && len(r.table.stages) > 0 && r.prints() {
		if again := *r; again.complete() {
			c.Candidates = append(c.Candidates, Candidate{Text: "|", Help: "pipe the output through a stage", Pipe: true})
		}
	}
}

// prints reports whether what is read has output that a pipe is for: edits and commits
// have none.
func (r *reader) prints() bool {
	c := r.in.Command
	if own := r.own(); c == nil && own != nil {
		c = own.cmd
	}
	return c == nil || c.Effect == Reads
}

// expectWords offers the words of commands.
func (r *reader) expectWords(c *Completion) {
	_, offered := r.nextWords()
	for _, w := range offered {
		if !strings.HasPrefix(w, c.Prefix) {
			continue
		}
		help, whole, below := "", "", 0
		for _, p := range r.phrases {
			if len(p.words) <= r.depth || p.words[r.depth] != w || p.alias {
				continue
			}
			if below++; len(p.words) == r.depth+1 {
				whole = p.help
			}
			help = p.help
		}
		switch {
		case whole != "":
			help = whole
		case below > 1:
			help = r.table.groups[strings.Join(append(slices.Clone(r.said()), w), " ")]
		}
		c.Candidates = append(c.Candidates, Candidate{Text: w, Help: help})
	}
}

// said are the words of the command so far, in full.
func (r *reader) said() []string {
	if len(r.phrases) == 0 {
		return nil
	}
	return r.phrases[0].words[:r.depth]
}

func (r *reader) expectArguments(ctx context.Context, env *Env, c *Completion) {
	a := r.positional()
	switch {
	case a == nil:
	case a.Kind == Path || a.Kind == Set:
		r.begin(a)
		r.expectPath(ctx, env, c)
		r.walk = nil
	case a.Kind == Nested:
		r.mode = a.Mode
		r.phrases, r.depth = r.table.inMode(r.mode), 0
		r.expectWords(c)
		return
	default:
		r.expectValue(ctx, env, a, c)
	}
	r.expectKeywords(c)
}

func (r *reader) expectKeywords(c *Completion) {
	for _, a := range r.args {
		if a.Kind != Keyword && a.Kind != Switch || !a.Repeat && r.in.Has(a.Name) || !strings.HasPrefix(a.Name, c.Prefix) {
			continue
		}
		x := Candidate{Text: a.Name, Help: a.Help}
		if a.Required {
			x.Mark = Mandatory
		}
		if a.Default != "" {
			x.Help += " (default " + a.Default + ")"
		}
		c.Candidates = append(c.Candidates, x)
	}
}

// expectValue offers the values of an argument.
func (r *reader) expectValue(ctx context.Context, env *Env, a *Arg, c *Completion) {
	list := a.Type.candidates(ctx, env, c.Prefix)
	if a.Values != nil {
		list = append(list, a.Values(ctx, env, r.in, c.Prefix)...)
	}
	c.add(list)
	place := a.Type.place()
	if place == "" || a.Type.fixed == text && a.Values != nil && len(list) > 0 && a.Place == "" {
		return
	}
	if a.Type.fixed == text && a.Place != "" {
		place = "<" + strings.ToLower(a.Place) + ">"
	}
	help := a.Help
	if d := a.Type.describe(); d != "" {
		help += " (" + d + ")"
	}
	if a.Default != "" {
		help += ", default " + a.Default
	}
	c.Candidates = append(c.Candidates, Candidate{Text: place, Help: help, Place: true})
}

// add adds live values.
func (c *Completion) add(list []Candidate) {
	if len(list) >= most {
		c.More = true
	}
	for _, x := range list {
		x.Text = QuoteWord(x.Text)
		if !slices.ContainsFunc(c.Candidates, func(y Candidate) bool { return y.Text == x.Text }) {
			c.Candidates = append(c.Candidates, x)
		}
	}
}

// expectPath offers what the model has next.
func (r *reader) expectPath(ctx context.Context, env *Env, c *Completion) {
	w, view := r.walk, r.walked.View
	if w.Fresh() && strings.HasPrefix(c.Prefix, "/") {
		c.Candidates = append(c.Candidates, pathCandidates(ctx, env, c.Prefix, view)...)
		return
	}
	if n := w.Leaf(); n != nil && n.Secret() {
		c.Candidates = append(c.Candidates,
			Candidate{Text: "<Enter>", Help: "it is asked for, and not shown", Place: true},
			Candidate{Text: "<@FILE>", Help: "it stands in the first line of a file; @- in that of standard input", Place: true},
			Candidate{Text: n.Type.Place(), Help: "its hash (" + n.ValueHelp() + ")", Place: true})
		return
	} else if n != nil && r.walked.Some && env.Present != nil {
		c.add(presentValues(ctx, env, w, c.Prefix))
		return
	} else if n != nil {
		c.add(names(n.Type.Names(), c.Prefix))
		c.add(leafValues(ctx, env, n, w.At(), c.Prefix))
		if place := n.Type.Place(); place != "" {
			c.Candidates = append(c.Candidates, Candidate{Text: place, Help: valueHelp(n), Place: true})
		}
		return
	}
	if key := w.Key(); key != nil {
		list := names(key.Type.Names(), c.Prefix)
		list = append(list, keyValues(ctx, env, w.At(), key, c.Prefix)...)
		for i := range list {
			list[i].Mark = KeyMark
		}
		c.add(list)
		if place := key.Type.Place(); place != "" {
			c.Candidates = append(c.Candidates, Candidate{Text: cmp.Or(place, "<"+key.Name+">"), Help: valueHelp(key), Place: true, Mark: KeyMark})
		}
		return
	}
	for _, n := range w.Children() {
		if n.Bookkeeping() || r.walked.Inner && (n.Kind == schema.Leaf || n.Kind == schema.LeafList) {
			continue
		}
		if strings.HasPrefix(n.Name, c.Prefix) {
			c.Candidates = append(c.Candidates, childCandidate(n))
		}
	}
}

func names(list []string, start string) []Candidate {
	var out []Candidate
	for _, n := range list {
		if strings.HasPrefix(n, start) {
			out = append(out, Candidate{Text: n})
		}
	}
	return out
}

// valueHelp is what help says of a leaf's value: what it means, and what may stand
// there.
func valueHelp(n *schema.Node) string {
	help := n.Summary()
	if v := n.ValueHelp(); v != "" {
		help += " (" + v + ")"
	}
	return help
}

func childCandidate(n *schema.Node) Candidate {
	c := Candidate{Text: n.Name, Help: n.Summary()}
	switch n.Kind {
	case schema.Container, schema.List:
		c.Mark = Deep
	case schema.Leaf, schema.LeafList:
		if v := n.ValueHelp(); v != "" {
			c.Help += " (" + v + ")"
		}
	}
	if n.Mandatory {
		c.Mark = Mandatory
	}
	return c
}
