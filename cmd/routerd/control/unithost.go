package control

import (
	"fmt"
	"slices"

	"router/dataplane/host"
	"router/intf"
)

// Host is the host stack's side of units.
type Host interface {
	Ensure(host.Spec) error
	Remove(intf.Index) error
	Status(intf.Index, intf.Family) (s host.Status, ok bool)
	EnsureNamespaces(names []string) (failed map[string]error)
	RemoveNamespaces(names []string) error
}

// buildHost brings the unit's TAPs up to date.
func (r *Router) buildHost(u *unit, t *intf.Unit) error {
	spec := host.Spec{IfIndex: u.index, Name: t.Name, MAC: t.MAC}
	if t.Loopback {
		spec.MAC = loopbackMAC(u.index)
	}
	for _, f := range intf.Families {
		fam, tf := u.families[f], t.Family(f)
		if fam == nil || tf == nil {
			continue
		}
		index, _ := r.vrfs.Index(fam.instance)
		hf := host.Family{Family: f, Namespace: r.namespace(fam.instance), Instance: index, MTU: tf.MTU, Up: tf.Up()}
		wanted := wantedAddresses(t, f)
		for _, a := range fam.sorted() {
			// The host stack takes an address once: in the prefix that is to stay.
			leaves := slices.ContainsFunc(wanted, func(w intf.AddressSpec) bool {
				return w.Prefix.Addr() == a.spec.Prefix.Addr() && w.Prefix != a.spec.Prefix
			})
			if a.usable && !leaves {
				hf.Addresses = append(hf.Addresses, a.spec)
			}
		}
		if fam.borrowed.IsValid() {
			hf.Addresses = append(hf.Addresses, intf.AddressSpec{Prefix: hostPrefix(fam.borrowed)})
		}
		spec.Families = append(spec.Families, hf)
	}
	if len(spec.Families) == 0 || spec.MAC.IsZero() {
		return r.removeHost(u)
	}
	if u.host != nil && !u.unhosted && equalHost(*u.host, spec) {
		return nil
	}
	err := r.host.Ensure(spec)
	if u.host, u.unhosted = &spec, err != nil; err != nil {
		return fmt.Errorf("interface %s unit %s: %w", u.key.Device, u.key.ID, err)
	}
	return nil
}

// loopbackMAC is the address of the TAP of a loopback's unit: a TAP has one, and
// nobody ever sees it.
func loopbackMAC(i intf.Index) intf.MAC {
	return intf.MAC{0x02, 0, byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}
}

func equalHost(a, b host.Spec) bool {
	return a.IfIndex == b.IfIndex && a.Name == b.Name && a.MAC == b.MAC &&
		slices.EqualFunc(a.Families, b.Families, func(x, y host.Family) bool {
			return x.Family == y.Family && x.Namespace == y.Namespace && x.Instance == y.Instance && x.MTU == y.MTU &&
				x.Up == y.Up && slices.Equal(x.Addresses, y.Addresses)
		})
}

func (r *Router) removeHost(u *unit) error {
	if u.host == nil {
		return nil
	}
	u.host = nil
	return r.host.Remove(u.index)
}
