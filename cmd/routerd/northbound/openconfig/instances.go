package openconfig

import (
	"slices"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/gen/openconfig"
)

// A member is one entry of an instance's interfaces after the edit.
type member struct {
	instance string // native
	path     tree.Path
	families []gen.E_Routerd_FamilyType // nil for all that the subinterface has
}

func ocInstancePath(name string) tree.Path {
	return at(named("network-instances"), keyed("network-instance", "name", name))
}

func (e *edit) networks() map[string]*ocNetwork {
	if e.out.NetworkInstances == nil {
		return nil
	}
	return e.out.NetworkInstances.NetworkInstance
}

// memberships gathers the entries of all instances by unit.
func (e *edit) memberships() map[unitKey][]member {
	list := make(map[unitKey][]member)
	networks := e.networks()
	for _, name := range sortedKeys(networks) {
		native, ok := nativeInstance(name)
		if !ok {
			e.fail(ocInstancePath(name), "the instance of type DEFAULT_INSTANCE is called %s here: use that name", ocDefault)
			continue
		}
		if networks[name].Interfaces == nil {
			continue
		}
		for _, id := range sortedKeys(networks[name].Interfaces.Interface) {
			here := ocInstancePath(name).Named("interfaces").Child(keyed("interface", "id", id))
			c := networks[name].Interfaces.Interface[id].Config
			if c == nil || c.Interface == nil || c.Subinterface == nil {
				e.fail(here.Named("config"), "both interface and subinterface are needed: set both")
				continue
			}
			if want := unitName(*c.Interface, *c.Subinterface); want != id {
				e.fail(here, "the id of this entry is %q, for its interface and subinterface: use that", want)
				continue
			}
			m := member{instance: native, path: here}
			for _, a := range c.AssociatedAddressFamilies {
				i := slices.IndexFunc(families, func(f gen.E_Routerd_FamilyType) bool { return afi(f) == a })
				if i < 0 {
					e.fail(here.Named("config").Named("associated-address-families"), "the router has no family %s: use IPV4 or IPV6", a)
					continue
				}
				m.families = append(m.families, families[i])
			}
			k := unitKey{*c.Interface, unitID(*c.Subinterface)}
			list[k] = append(list[k], m)
		}
	}
	return list
}

// instancesOf says which families of a unit are in which instance by name. An
// entry without families stands for all that the unit has, and for both where
// it has none: so the order in which instance and addresses are declared is free.
func (e *edit) instancesOf(members []member, wanted map[gen.E_Routerd_FamilyType]family) map[gen.E_Routerd_FamilyType]*string {
	in := make(map[gen.E_Routerd_FamilyType]*string)
	claim := func(f gen.E_Routerd_FamilyType, m member) {
		if other := in[f]; other != nil {
			e.fail(m.path, "the family %s of this subinterface is in instance %q already: delete it there, or say by associated-address-families which is where",
				afi(f), *other)
			return
		}
		in[f] = ptr(m.instance)
	}
	for _, m := range members {
		of := m.families
		if of == nil {
			for _, f := range families {
				if w := wanted[f]; w.said() {
					of = append(of, f)
				}
			}
		}
		if of == nil {
			of = families
		}
		for _, f := range of {
			claim(f, m)
		}
	}
	return in
}

// instancesBack carries back the instances' own leaves, and those that came and
// went.
func (e *edit) instancesBack() {
	networks := e.networks()
	for _, native := range sortedKeys(e.instances) {
		if name, _ := ocInstance(native); networks[name] == nil && e.native.Instance[native] != nil {
			e.remove(at(keyed("instance", "name", native)))
		}
	}
	for _, name := range sortedKeys(networks) {
		native, ok := nativeInstance(name)
		if !ok {
			continue // told of before
		}
		o, n := networks[name], e.native.Instance[native]
		if n != nil && !e.instances[native] {
			continue
		}
		p, here := at(keyed("instance", "name", native)), ocInstancePath(name)
		want := o.Config
		if want == nil {
			want = &oc.OpenconfigNetworkInstance_NetworkInstances_NetworkInstance_Config{}
		}
		if n == nil && native == defaultInstance && !e.instances[native] && o.Config == nil {
			continue // it exists without being declared
		}
		if right := instanceType(native); want.Type != right && !(native == defaultInstance && want.Type == 0) {
			e.fail(here.Named("config").Named("type"), "the type of this instance is %s: set it", right)
			continue
		}
		old := &gen.Routerd_Instance_Config{}
		switch {
		case n == nil && native != defaultInstance:
			e.ensure(p)
		case n != nil && n.Config != nil:
			old = n.Config
		}
		leaf(e, p.Named("config").Named("description"), old.Description, want.Description)
	}
}
