package control

import (
	"context"
	"fmt"
	"slices"

	"router/intf"
	"router/models"
	"router/vrf"
)

// An instance is a routing instance as applied.
type instance struct {
	want      *models.InstanceSpec
	applied   bool
	index     uint32
	born      uint64 // tells it from one of its name that was there before
	namespace string // that EnsureNamespaces was called with
	reason    string // why the namespace is not in place
}

func (r *Router) wantInstance(name string, spec *models.InstanceSpec) error {
	in := r.instances[name]
	if in == nil {
		in = &instance{}
		r.instances[name] = in
	}
	if spec == nil && name == vrf.Default {
		spec = &models.InstanceSpec{Name: vrf.Default, Cache: models.DefaultCache}
	}
	in.want = spec
	r.dirty.instances[name] = struct{}{}
	return nil
}

// namespace is the network namespace of an instance's host side.
func (r *Router) namespace(name string) string {
	if in := r.instances[name]; in != nil && in.want != nil {
		return in.want.HostNamespace
	}
	return ""
}

// buildInstances makes the instances of a pass, and first all their namespaces
// together.
func (r *Router) buildInstances(w *worklist, names []string) error {
	var absent []string
	for _, name := range names {
		if in := r.instances[name]; in != nil && in.want != nil && in.want.HostNamespace != in.namespace && in.want.HostNamespace != "" {
			absent = append(absent, in.want.HostNamespace)
		}
	}
	var failed map[string]error
	if len(absent) > 0 {
		slices.Sort(absent)
		failed = r.host.EnsureNamespaces(slices.Compact(absent))
	}
	return build(w, names, instanceObject, func(name string) error { return r.buildInstance(name, failed) })
}

// buildInstance makes an instance or changes it. failed says which namespaces
// can't be had.
func (r *Router) buildInstance(name string, failed map[string]error) error {
	in := r.instances[name]
	if in == nil || in.want == nil {
		return nil
	}
	known := in.applied
	if !in.applied {
		index := r.instanceIndex(name)
		r.names[index] = name
		if err := r.vrfs.AddInstance(name, index); err != nil {
			return err
		}
		r.births++
		in.index, in.born, in.applied = index, r.births, true
		r.setTable(name, index)
	}
	if err := r.limitCache(in); err != nil {
		return err
	}
	if ns := in.want.HostNamespace; ns == in.namespace {
		in.reason = "" // another one could not be had, and is not wanted any more
	} else {
		if err := failed[ns]; err != nil {
			in.reason = err.Error()
			return fmt.Errorf("instance %s: %w", name, err)
		}
		old := in.namespace
		in.namespace, in.reason = ns, ""
		// The units move first; clearInstance lets the old one go.
		if known {
			r.markUnitsOf(name)
		}
		if old != "" {
			r.oldNamespaces = append(r.oldNamespaces, old)
		}
	}
	r.events.changed(models.Object{Kind: models.Instance, Instance: name})
	return nil
}

// markUnitsOf has the units with a family in an instance looked at again.
func (r *Router) markUnitsOf(instance string) {
	for key, u := range r.units {
		for _, f := range u.families {
			if f != nil && f.instance == instance {
				r.dirty.units[key] = struct{}{}
			}
		}
	}
}

// instanceIndex is the index of an instance: 0 for the default one, else the
// number that its name keeps, out of the same file as the if_index numbers.
func (r *Router) instanceIndex(name string) uint32 {
	if name == vrf.Default {
		return 0
	}
	key := instancePrefix + name
	i, _ := r.indexes.Get(key)
	r.saveIndex(key, i)
	return uint32(i)
}

// instancePrefix can't begin a link's name.
const instancePrefix = "instance/"

// setTable lets the workers see an instance's table.
func (r *Router) setTable(name string, index uint32) {
	if t := r.vrfs.FIB(name); t != nil {
		r.edit.SetInstance(index, t)
	}
}

func (r *Router) clearInstance(name string) error {
	in := r.instances[name]
	if in == nil {
		return nil
	}
	if in.applied {
		if err := r.clearFeasible(name, in.index); err != nil {
			return err
		}
	}
	if in.want != nil {
		return nil
	}
	if in.applied {
		r.edit.DeleteInstance(in.index)
		r.commitEdit()
		// Workers that have begun in the table must have left it.
		if err := r.domain.Synchronize(context.Background()); err != nil {
			return fmt.Errorf("instance %s: %w", name, err)
		}
		if err := r.vrfs.DeleteInstance(name); err != nil {
			return err
		}
		in.applied = false
		delete(r.names, in.index)
	}
	if in.namespace != "" {
		r.oldNamespaces = append(r.oldNamespaces, in.namespace)
	}
	delete(r.instances, name)
	r.events.changed(models.Object{Kind: models.Instance, Instance: name})
	return nil
}

// clearNamespaces lets go of namespaces that no instance has any more.
func (r *Router) clearNamespaces() error {
	if len(r.oldNamespaces) == 0 {
		return nil
	}
	used := make(map[string]bool, len(r.instances))
	for _, in := range r.instances {
		used[in.namespace] = true
	}
	gone := slices.DeleteFunc(r.oldNamespaces, func(ns string) bool { return used[ns] })
	r.oldNamespaces = nil
	return r.host.RemoveNamespaces(gone)
}

// A static is a static route as applied.
type static struct {
	want    *models.StaticSpec
	applied bool
}

func (r *Router) buildStatic(key models.StaticKey) error {
	st := r.statics[key]
	if st == nil || st.want == nil {
		return nil
	}
	route := vrf.StaticRoute{Preference: st.want.Preference, Tag: st.want.Tag, Action: staticAction(st.want.Action), Reject: st.want.Reject}
	if in := st.want.Incoming; in != (intf.UnitKey{}) {
		t := r.tree.Unit(in)
		if t == nil {
			return fmt.Errorf("instance %s static-route %s: incoming interface %s does not exist", key.Instance, key.Prefix, in.Name())
		}
		route.Incoming = t.Index
	}
	for _, nh := range st.want.NextHops {
		m := vrf.Member{Gateway: nh.Gateway, Lookup: nh.Instance, Weight: nh.Weight, Backup: nh.Backup}
		if nh.Interface != (intf.UnitKey{}) {
			t := r.tree.Unit(nh.Interface)
			if t == nil {
				return fmt.Errorf("instance %s static-route %s: interface %s does not exist", key.Instance, key.Prefix, nh.Interface.Name())
			}
			m.IfIndex = t.Index
		}
		route.Members = append(route.Members, m)
	}
	if len(route.Members) == 1 {
		// One is itself, and needs no group.
		only := route.Members[0]
		route.Gateway, route.IfIndex, route.Lookup, route.Members = only.Gateway, only.IfIndex, only.Lookup, nil
	}
	if err := r.vrfs.SetStatic(key.Instance, key.Prefix, route); err != nil {
		return err
	}
	st.applied = true
	r.events.changed(staticObject(key))
	return nil
}

func staticAction(a models.Action) vrf.Action {
	switch a {
	case models.Forward:
		return vrf.ActionForward
	case models.Reject:
		return vrf.ActionReject
	case models.Discard:
		return vrf.ActionDiscard
	case models.Receive:
		return vrf.ActionReceive
	}
	return vrf.ActionDiscard
}

func (r *Router) clearStatic(key models.StaticKey) error {
	st := r.statics[key]
	if st == nil || st.want != nil {
		return nil
	}
	if err := r.vrfs.DeleteStatic(key.Instance, key.Prefix); err != nil {
		return err
	}
	delete(r.statics, key)
	r.events.changed(staticObject(key))
	return nil
}
