package openconfig

import (
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// A scope says which objects a pattern covers, so that only those are
// translated. It may say more than the pattern does, never less.
type scope struct {
	system    bool
	device    selection // interfaces
	body      bool      // the interface's own leaves
	unit      selection // subinterfaces of those
	instance  selection // network instances
	own       bool      // the instance's own leaves
	member    selection // the instance's interfaces, by id
	static    selection // the instance's static routes, by prefix
	protocols bool      // the instance's protocol entry
}

// A selection is none, all, or one entry of a list.
type selection struct {
	on  bool
	key string // "" for all
}

func (s selection) none() bool { return !s.on }
func (s selection) all() bool  { return s.on && s.key == "" }

var everything = selection{on: true}

// one selects what the element's key says.
func one(e *gnmi.PathElem, key string) selection {
	if k := e.GetKey()[key]; k != "*" {
		return selection{on: true, key: k}
	}
	return everything
}

// local drops a module's name.
func local(name string) string {
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// scopesOf splits a pattern into scopes, one for each root that it can reach.
func scopesOf(p tree.Path) []scope {
	whole := []scope{{system: true},
		{device: everything, body: true, unit: everything},
		{instance: everything, own: true, member: everything, static: everything, protocols: true}}
	if len(p) == 0 {
		return whole
	}
	switch local(p[0].GetName()) {
	case "system":
		return whole[:1]
	case "interfaces":
		return []scope{interfaceScope(p[1:])}
	case "network-instances":
		return []scope{instanceScope(p[1:])}
	}
	return whole
}

func interfaceScope(p tree.Path) scope {
	s := scope{device: everything, body: true, unit: everything}
	if len(p) == 0 || local(p[0].GetName()) != "interface" {
		return s
	}
	s.device = one(p[0], "name")
	if len(p) == 1 {
		return s
	}
	switch local(p[1].GetName()) {
	case "*", "...":
		return s
	case "subinterfaces":
		s.body = false
		if len(p) > 2 && local(p[2].GetName()) == "subinterface" {
			s.unit = one(p[2], "index")
		}
		return s
	}
	s.unit = selection{}
	return s
}

func instanceScope(p tree.Path) scope {
	s := scope{instance: everything, own: true, member: everything, static: everything, protocols: true}
	if len(p) == 0 || local(p[0].GetName()) != "network-instance" {
		return s
	}
	s.instance = one(p[0], "name")
	if len(p) == 1 {
		return s
	}
	none := selection{}
	switch local(p[1].GetName()) {
	case "*", "...":
		return s
	case "interfaces":
		s.own, s.static, s.protocols = false, none, false
		if len(p) > 2 && local(p[2].GetName()) == "interface" {
			s.member = one(p[2], "id")
		}
		return s
	case "protocols":
		s.own, s.member = false, none
		if len(p) < 4 || local(p[2].GetName()) != "protocol" {
			return s
		}
		switch local(p[3].GetName()) {
		case "*", "...":
		case "static-routes":
			if len(p) > 4 && local(p[4].GetName()) == "static" {
				s.static = one(p[4], "prefix")
			}
		default:
			s.static = none
		}
		return s
	}
	s.member, s.static, s.protocols = none, none, false
	return s
}
