package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

// Edits reads a text of commands, as `set interface eth1 mru 1600` or with paths,
// as edits. Words are looked up below base. There are set, replace, delete, deactivate,
// activate, annotate, insert, rename and copy; lines of the router's own form go to it as they are,
// many at once.
func Edits(text string, base schema.Path) ([]*configpb.Edit, error) {
	var e editList
	n := 0
	for line := range strings.Lines(text) {
		n++
		tokens, err := scanLine(line)
		if err != nil {
			return nil, &Error{n, err.Error()}
		}
		if len(tokens) == 0 {
			continue
		}
		if err := e.command(tokens, base); err != nil {
			return nil, &Error{n, err.Error()}
		}
	}
	return e.done(), nil
}

// An editList gathers edits; commands of the router's language are joined.
type editList struct {
	list []*configpb.Edit
	text strings.Builder
}

func (e *editList) line(format string, args ...any) {
	fmt.Fprintf(&e.text, format+"\n", args...)
}

func (e *editList) edit(x *configpb.Edit) {
	e.flush()
	e.list = append(e.list, x)
}

func (e *editList) flush() {
	if e.text.Len() > 0 {
		e.list = append(e.list, CommandsEdit(e.text.String(), false))
		e.text.Reset()
	}
}

func (e *editList) done() []*configpb.Edit {
	e.flush()
	return e.list
}

// CommandsEdit is the edit that loads commands of the router's language.
func CommandsEdit(text string, replace bool) *configpb.Edit {
	return &configpb.Edit{Edit: &configpb.Edit_Load_{Load: &configpb.Edit_Load{Format: configpb.Edit_Load_COMMANDS, Text: text, Replace: replace}}}
}

// scanLine cuts a line of commands into words. Paths keep blanks between their
// brackets.
func scanLine(line string) ([]token, error) {
	var list []token
	rest := strings.TrimSpace(line)
	for rest != "" && rest[0] != '#' {
		quotedWord := rest[0] == '"'
		word, after, err := cut(rest, strings.HasPrefix(rest, "/"))
		if err != nil {
			return nil, err
		}
		list = append(list, token{text: word, quoted: quotedWord && !strings.HasPrefix(word, "/")})
		rest = strings.TrimLeft(after, " \t")
	}
	return list, nil
}

var places = map[string]configpb.Edit_Insert_Place{
	"first": configpb.Edit_Insert_FIRST, "last": configpb.Edit_Insert_LAST,
	"before": configpb.Edit_Insert_BEFORE, "after": configpb.Edit_Insert_AFTER,
}

// verbs are the commands of a text.
var verbs = []string{"set", "replace", "delete", "deactivate", "activate", "annotate", "insert", "rename", "copy"}

func (e *editList) command(t []token, base schema.Path) error {
	verb, rest := t[0].text, t[1:]
	switch {
	case !slices.Contains(verbs, verb):
		return fmt.Errorf("%s is no command: there are %s and %s", schema.Brief(verb), strings.Join(verbs[:len(verbs)-1], ", "), verbs[len(verbs)-1])
	case len(rest) == 0:
		return fmt.Errorf("%s: say of what", verb)
	}
	switch verb {
	case "set", "replace":
		found, err := follow(unbracket(rest), base, true)
		if err != nil {
			return err
		}
		for _, s := range found {
			e.line("%s", strings.TrimRight(verb+" "+PathWord(s.Path)+" "+quoteAll(s.Values), " "))
		}
	case "delete":
		found, err := followSome(unbracket(rest), base)
		if err != nil {
			return err
		}
		e.line("%s", Delete(found))
	case "deactivate", "activate":
		found, err := follow(rest, base, false)
		if err != nil {
			return err
		}
		e.line("%s %s", verb, PathWord(found[0].Path))
	case "annotate":
		if len(rest) < 2 {
			return fmt.Errorf("annotate: want a node and a comment")
		}
		found, err := follow(rest[:len(rest)-1], base, false)
		if err != nil {
			return err
		}
		e.line("annotate %s %s", PathWord(found[0].Path), quoted(rest[len(rest)-1].text))
	case "insert":
		return e.insert(rest, base)
	case "rename", "copy":
		for i, w := range rest {
			if w.text == "to" && !w.quoted && i > 0 && i < len(rest)-1 {
				return e.move(verb, rest[:i], rest[i+1:], base)
			}
		}
		return fmt.Errorf("%s: want %s ENTRY to KEY", verb, verb)
	}
	return nil
}

// Delete is the command of the router's language that deletes a node, or the values of a
// leaf-list that the statement has.
func Delete(s schema.Statement) string {
	if len(s.Values) == 0 {
		return "delete " + PathWord(s.Path)
	}
	return "delete " + PathWord(s.Path) + " " + quoteAll(s.Values)
}

// unbracket takes the brackets of a list of values away.
func unbracket(t []token) []token {
	out := make([]token, 0, len(t))
	for _, w := range t {
		if !w.quoted && (w.text == "[" || w.text == "]") {
			continue
		}
		out = append(out, w)
	}
	return out
}

// insert reads ENTRY first|last, or ENTRY before|after KEY.
func (e *editList) insert(t []token, base schema.Path) error {
	n := len(t)
	if place, ok := places[t[n-1].text]; ok && (place == configpb.Edit_Insert_FIRST || place == configpb.Edit_Insert_LAST) {
		return e.place(t[:n-1], place, "", base)
	}
	if n < 3 {
		return fmt.Errorf("insert: want insert ENTRY first|last|before KEY|after KEY")
	}
	// The other entry may be named with its list, as the one that moves is.
	for i := n - 2; i > 0; i-- {
		place, ok := places[t[i].text]
		if ok && !t[i].quoted && (place == configpb.Edit_Insert_BEFORE || place == configpb.Edit_Insert_AFTER) {
			return e.place(t[:i], place, t[n-1].text, base)
		}
	}
	return fmt.Errorf("insert: want insert ENTRY first|last|before KEY|after KEY")
}

func (e *editList) place(entry []token, place configpb.Edit_Insert_Place, key string, base schema.Path) error {
	found, err := follow(entry, base, false)
	if err != nil {
		return err
	}
	x, err := InsertEdit(found[0].Path, place, key)
	if err != nil {
		return err
	}
	e.edit(x)
	return nil
}

// InsertEdit is the edit that moves an entry of a list that its user orders.
func InsertEdit(entry schema.Path, place configpb.Edit_Insert_Place, key string) (*configpb.Edit, error) {
	if n := entry.Target(); n.Kind != schema.List || !n.Ordered {
		return nil, fmt.Errorf("%s: its place means nothing: insert is for entries whose order counts, such as terms of filters", entry.Words())
	}
	return &configpb.Edit{Edit: &configpb.Edit_Insert_{Insert: &configpb.Edit_Insert{Path: entry.String(), Place: place, Key: key}}}, nil
}

// move reads ENTRY to KEY, or ENTRY to ENTRY.
func (e *editList) move(verb string, entry, to []token, base schema.Path) error {
	found, err := follow(entry, base, false)
	if err != nil {
		return err
	}
	words := make([]string, len(to))
	for i, t := range to {
		words[i] = t.text
	}
	x, err := MoveEdit(verb, found[0].Path, words)
	if err != nil {
		return err
	}
	e.edit(x)
	return nil
}

// MoveEdit is the edit that renames or copies an entry to the one with other keys;
// the words are those keys, with the list's name before them if you like.
func MoveEdit(verb string, from schema.Path, to []string) (*configpb.Edit, error) {
	n := from.Target()
	if n.Kind != schema.List {
		return nil, fmt.Errorf("%s: %s is for entries of lists", from.Words(), verb)
	}
	if len(to) == len(n.Keys)+1 && to[0] == n.Name {
		to = to[1:]
	}
	if len(to) != len(n.Keys) {
		return nil, fmt.Errorf("%s: want %d keys behind to, have %d words", from.Words(), len(n.Keys), len(to))
	}
	at := schema.Path{Elems: append([]schema.Elem(nil), from.Elems...), Node: n}
	at.Elems[len(at.Elems)-1] = schema.Elem{Name: n.Name}
	for _, k := range to {
		at = at.WithKey(k)
	}
	if verb == "rename" {
		return &configpb.Edit{Edit: &configpb.Edit_Rename_{Rename: &configpb.Edit_Rename{From: from.String(), To: at.String()}}}, nil
	}
	return &configpb.Edit{Edit: &configpb.Edit_Copy_{Copy: &configpb.Edit_Copy{From: from.String(), To: at.String()}}}, nil
}

// Patch reads what Compare writes as the edits that make it. Banners are looked up
// below base.
func Patch(text string, base schema.Path) ([]*configpb.Edit, error) {
	p := patch{base: base, at: base}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if err := p.line(n, strings.TrimRight(line, "\r\n")); err != nil {
			return nil, err
		}
	}
	if err := p.section(); err != nil {
		return nil, err
	}
	return p.edits.done(), nil
}

// A patch is one that is being read: the lines of the present banner wait.
type patch struct {
	base, at    schema.Path
	first       int // line of the banner
	gone, comes strings.Builder
	marks       []token // statements, each with its line
	edits       editList
}

func (p *patch) line(n int, line string) error {
	trimmed := strings.TrimSpace(line)
	switch {
	case trimmed == "":
	case strings.HasPrefix(trimmed, "[edit") && strings.HasSuffix(trimmed, "]"):
		if err := p.section(); err != nil {
			return err
		}
		words, err := scan(strings.TrimSuffix(strings.TrimPrefix(trimmed, "[edit"), "]"))
		if err != nil {
			return &Error{n, err.Error()}
		}
		found, err := follow(words, p.base, false)
		if err != nil {
			return &Error{n, err.Error()}
		}
		p.at, p.first = found[0].Path, n
		return nil
	case line[0] == '-':
		p.gone.WriteString(line[1:])
	case line[0] == '+':
		p.comes.WriteString(line[1:])
	case line[0] == '!':
		p.marks = append(p.marks, token{text: strings.TrimSuffix(strings.TrimSpace(line[1:]), ";"), line: n})
	case line[0] == ' ' || line[0] == '#':
	default:
		return &Error{n, fmt.Sprintf("%s is no line of a patch: want [edit ...], or a line that begins with +, - or !", schema.Brief(trimmed))}
	}
	// Mistakes are told with the line of the patch.
	p.gone.WriteByte('\n')
	p.comes.WriteByte('\n')
	return nil
}

// section makes the edits of what stands below one banner: what becomes active first, for it
// is edited as such, and then what goes.
func (p *patch) section() error {
	var gone, comes parser
	if err := p.parse(&gone, p.gone.String()); err != nil {
		return err
	}
	if err := p.parse(&comes, p.comes.String()); err != nil {
		return err
	}
	for _, m := range p.marks {
		if err := p.mark(m, true); err != nil {
			return err
		}
	}
	// A leaf that goes and comes has another value: it stays what else it is.
	changed := make(map[string]bool)
	for _, s := range comes.seen {
		if s.leaf {
			changed["set "+PathWord(s.Path)+" "] = true
		}
	}
	replaced := make(map[string]bool)
	for _, s := range gone.seen {
		if at := "set " + PathWord(s.Path) + " "; changed[at] {
			replaced[at] = true
		}
	}
	for i, l := range comes.lines {
		for at := range replaced {
			if strings.HasPrefix(l, at) {
				comes.lines[i] = "replace" + strings.TrimPrefix(l, "set")
				delete(replaced, at)
				break
			}
		}
	}
	for _, s := range gone.seen {
		if changed["set "+PathWord(s.Path)+" "] {
			continue
		}
		if s.Path.Target().Kind == schema.Container {
			return &Error{s.line, fmt.Sprintf("%s goes as a whole: name what of it goes below a banner of its own", s.Path.Words())}
		}
		if s.Path.Target().Kind != schema.LeafList {
			s.Values = nil
		}
		p.edits.line("%s", Delete(s.Statement))
	}
	for _, lines := range [][]string{comes.lines, comes.notes} {
		for _, l := range lines {
			p.edits.text.WriteString(l)
		}
	}
	for _, m := range p.marks {
		if err := p.mark(m, false); err != nil {
			return err
		}
	}
	p.gone.Reset()
	p.comes.Reset()
	p.marks = nil
	return nil
}

func (p *patch) parse(into *parser, text string) error {
	err := into.parse(text, p.at)
	var e *Error
	if errors.As(err, &e) {
		return &Error{e.Line + p.first, e.Msg}
	}
	return err
}

// mark reads a statement that says of a node what is no value of it: one that makes it
// active, or another one.
func (p *patch) mark(m token, active bool) error {
	if strings.HasPrefix(m.text, "active:") != active {
		return nil
	}
	if err := p.markEdit(m.text); err != nil {
		return &Error{m.line, err.Error()}
	}
	return nil
}

func (p *patch) markEdit(text string) error {
	t, err := scanLine(text)
	if err != nil || len(t) < 2 {
		return fmt.Errorf("want inactive:, active:, annotate or order, and a node")
	}
	switch t[0].text {
	case "inactive:":
		t[0].text = "deactivate"
	case "active:":
		t[0].text = "activate"
	case "annotate":
	case "order":
		at := p.at
		n := at.Target().Child(t[1].text)
		if n == nil || !n.Ordered {
			return fmt.Errorf("%s is no list whose order counts", t[1].text)
		}
		list := at.Child(n)
		place, before := configpb.Edit_Insert_FIRST, ""
		for _, k := range unbracket(t[2:]) {
			x, err := InsertEdit(list.WithKey(k.text), place, before)
			if err != nil {
				return err
			}
			p.edits.edit(x)
			place, before = configpb.Edit_Insert_AFTER, k.text
		}
		return nil
	default:
		return fmt.Errorf("%s: want inactive:, active:, annotate or order", schema.Brief(t[0].text))
	}
	return p.edits.command(t, p.at)
}
