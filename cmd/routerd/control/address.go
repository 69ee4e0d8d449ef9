package control

import (
	"fmt"
	"net/netip"
	"slices"

	"router/dataplane/packet"
	"router/intf"
)

// An address is an ifa as applied.
type address struct {
	spec   intf.AddressSpec
	status addressStatus
	usable bool   // it is in the RIB and in the host stack
	reason string // why it isn't
}

type addressStatus uint8

const (
	tentative addressStatus = iota // duplicate address detection runs, or waits for the link
	preferred
	duplicate
)

// at is the address in whatever prefix; nil when the family doesn't have it.
// There are two only while one takes the other's place.
func (f *family) at(addr netip.Addr) *address {
	for prefix, a := range f.addresses {
		if prefix.Addr() == addr {
			return a
		}
	}
	return nil
}

// sorted are the addresses in order.
func (f *family) sorted() []*address {
	list := make([]*address, 0, len(f.addresses))
	for _, a := range f.addresses {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *address) int { return a.spec.Prefix.Compare(b.spec.Prefix) })
	return list
}

// primary is the address that the router sends from when it has a choice: the
// one that is marked so, else the first that is not link-local, else any.
func (f *family) primary() netip.Addr {
	var best *address
	rank := func(a *address) int {
		switch {
		case a.spec.Primary:
			return 0
		case !a.spec.Prefix.Addr().IsLinkLocalUnicast():
			return 1
		}
		return 2
	}
	for _, a := range f.sorted() {
		if a.usable && (best == nil || rank(a) < rank(best)) {
			best = a
		}
	}
	if best == nil {
		return netip.Addr{}
	}
	return best.spec.Prefix.Addr()
}

// linkLocal is the address that an IPv6 family makes for itself (RFC 4862,
// 5.3), unless one is configured.
func linkLocal(f *intf.UnitFamily, mac intf.MAC) (intf.AddressSpec, bool) {
	if mac.IsZero() {
		return intf.AddressSpec{}, false
	}
	for _, a := range f.Spec.Addresses {
		if a.Prefix.Addr().IsLinkLocalUnicast() {
			return intf.AddressSpec{}, false
		}
	}
	return intf.AddressSpec{Prefix: netip.PrefixFrom(packet.LinkLocal(mac), 64)}, true
}

// wantedAddresses are the configured addresses of a family and the one that it
// makes for itself.
func wantedAddresses(t *intf.Unit, f intf.Family) []intf.AddressSpec {
	tf := t.Family(f)
	if tf == nil {
		return nil
	}
	addresses := tf.Spec.Addresses
	if f == intf.Inet6 {
		if a, ok := linkLocal(tf, t.MAC); ok {
			addresses = append(addresses[:len(addresses):len(addresses)], a)
		}
	}
	return addresses
}

// useAddress has one of our addresses recognised, once it is known to be ours.
func (r *Router) useAddress(i intf.Index, addr netip.Addr) error {
	u := r.byIndex[i]
	if u == nil {
		return nil
	}
	fam := u.families[intf.FamilyOf(addr)]
	if fam == nil {
		return nil
	}
	for _, a := range fam.addresses {
		if a.spec.Prefix.Addr() != addr {
			continue
		}
		a.status, a.reason = preferred, ""
		if !a.usable {
			if err := r.vrfs.AddAddress(i, a.spec); err != nil {
				a.reason = err.Error()
				return err
			}
			a.usable = true
			r.dirtyUnit(u)
		}
	}
	return nil
}

// refuseAddress notes that somebody else has one of our addresses.
func (r *Router) refuseAddress(i intf.Index, addr netip.Addr, mac intf.MAC) error {
	u := r.byIndex[i]
	if u == nil || u.families[intf.FamilyOf(addr)] == nil {
		return nil
	}
	if u.families[intf.FamilyOf(addr)].borrowed == addr {
		r.log.Error("another station has the borrowed address", "ifl", u.key.Name(), "address", addr.String(), "mac", mac.String())
	}
	for _, a := range u.families[intf.FamilyOf(addr)].addresses {
		if a.spec.Prefix.Addr() != addr {
			continue
		}
		a.status = duplicate
		a.reason = "another station has this address: give one of them another"
		if !mac.IsZero() {
			a.reason = fmt.Sprintf("%s has this address: give one of them another", mac)
		}
		r.log.Error("address is a duplicate and not used", "ifl", u.key.Name(), "address", addr.String(), "mac", mac.String())
		if a.usable {
			a.usable = false
			if err := r.vrfs.RemoveAddress(i, a.spec.Prefix); err != nil {
				return err
			}
		}
		r.dirtyUnit(u)
	}
	return nil
}

// forgetAddresses takes all addresses of a unit back, so that they can begin anew.
func (r *Router) forgetAddresses(u *unit) error {
	for _, fam := range u.families {
		if fam == nil {
			continue
		}
		for prefix := range fam.addresses {
			delete(fam.addresses, prefix)
			r.act(r.neighbors.RemoveAddress(r.clock(), u.index, prefix.Addr()))
			if err := r.vrfs.RemoveAddress(u.index, prefix); err != nil {
				return err
			}
		}
	}
	return nil
}
