package models

import (
	"maps"
	"net/netip"

	"router/intf"
)

// check checks every rule that change, which has been applied, can have broken.
func (c *Compiled) check(change Change, v *violations) {
	a := c.affected(change)
	c.checkInstances(change, v)
	for key := range a.units {
		if s, ok := c.intent.Units[key]; ok {
			c.checkUnit(s, v)
		}
	}
	c.checkStatics(change.Static, v)
	for key := range a.static {
		if s, ok := c.intent.Static[key]; ok && !changes(change.Static, key, StaticKey.Compare) {
			c.checkStatic(s, v)
		}
	}
	for key := range a.multicast {
		if s, ok := c.intent.Multicast[key]; ok {
			c.checkMulticast(s, v)
		}
	}
	for name := range a.sessions {
		if s, ok := c.intent.Sessions[name]; ok {
			c.checkSessionRefs(s, v)
		}
	}
	c.checkClasses(change, v)
	for key := range a.lookups {
		if s, ok := c.intent.Static[key]; ok {
			c.checkLoop(s, v)
		}
	}
	c.checkAccess(change, v)
	for name := range a.filters {
		if s, ok := c.intent.Filters[name]; ok {
			c.checkFilter(s, v)
		}
	}
}

// An affected is what a change can make wrong: the objects that changed and
// those that refer to them; of static routes only the latter.
type affected struct {
	units     map[intf.UnitKey]struct{}
	static    map[StaticKey]struct{}
	multicast map[MulticastKey]struct{}
	lookups   map[StaticKey]struct{} // routes that look up elsewhere, to be checked for loops

	sessions map[string]struct{}
	filters  map[string]struct{}
}

func (c *Compiled) affected(change Change) affected {
	a := affected{
		units:     map[intf.UnitKey]struct{}{},
		static:    map[StaticKey]struct{}{},
		multicast: map[MulticastKey]struct{}{},
		lookups:   map[StaticKey]struct{}{},

		sessions: map[string]struct{}{},
		filters:  map[string]struct{}{},
	}
	for _, d := range change.Devices {
		// Nothing but the MRU and the type reach the units.
		if d.Old == nil || d.New == nil || d.Old.MRU != d.New.MRU || d.Old.Type != d.New.Type {
			for key := range c.index.units[d.Key] {
				a.units[key] = struct{}{}
				for route := range c.index.byUnit[key] {
					a.static[route] = struct{}{}
				}
				maps.Copy(a.filters, c.index.filters.byUnit[key])
			}
		}
	}
	for _, d := range change.Instances {
		if d.New != nil {
			continue
		}
		for f := range c.index.families[d.Key] {
			a.units[f.unit] = struct{}{}
		}
		for key := range c.index.byTarget[d.Key] {
			a.static[key] = struct{}{}
		}
	}
	// Prefixes that have lost what took them out of a chain of look-ups.
	var uncovered []netip.Prefix
	for _, d := range change.Units {
		c.below(d.Key, a.units)
		c.affectedByUnit(d, &a)
		uncovered = append(uncovered, lostNetworks(d)...)
	}
	for _, d := range change.Multicast {
		a.multicast[d.Key] = struct{}{}
	}
	for _, d := range change.Static {
		// Any other new state of the route ends the chains that come to it.
		if d.New == nil || d.New.IsLookup() {
			uncovered = append(uncovered, d.Key.Prefix)
		}
	}
	c.affectedLookups(uncovered, &a)
	c.counterparts(a.units)
	c.affectedSessions(change, a.sessions)
	c.affectedFilters(change, &a)
	return a
}

// affectedByUnit adds the routes that refer to a unit that changed.
func (c *Compiled) affectedByUnit(d Delta[intf.UnitKey, intf.UnitSpec], a *affected) {
	for borrower := range c.index.borrowers[d.Key] {
		a.units[borrower] = struct{}{}
	}
	if !sameFamilies(d.Old, d.New) {
		for key := range c.index.byUnit[d.Key] {
			a.static[key] = struct{}{}
		}
		for key := range c.index.groupsByUnit[d.Key] {
			a.multicast[key] = struct{}{}
		}
	}
	if d.New == nil {
		return
	}
	for _, f := range d.New.Families {
		for _, address := range f.Addresses {
			for key := range c.index.byGateway[address.Prefix.Addr()] {
				a.static[key] = struct{}{}
			}
		}
	}
}

// sameFamilies reports whether two states of a unit carry the same families in
// the same instances.
func sameFamilies(a, b *intf.UnitSpec) bool {
	if a == nil || b == nil || len(a.Families) != len(b.Families) {
		return false
	}
	for i, f := range a.Families {
		if g := b.Families[i]; f.Family != g.Family || f.Instance != g.Instance {
			return false
		}
	}
	return true
}

// lostNetworks lists the networks and addresses of a unit that changed which
// are no longer there.
func lostNetworks(d Delta[intf.UnitKey, intf.UnitSpec]) []netip.Prefix {
	kept := map[StaticKey]struct{}{}
	networksOf(d.New, func(k StaticKey) { kept[k] = struct{}{} })
	var lost []netip.Prefix
	networksOf(d.Old, func(k StaticKey) {
		if _, ok := kept[k]; !ok {
			lost = append(lost, k.Prefix)
		}
	})
	return lost
}

// affectedLookups adds the look-ups whose chains can pass through one of the
// prefixes: the chain of a look-up for p goes by the routes to p and to what
// contains it.
func (c *Compiled) affectedLookups(prefixes []netip.Prefix, a *affected) {
	if len(prefixes) == 0 || len(c.index.byTarget) == 0 {
		return
	}
	for _, keys := range c.index.byTarget {
		for key := range keys {
			for _, p := range prefixes {
				if p.Bits() <= key.Prefix.Bits() && p.Contains(key.Prefix.Addr()) {
					a.lookups[key] = struct{}{}
					break
				}
			}
		}
	}
}

func (c *Compiled) checkInstance(s InstanceSpec, v *violations) {
	for other := range c.index.namespaces[s.HostNamespace] {
		if other != s.Name {
			v.add(instancePath(s.Name)+"/config/host-namespace", ruleHostNamespace,
				"host namespace %q is used by instance %s: name another one", s.HostNamespace, other)
			return
		}
	}
}

// checkUnit checks what a unit has to do with the rest of the configuration.
func (c *Compiled) checkUnit(s intf.UnitSpec, v *violations) {
	path := unitPath(s.Key)
	if parent, ok := parentOf(s.Key); ok {
		if _, ok := c.intent.Units[parent]; !ok {
			v.add(path, ruleUnitParent, "the parent unit %s is missing: declare it", parent.ID)
		}
	}
	stack, ok := c.stack(s.Key)
	if !ok {
		v.add(path+"/vlan", ruleVLANDepth, "more than two tags with those of the parents: take one off")
	} else if c.isLoopback(s.Key) {
		checkLoopback(s, path, v)
	} else {
		c.checkStack(s, stack, path, v)
	}
	mru := c.intent.Devices[s.Key.Device].MRU
	for _, f := range s.Families {
		fpath := familyPath(path, f.Family)
		if _, ok := c.intent.Instances[f.Instance]; !ok {
			v.add(fpath+"/config/instance", ruleFamilyInstance,
				"instance %s does not exist: declare it or name another one", f.Instance)
		}
		mtu := checkMTU(f, int(mru), stack.Tags(), fpath, v)
		c.checkUnnumbered(s.Key, f, fpath, v)
		checkAdvert(f.Advert, mtu, c.isLoopback(s.Key), fpath, v)
		c.checkBindings(f, c.isLoopback(s.Key), fpath, v)
		for _, a := range f.Addresses {
			c.checkUnique(s.Key, f.Instance, a.Prefix, fpath, v)
		}
	}
}

func (c *Compiled) checkStack(s intf.UnitSpec, stack intf.VLAN, path string, v *violations) {
	for other := range c.index.stacks[stackKey{s.Key.Device, stack}] {
		if other == s.Key {
			continue
		}
		if stack.Tags() == 0 {
			v.add(path, ruleUnitUntagged,
				"unit %s of this interface already takes untagged frames: give one of them a VLAN", other.ID)
		} else {
			v.add(path+"/vlan", ruleUnitVLAN, "%s is taken by unit %s: choose other tags", stackText(stack), other.ID)
		}
		return
	}
}

func stackText(s intf.VLAN) string {
	text := "vlan " + uintText(uint64(s.OuterID))
	if s.InnerTPID != 0 {
		text += " with vlan " + uintText(uint64(s.InnerID)) + " in it"
	}
	return text
}

// Octets in front of a packet.
const (
	ethernetHeader = 14
	vlanTag        = 4
	// linkOverhead is what the kernel's link MTU leaves of the MRU: a header
	// and one tag.
	linkOverhead = ethernetHeader + vlanTag
	inet6MinMTU  = 1280 // RFC 8200, 5
)

// checkMTU checks a family's MTU, and returns it.
func checkMTU(f intf.FamilySpec, mru, tags int, path string, v *violations) int {
	overhead := ethernetHeader + vlanTag*tags
	mtu := int(f.MTU)
	if mtu == 0 {
		mtu = mru - max(overhead, linkOverhead)
	} else if mtu+overhead > mru {
		v.add(path+"/config/mtu", ruleFamilyMTU,
			"an MTU of %d and %d octets of Ethernet header and tags exceed the interface's MRU of %d: lower the mtu or raise the mru", mtu, overhead, mru)
	}
	if f.Family == intf.Inet6 && mtu < inet6MinMTU {
		v.add(path, ruleInet6MTU,
			"IPv6 needs an MTU of 1280, and this is %d: raise the mtu, or the interface's mru to at least %d", mtu, inet6MinMTU+max(overhead, linkOverhead))
	}
	return mtu
}

func (c *Compiled) checkUnique(unit intf.UnitKey, instance string, p netip.Prefix, path string, v *violations) {
	for other := range c.index.addresses[instanceAddr{instance, p.Addr()}] {
		if other != (addressKey{unit, p}) {
			v.add(addressPath(path, p.String()), ruleAddressUnique,
				"%v is used in instance %s as %v on %s: remove it there or use another one", p.Addr(), instance, other.prefix, other.unit.Name())
			return
		}
	}
}

// checkStatic checks what a static route has to do with the rest of the
// configuration.
func (c *Compiled) checkStatic(s StaticSpec, v *violations) {
	if s.Incoming != (intf.UnitKey{}) {
		c.checkIncoming(s, v)
	}
	for _, nh := range s.NextHops {
		c.checkNextHop(s.Key, nh, v)
	}
}

// checkIncoming checks that packets of the route's family can come in by its unit.
func (c *Compiled) checkIncoming(s StaticSpec, v *violations) {
	path := staticPath(s.Key) + "/config/incoming-interface"
	unit, ok := c.intent.Units[s.Incoming]
	if !ok {
		v.add(path, ruleIncomingExists, "unit %s does not exist: declare it or name another one", s.Incoming.Name())
		return
	}
	family := intf.FamilyOf(s.Key.Prefix.Addr())
	for _, f := range unit.Families {
		if f.Family == family {
			return
		}
	}
	v.add(path, ruleIncomingFamily,
		"unit %s has no family %v, so nothing comes in by it: add the family there or name another unit", s.Incoming.Name(), family)
}

func (c *Compiled) checkNextHop(key StaticKey, nh StaticNextHop, v *violations) {
	before := len(*v)
	c.checkHop(key, nh, v)
	if len(*v) > before {
		v.below(before, nextHopPath(key, nh.Index)+"/config")
	}
}

// checkHop is checkNextHop with violations whose paths begin at the next hop's config.
func (c *Compiled) checkHop(key StaticKey, nh StaticNextHop, v *violations) {
	if nh.Instance != "" {
		if _, ok := c.intent.Instances[nh.Instance]; !ok {
			v.add("/instance", ruleNexthopInstance,
				"instance %s does not exist: declare it or name another one", nh.Instance)
		}
	}
	if nh.Interface != (intf.UnitKey{}) {
		c.checkNextHopUnit(key, nh.Interface, "/interface", v)
	}
	for own := range c.index.addresses[instanceAddr{c.gatewayInstance(key, nh), nh.Gateway}] {
		v.add("/gateway", ruleGatewayOwn,
			"gateway %v is the router's own address on %s: use that of another router", nh.Gateway, own.unit.Name())
		return
	}
}

// gatewayInstance is the instance in which a next hop's gateway is a neighbour or
// found: that of the unit, the one that is named, or the route's own.
func (c *Compiled) gatewayInstance(key StaticKey, nh StaticNextHop) string {
	if nh.Instance != "" {
		return nh.Instance
	}
	for _, f := range c.intent.Units[nh.Interface].Families {
		if f.Family == intf.FamilyOf(key.Prefix.Addr()) {
			return f.Instance
		}
	}
	return key.Instance
}

func (c *Compiled) checkNextHopUnit(key StaticKey, name intf.UnitKey, path string, v *violations) {
	unit, ok := c.intent.Units[name]
	if !ok {
		v.add(path, ruleNexthopIfExists, "unit %s does not exist: declare it or name another one", name.Name())
		return
	}
	if c.isLoopback(name) {
		v.add(path, ruleNexthopLoopback,
			"%s is a loopback, which leads nowhere: name a unit of another device, or use the action discard or receive", name.Name())
		return
	}
	family := intf.FamilyOf(key.Prefix.Addr())
	for _, f := range unit.Families {
		if f.Family == family {
			return
		}
	}
	v.add(path, ruleNexthopIfFamily,
		"unit %s has no family %v: add the family there or name another unit", name.Name(), family)
}

// checkLoop follows the look-up s for its own prefix through the instances, as
// a packet does that no longer prefix of a chain's instance matches.
func (c *Compiled) checkLoop(s StaticSpec, v *violations) {
	if !s.IsLookup() {
		return
	}
	seen := map[StaticKey]struct{}{}
	for at := s; at.IsLookup(); {
		if _, again := seen[at.Key]; again {
			if at.Key == s.Key {
				v.add(staticPath(s.Key), ruleStaticLoop,
					"the look-up in instance %s leads back here: give one instance of the chain another route to %v", s.Lookup(), s.Key.Prefix)
			}
			return
		}
		seen[at.Key] = struct{}{}
		next, ok := c.bestStatic(at.Lookup(), s.Key.Prefix)
		if !ok {
			return
		}
		at = next
	}
}

// bestStatic is the static route of instance that packets to p follow, as far
// as configuration tells; ok is false when that is a network of an interface,
// or nothing.
func (c *Compiled) bestStatic(instance string, p netip.Prefix) (StaticSpec, bool) {
	for bits := p.Bits(); bits >= 0; bits-- {
		key := StaticKey{Instance: instance, Prefix: netip.PrefixFrom(p.Addr(), bits).Masked()}
		if s, ok := c.intent.Static[key]; ok {
			return s, true
		}
		if c.index.networks[key] > 0 {
			return StaticSpec{}, false
		}
	}
	return StaticSpec{}, false
}
