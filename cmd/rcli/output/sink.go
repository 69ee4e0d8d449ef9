package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"router/cmd/rcli/render"
)

// A Value is a piece of a command's result as data.
type Value struct {
	// Path is the gNMI path of the node, with keys; "" when it is none of the model.
	Path string
	// JSON is RFC 7951 JSON, with names of modules or without.
	JSON json.RawMessage
	// Alone says that the value is the whole result, and not one of a list.
	Alone bool
	// Commands writes the node as set-commands; nil where the router can't.
	Commands func() (string, error)
}

// A Sink takes the values of a result, one after the other, and Close ends it. It
// writes as values come, and is not safe for concurrent use.
type Sink interface {
	Value(Value) error
	Close() error
}

// The forms of a result as data.
const (
	JSON  = "json"  // an array, or what is Alone by itself
	YAML  = "yaml"  // the same as YAML
	Table = "table" // a table for each list, a row for each entry
	Set   = "set"   // set-commands; state as comments
	XPath = "xpath" // a line for each leaf: its path and its value
	Yang  = "yang"  // what the model says of the nodes
	Curly = "curly" // indented, with braces
)

// Forms lists them.
func Forms() []string { return []string{JSON, YAML, Table, Set, XPath, Yang, Curly} }

// NewSink makes the sink that writes values to w in a form. With fields only the
// leaves with these names are kept, and the keys of the lists that they are in; a form
// that isn't given is then a table.
func NewSink(w io.Writer, screen render.Screen, form string, fields []string) (Sink, error) {
	var s Sink
	switch form {
	case JSON:
		s = &jsonSink{w: w}
	case YAML:
		s = &yamlSink{w: w}
	case Table, "":
		s = newTables(w, screen)
	case Set:
		s = &commandSink{w: w, line: setLine}
	case XPath:
		s = &commandSink{w: w, line: xpathLine}
	case Yang:
		s = &yangSink{w: w, seen: map[string]bool{}}
	case Curly:
		s = &curlySink{w: w}
	default:
		return nil, fmt.Errorf("unknown form %s", form)
	}
	if len(fields) == 0 {
		return s, nil
	}
	if form == Set || form == XPath || form == Yang {
		return nil, fmt.Errorf("fields chooses leaves of data: with it want as json, as table or as yaml, not display %s", form)
	}
	return newFields(fields, s), nil
}

// A jsonSink writes values as one array.
type jsonSink struct {
	w     io.Writer
	n     int
	alone bool
}

// Value implements Sink.
func (s *jsonSink) Value(v Value) error {
	var b bytes.Buffer
	switch {
	case v.Alone:
		s.alone = true
	case s.n == 0:
		b.WriteString("[\n  ")
	default:
		b.WriteString(",\n  ")
	}
	prefix := "  "
	if v.Alone {
		prefix = ""
	}
	if err := json.Indent(&b, v.JSON, prefix, "  "); err != nil {
		return fmt.Errorf("the router's answer for %s is no JSON: %w", v.Path, err)
	}
	if v.Alone {
		b.WriteByte('\n')
	}
	s.n++
	_, err := s.w.Write(b.Bytes())
	return err
}

// Close implements Sink.
func (s *jsonSink) Close() error {
	text := "\n]\n"
	switch {
	case s.alone:
		return nil
	case s.n == 0:
		text = "[]\n"
	}
	_, err := io.WriteString(s.w, text)
	return err
}

var errNoPath = errors.New("the result is none of the model's: want as json, as table or as yaml")
