package tree

import (
	"encoding/base64"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// Words are a value's lexical forms: one of a leaf, those of a leaf-list or of a list's
// order in their order, none of nil.
func Words(v *gnmi.TypedValue) []string {
	switch x := v.GetValue().(type) {
	case nil:
		return nil
	case *gnmi.TypedValue_LeaflistVal:
		words := make([]string, len(x.LeaflistVal.GetElement()))
		for i, e := range x.LeaflistVal.GetElement() {
			words[i] = wordOf(e)
		}
		return words
	default:
		return []string{wordOf(v)}
	}
}

func wordOf(v *gnmi.TypedValue) string {
	if b, ok := v.GetValue().(*gnmi.TypedValue_BytesVal); ok {
		return base64.StdEncoding.EncodeToString(b.BytesVal)
	}
	return Text(v)
}

// Typed is the value of a leaf, leaf-list or list's order of which words are the
// lexical forms; nil for no words, and for what the node doesn't take.
func (n *Node) Typed(words []string) *gnmi.TypedValue {
	if len(words) == 0 {
		return nil
	}
	if n.Kind == Leaf {
		v, err := n.typedPlain(nil, fromText(words[0]))
		if err != nil {
			return nil
		}
		return v
	}
	list := make([]any, len(words))
	for i, w := range words {
		if list[i] = fromText(w); n.Kind == List {
			list[i] = w
		}
	}
	v, err := n.typedPlain(nil, list)
	if err != nil {
		return nil
	}
	return v
}

// ComparePaths orders concrete paths that passed Check as a walk of the tree meets them; but an
// entry's keys come first, and the order of a list after its entries.
func (s *Schema) ComparePaths(a, b Path) int { return s.comparePaths(a, b) }
