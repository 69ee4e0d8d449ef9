package models

import (
	"slices"

	"router/intf"
)

// numbered reports whether a family has an address that it can lend: a
// link-local one means nothing on another link.
func numbered(f intf.FamilySpec) bool {
	return slices.ContainsFunc(f.Addresses, func(a intf.AddressSpec) bool { return !isLinkLocal6(a.Prefix.Addr()) })
}

// checkUnnumbered checks the family f of a unit, which borrows an address.
func (c *Compiled) checkUnnumbered(key intf.UnitKey, f intf.FamilySpec, path string, v *violations) {
	if f.Unnumbered == (intf.UnitKey{}) {
		return
	}
	path += "/config/unnumbered"
	if numbered(f) {
		v.add(path, ruleUnnumberedAddress, "the family has an address, and borrows none: delete unnumbered or the addresses")
	}
	if c.isLoopback(key) {
		v.add(path, ruleUnnumberedLink, "a loopback lends addresses and borrows none: delete unnumbered, and give it an address")
	}
	lender, ok := c.intent.Units[f.Unnumbered]
	if !ok {
		v.add(path, ruleUnnumberedExists, "unit %s does not exist: declare it or name another one", f.Unnumbered.Name())
		return
	}
	lends := func(g intf.FamilySpec) bool { return g.Family == f.Family && g.Instance == f.Instance && numbered(g) }
	if !slices.ContainsFunc(lender.Families, lends) {
		v.add(path, ruleUnnumberedLends,
			"unit %s has no address of family %v in instance %s to lend: give it one, or name another unit", f.Unnumbered.Name(), f.Family, f.Instance)
	}
}
