package openconfig

import (
	"fmt"
	"maps"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/gen/openconfig"
)

// Translate makes native operations that do to the native configuration at
// root, a *gen.Device, what ops do to its OpenConfig view, in their order.
// What the view does not show stays as it is, unless the object that it belongs to goes.
// The configuration is only read. The cost follows what the operations cover.
//
// The errors have OpenConfig paths; with any, there are no operations.
func (v *View) Translate(root ygot.GoStruct, ops []tree.Op) ([]tree.Op, []*tree.Error) {
	native, ok := root.(*gen.Device)
	if !ok {
		return nil, []*tree.Error{{Kind: tree.Invalid, Path: "/", Err: fmt.Errorf("the root is a %T, not the native one", root)}}
	}
	e := edit{projection: newProjection(native)}
	if errs := e.cover(v.schema, ops); len(errs) > 0 {
		return nil, errs
	}
	editor := v.schema.Editor(e.out, func(tree.Path) {})
	var errs []*tree.Error
	for _, op := range ops {
		errs = append(errs, editor.Apply(op)...)
	}
	if len(errs) > 0 {
		return nil, supportHint(errs)
	}
	e.carryBack()
	if len(e.errs) > 0 {
		return nil, e.errs
	}
	return e.ops, nil
}

// supportHint says where to look when the view has no such node.
func supportHint(errs []*tree.Error) []*tree.Error {
	for _, err := range errs {
		if err.Kind == tree.Unknown {
			err.Err = fmt.Errorf("%w (what of OpenConfig is supported stands in module openconfig-routerd-deviations)", err.Err)
		}
	}
	return errs
}

// cover projects what the operations can reach: what they remove, and what a
// value is merged with or refers to; to find that out, it is written into an empty tree.
func (e *edit) cover(schema *tree.Schema, ops []tree.Op) []*tree.Error {
	for _, op := range ops {
		var paths []tree.Path
		if op.Kind != tree.Update {
			paths = append(paths, op.Path)
		}
		if op.Kind != tree.Delete {
			scratch := &ocDevice{}
			if errs := schema.Editor(scratch, func(tree.Path) {}).Apply(op); len(errs) > 0 {
				return supportHint(errs)
			}
			leaves, err := tree.Walker{Schema: schema, Config: scratch}.Leaves(nil)
			if err != nil {
				return []*tree.Error{{Kind: tree.Invalid, Path: op.Path.String(), Err: err}}
			}
			for _, l := range leaves {
				paths = append(paths, l.Path)
			}
		}
		for _, p := range paths {
			for _, s := range scopesOf(p) {
				e.add(s)
			}
		}
	}
	return nil
}

// An edit carries the changes of a projection back to the native tree.
type edit struct {
	*projection
	ops  []tree.Op
	errs []*tree.Error
}

func (e *edit) fail(at tree.Path, format string, args ...any) {
	e.errs = append(e.errs, &tree.Error{Kind: tree.Invalid, Path: at.String(), Err: fmt.Errorf(format, args...)})
}

// update writes a scalar. Objects above it are made.
func (e *edit) update(at tree.Path, v *gnmi.TypedValue) {
	e.ops = append(e.ops, tree.Op{Kind: tree.Update, Path: at, Value: v})
}

func (e *edit) remove(at tree.Path) {
	e.ops = append(e.ops, tree.Op{Kind: tree.Delete, Path: at})
}

// ensure makes an entry of a list that may have nothing but its key.
func (e *edit) ensure(at tree.Path) {
	e.update(at, &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte("{}")}})
}

// leaf makes the native leaf what is wanted; nil is absent.
func leaf[T string | bool | uint8 | uint16 | uint32](e *edit, at tree.Path, old, want *T) {
	switch {
	case want == nil && old == nil, want != nil && old != nil && *want == *old:
	case want == nil:
		e.remove(at)
	default:
		e.update(at, typed(*want))
	}
}

func typed[T string | bool | uint8 | uint16 | uint32](v T) *gnmi.TypedValue {
	switch v := any(v).(type) {
	case string:
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: v}}
	case bool:
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_BoolVal{BoolVal: v}}
	case uint8:
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_UintVal{UintVal: uint64(v)}}
	case uint16:
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_UintVal{UintVal: uint64(v)}}
	case uint32:
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_UintVal{UintVal: uint64(v)}}
	}
	return nil
}

func keyed(name, key, value string) *gnmi.PathElem {
	return &gnmi.PathElem{Name: name, Key: map[string]string{key: value}}
}

func at(elems ...*gnmi.PathElem) tree.Path { return elems }

func named(name string) *gnmi.PathElem { return &gnmi.PathElem{Name: name} }

// carryBack writes the operations: what goes first, and what is referred to
// before what refers to it.
func (e *edit) carryBack() {
	if e.system {
		e.systemBack()
	}
	var interfaces map[string]*ocInterface
	if e.out.Interfaces != nil {
		interfaces = e.out.Interfaces.Interface
	}
	gone := make(map[string]bool)
	for _, name := range sortedKeys(e.bodies) {
		if interfaces[name] == nil {
			gone[name] = true
			e.remove(at(keyed("interface", "name", name)))
		}
	}
	members := e.memberships()
	e.instancesBack()
	for _, name := range sortedKeys(interfaces) {
		if e.native.Interface[name] == nil || e.bodies[name] {
			e.interfaceBack(name, interfaces[name])
		}
	}
	e.unitsBack(interfaces, gone, members)
	e.staticsBack()
}

func (e *edit) systemBack() {
	var old, want *string
	if n := e.native.System; n != nil && n.Config != nil {
		old = n.Config.Hostname
	}
	if o := e.out.System; o != nil && o.Config != nil {
		want = o.Config.Hostname
	}
	leaf(e, at(named("system"), named("config"), named("hostname")), old, want)
}

func ocInterfacePath(name string) tree.Path {
	return at(named("interfaces"), keyed("interface", "name", name))
}

func (e *edit) interfaceBack(name string, o *ocInterface) {
	p := at(keyed("interface", "name", name))
	n := e.native.Interface[name]
	old := &gen.Routerd_Interface_Config{}
	if n == nil {
		e.ensure(p)
	} else if n.Config != nil {
		old = n.Config
	}
	want := o.Config
	if want == nil {
		want = &oc.OpenconfigInterfaces_Interfaces_Interface_Config{}
	}
	p = p.Named("config")
	e.interfaceType(name, p.Named("type"), old.Type, want.Type)
	leaf(e, p.Named("description"), old.Description, want.Description)
	leaf(e, p.Named("enabled"), old.Enabled, want.Enabled)
	var mru *uint16
	if want.Mtu != nil {
		if *want.Mtu > 1<<16-1-tagLength {
			e.fail(ocInterfacePath(name).Named("config").Named("mtu"), "%d is too large: 9596 is the largest MTU", *want.Mtu)
			return
		}
		mru = ptr(*want.Mtu + tagLength)
	}
	leaf(e, p.Named("mru"), old.Mru, mru)
}

func (e *edit) interfaceType(name string, p tree.Path, old gen.E_Routerd_InterfaceType, want oc.E_IETFInterfaces_InterfaceType) {
	native := map[oc.E_IETFInterfaces_InterfaceType]gen.E_Routerd_InterfaceType{
		oc.IETFInterfaces_InterfaceType_UNSET:            gen.Routerd_InterfaceType_UNSET,
		oc.IETFInterfaces_InterfaceType_ethernetCsmacd:   gen.Routerd_InterfaceType_ethernet,
		oc.IETFInterfaces_InterfaceType_softwareLoopback: gen.Routerd_InterfaceType_loopback,
	}
	w, ok := native[want]
	switch {
	case !ok:
		e.fail(ocInterfacePath(name).Named("config").Named("type"), "the router has no interfaces of type %s: use ethernetCsmacd or softwareLoopback", want)
	case w == old, old == gen.Routerd_InterfaceType_UNSET && w == gen.Routerd_InterfaceType_ethernet:
	case w == gen.Routerd_InterfaceType_UNSET:
		e.remove(p)
	default:
		e.update(p, typed(w.String()))
	}
}

// unitsBack carries back units, those that were projected and those that were
// made, and the memberships of both.
func (e *edit) unitsBack(interfaces map[string]*ocInterface, gone map[string]bool, members map[unitKey][]member) {
	have := make(map[unitKey]*ocSubinterface)
	for name, o := range interfaces {
		if o.Subinterfaces == nil {
			continue
		}
		for index, s := range o.Subinterfaces.Subinterface {
			have[unitKey{name, unitID(index)}] = s
		}
	}
	compare := func(a, b unitKey) int {
		return slices.Compare([]string{a.device, a.id}, []string{b.device, b.id})
	}
	for _, k := range slices.SortedFunc(maps.Keys(e.units), compare) {
		if have[k] == nil && !gone[k.device] {
			e.remove(at(keyed("interface", "name", k.device), keyed("unit", "id", k.id)))
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(members), compare) {
		if have[k] == nil {
			for _, m := range members[k] {
				e.fail(m.path, "there is no subinterface %s of interface %s: declare it, or delete this entry as well", k.id, k.device)
			}
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(have), compare) {
		e.unitBack(k, have[k], members[k])
	}
}

func (e *edit) unitBack(k unitKey, o *ocSubinterface, members []member) {
	p := at(keyed("interface", "name", k.device), keyed("unit", "id", k.id))
	here := ocInterfacePath(k.device).Named("subinterfaces").Child(keyed("subinterface", "index", k.id))
	var n *gen.Routerd_Interface_Unit
	if i := e.native.Interface[k.device]; i != nil {
		n = i.Unit[k.id]
	}
	if n == nil {
		e.ensure(p)
		n = &gen.Routerd_Interface_Unit{}
	}
	old := n.Config
	if old == nil {
		old = &gen.Routerd_Interface_Unit_Config{}
	}
	want := o.Config
	if want == nil {
		want = &oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Config{}
	}
	leaf(e, p.Named("config").Named("description"), old.Description, want.Description)
	leaf(e, p.Named("config").Named("enabled"), old.Enabled, want.Enabled)
	e.vlanBack(p.Named("vlan").Named("config"), here, n, o)

	wanted := map[gen.E_Routerd_FamilyType]family{
		gen.Routerd_FamilyType_inet: readIPv4(o.Ipv4), gen.Routerd_FamilyType_inet6: readIPv6(o.Ipv6)}
	instances := e.instancesOf(members, wanted)
	for _, f := range families {
		fp := p.Child(keyed("family", "type", f.String()))
		w, container := wanted[f], "ipv4"
		if f == gen.Routerd_FamilyType_inet6 {
			container = "ipv6"
		}
		instance, in := instances[f]
		switch {
		case w.said() || in:
			e.familyBack(fp, here.Named(container), n.Family[f], &w, instance)
		case n.Family[f] != nil:
			e.remove(fp)
		}
	}
}

func (e *edit) vlanBack(p, here tree.Path, n *gen.Routerd_Interface_Unit, o *ocSubinterface) {
	old := &gen.Routerd_Interface_Unit_Vlan_Config{}
	if n.Vlan != nil && n.Vlan.Config != nil {
		old = n.Vlan.Config
	}
	var outer, inner *uint16
	if o.Vlan != nil && o.Vlan.Match != nil {
		m, here := o.Vlan.Match, here.Named("vlan").Named("match")
		if m.SingleTagged != nil && m.SingleTagged.Config != nil {
			outer = m.SingleTagged.Config.VlanId
		}
		if m.DoubleTagged != nil && m.DoubleTagged.Config != nil && (m.DoubleTagged.Config.OuterVlanId != nil || m.DoubleTagged.Config.InnerVlanId != nil) {
			c := m.DoubleTagged.Config
			switch {
			case outer != nil:
				e.fail(here, "single-tagged and double-tagged can't both be set: delete one")
			case c.OuterVlanId == nil || c.InnerVlanId == nil:
				e.fail(here.Named("double-tagged").Named("config"), "both outer-vlan-id and inner-vlan-id are needed: set both, or use single-tagged")
			}
			outer, inner = c.OuterVlanId, c.InnerVlanId
		}
	}
	leaf(e, p.Named("inner-vlan-id"), old.InnerVlanId, inner)
	leaf(e, p.Named("outer-vlan-id"), old.OuterVlanId, outer)
}

// familyBack carries a family back; instance is nil for the default one,
// unsaid.
func (e *edit) familyBack(p, here tree.Path, n *gen.Routerd_Interface_Unit_Family, want *family, instance *string) {
	if n == nil {
		e.ensure(p)
		n = &gen.Routerd_Interface_Unit_Family{}
	}
	old := n.Config
	if old == nil {
		old = &gen.Routerd_Interface_Unit_Family_Config{}
	}
	cfg := p.Named("config")
	// That a family is enabled goes without saying in the native tree.
	if !(value(want.enabled) && old.Enabled == nil) {
		leaf(e, cfg.Named("enabled"), old.Enabled, want.enabled)
	}
	leaf(e, cfg.Named("instance"), old.Instance, instance)
	var mtu *uint16
	if want.mtu != nil {
		if *want.mtu > 1<<16-1 {
			e.fail(here.Named("config").Named("mtu"), "%d is too large: no packet is larger than 65535 octets", *want.mtu)
			return
		}
		mtu = ptr(uint16(*want.mtu))
	}
	leaf(e, cfg.Named("mtu"), old.Mtu, mtu)
	e.unnumberedBack(cfg.Named("unnumbered"), here.Named("unnumbered"), old.Unnumbered, want)
	e.addressesBack(p, here, n, want)
	e.neighborsBack(p, here, n, want)
}

func (e *edit) unnumberedBack(p, here tree.Path, old *string, want *family) {
	switch {
	case value(want.unnumbered) && want.refDevice == nil:
		e.fail(here, "the interface whose address is borrowed is missing: set interface-ref/config/interface")
		return
	case !value(want.unnumbered) && (want.refDevice != nil || want.refUnit != nil):
		e.fail(here, "the interface-ref has no effect: set config/enabled to true, or delete it")
		return
	}
	var unit *string
	if want.refDevice != nil {
		unit = ptr(unitName(*want.refDevice, value(want.refUnit)))
	}
	e.unitRef(p, old, unit)
}

// unitRef makes the native leaf, a unit's name, what is wanted. A unit that
// OpenConfig has no name for stays while nothing else is asked for, and one
// that is written shorter is not rewritten.
func (e *edit) unitRef(p tree.Path, old, want *string) {
	if old != nil {
		if _, _, ok := splitUnit(*old); !ok && want == nil {
			return
		}
		if want != nil && sameUnit(*old, *want) {
			return
		}
	}
	leaf(e, p, old, want)
}

func (e *edit) addressesBack(p, here tree.Path, n *gen.Routerd_Interface_Unit_Family, want *family) {
	kept := make(map[string]bool)
	for _, prefix := range sortedKeys(n.Address) {
		ip, length, _ := splitPrefix(prefix)
		if w, ok := want.addresses[ip]; ok && w != nil && *w == length {
			kept[ip] = true
		} else if !ok || !kept[ip] {
			e.remove(p.Child(keyed("address", "prefix", prefix)))
		}
	}
	for _, ip := range sortedKeys(want.addresses) {
		there := here.Named("addresses").Child(keyed("address", "ip", ip))
		length := want.addresses[ip]
		canonical, ok := canonicalAddr(ip)
		switch {
		case length == nil:
			e.fail(there.Named("config").Named("prefix-length"), "an address needs its prefix-length: set it")
		case !ok || canonical != ip:
			e.fail(there, "this is not the canonical spelling (RFC 5952): write %s", canonical)
		case !kept[ip]:
			e.ensure(p.Child(keyed("address", "prefix", fmt.Sprintf("%s/%d", ip, *length))))
		}
	}
}

func (e *edit) neighborsBack(p, here tree.Path, n *gen.Routerd_Interface_Unit_Family, want *family) {
	for _, ip := range sortedKeys(n.Neighbor) {
		if _, ok := want.neighbors[ip]; !ok {
			e.remove(p.Child(keyed("neighbor", "address", ip)))
		}
	}
	for _, ip := range sortedKeys(want.neighbors) {
		there := here.Named("neighbors").Child(keyed("neighbor", "ip", ip))
		if canonical, ok := canonicalAddr(ip); !ok || canonical != ip {
			e.fail(there, "this is not the canonical spelling (RFC 5952): write %s", canonical)
			continue
		}
		if want.neighbors[ip] == nil {
			e.fail(there.Named("config").Named("link-layer-address"), "a static neighbour needs its MAC address: set it")
			continue
		}
		var old *string
		if nb := n.Neighbor[ip]; nb != nil && nb.Config != nil {
			old = nb.Config.LinkLayerAddress
		}
		leaf(e, p.Child(keyed("neighbor", "address", ip)).Named("config").Named("link-layer-address"), old, want.neighbors[ip])
	}
}
