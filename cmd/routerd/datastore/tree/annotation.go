package tree

import (
	"reflect"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// MetadataAnnotation is the one annotation of the root that the tree takes: in
// JSON it is the member of "@" with this name (RFC 7952, section 5.2.1), in the
// model a leaf.
const MetadataAnnotation = "openconfig-metadata:protobuf-metadata"

// annotationAt is where the model has the leaf.
var annotationAt = Path{{Name: "annotation"}, {Name: "config"}, {Name: "protobuf-metadata"}}

// markAnnotation finds the leaf, if the model has it.
func (s *Schema) markAnnotation() {
	n := s.Root
	for _, e := range annotationAt {
		if n = n.Child(e.GetName()); n == nil {
			return
		}
	}
	n.annotation = true
}

// annotations writes the member "@" of the root.
func (m *merger) annotations(root *Node, at, base reflect.Value, v any) {
	p := Path{{Name: "@"}}
	obj, ok := v.(map[string]any)
	if !ok {
		m.fail(Invalid, p, "takes an object, not %s", describe(v))
		return
	}
	for name, v := range obj {
		if name != MetadataAnnotation {
			m.fail(Invalid, p.Child(&gnmi.PathElem{Name: name}), "there is no such annotation: the one is %s", MetadataAnnotation)
			continue
		}
		sub := merger{Editor: m.Editor, replace: m.replace, covered: m.covered}
		sub.descend(root, at, base, nil, annotationAt, value{any: v})
	}
}

// addAnnotation puts the annotation's leaf into the JSON of the root.
func (o *Object) addAnnotation(l LeafValue) {
	at, _ := o.obj["@"].(object)
	if at == nil {
		at = object{}
		o.obj["@"] = at
	}
	at[MetadataAnnotation] = l.Value.Plain(o.ietf)
}
