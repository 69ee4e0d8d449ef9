package command

import (
	"testing"

	"router/cmd/rcli/schema"
)

// The marks in front of what the model has, each kind of node once: the router's own
// model has no mandatory leaf.
func TestMarks(t *testing.T) {
	for _, c := range []struct {
		name string
		node schema.Node
		want string
	}{
		{"a leaf", schema.Node{Kind: schema.Leaf}, " "},
		{"a leaf-list", schema.Node{Kind: schema.LeafList}, " "},
		{"a mandatory leaf", schema.Node{Kind: schema.Leaf, Mandatory: true}, "+"},
		{"a mandatory leaf-list", schema.Node{Kind: schema.LeafList, Mandatory: true}, "+"},
		{"a container", schema.Node{Kind: schema.Container}, ">"},
		{"a list", schema.Node{Kind: schema.List}, ">"},
		{"a mandatory container", schema.Node{Kind: schema.Container, Mandatory: true}, "+"},
	} {
		if got := childCandidate(&c.node).Mark.String(); got != c.want {
			t.Errorf("%s has the mark %q, want %q", c.name, got, c.want)
		}
	}
}
