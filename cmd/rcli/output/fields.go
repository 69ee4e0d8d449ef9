package output

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/openconfig/goyang/pkg/yang"
)

// A fieldSink passes on values with only some of their leaves.
type fieldSink struct {
	names []string
	seen  map[string]bool // names that were met
	next  Sink
	n     int
}

func newFields(names []string, next Sink) *fieldSink {
	return &fieldSink{names: names, seen: map[string]bool{}, next: next}
}

// Value implements Sink.
func (s *fieldSink) Value(v Value) error {
	x, err := decode(v.JSON)
	if err != nil {
		return fmt.Errorf("the router's answer for %s is no JSON: %w", v.Path, err)
	}
	s.n++
	e, _ := entryAt(v.Path)
	if v.Path == "" {
		e = nil
	}
	kept, ok := s.prune(x, e)
	if !ok {
		return nil
	}
	var b bytes.Buffer
	if err := encode(&b, kept); err != nil {
		return err
	}
	v.JSON, v.Commands = b.Bytes(), nil
	return s.next.Value(v)
}

// prune is what of v is asked for; ok is false when nothing is.
func (s *fieldSink) prune(v any, e *yang.Entry) (any, bool) {
	switch x := v.(type) {
	case object:
		var out object
		found := false
		keys := keysOf(e)
		for _, m := range x {
			if slices.Contains(s.names, m.name) {
				s.seen[m.name] = true
				out = append(out, m)
				found = true
				continue
			}
			if slices.Contains(keys, m.name) {
				out = append(out, m)
				continue
			}
			if kept, ok := s.prune(m.value, child(e, m.name)); ok {
				out = append(out, member{m.name, kept})
				found = true
			}
		}
		return out, found
	case []any:
		var out []any
		for _, one := range x {
			if kept, ok := s.prune(one, e); ok {
				out = append(out, kept)
			}
		}
		return out, len(out) > 0
	}
	return nil, false
}

// Close implements Sink: a name that nothing had is most likely a mistake.
func (s *fieldSink) Close() error {
	if err := s.next.Close(); err != nil {
		return err
	}
	var unknown []string
	for _, n := range s.names {
		if !s.seen[n] {
			unknown = append(unknown, n)
		}
	}
	if s.n > 0 && len(unknown) > 0 {
		return fmt.Errorf("fields: nothing here has %s; as json shows what there is", strings.Join(unknown, ", "))
	}
	return nil
}
