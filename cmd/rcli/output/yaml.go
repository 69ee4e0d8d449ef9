package output

import (
	"bytes"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// A yamlSink writes values as the items of one sequence.
type yamlSink struct {
	w io.Writer
	n int
}

// Value implements Sink. YAML 1.2 has JSON in it: it is read as YAML, so that the
// order of members stays, and written without braces.
func (s *yamlSink) Value(v Value) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(v.JSON, &doc); err != nil {
		return fmt.Errorf("the router's answer for %s is no JSON: %w", v.Path, err)
	}
	plain(&doc)
	out := &doc
	if !v.Alone {
		out = &yaml.Node{Kind: yaml.SequenceNode, Content: doc.Content}
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(out); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	s.n++
	_, err := s.w.Write(b.Bytes())
	return err
}

// Close implements Sink.
func (s *yamlSink) Close() error {
	if s.n > 0 {
		return nil
	}
	_, err := io.WriteString(s.w, "[]\n")
	return err
}

// plain has a node written in block style. Text keeps its quotes where it would
// be something else without them, as a 64-bit number that is text in JSON would.
func plain(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode && len(n.Content) > 0 {
		n.Style = 0
	}
	if n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, c := range n.Content {
		plain(c)
	}
}
