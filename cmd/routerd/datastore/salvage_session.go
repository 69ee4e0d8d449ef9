package datastore

import (
	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// This file leaves sessions out. One that goes gives its packets to the next best match, and
// one that keeps packets away must not: it stays, without what is refused of it, and keeps away
// more than it should rather than less.

// sessionLadder is ladder for the culprit p, of a session.
func (o *omission) sessionLadder(p tree.Path) []tree.Path {
	leaf := p[len(p)-1].GetName()
	switch {
	case len(p) < 3:
	case leaf == "class", leaf == "description", leaf == "consumer":
		// Its packets are the same.
		return []tree.Path{p, p[:1]}
	case leaf == "interface" || leaf == "instance":
		// Nothing comes by what isn't there; without the leaf it would be about all others.
	case o.keepsAway(p[0].GetKey()["name"]):
		return []tree.Path{p, p[:1]}
	}
	return []tree.Path{p[:1]}
}

// keepsAway reports whether a session keeps its packets from whoever would get them.
func (o *omission) keepsAway(name string) bool {
	s := o.s.candidate.Session[name]
	if s == nil || s.Config == nil {
		return false
	}
	c := s.Config.Consumer
	return c == gen.Routerd_SessionConsumer_discard || c == gen.Routerd_SessionConsumer_reject
}

// closeSession has a session discard its packets whose consumer at p is refused: who was to get
// them is not known.
func (o *omission) closeSession(p tree.Path) {
	if len(p) < 3 || p[0].GetName() != "session" || p[len(p)-1].GetName() != "consumer" {
		return
	}
	if o.s.candidate.Session[p[0].GetKey()["name"]] == nil {
		return
	}
	e := o.s.schema.Editor(o.s.candidate, func(tree.Path) {})
	e.Apply(tree.Op{Kind: tree.Update, Path: p, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: "discard"}}})
}
