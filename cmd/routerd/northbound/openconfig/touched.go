package openconfig

import (
	"slices"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// Touched lists where in the view a change at or below the native path p can
// show, but for the places of units in instances, which [Memberships] knows.
// Each path is concrete; a list without keys stands for all its entries.
func Touched(p tree.Path) []tree.Path {
	if len(p) == 0 {
		return []tree.Path{nil}
	}
	switch p[0].GetName() {
	case "system":
		return []tree.Path{at(named("system"))}
	case "interface":
		return touchedInterface(p)
	case "instance":
		return touchedInstance(p)
	}
	return nil
}

func touchedInterface(p tree.Path) []tree.Path {
	name, ok := p[0].GetKey()["name"]
	if !ok {
		return []tree.Path{at(named("interfaces")), at(named("network-instances"))}
	}
	here := ocInterfacePath(name)
	if len(p) == 1 {
		return []tree.Path{here}
	}
	if p[1].GetName() != "unit" {
		return []tree.Path{here.Named(p[1].GetName())}
	}
	subs := here.Named("subinterfaces")
	id, ok := p[1].GetKey()["id"]
	if !ok {
		return []tree.Path{subs}
	}
	if _, ok := subIndex(id); !ok {
		return nil
	}
	return []tree.Path{subs.Child(keyed("subinterface", "index", id))}
}

func touchedInstance(p tree.Path) []tree.Path {
	native, ok := p[0].GetKey()["name"]
	if !ok {
		return []tree.Path{at(named("network-instances"))}
	}
	name, ok := ocInstance(native)
	if !ok {
		return nil
	}
	here := ocInstancePath(name)
	if len(p) == 1 {
		return []tree.Path{here.Named("name"), here.Named("config"), here.Named("state"), here.Named("protocols")}
	}
	switch p[1].GetName() {
	case "name", "config", "state":
		return []tree.Path{here.Named(p[1].GetName())}
	case "static-route":
		if prefix, ok := p[1].GetKey()["prefix"]; ok {
			return []tree.Path{ocStaticPath(staticKey{native, prefix})}
		}
		return []tree.Path{here.Named("protocols")}
	}
	return nil
}

// ChangedUnits tells which device, and which of its units ("" for all), a
// change at the native path p belongs to; ok is false when to none.
func ChangedUnits(p tree.Path) (device, unit string, ok bool) {
	if len(p) == 0 || p[0].GetName() != "interface" {
		return "", "", false
	}
	device, ok = p[0].GetKey()["name"]
	if !ok || len(p) == 1 {
		return device, "", ok
	}
	return device, p[1].GetKey()["id"], p[1].GetName() == "unit"
}

// Memberships lists the instances, by the view's names, that units of the
// device are entries of, by the entries' ids. unit "" is all of them.
func Memberships(native *gen.Device, device, unit string) map[string][]string {
	list := make(map[string][]string)
	i := native.Interface[device]
	if i == nil {
		return list
	}
	s := everything
	if unit != "" {
		s.key = unit
	}
	eachEntry(s, i.Unit, func(id string, u *gen.Routerd_Interface_Unit) {
		index, ok := subIndex(id)
		if !ok {
			return
		}
		for _, m := range membershipsOf(u) {
			if name, ok := ocInstance(m.instance); ok {
				list[unitName(device, index)] = append(list[unitName(device, index)], name)
			}
		}
	})
	return list
}

// MemberPath is the path of an entry of an instance's interfaces.
func MemberPath(instance, id string) tree.Path {
	return ocInstancePath(instance).Named("interfaces").Child(keyed("interface", "id", id))
}

// Member is the inverse of MemberPath, for a path at or below an entry.
func Member(p tree.Path) (instance, id string, ok bool) {
	if len(p) < 4 || p[0].GetName() != "network-instances" || p[2].GetName() != "interfaces" {
		return "", "", false
	}
	return p[1].GetKey()["name"], p[3].GetKey()["id"], true
}

// Pieces splits a pattern that covers several interfaces or instances, so that
// each piece is read in a short time. native is only read.
func Pieces(native *gen.Device, state State, p tree.Path) []tree.Path {
	if len(p) == 0 {
		return slices.Concat(Pieces(native, state, at(named("interfaces"))), Pieces(native, state, at(named("network-instances"))), []tree.Path{at(named("system"))})
	}
	name, wild := "*", len(p) == 1
	if len(p) > 1 {
		name = p[1].GetName()
		key, ok := p[1].GetKey()["name"]
		wild = !ok || key == "*"
	}
	if !wild || name == "..." {
		return []tree.Path{p}
	}
	rest := p[min(len(p), 2):]
	switch p[0].GetName() {
	case "interfaces":
		names := slices.Clone(state.Names(models.Device, ""))
		for n := range native.Interface {
			names = append(names, n)
		}
		var list []tree.Path
		for _, n := range sortedUnique(names) {
			list = append(list, slices.Concat(ocInterfacePath(n), rest))
		}
		return list
	case "network-instances":
		return pieceInstances(native, state, p, rest)
	}
	return []tree.Path{p}
}

// pieceInstances reads the places of units in one piece, for all instances:
// finding those of one takes as long.
func pieceInstances(native *gen.Device, state State, p, rest tree.Path) []tree.Path {
	parts := []tree.Path{rest}
	if len(rest) == 0 {
		parts = []tree.Path{at(named("name")), at(named("config")), at(named("state")), at(named("protocols"))}
	} else if rest[0].GetName() != "protocols" {
		return []tree.Path{p}
	}
	names := append(slices.Clone(state.Names(models.Instance, "")), defaultInstance)
	for n := range native.Instance {
		names = append(names, n)
	}
	var list []tree.Path
	for _, n := range sortedUnique(names) {
		name, ok := ocInstance(n)
		if !ok {
			continue
		}
		for _, part := range parts {
			list = append(list, slices.Concat(ocInstancePath(name), part))
		}
	}
	if len(rest) == 0 {
		list = append(list, at(named("network-instances"), named("network-instance"), named("interfaces")))
	}
	return list
}

func sortedUnique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// Place is where the view has what stands at the native path p, as near as it
// can be told; ok is false where it has nothing.
func Place(p tree.Path) (place tree.Path, ok bool) {
	list := Touched(p)
	if len(list) == 0 || len(p) == 0 || p[0].GetName() == "system" {
		return nil, false // the system's leaves have the same paths
	}
	place = list[0]
	if len(p) == 1 && p[0].GetName() == "instance" {
		return ocInstancePath(place[1].GetKey()["name"]), true
	}
	if len(p) > 2 && p[1].GetName() == "unit" && p[2].GetName() == "family" {
		return placeInFamily(place, p[2:]), true
	}
	if len(p) > 2 && p[1].GetName() == "static-route" && p[2].GetName() == "next-hop" {
		if index, ok := p[2].GetKey()["index"]; ok {
			place = place.Named("next-hops").Child(keyed("next-hop", "index", index))
		}
	}
	return place, true
}

// placeInFamily is the place below a subinterface of a path that begins with a
// family.
func placeInFamily(sub, p tree.Path) tree.Path {
	container := "ipv4"
	if p[0].GetKey()["type"] == "inet6" {
		container = "ipv6"
	}
	place := sub.Named(container)
	if len(p) == 1 {
		return place
	}
	switch p[1].GetName() {
	case "address":
		if ip, _, ok := splitPrefix(p[1].GetKey()["prefix"]); ok {
			return place.Named("addresses").Child(keyed("address", "ip", ip))
		}
	case "neighbor":
		if ip, ok := p[1].GetKey()["address"]; ok {
			return place.Named("neighbors").Child(keyed("neighbor", "ip", ip))
		}
	case "config":
		if len(p) > 2 && (p[2].GetName() == "mtu" || p[2].GetName() == "enabled") {
			return place.Named("config").Named(p[2].GetName())
		}
	}
	return place
}
