package openconfig

import "router/gen/openconfig"

// Short names for ygot's, which spell out the whole path.
type (
	ocDevice       = oc.Device
	ocInterface    = oc.OpenconfigInterfaces_Interfaces_Interface
	ocSubinterface = oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface
	ocIPv4         = oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv4
	ocIPv6         = oc.OpenconfigInterfaces_Interfaces_Interface_Subinterfaces_Subinterface_Ipv6
	ocNetwork      = oc.OpenconfigNetworkInstance_NetworkInstances_NetworkInstance
	ocProtocol     = oc.OpenconfigNetworkInstance_NetworkInstances_NetworkInstance_Protocols_Protocol
	ocStatic       = oc.OpenconfigNetworkInstance_NetworkInstances_NetworkInstance_Protocols_Protocol_StaticRoutes_Static
	configNextHop  = oc.OpenconfigNetworkInstance_NetworkInstances_NetworkInstance_Protocols_Protocol_StaticRoutes_Static_NextHops_NextHop_Config_NextHop_Union
	stateNextHop   = oc.OpenconfigNetworkInstance_NetworkInstances_NetworkInstance_Protocols_Protocol_StaticRoutes_Static_NextHops_NextHop_State_NextHop_Union
	ocNextHop      = oc.OpenconfigNetworkInstance_NetworkInstances_NetworkInstance_Protocols_Protocol_StaticRoutes_Static_NextHops_NextHop
)

// A family is what a subinterface's containers ipv4 and ipv6 have in common:
// their generated types differ, their meaning does not.
type family struct {
	enabled    *bool
	mtu        *uint32
	addresses  map[string]*uint8  // prefix length by ip, nil where it is missing
	neighbors  map[string]*string // MAC address by ip, nil where it is missing
	unnumbered *bool
	refDevice  *string
	refUnit    *uint32
}

// said reports whether anything of the family is configured.
func (f *family) said() bool {
	return f.enabled != nil || f.mtu != nil || len(f.addresses) > 0 || len(f.neighbors) > 0 || f.unnumbered != nil || f.refDevice != nil || f.refUnit != nil
}

func readIPv4(c *ocIPv4) (f family) {
	if c == nil {
		return f
	}
	if c.Config != nil {
		f.enabled = c.Config.Enabled
		if c.Config.Mtu != nil {
			f.mtu = ptr(uint32(*c.Config.Mtu))
		}
	}
	if c.Addresses != nil {
		f.addresses = make(map[string]*uint8, len(c.Addresses.Address))
		for ip, a := range c.Addresses.Address {
			f.addresses[ip] = nil
			if a.Config != nil {
				f.addresses[ip] = a.Config.PrefixLength
			}
		}
	}
	if c.Neighbors != nil {
		f.neighbors = make(map[string]*string, len(c.Neighbors.Neighbor))
		for ip, n := range c.Neighbors.Neighbor {
			f.neighbors[ip] = nil
			if n.Config != nil {
				f.neighbors[ip] = n.Config.LinkLayerAddress
			}
		}
	}
	if u := c.Unnumbered; u != nil {
		if u.Config != nil {
			f.unnumbered = u.Config.Enabled
		}
		if u.InterfaceRef != nil && u.InterfaceRef.Config != nil {
			f.refDevice, f.refUnit = u.InterfaceRef.Config.Interface, u.InterfaceRef.Config.Subinterface
		}
	}
	return f
}

func readIPv6(c *ocIPv6) (f family) {
	if c == nil {
		return f
	}
	if c.Config != nil {
		f.enabled, f.mtu = c.Config.Enabled, c.Config.Mtu
	}
	if c.Addresses != nil {
		f.addresses = make(map[string]*uint8, len(c.Addresses.Address))
		for ip, a := range c.Addresses.Address {
			f.addresses[ip] = nil
			if a.Config != nil {
				f.addresses[ip] = a.Config.PrefixLength
			}
		}
	}
	if c.Neighbors != nil {
		f.neighbors = make(map[string]*string, len(c.Neighbors.Neighbor))
		for ip, n := range c.Neighbors.Neighbor {
			f.neighbors[ip] = nil
			if n.Config != nil {
				f.neighbors[ip] = n.Config.LinkLayerAddress
			}
		}
	}
	if u := c.Unnumbered; u != nil {
		if u.Config != nil {
			f.unnumbered = u.Config.Enabled
		}
		if u.InterfaceRef != nil && u.InterfaceRef.Config != nil {
			f.refDevice, f.refUnit = u.InterfaceRef.Config.Interface, u.InterfaceRef.Config.Subinterface
		}
	}
	return f
}

func (f *family) writeIPv4(c *ocIPv4) {
	cfg := c.GetOrCreateConfig()
	cfg.Enabled = f.enabled
	if f.mtu != nil {
		cfg.Mtu = ptr(uint16(*f.mtu))
	}
	for ip, length := range f.addresses {
		a := c.GetOrCreateAddresses().GetOrCreateAddress(ip).GetOrCreateConfig()
		a.Ip, a.PrefixLength = ptr(ip), length
	}
	for ip, mac := range f.neighbors {
		n := c.GetOrCreateNeighbors().GetOrCreateNeighbor(ip).GetOrCreateConfig()
		n.Ip, n.LinkLayerAddress = ptr(ip), mac
	}
	if f.unnumbered != nil {
		c.GetOrCreateUnnumbered().GetOrCreateConfig().Enabled = f.unnumbered
	}
	if f.refDevice != nil {
		ref := c.GetOrCreateUnnumbered().GetOrCreateInterfaceRef().GetOrCreateConfig()
		ref.Interface, ref.Subinterface = f.refDevice, f.refUnit
	}
}

func (f *family) writeIPv6(c *ocIPv6) {
	cfg := c.GetOrCreateConfig()
	cfg.Enabled, cfg.Mtu = f.enabled, f.mtu
	for ip, length := range f.addresses {
		a := c.GetOrCreateAddresses().GetOrCreateAddress(ip).GetOrCreateConfig()
		a.Ip, a.PrefixLength = ptr(ip), length
	}
	for ip, mac := range f.neighbors {
		n := c.GetOrCreateNeighbors().GetOrCreateNeighbor(ip).GetOrCreateConfig()
		n.Ip, n.LinkLayerAddress = ptr(ip), mac
	}
	if f.unnumbered != nil {
		c.GetOrCreateUnnumbered().GetOrCreateConfig().Enabled = f.unnumbered
	}
	if f.refDevice != nil {
		ref := c.GetOrCreateUnnumbered().GetOrCreateInterfaceRef().GetOrCreateConfig()
		ref.Interface, ref.Subinterface = f.refDevice, f.refUnit
	}
}
