package models

import (
	"maps"
	"net/netip"
	"slices"

	"router/gen"
	"router/intf"
)

func compileUnit(key intf.UnitKey, g *gen.Routerd_Interface_Unit, v *violations) intf.UnitSpec {
	path := unitPath(key)
	s := intf.UnitSpec{Key: key, Enabled: true}
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Interface_Unit_Config{}
	}
	implied := *c
	implied.Id = &key.ID
	if checkLeaves(&implied, path+"/config", v) {
		checkKey(c.Id, key.ID, path+"/config/id", v)
		s.Description = value(c.Description, "")
		s.Enabled = value(c.Enabled, true)
		s.Group = value(c.InterfaceGroup, 0)
	}
	s.VLAN = compileVLAN(g.GetVlan().GetConfig(), path+"/vlan/config", v)
	for _, typ := range slices.Sorted(maps.Keys(g.Family)) {
		var f intf.Family
		switch typ {
		case gen.Routerd_FamilyType_inet:
			f = intf.Inet
		case gen.Routerd_FamilyType_inet6:
			f = intf.Inet6
		case gen.Routerd_FamilyType_UNSET:
			v.add(path+"/family", ruleKey, "a family without a type: set its key")
			continue
		}
		s.Families = append(s.Families, compileFamily(f, typ, g.Family[typ], familyPath(path, f), v))
	}
	return s
}

func compileVLAN(c *gen.Routerd_Interface_Unit_Vlan_Config, path string, v *violations) intf.VLAN {
	var s intf.VLAN
	if c == nil || !checkLeaves(c, path, v) {
		return s
	}
	if c.OuterVlanId != nil {
		s.OuterTPID, s.OuterID = tpid(c.OuterTpid), *c.OuterVlanId
	}
	if c.InnerVlanId != nil {
		if c.OuterVlanId == nil {
			v.add(path+"/inner-vlan-id", ruleVLANInner,
				"an inner VLAN without an outer one: set outer-vlan-id, or use it alone")
			return s
		}
		s.InnerTPID, s.InnerID = tpid(c.InnerTpid), *c.InnerVlanId
	}
	return s
}

func tpid(t gen.E_Routerd_Tpid) uint16 {
	switch t {
	case gen.Routerd_Tpid_UNSET, gen.Routerd_Tpid_0x8100:
	case gen.Routerd_Tpid_0x88a8:
		return 0x88a8
	case gen.Routerd_Tpid_0x9100:
		return 0x9100
	case gen.Routerd_Tpid_0x9200:
		return 0x9200
	case gen.Routerd_Tpid_0x9300:
		return 0x9300
	}
	return 0x8100
}

func compileFamily(f intf.Family, typ gen.E_Routerd_FamilyType, g *gen.Routerd_Interface_Unit_Family, path string, v *violations) intf.FamilySpec {
	s := intf.FamilySpec{Family: f, Enabled: true, Instance: DefaultInstance}
	if c := g.GetConfig(); c != nil {
		if c.Type != gen.Routerd_FamilyType_UNSET && c.Type != typ {
			v.add(path+"/config/type", ruleKey, "config says another type than the key, %v: make them equal", f)
		}
		if checkLeaves(c, path+"/config", v) {
			s.Enabled = value(c.Enabled, true)
			s.Instance = value(c.Instance, DefaultInstance)
			s.MTU = value(c.Mtu, 0)
			if c.Unnumbered != nil {
				s.Unnumbered = ParseUnitName(*c.Unnumbered)
			}
			s.NoRedirects = !value(c.Redirects, true)
			s.RPF = rpfCheckOf(c.RpfCheck)
		}
	}
	s.Filters = compileBindings(g.GetFilter().GetConfig(), path, v)
	s.Advert = compileAdvert(f, g.RouterAdvertisement, path, v)
	for text, a := range g.Address {
		if spec, ok := compileAddress(f, text, a, addressPath(path, text), v); ok {
			s.Addresses = append(s.Addresses, spec)
		}
	}
	slices.SortFunc(s.Addresses, func(a, b intf.AddressSpec) int { return a.Prefix.Compare(b.Prefix) })
	checkAddressFlags(s.Addresses, path, v)
	for text, n := range g.Neighbor {
		// A neighbour without config is a learned one.
		if n.GetConfig() == nil {
			continue
		}
		if spec, ok := compileNeighbor(f, text, n.Config, neighborPath(path, text), v); ok {
			s.Neighbors = append(s.Neighbors, spec)
		}
	}
	slices.SortFunc(s.Neighbors, func(a, b intf.NeighborSpec) int { return a.Address.Compare(b.Address) })
	for _, n := range s.Neighbors {
		if s.Unnumbered == (intf.UnitKey{}) || notUnicast(n.Address) != nil {
			checkNeighborOnLink(n, s.Addresses, neighborPath(path, n.Address.String()), v)
		}
	}
	return s
}

func compileAddress(f intf.Family, text string, g *gen.Routerd_Interface_Unit_Family_Address, path string, v *violations) (intf.AddressSpec, bool) {
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Interface_Unit_Family_Address_Config{}
	}
	implied := *c
	implied.Prefix = &text
	if !checkLeaves(&implied, path+"/config", v) {
		return intf.AddressSpec{}, false
	}
	checkKey(c.Prefix, text, path+"/config/prefix", v)
	p, ok := parsePrefix(text, path, v)
	if !ok {
		return intf.AddressSpec{}, false
	}
	if intf.FamilyOf(p.Addr()) != f {
		v.add(path, ruleAddressFamily, "%v does not belong under family %v: move it to the other family", p, f)
		return intf.AddressSpec{}, false
	}
	s := intf.AddressSpec{Prefix: p, Primary: value(c.Primary, false), Preferred: value(c.Preferred, false), Ignore: value(c.IgnoreNetwork, false)}
	if err := notInterfaceAddress(p); err != nil {
		v.add(path, ruleAddressUnicast, "%v is %w: an interface needs a unicast address", p, err)
	}
	if isLinkLocal6(p.Addr()) && p.Bits() != 64 && p.Bits() != 128 {
		v.add(path, ruleAddressLinkLocal, "the link-local address %v has a length other than 64 or 128: change it", p)
	}
	if s.Ignore && (isLinkLocal6(p.Addr()) || p.IsSingleIP() && c.Peer == nil) {
		v.add(path+"/config/ignore-network", ruleIgnoreNetwork, "%v has no route to a network: delete ignore-network", p)
	}
	if c.Peer == nil {
		return s, true
	}
	peer, ok := parseAddr(*c.Peer, path+"/config/peer", v)
	if !ok {
		return s, true
	}
	if !p.IsSingleIP() {
		v.add(path+"/config/peer", rulePeerHostPrefix,
			"the address %v with a peer is a host's: give it the length %d", p, p.Addr().BitLen())
	}
	if err := notUnicast(peer); err != nil || intf.FamilyOf(peer) != f || peer == p.Addr() {
		v.add(path+"/config/peer", rulePeerUnicast,
			"%v is not a unicast address of family %v other than the router's own: use the far end's", peer, f)
		return s, true
	}
	s.Peer = peer
	return s, true
}

// checkAddressFlags checks what only one of the addresses of a family may be.
func checkAddressFlags(addresses []intf.AddressSpec, path string, v *violations) {
	primaries := 0
	preferred := map[netip.Prefix]int{}
	for _, a := range addresses {
		if a.Primary {
			if primaries++; primaries > 1 {
				v.add(addressPath(path, a.Prefix.String())+"/config/primary", rulePrimaryUnique,
					"another address of the family is primary too: unset one")
			}
		}
		if a.Preferred {
			network := a.Prefix.Masked()
			if preferred[network]++; preferred[network] > 1 {
				v.add(addressPath(path, a.Prefix.String())+"/config/preferred", rulePreferredUnique,
					"another address in %v is preferred too: unset one", network)
			}
		}
	}
}

func compileNeighbor(f intf.Family, text string, c *gen.Routerd_Interface_Unit_Family_Neighbor_Config, path string, v *violations) (intf.NeighborSpec, bool) {
	implied := *c
	implied.Address = &text
	if !checkLeaves(&implied, path+"/config", v) {
		return intf.NeighborSpec{}, false
	}
	checkKey(c.Address, text, path+"/config/address", v)
	a, ok := parseAddr(text, path, v)
	if !ok {
		return intf.NeighborSpec{}, false
	}
	if intf.FamilyOf(a) != f {
		v.add(path, ruleNeighborFamily, "%v does not belong under family %v: move it to the other family", a, f)
		return intf.NeighborSpec{}, false
	}
	s := intf.NeighborSpec{Address: a}
	if c.LinkLayerAddress == nil {
		v.add(path, ruleNeighborNeedsMAC, "a static neighbour without a MAC address: set link-layer-address")
		return s, true
	}
	mac, err := parseMAC(*c.LinkLayerAddress)
	if err == nil {
		err = notUnicastMAC(mac)
	}
	if err != nil {
		v.add(path+"/config/link-layer-address", ruleNeighborMAC,
			"%s is %w: a neighbour needs a unicast MAC address", *c.LinkLayerAddress, err)
	}
	s.MAC = mac
	return s, true
}

// checkNeighborOnLink checks n against the addresses of its family.
func checkNeighborOnLink(n intf.NeighborSpec, addresses []intf.AddressSpec, path string, v *violations) {
	own := func(a intf.AddressSpec) bool { return a.Prefix.Addr() == n.Address }
	if slices.ContainsFunc(addresses, own) {
		v.add(path, ruleNeighborOwn, "%v is the router's own address on this unit: use the neighbour's", n.Address)
		return
	}
	onLink := func(a intf.AddressSpec) bool { return a.Prefix.Contains(n.Address) || a.Peer == n.Address }
	if !isLinkLocal6(n.Address) && !slices.ContainsFunc(addresses, onLink) || notUnicast(n.Address) != nil {
		v.add(path, ruleNeighborOnLink,
			"no address of family %v has %v on its link: add such an address or correct this one", intf.FamilyOf(n.Address), n.Address)
	}
}

// stackOf appends the tags of own to those of the parents, and reports whether
// they fit.
func stackOf(parents, own intf.VLAN) (intf.VLAN, bool) {
	switch {
	case own.Tags() == 0:
		return parents, true
	case parents.Tags() == 0:
		return own, true
	case parents.Tags()+own.Tags() > 2:
		return parents, false
	}
	parents.InnerTPID, parents.InnerID = own.OuterTPID, own.OuterID
	return parents, true
}

// parentOf is the unit above key; ok is false where key stands on the device.
func parentOf(key intf.UnitKey) (parent intf.UnitKey, ok bool) {
	for i := len(key.ID) - 1; i > 0; i-- {
		if key.ID[i] == '.' {
			return intf.UnitKey{Device: key.Device, ID: key.ID[:i]}, true
		}
	}
	return intf.UnitKey{}, false
}
