package models

import (
	"maps"
	"slices"

	"router/intf"
)

// counterparts adds to the units that a change can make wrong those which have
// an address or a VLAN in common with them: a rule that wants something to be unique is
// broken by both sides, and both are told, as in a check of everything.
func (c *Compiled) counterparts(units map[intf.UnitKey]struct{}) {
	for _, key := range slices.Collect(maps.Keys(units)) {
		s, ok := c.intent.Units[key]
		if !ok {
			continue
		}
		if stack, ok := c.stack(key); ok {
			for other := range c.index.stacks[stackKey{key.Device, stack}] {
				units[other] = struct{}{}
			}
		}
		for _, f := range s.Families {
			for _, a := range f.Addresses {
				for other := range c.index.addresses[instanceAddr{f.Instance, a.Prefix.Addr()}] {
					units[other.unit] = struct{}{}
				}
			}
		}
	}
}

// checkInstances checks the instances that changed, and those that use a host
// namespace of theirs.
func (c *Compiled) checkInstances(change Change, v *violations) {
	check := map[string]struct{}{}
	for _, d := range change.Instances {
		if d.New == nil {
			continue
		}
		check[d.Key] = struct{}{}
		for other := range c.index.namespaces[d.New.HostNamespace] {
			check[other] = struct{}{}
		}
	}
	for name := range check {
		if s, ok := c.intent.Instances[name]; ok {
			c.checkInstance(s, v)
		}
	}
}
