package control

import (
	"net/netip"

	"router/intf"
	"router/routing/neighbor"
)

// lenders are the units that spec, nil for none, borrows addresses of.
func lenders(spec *intf.UnitSpec, visit func(intf.UnitKey)) {
	if spec == nil {
		return
	}
	for _, f := range spec.Families {
		if f.Unnumbered != (intf.UnitKey{}) {
			visit(f.Unnumbered)
		}
	}
}

// noteLenders remembers who has to know when a unit's address changes.
func (r *Router) noteLenders(key intf.UnitKey, old, now *intf.UnitSpec) {
	lenders(old, func(lender intf.UnitKey) {
		delete(r.borrowers[lender], key)
		if len(r.borrowers[lender]) == 0 {
			delete(r.borrowers, lender)
		}
	})
	lenders(now, func(lender intf.UnitKey) {
		if r.borrowers[lender] == nil {
			r.borrowers[lender] = map[intf.UnitKey]struct{}{}
		}
		r.borrowers[lender][key] = struct{}{}
	})
}

// lent is the address that an unnumbered family of an instance gets of a unit;
// the zero one while there is none.
func (r *Router) lent(lender intf.UnitKey, f intf.Family, instance string) netip.Addr {
	u := r.units[lender]
	if u == nil || u.want == nil || u.families[f] == nil || u.families[f].instance != instance {
		return netip.Addr{}
	}
	if a := u.families[f].primary(); !a.IsLinkLocalUnicast() || a.Is4() {
		return a
	}
	return netip.Addr{}
}

// borrow brings what an unnumbered family borrows up to date: it is ours on that
// link, too.
func (r *Router) borrow(u *unit, fam *family, tf *intf.UnitFamily, f intf.Family) {
	var a netip.Addr
	if tf != nil && tf.Spec.Unnumbered != (intf.UnitKey{}) {
		a = r.lent(tf.Spec.Unnumbered, f, fam.instance)
	}
	if a == fam.borrowed {
		return
	}
	if fam.borrowed.IsValid() && fam.at(fam.borrowed) == nil {
		r.act(r.neighbors.RemoveAddress(r.clock(), u.index, fam.borrowed))
		r.forget(neighbor.Key{IfIndex: u.index, Addr: fam.borrowed}, true)
	}
	fam.borrowed = a
	if a.IsValid() {
		r.addAddress(u, hostPrefix(a))
	}
}

// markBorrowers has the units looked at that borrow another address of the unit
// than it lends now.
func (r *Router) markBorrowers(lender intf.UnitKey) {
	for key := range r.borrowers[lender] {
		u, t := r.units[key], r.tree.Unit(key)
		if u == nil || t == nil {
			continue
		}
		for _, f := range intf.Families {
			fam, tf := u.families[f], t.Family(f)
			if fam != nil && tf != nil && tf.Spec.Unnumbered == lender && fam.borrowed != r.lent(lender, f, fam.instance) {
				r.dirty.units[key] = struct{}{}
			}
		}
	}
}

func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
