package tree

import (
	"reflect"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// A trail is where a merge has got to: a path that is made only when somebody
// needs it, for most values never do. It is either a whole path, or a node below
// up, or below path where there is no up; with an entry, that entry of list node.
type trail struct {
	up    *trail
	node  *Node
	entry reflect.Value
	path  Path
}

// Path is the concrete path.
func (t *trail) Path() Path {
	switch {
	case t.node == nil:
		return t.path
	case t.entry.IsValid():
		return t.parent().Child(t.node.elem(t.entry))
	}
	return t.parent().Child(&gnmi.PathElem{Name: t.node.Name})
}

// parent is the path above the last element, of a trail with a node.
func (t *trail) parent() Path {
	if t.up != nil {
		return t.up.Path()
	}
	return t.path
}
