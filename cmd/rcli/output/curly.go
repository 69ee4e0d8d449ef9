package output

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/openconfig/goyang/pkg/yang"
)

// A curlySink writes values indented, with braces: a list entry by its keys, a
// leaf-list in brackets.
type curlySink struct{ w io.Writer }

// Value implements Sink.
func (s *curlySink) Value(v Value) error {
	x, err := decode(v.JSON)
	if err != nil {
		return fmt.Errorf("the router's answer for %s is no JSON: %w", v.Path, err)
	}
	var b strings.Builder
	var e *yang.Entry
	var name string
	if v.Path != "" {
		e, _ = entryAt(v.Path)
		if all := steps(v.Path); len(all) > 0 {
			name, _, _ = strings.Cut(all[len(all)-1], "[")
		}
	}
	switch o, ok := x.(object); {
	case ok && name == "":
		for _, m := range o {
			braces(&b, m.name, m.value, child(e, m.name), "")
		}
	default:
		braces(&b, name, x, e, "")
	}
	_, err = io.WriteString(s.w, b.String())
	return err
}

// Close implements Sink.
func (s *curlySink) Close() error { return nil }

// braces writes one node.
func braces(b *strings.Builder, name string, v any, e *yang.Entry, indent string) {
	if list, ok := entries(v); ok {
		for _, o := range list {
			braces(b, name, o, e, indent)
		}
		return
	}
	if list, ok := v.([]any); ok {
		words := make([]string, len(list))
		for i, x := range list {
			words[i] = word(scalar(x))
		}
		fmt.Fprintf(b, "%s%s [ %s ]\n", indent, name, strings.Join(words, " "))
		return
	}
	o, ok := v.(object)
	if !ok {
		fmt.Fprintf(b, "%s%s %s\n", indent, name, word(scalar(v)))
		return
	}
	head := name
	if keys := o.keyText(e); keys != "" {
		head += " " + keys
	}
	keys := keysOf(e)
	var inner strings.Builder
	for _, m := range o {
		if !slices.Contains(keys, m.name) {
			braces(&inner, m.name, m.value, child(e, m.name), indent+"    ")
		}
	}
	if inner.Len() == 0 {
		fmt.Fprintf(b, "%s%s\n", indent, head)
		return
	}
	fmt.Fprintf(b, "%s%s {\n%s%s}\n", indent, head, inner.String(), indent)
}

// word is a value as one word.
func word(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\n\"'{}[];#") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return strconv.Quote(s)
	}
	return s
}
