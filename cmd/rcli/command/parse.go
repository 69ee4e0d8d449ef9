package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"router/cmd/rcli/schema"
)

// Parse understands a line in the place where the session stands: edit is the edit
// path of configuration mode. An empty line, or a comment, is nil without an error.
// The error is an *Error.
func (t *Table) Parse(line string, mode Mode, edit schema.Path) (*Input, error) {
	tokens, err := Split(line)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 0 {
		return nil, nil
	}
	r := newReader(t, line, mode, edit)
	for _, tok := range tokens {
		if err := r.feed(tok); err != nil {
			return nil, err
		}
	}
	return r.end(len(strings.TrimRight(line, " \t\r\n")))
}

// ParseArgs understands the arguments of a command whose words are known, as a
// program has them: nothing is abbreviated, and every argument is one word.
func (t *Table) ParseArgs(c *Command, args []string, mode Mode, edit schema.Path) (*Input, error) {
	words := append(strings.Fields(c.Words), args...)
	line := Join(words)
	r := newReader(t, line, mode, edit)
	r.exact = true
	r.choose(phrase{cmd: c, args: c.Args})
	at := len(Join(strings.Fields(c.Words)))
	for _, a := range args {
		at++
		end := at + len(QuoteWord(a))
		if err := r.feed(Token{Text: a, At: at, End: end}); err != nil {
			return nil, err
		}
		at = end
	}
	return r.end(len(line))
}

// JSONSwitch is the name of --json, which every command takes.
const JSONSwitch = "--json"

// A reader understands a line word by word.
type reader struct {
	table *Table
	line  string
	mode  Mode
	edit  schema.Path
	exact bool // nothing is abbreviated

	phrases []phrase // that the words may still become; nil once one is chosen
	depth   int      // words of them that were taken
	root    *Input   // of the line's command
	in      *Input   // of the command or stage that is being read
	outer   []*Input // whose nested command is being read
	args    []Arg
	next    int // of args, the positional that comes next
	pending *Arg
	walk    *schema.Walker
	walked  *Arg
	piped   bool
	fresh   bool // a pipe has just come, or nothing yet
	at      int  // where the last token ended
	chosen  phrase
}

func newReader(t *Table, line string, mode Mode, edit schema.Path) *reader {
	r := &reader{table: t, line: line, mode: mode, edit: edit, in: &Input{Line: line}, fresh: true}
	r.root = r.in
	r.phrases = t.inMode(mode)
	return r
}

func (t *Table) inMode(mode Mode) []phrase {
	var list []phrase
	for _, p := range t.phrases {
		if p.modes&mode != 0 {
			list = append(list, p)
		}
	}
	return list
}

func (r *reader) fail(tok Token, names []string, format string, args ...any) error {
	return newError(r.line, tok.At, tok.End, fmt.Sprintf(format, args...), names, tok.Text)
}

// choose ends the words: p is what they name.
func (r *reader) choose(p phrase) {
	r.phrases, r.chosen, r.args = nil, p, p.args
	r.in.Command = p.cmd
}

// feed takes the next word.
func (r *reader) feed(tok Token) error {
	r.at = tok.End
	if tok.Pipe {
		return r.pipe(tok)
	}
	fresh := r.fresh
	r.fresh = false
	if r.phrases != nil {
		// A path alone goes there.
		if fresh && !r.piped && r.depth == 0 && strings.HasPrefix(tok.Text, "/") && !tok.Quoted {
			if c := r.table.pathCommand(r.mode); c != nil {
				r.choose(phrase{cmd: c, args: c.Args})
				return r.argument(tok)
			}
		}
		done, err := r.word(tok)
		if done || err != nil {
			return err
		}
	}
	return r.argument(tok)
}

// pathCommand is what a line does that begins with a path.
func (t *Table) pathCommand(mode Mode) *Command {
	if mode&Configuration != 0 {
		return t.Find(Configuration, "edit")
	}
	return t.Find(mode, "info")
}

// own is the phrase that ends with the words so far; nil for none.
func (r *reader) own() *phrase {
	for i, p := range r.phrases {
		if len(p.words) == r.depth {
			return &r.phrases[i]
		}
	}
	return nil
}

// nextWords are the words that may come next: all, and those that are offered.
func (r *reader) nextWords() (all, offered []string) {
	for _, p := range r.phrases {
		if len(p.words) <= r.depth {
			continue
		}
		w := p.words[r.depth]
		if !slices.Contains(all, w) {
			all = append(all, w)
		}
		if !p.alias && !p.hidden && !slices.Contains(offered, w) {
			offered = append(offered, w)
		}
	}
	slices.Sort(all)
	slices.Sort(offered)
	return all, offered
}

// word takes a word of the command's name. It is not done when the word is an
// argument of what the words name already.
func (r *reader) word(tok Token) (done bool, err error) {
	all, offered := r.nextWords()
	own := r.own()
	take := func(w string) {
		r.phrases = slices.DeleteFunc(slices.Clone(r.phrases), func(p phrase) bool { return len(p.words) <= r.depth || p.words[r.depth] != w })
		r.depth++
		if len(r.phrases) == 1 && len(r.phrases[0].words) == r.depth {
			r.choose(r.phrases[0])
		}
	}
	if !tok.Quoted && slices.Contains(all, tok.Text) {
		take(tok.Text)
		return true, nil
	}
	if own != nil && (tok.Quoted || own.takes(tok.Text)) {
		r.choose(*own)
		return false, nil
	}
	var found []string
	if !tok.Quoted && !r.exact {
		for _, w := range offered {
			if strings.HasPrefix(w, tok.Text) {
				found = append(found, w)
			}
		}
	}
	switch {
	case len(found) > 0 && begins(found[0], found):
		take(found[0])
		return true, nil
	case len(found) > 1:
		return true, newError(r.line, tok.At, tok.End, fmt.Sprintf("%q is ambiguous: %s", tok.Text, strings.Join(found, ", ")), nil)
	case own != nil:
		r.choose(*own)
		return false, nil
	}
	what := "command"
	if r.piped {
		what = "stage of a pipe"
	} else if where := r.elsewhere(tok.Text); where != "" {
		return true, newError(r.line, tok.At, tok.End, where, nil)
	}
	if r.depth > 0 {
		return true, r.fail(tok, offered, "there is no %q here", tok.Text)
	}
	return true, r.fail(tok, offered, "there is no %s %q", what, tok.Text)
}

// elsewhere says where the words so far, and the next, begin a command that this prompt
// doesn't have; "" for nowhere.
func (r *reader) elsewhere(next string) string {
	if r.exact || r.root != r.in || next == "configure" {
		return ""
	}
	words := slices.Clone(r.said())
	if next != "" {
		words = append(words, next)
	}
	for _, p := range r.table.phrases {
		if p.modes&r.mode != 0 || p.hidden || len(p.words) < len(words) || !slices.Equal(p.words[:len(words)], words) || next == "" && len(p.words) > len(words) {
			continue
		}
		switch name := strings.Join(words, " "); {
		case p.modes&Configuration != 0 && r.mode&Configuration == 0:
			return name + " is a command of configuration mode, which configure leads to"
		case p.modes&Operational != 0 && r.mode&Configuration != 0:
			return name + " is a command of operational mode: say run " + name
		}
	}
	return ""
}

// begins reports whether all words begin with this one, the first of them in order:
// show f is show filter beside show filter-log.
func begins(word string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.HasPrefix(w, word) })
}

// takes reports whether a word is surely an argument: a keyword, or a value of a
// type that no word looks like.
func (p phrase) takes(word string) bool {
	if strings.HasPrefix(word, "--") {
		return true
	}
	for _, a := range p.args {
		switch a.Kind {
		case Keyword, Switch:
			if a.Name == word {
				return true
			}
		case Value:
			if a.Type.strong() && a.Type.Check(word) == nil {
				return true
			}
		case Path, Set, Rest, Nested:
		}
	}
	return false
}

func (r *reader) pipe(tok Token) error {
	if err := r.finish(tok); err != nil {
		return err
	}
	if r.fresh {
		return newError(r.line, tok.At, tok.End, "a command has to stand in front of the pipe", nil)
	}
	if !r.piped {
		r.root.Line = strings.TrimSpace(r.line[:tok.At])
	}
	r.piped, r.fresh, r.outer = true, true, nil
	r.in = &Input{Line: r.line[tok.At:]}
	r.phrases, r.depth, r.args, r.next, r.pending, r.walk = r.table.piped, 0, nil, 0, nil, nil
	return nil
}

// argument takes a word behind the command's name.
func (r *reader) argument(tok Token) error {
	if r.pending != nil {
		a := r.pending
		if a.Of == Path {
			r.pending = nil
			r.begin(a)
			return r.step(tok)
		}
		if err := r.store(a, tok); err != nil {
			return err
		}
		r.pending = nil
		return nil
	}
	if !tok.Quoted && strings.HasPrefix(tok.Text, "-") && len(tok.Text) > 1 && r.walk == nil {
		if done, err := r.flag(tok); done || err != nil {
			return err
		}
	}
	if r.walk != nil {
		return r.step(tok)
	}
	if a := r.keyword(tok, true); a != nil {
		return r.mention(a)
	}
	positional := r.positional()
	if positional != nil && positional.Kind == Value && (tok.Quoted || positional.Type.strong() && positional.Type.Check(tok.Text) == nil) {
		return r.value(positional, tok)
	}
	if a := r.keyword(tok, false); a != nil {
		return r.mention(a)
	}
	if positional == nil {
		names := r.words()
		if len(names) == 0 {
			return r.fail(tok, nil, "%q is too much: nothing more is wanted here", tok.Text)
		}
		return r.fail(tok, names, "%q is none of what may follow: %s", tok.Text, strings.Join(names, ", "))
	}
	switch positional.Kind {
	case Path, Set:
		r.next++
		r.begin(positional)
		return r.step(tok)
	case Nested:
		r.next++
		inner := &Input{Line: r.line[tok.At:]}
		r.outer = append(r.outer, r.in)
		r.in.Nested = inner
		r.in, r.mode = inner, positional.Mode
		r.phrases, r.depth, r.args, r.next = r.table.inMode(r.mode), 0, nil, 0
		return r.feed(tok)
	case Rest:
		r.in.Put(positional.Name, tok.Text)
		return nil
	case Value, Keyword, Switch:
	}
	return r.value(positional, tok)
}

// positional is the positional argument that comes next; nil for none.
func (r *reader) positional() *Arg {
	for ; r.next < len(r.args); r.next++ {
		if k := r.args[r.next].Kind; k != Keyword && k != Switch {
			return &r.args[r.next]
		}
	}
	return nil
}

func (r *reader) value(a *Arg, tok Token) error {
	if err := r.store(a, tok); err != nil {
		return err
	}
	if !a.Repeat {
		r.next++
	}
	return nil
}

func (r *reader) store(a *Arg, tok Token) error {
	v := tok.Text
	if !r.exact {
		v = a.Type.expand(v, tok.Quoted)
	}
	if err := a.Type.Check(v); err != nil {
		return r.fail(tok, a.Type.names(), "%s: %v", a.Name, err)
	}
	r.in.Put(a.Name, v)
	return nil
}

// words are the keywords and switches that may still come.
func (r *reader) words() []string {
	var list []string
	for _, a := range r.args {
		if (a.Kind == Keyword || a.Kind == Switch) && (a.Repeat || !r.in.Has(a.Name)) {
			list = append(list, a.Name)
		}
	}
	return list
}

// keyword finds the keyword or switch that a word is, or abbreviates.
func (r *reader) keyword(tok Token, whole bool) *Arg {
	if tok.Quoted {
		return nil
	}
	var found *Arg
	for i, a := range r.args {
		if a.Kind != Keyword && a.Kind != Switch || !a.Repeat && r.in.Has(a.Name) {
			continue
		}
		if a.Name == tok.Text {
			return &r.args[i]
		}
		if !whole && !r.exact && strings.HasPrefix(a.Name, tok.Text) {
			if found != nil {
				return nil
			}
			found = &r.args[i]
		}
	}
	return found
}

// mention takes a keyword or switch.
func (r *reader) mention(a *Arg) error {
	if a.Kind == Switch {
		r.in.Put(a.Name, "true")
		return nil
	}
	r.pending = a
	return nil
}

// flag takes --name, --name=value and -n, as scripts write keywords. What is no flag
// of the command may be a value that begins with a minus sign.
func (r *reader) flag(tok Token) (done bool, err error) {
	name, long := strings.CutPrefix(tok.Text, "--")
	name, value, given := strings.Cut(strings.TrimPrefix(name, "-"), "=")
	for i, a := range r.args {
		if a.Kind != Keyword && a.Kind != Switch || long && a.Name != name || !long && (a.Short == "" || a.Short != name) {
			continue
		}
		if !given {
			return true, r.mention(&r.args[i])
		}
		return true, r.store(&r.args[i], Token{Text: value, At: tok.At, End: tok.End, Quoted: true})
	}
	if !long {
		return false, nil
	}
	if name == "json" && !given {
		r.root.Put(JSONSwitch, "true")
		return true, nil
	}
	return true, r.fail(tok, r.words(), "there is no %s here", tok.Text)
}

// begin begins a path.
func (r *reader) begin(a *Arg) {
	base := r.edit
	if a.Base != nil {
		base = a.Base(r.in, r.edit)
	}
	r.walked = a
	r.walk = schema.NewWalker(base, schema.Options{View: a.View, Values: a.Kind == Set, Whole: a.Whole, Some: a.Some})
}

// step takes a word of a path. A keyword of the command ends the path where the
// model has no such word.
func (r *reader) step(tok Token) error {
	absolute := r.walk.Fresh() && strings.HasPrefix(tok.Text, "/")
	err := r.walk.Next(tok.Text, tok.Quoted || r.exact && !absolute)
	if err == nil {
		return nil
	}
	if a := r.keyword(tok, true); a != nil || tok.Quoted && r.positional() != nil {
		if err := r.endWalk(tok.At); err != nil {
			return err
		}
		return r.argument(tok)
	}
	return r.walkError(tok, err)
}

func (r *reader) walkError(tok Token, err error) error {
	var w *schema.WordError
	if !errors.As(err, &w) {
		return r.fail(tok, nil, "%v", err)
	}
	at, end, word := tok.At, tok.End, tok.Text
	if w.To > 0 && !tok.Quoted && tok.End-tok.At == len(tok.Text) {
		at, end = tok.At+w.At, tok.At+w.To
		word = tok.Text[min(w.At, len(tok.Text)):min(w.To, len(tok.Text))]
	}
	return newError(r.line, at, end, w.Msg, w.Names, word)
}

// endWalk ends the path that is being read, if any.
func (r *reader) endWalk(at int) error {
	if r.walk == nil {
		return nil
	}
	s, err := r.walk.End()
	if err != nil {
		return newError(r.line, at, at+1, err.Error(), nil)
	}
	r.in.putPath(r.walked.Name, s)
	r.walk, r.walked = nil, nil
	return nil
}

// finish ends the command or stage that is being read.
func (r *reader) finish(tok Token) error {
	missing := func(format string, args ...any) error {
		return newError(r.line, tok.At, tok.At+1, fmt.Sprintf(format, args...), nil)
	}
	if r.phrases != nil {
		own := r.own()
		if r.depth == 0 && r.piped {
			return missing("a stage of the pipe is wanted here")
		}
		if own == nil && r.depth > 0 {
			_, offered := r.nextWords()
			if where := r.elsewhere(""); where != "" {
				return missing("%s; here there is %s", where, strings.Join(offered, ", "))
			}
			return missing("more is wanted: %s", strings.Join(offered, ", "))
		}
		if own != nil {
			r.choose(*own)
		}
	}
	if r.pending != nil {
		return missing("%s wants a value%s", r.pending.Name, behind(": ", r.pending.Type.describe()))
	}
	if err := r.endWalk(tok.At); err != nil {
		return err
	}
	for i, a := range r.args {
		if r.in.Has(a.Name) {
			continue
		}
		switch a.Kind {
		case Keyword:
			if a.Required {
				return missing("%s is wanted: %s", a.usage(), a.Help)
			}
		case Path, Set:
			if a.Optional {
				base := r.edit
				if a.Base != nil {
					base = a.Base(r.in, r.edit)
				}
				r.in.putPath(a.Name, []schema.Statement{{Path: base}})
				continue
			}
			return missing("a path is wanted: %s", a.Help)
		case Value, Rest, Nested:
			if !a.Optional && i >= r.next {
				return missing("%s is wanted: %s", a.placeholder(), a.Help)
			}
		case Switch:
		}
	}
	if r.piped && !r.fresh {
		r.root.Pipes = append(r.root.Pipes, Pipe{Stage: r.chosen.stage, Input: r.in})
	}
	return nil
}

func behind(lead, text string) string {
	if text == "" {
		return ""
	}
	return lead + text
}

func (r *reader) end(at int) (*Input, error) {
	if err := r.finish(Token{At: at, End: at}); err != nil {
		return nil, err
	}
	if r.root.Command == nil {
		return nil, nil
	}
	if in := r.root; in.Nested != nil {
		in.Nested.Pipes = nil
	}
	return r.root, nil
}
