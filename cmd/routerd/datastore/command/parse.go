package command

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
)

// A Command is an operation with the line that it stands in, counted from 1.
type Command struct {
	Line int
	Op   tree.Op
}

// An Error is what is wrong with one line.
type Error struct {
	Line int
	Kind tree.ErrorKind
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap gives the reason without the line.
func (e *Error) Unwrap() error { return e.Err }

// mostErrors is after how many bad lines Parse gives up.
const mostErrors = 10_000

// Parse reads commands. It returns all of them, or what is wrong with each bad
// line, up to 10,000: paths are held against the schema, values are not (an editor does).
func Parse(s *tree.Schema, text string) ([]Command, []*Error) {
	var list []Command
	var errs []*Error
	n := -1
	for line := range strings.SplitSeq(text, "\n") {
		n++
		op, ok, err := parseLine(s, line)
		switch {
		case err != nil:
			e := &Error{Line: n + 1, Kind: tree.Malformed, Err: err}
			var te *tree.Error
			if errors.As(err, &te) {
				e.Kind = te.Kind
			}
			if errs = append(errs, e); len(errs) == mostErrors {
				return nil, errs
			}
		case ok:
			list = append(list, Command{Line: n + 1, Op: op})
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return list, nil
}

// parseLine reads one line; ok is false for one without a command.
func parseLine(s *tree.Schema, line string) (op tree.Op, ok bool, err error) {
	verb, rest, err := word(line, false)
	if err != nil || verb == nil {
		return op, false, err
	}
	switch *verb {
	case verbSet:
		op.Kind = tree.Update
	case verbReplace:
		op.Kind = tree.Replace
	case verbDelete:
		op.Kind = tree.Delete
	case verbDeactivate, verbActivate, verbAnnotate:
	default:
		return op, false, fmt.Errorf("%q is no command: want set, replace, delete, deactivate, activate or annotate", *verb)
	}
	path, rest, err := word(rest, true)
	if err != nil {
		return op, false, err
	}
	if path == nil {
		return op, false, fmt.Errorf("%s needs a path, such as /interface[name=ge0]/config/mru", *verb)
	}
	if op.Path, err = tree.Parse(*path); err != nil {
		return op, false, err
	}
	if err := s.Check(op.Path); err != nil {
		return op, false, err
	}
	var values []string
	for {
		var v *string
		if v, rest, err = word(rest, false); err != nil {
			return op, false, err
		}
		if v == nil {
			break
		}
		values = append(values, *v)
	}
	switch *verb {
	case verbDeactivate, verbActivate:
		if len(values) > 0 {
			return op, false, fmt.Errorf("%s takes a path alone, not the value %q", *verb, values[0])
		}
		if *verb == verbActivate {
			return marks.Activate(s, op.Path), true, nil
		}
		return marks.Deactivate(s, op.Path), true, nil
	case verbAnnotate:
		if len(values) != 1 {
			return op, false, fmt.Errorf("%s: annotate takes one comment, not %d words: quote it", op.Path, len(values))
		}
		return marks.Annotate(s, op.Path, values[0]), true, nil
	}
	if op.Kind == tree.Delete {
		if len(values) == 0 {
			return op, true, nil
		}
		for _, n := range s.Nodes(op.Path) {
			if n.Kind != tree.LeafList {
				return op, false, fmt.Errorf("%s: delete takes a path alone, not the value %q; values are for leaf-lists", op.Path, values[0])
			}
		}
		op.Value = leafList(values)
		return op, true, nil
	}
	op.Value, err = value(s, op, values)
	return op, err == nil, err
}

// value makes the value of a set or a replace from its words.
func value(s *tree.Schema, op tree.Op, words []string) (*gnmi.TypedValue, error) {
	for _, e := range op.Path {
		if e.GetName() == "*" || e.GetName() == "..." {
			return nil, fmt.Errorf("%s: wildcards are for delete", op.Path)
		}
	}
	n := s.Nodes(op.Path)[0]
	switch n.Kind {
	case tree.Leaf:
		if len(words) != 1 {
			return nil, fmt.Errorf("%s: a leaf takes one value, not %d; quote one that has blanks", op.Path, len(words))
		}
		return ascii(words[0]), nil
	case tree.LeafList:
		if len(words) == 0 {
			return nil, fmt.Errorf("%s: values are missing", op.Path)
		}
		return leafList(words), nil
	case tree.Container, tree.List:
		switch {
		case op.Kind == tree.Replace:
			return nil, fmt.Errorf("%s: replace is for leaves: delete it, and set what it shall have", op.Path)
		case len(words) > 0:
			return nil, fmt.Errorf("%s is no leaf and takes no value %q", op.Path, words[0])
		case n.Kind == tree.List && len(op.Path[len(op.Path)-1].GetKey()) == 0:
			return nil, fmt.Errorf("%s: the entry's keys are missing", op.Path)
		}
	}
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte("{}")}}, nil
}

// leafList is the value of a leaf-list.
func leafList(words []string) *gnmi.TypedValue {
	array := &gnmi.ScalarArray{}
	for _, w := range words {
		array.Element = append(array.Element, ascii(w))
	}
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_LeaflistVal{LeaflistVal: array}}
}

func ascii(s string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_AsciiVal{AsciiVal: s}}
}

// word cuts the first word off s; nil when there is none. In a path, blanks
// between brackets belong to it.
func word(s string, path bool) (w *string, rest string, err error) {
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	if s == "" || s[0] == '#' {
		return nil, "", nil
	}
	if s[0] == '"' {
		return quotedWord(s[1:])
	}
	end, inside := len(s), false
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return nil, "", errors.New("the text is no valid UTF-8")
		case path && inside && r == '\\' && i+1 < len(s):
			_, next := utf8.DecodeRuneInString(s[i+1:])
			size += next
		case path && r == '[':
			inside = true
		case path && r == ']':
			inside = false
		case unicode.IsSpace(r) && !inside:
			end = i
		case !path && (r == '"' || r == '\\' || r == '\''):
			return nil, "", fmt.Errorf("%q: a word with quotes or backslashes stands in double quotes as a whole", s)
		}
		if end == i {
			break
		}
		i += size
	}
	out := s[:end]
	return &out, s[end:], nil
}

// quotedWord reads up to the closing quote.
func quotedWord(s string) (w *string, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			out, rest := b.String(), s[i+1:]
			if r, _ := utf8.DecodeRuneInString(rest); rest != "" && !unicode.IsSpace(r) {
				return nil, "", fmt.Errorf("%q follows a closing quote: put a blank between them", rest)
			}
			if !utf8.ValidString(out) {
				return nil, "", errors.New("the text is no valid UTF-8")
			}
			return &out, rest, nil
		case '\\':
			if i++; i == len(s) {
				return nil, "", errors.New("the line ends inside quotes")
			}
			c, ok := map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '"': '"', '\\': '\\'}[s[i]]
			if !ok {
				return nil, "", fmt.Errorf(`\%c is no escape: there are \n \r \t \" \\`, s[i])
			}
			b.WriteByte(c)
		default:
			b.WriteByte(s[i])
		}
	}
	return nil, "", errors.New("the line ends inside quotes")
}
