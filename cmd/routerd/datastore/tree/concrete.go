package tree

import (
	"strconv"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// Concrete resolves a path that names exactly one node of the configuration, or
// one whole list: every key given, no wildcards. The result has no modules'
// names, and its keys are in their canonical form. The error is an [*Error].
func (s *Schema) Concrete(p Path) (*Node, Path, error) { return s.concrete(p) }

// Ordered reports whether the node is a list whose entries stand in the order that
// its user gives (RFC 7950, 7.7.7).
func (n *Node) Ordered() bool { return n.ordered }

// Text is a value as people read it: a scalar by itself, a leaf-list in brackets.
func Text(v *gnmi.TypedValue) string {
	switch x := v.GetValue().(type) {
	case *gnmi.TypedValue_StringVal:
		return x.StringVal
	case *gnmi.TypedValue_UintVal:
		return strconv.FormatUint(x.UintVal, 10)
	case *gnmi.TypedValue_IntVal:
		return strconv.FormatInt(x.IntVal, 10)
	case *gnmi.TypedValue_BoolVal:
		return strconv.FormatBool(x.BoolVal)
	case *gnmi.TypedValue_DoubleVal:
		return strconv.FormatFloat(x.DoubleVal, 'f', -1, 64)
	case *gnmi.TypedValue_LeaflistVal:
		list := make([]string, len(x.LeaflistVal.GetElement()))
		for i, e := range x.LeaflistVal.GetElement() {
			list[i] = Text(e)
		}
		return "[" + strings.Join(list, " ") + "]"
	}
	return strings.TrimSpace(v.String())
}
