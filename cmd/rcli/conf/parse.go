package conf

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"router/cmd/rcli/schema"
)

// An Error is a mistake in a text, at a line counted from 1.
type Error struct {
	Line int
	Msg  string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

// A token is a word, or one of { } ; [ ].
type token struct {
	text   string
	line   int
	quoted bool
	sign   bool // it is punctuation
	note   bool // it is a comment for a node
}

// scan cuts a text with braces into tokens. Lines that begin with '#' or '##' are
// comments for nobody.
func scan(text string) ([]token, error) {
	var list []token
	line := 1
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '#':
			if end := strings.IndexByte(text[i:], '\n'); end >= 0 {
				i += end
			} else {
				i = len(text)
			}
		case strings.HasPrefix(text[i:], "/*"):
			end := strings.Index(text[i+2:], "*/")
			if end < 0 {
				return nil, &Error{line, "the comment is not closed: */ is missing"}
			}
			note := text[i+2 : i+2+end]
			list = append(list, token{text: strings.Join(strings.Fields(note), " "), line: line, note: true})
			line += strings.Count(note, "\n")
			i += end + 4
		case strings.IndexByte("{};[]", c) >= 0:
			list = append(list, token{text: string(c), line: line, sign: true})
			i++
		case c == '"':
			word, rest, err := unquote(text[i:])
			if err != nil {
				return nil, &Error{line, err.Error()}
			}
			list = append(list, token{text: word, line: line, quoted: true})
			line += strings.Count(text[i:len(text)-len(rest)], "\n")
			i = len(text) - len(rest)
		default:
			if r, size := utf8.DecodeRuneInString(text[i:]); unicode.IsSpace(r) {
				i += size
				continue
			}
			end := strings.IndexFunc(text[i:], func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("{};[]\"", r) })
			if end < 0 {
				end = len(text) - i
			}
			list = append(list, token{text: text[i : i+end], line: line})
			i += end
		}
	}
	return list, nil
}

// A parser reads statements.
type parser struct {
	tokens []token
	lines  []string // set-commands that make it
	notes  []string // those that come when all is there
	seen   []seenStatement
}

// A seenStatement is one that stands at the outermost level.
type seenStatement struct {
	schema.Statement
	leaf bool
	line int
}

// Parse reads a text with braces as set-commands, below base. Statements may begin with
// inactive:, which they are then; with replace:, which makes the node exactly that; with
// delete:, which removes it; and with protect: or other tags not at all.
func Parse(text string, base schema.Path) (commands string, err error) {
	p := parser{}
	if err := p.parse(text, base); err != nil {
		return "", err
	}
	return strings.Join(append(p.lines, p.notes...), ""), nil
}

func (p *parser) parse(text string, base schema.Path) (err error) {
	if p.tokens, err = scan(text); err != nil {
		return err
	}
	if err := p.statements(base, 0); err != nil {
		return err
	}
	if len(p.tokens) > 0 {
		return &Error{p.tokens[0].line, "a } closes nothing"}
	}
	return nil
}

// statements reads up to the closing brace, or the end.
func (p *parser) statements(base schema.Path, depth int) error {
	note := ""
	for len(p.tokens) > 0 {
		t := p.tokens[0]
		switch {
		case t.note:
			note = t.text
			p.tokens = p.tokens[1:]
		case t.sign && t.text == "}":
			return nil
		case t.sign && t.text == ";":
			p.tokens = p.tokens[1:]
		case t.sign:
			return &Error{t.line, fmt.Sprintf("a %s stands where a statement begins", t.text)}
		default:
			if err := p.statement(base, note, depth); err != nil {
				return err
			}
			note = ""
		}
	}
	return nil
}

// most is how deep braces nest.
const most = 64

func (p *parser) statement(base schema.Path, note string, depth int) error {
	if depth > most {
		return &Error{p.tokens[0].line, fmt.Sprintf("braces nest deeper than %d", most)}
	}
	line := p.tokens[0].line
	inactive, replace, remove := false, false, false
tags:
	for len(p.tokens) > 0 && !p.tokens[0].quoted {
		switch p.tokens[0].text {
		case "inactive:":
			inactive = true
		case "replace:":
			replace = true
		case "delete:":
			remove = true
		default:
			break tags
		}
		p.tokens = p.tokens[1:]
	}
	var words []token
	bracket := false
	for len(p.tokens) > 0 {
		t := p.tokens[0]
		if t.sign && t.text == "[" && !bracket {
			bracket = true
		} else if t.sign && t.text == "]" && bracket {
			bracket = false
		} else if t.sign || t.note {
			break
		} else {
			words = append(words, t)
		}
		p.tokens = p.tokens[1:]
	}
	switch {
	case bracket:
		return &Error{line, "the bracket [ is not closed"}
	case len(p.tokens) == 0 || p.tokens[0].note || !strings.Contains("{;}", p.tokens[0].text):
		return &Error{line, "the statement does not end: ; or { is missing"}
	case p.tokens[0].text == "}":
		return &Error{p.tokens[0].line, "the statement before } does not end: ; is missing"}
	case len(words) == 0:
		return &Error{line, "a statement has no words"}
	}
	open := p.tokens[0].text == "{"
	p.tokens = p.tokens[1:]
	found, err := walk(words, base, schema.Options{View: schema.Config, Values: !open && !remove, Some: remove})
	if err != nil {
		return &Error{line, err.Error()}
	}
	for _, s := range found {
		at := PathWord(s.Path)
		if depth == 0 {
			p.seen = append(p.seen, seenStatement{s, len(s.Values) > 0 || isLeaf(s.Path), line})
		}
		if remove {
			p.lines = append(p.lines, Delete(s)+"\n")
			continue
		}
		if replace {
			p.lines = append(p.lines, "delete "+at+"\n")
		}
		switch {
		case len(s.Values) > 0:
			p.lines = append(p.lines, "set "+at+" "+quoteAll(s.Values)+"\n")
		case s.Path.Target().Kind == schema.List:
			p.lines = append(p.lines, "set "+at+"\n")
		}
		if note != "" {
			p.notes = append(p.notes, "annotate "+at+" "+quoted(note)+"\n")
		}
	}
	if !open {
		for _, s := range found {
			if inactive {
				p.notes = append(p.notes, "deactivate "+PathWord(s.Path)+"\n")
			}
		}
		return nil
	}
	if err := p.statements(found[0].Path, depth+1); err != nil {
		return err
	}
	if len(p.tokens) == 0 {
		return &Error{line, "the brace { is not closed"}
	}
	p.tokens = p.tokens[1:]
	if inactive {
		p.notes = append(p.notes, "deactivate "+PathWord(found[0].Path)+"\n")
	}
	return nil
}

func isLeaf(p schema.Path) bool {
	k := p.Target().Kind
	return k == schema.Leaf || k == schema.LeafList
}

func quoteAll(values []string) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = schema.Quote(v)
	}
	return strings.Join(out, " ")
}

// Hidden stands for a secret, which the router keeps when it is written back.
const Hidden = "<hidden>"

// follow finds what the words name below base.
func follow(words []token, base schema.Path, values bool) ([]schema.Statement, error) {
	return walk(words, base, schema.Options{View: schema.Config, Values: values})
}

// followSome finds the node that the words name below base, of a leaf-list with some of its
// values.
func followSome(words []token, base schema.Path) (schema.Statement, error) {
	found, err := walk(words, base, schema.Options{View: schema.Config, Some: true})
	if err != nil {
		return schema.Statement{}, err
	}
	return found[0], nil
}

func walk(words []token, base schema.Path, opt schema.Options) ([]schema.Statement, error) {
	w := schema.NewWalker(base, opt)
	for i, t := range words {
		if t.text == Hidden && i == len(words)-1 && w.Leaf() != nil {
			return []schema.Statement{{Path: w.At(), Values: []string{Hidden}}}, nil
		}
		if err := w.Next(t.text, t.quoted); err != nil {
			return nil, err
		}
	}
	return w.End()
}

// IsBraces reports whether a text is in the form with braces, rather than JSON or
// set-commands: whether it begins with a statement.
func IsBraces(text string) bool {
	tokens, err := scan(text)
	if err != nil {
		return strings.Contains(text, ";")
	}
	for i, t := range tokens {
		if t.note {
			continue
		}
		if t.sign || t.quoted {
			return false
		}
		// A statement ends in ; or { before the next line of commands would begin.
		for _, next := range tokens[i:] {
			if next.sign && (next.text == ";" || next.text == "{") {
				return true
			}
			if next.line != t.line {
				return false
			}
		}
		return false
	}
	return false
}
