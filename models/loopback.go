package models

import "router/intf"

// isLoopback reports whether a unit stands on a loopback.
func (c *Compiled) isLoopback(unit intf.UnitKey) bool {
	return c.intent.Devices[unit.Device].Type == intf.Loopback
}

// checkLoopback checks the unit s of a loopback, which shares nothing with
// anybody: no frames, no network, no neighbours.
func checkLoopback(s intf.UnitSpec, path string, v *violations) {
	if _, child := parentOf(s.Key); child || s.VLAN.Tags() > 0 {
		v.add(path, ruleLoopbackUnit,
			"a unit of a loopback has neither tags nor a parent: delete its vlan, and number it without a dot")
	}
	for _, f := range s.Families {
		fpath := familyPath(path, f.Family)
		for _, a := range f.Addresses {
			if !a.Prefix.IsSingleIP() || a.Peer.IsValid() || isLinkLocal6(a.Prefix.Addr()) {
				v.add(addressPath(fpath, a.Prefix.String()), ruleLoopbackAddress,
					"%v on a loopback, where nobody else is: give it the length %d, no peer, and no link-local address", a.Prefix, a.Prefix.Addr().BitLen())
			}
		}
		for _, n := range f.Neighbors {
			v.add(neighborPath(fpath, n.Address.String()), ruleLoopbackNeighbor,
				"a loopback has no neighbours: delete %v, or declare it on another unit", n.Address)
		}
	}
}
