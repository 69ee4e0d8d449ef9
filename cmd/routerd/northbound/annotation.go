package northbound

import (
	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// A client may annotate the configuration as a whole with octets of its own, at
// /@/openconfig-metadata:protobuf-metadata (RFC 7952 names such things; OpenConfig
// defines this one). They are a leaf of the model and so part of a commit.

// annotationPath is where the model keeps the annotation, and annotationName how gNMI
// spells its path.
var (
	annotationPath = tree.Path{{Name: "annotation"}, {Name: "config"}, {Name: "protobuf-metadata"}}
	annotationName = tree.Path{{Name: "@"}, {Name: tree.MetadataAnnotation}}
)

// fromAnnotation turns gNMI's path of the annotation into the model's. Others
// pass unchanged; annotations of other nodes don't exist.
func fromAnnotation(p tree.Path) (tree.Path, *tree.Error) {
	for i, e := range p {
		if e.GetName() != "@" {
			continue
		}
		if i == 0 && p.String() == annotationName.String() {
			return annotationPath, nil
		}
		return p, pathError(tree.Unsupported, p, "the only annotation is %s", annotationName)
	}
	return p, nil
}

// isAnnotation reports whether the request spells a path as the annotation's.
func isAnnotation(prefix, p *gnmi.Path) bool {
	elems := prefix.GetElem()
	if len(elems) == 0 {
		elems = p.GetElem()
	}
	return len(elems) > 0 && elems[0].GetName() == "@"
}

// asAsked spells the path p of an answer as the request spelled it.
func asAsked(p tree.Path, annotation bool) tree.Path {
	if annotation && p.HasPrefix(annotationPath) {
		return annotationName
	}
	return p
}
