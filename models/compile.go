package models

import (
	"router/gen"
	"router/intf"
)

// This file has the small pieces of the compiler: what a missing leaf means,
// and the objects that need few words.

// The defaults of the model, as yang/ gives them; a test compares.
const (
	defaultMRU          = 1518
	defaultCacheEntries = 4096
	defaultCacheIdle    = 210 // seconds
)

func value[T any](p *T, absent T) T {
	if p == nil {
		return absent
	}
	return *p
}

// checkKey reports a config leaf that says other than the list's key. An absent
// one is implied.
func checkKey(leaf *string, key, path string, v *violations) {
	if leaf != nil && *leaf != key {
		v.add(path, ruleKey, "config says %q, and the key %q: make them equal", *leaf, key)
	}
}

func compileSystem(dev *gen.Device, v *violations) SystemSpec {
	c := dev.GetSystem().GetConfig()
	checkLeaves(c, "/system/config", v)
	if c == nil {
		return SystemSpec{}
	}
	return SystemSpec{Hostname: value(c.Hostname, ""), NoFastPath: c.FastPath == gen.Routerd_FastPath_off}
}

func compileDevice(name string, g *gen.Routerd_Interface, v *violations) intf.DeviceSpec {
	path := devicePath(name)
	s := intf.DeviceSpec{Name: name, Enabled: true, MRU: defaultMRU}
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Interface_Config{}
	}
	// The key itself may be ill-formed where config leaves the name out.
	implied := *c
	implied.Name = &name
	if !checkLeaves(&implied, path+"/config", v) {
		return s
	}
	checkKey(c.Name, name, path+"/config/name", v)
	s.Type = deviceType(c.Type)
	s.Description = value(c.Description, "")
	s.Enabled = value(c.Enabled, true)
	s.MRU = value(c.Mru, defaultMRU)
	s.Queues = value(c.Queues, 0)
	switch c.Attach {
	case gen.Routerd_Attach_UNSET, gen.Routerd_Attach_exclusive:
		s.Attach = intf.Exclusive
	case gen.Routerd_Attach_shared:
		s.Attach = intf.Shared
	}
	switch c.Driver {
	case gen.Routerd_Driver_UNSET, gen.Routerd_Driver_auto:
		s.Driver = intf.DriverAuto
	case gen.Routerd_Driver_af_xdp:
		s.Driver = intf.DriverAFXDP
	case gen.Routerd_Driver_af_packet:
		s.Driver = intf.DriverAFPacket
	}
	switch c.Polling {
	case gen.Routerd_Polling_UNSET, gen.Routerd_Polling_adaptive:
		s.Polling = intf.PollAdaptive
	case gen.Routerd_Polling_busy:
		s.Polling = intf.PollBusy
	case gen.Routerd_Polling_sleep:
		s.Polling = intf.PollSleep
	}
	if c.MacAddress != nil {
		mac, err := parseMAC(*c.MacAddress)
		if err == nil {
			err = notUnicastMAC(mac)
		}
		if err != nil {
			v.add(path+"/config/mac-address", ruleDeviceMAC,
				"%s is %w: a device needs a unicast address", *c.MacAddress, err)
		}
		s.MAC = mac
	}
	if s.Type == intf.Loopback && s != (intf.DeviceSpec{Name: name, Type: s.Type, Description: s.Description, Enabled: s.Enabled, MRU: defaultMRU}) {
		v.add(path+"/config", ruleLoopbackLink,
			"a loopback has no link to receive frames from: delete mru, attach, driver, queues, polling and mac-address, or use another type")
	}
	return s
}

func deviceType(t gen.E_Routerd_InterfaceType) intf.DeviceType {
	switch t {
	case gen.Routerd_InterfaceType_UNSET, gen.Routerd_InterfaceType_ethernet:
	case gen.Routerd_InterfaceType_loopback:
		return intf.Loopback
	}
	return intf.Ethernet
}

func compileInstance(name string, g *gen.Routerd_Instance, v *violations) InstanceSpec {
	path := instancePath(name)
	s := InstanceSpec{Name: name, Cache: DefaultCache}
	if name != DefaultInstance {
		s.HostNamespace = name
	}
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Instance_Config{}
	}
	implied := *c
	implied.Name = &name
	if !checkLeaves(&implied, path+"/config", v) {
		return s
	}
	checkKey(c.Name, name, path+"/config/name", v)
	s.Description = value(c.Description, "")
	s.HostNamespace = value(c.HostNamespace, s.HostNamespace)
	s.Cache = compileCache(g, path, v)
	return s
}
