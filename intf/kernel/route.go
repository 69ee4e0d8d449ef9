package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"router/intf"
)

// MainTable is the kernel's route table that rules consult by default.
const MainTable = unix.RT_TABLE_MAIN

// A DefaultRoute is a default route through a link, made by the router.
type DefaultRoute struct {
	Family intf.Family
	Table  uint32
	Index  int        // the link's
	Via    netip.Addr // neighbour on the link, taken as reachable; required
	Source netip.Addr // preferred source address; zero leaves it to the kernel
	Metric uint32     // lower wins; for IPv6 0 would become 1024
}

// rtmsgLen is sizeof(struct rtmsg) and of struct fib_rule_hdr.
const rtmsgLen = 12

func rtmsg(f intf.Family, table uint32) message {
	b := make(message, rtmsgLen, 96)
	b[0] = af(f)
	if table < 256 {
		b[4] = uint8(table)
	}
	return b
}

// ReplaceDefault adds the route, or replaces the one with its family, table
// and metric in one step.
func (c *Conn) ReplaceDefault(r DefaultRoute) error {
	b := r.message()
	if err := c.change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, b); err != nil {
		return fmt.Errorf("default route of %s through link %d in table %d: %w", r.Family, r.Index, r.Table, err)
	}
	return nil
}

// DeleteDefault removes the route; one that is gone already is no error.
func (c *Conn) DeleteDefault(r DefaultRoute) error {
	if err := c.change(unix.RTM_DELROUTE, 0, r.message()); err != nil && !gone(err) {
		return fmt.Errorf("remove the default route of %s through link %d in table %d: %w", r.Family, r.Index, r.Table, err)
	}
	return nil
}

func (r DefaultRoute) message() message {
	b := rtmsg(r.Family, r.Table)
	b[5] = Protocol
	b[6] = unix.RT_SCOPE_UNIVERSE
	b[7] = unix.RTN_UNICAST
	binary.NativeEndian.PutUint32(b[8:], unix.RTNH_F_ONLINK)
	b.u32(unix.RTA_TABLE, r.Table)
	b.u32(unix.RTA_OIF, uint32(r.Index))
	b.bytes(unix.RTA_GATEWAY, r.Via.AsSlice())
	if r.Source.IsValid() {
		b.bytes(unix.RTA_PREFSRC, r.Source.AsSlice())
	}
	if r.Metric != 0 {
		b.u32(unix.RTA_PRIORITY, r.Metric)
	}
	return b
}

// Defaults lists the router's default routes of a family through one link, in
// every table, or through any link when index is 0.
func (c *Conn) Defaults(f intf.Family, index int) ([]DefaultRoute, error) {
	b := rtmsg(f, 0)
	b[5] = Protocol
	if index != 0 {
		b.u32(unix.RTA_OIF, uint32(index))
	}
	msgs, err := c.request(unix.RTM_GETROUTE, unix.NLM_F_DUMP, b)
	if gone(err) {
		return nil, nil // an index without a link
	}
	if err != nil {
		return nil, fmt.Errorf("list routes of %s: %w", f, err)
	}
	var list []DefaultRoute
	for _, m := range msgs {
		r, ok := parseDefault(m)
		if ok && r.Family == f && (index == 0 || r.Index == index) {
			list = append(list, r)
		}
	}
	return list, nil
}

// parseDefault reads an RTM_NEWROUTE; ok is false for anything but a default
// route that the router made.
func parseDefault(b []byte) (r DefaultRoute, ok bool) {
	if len(b) < rtmsgLen || b[1] != 0 || b[5] != Protocol || b[7] != unix.RTN_UNICAST {
		return DefaultRoute{}, false
	}
	if r.Family, ok = familyOf(b[0]); !ok {
		return DefaultRoute{}, false
	}
	r.Table = uint32(b[4])
	for typ, v := range attributes(b[rtmsgLen:]) {
		switch typ {
		case unix.RTA_TABLE:
			r.Table = u32(v)
		case unix.RTA_OIF:
			r.Index = int(u32(v))
		case unix.RTA_GATEWAY:
			r.Via, _ = netip.AddrFromSlice(v)
		case unix.RTA_PREFSRC:
			r.Source, _ = netip.AddrFromSlice(v)
		case unix.RTA_PRIORITY:
			r.Metric = u32(v)
		}
	}
	return r, true
}

// A Rule sends what has a source address to a table of its own. It carries
// the router's protocol number.
type Rule struct {
	Source   netip.Addr
	Table    uint32
	Priority uint32 // lower is asked first
}

// AddRule adds a rule; one that stands already is no error.
func (c *Conn) AddRule(r Rule) error {
	err := c.change(unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, r.message())
	if err != nil && !isExist(err) {
		return fmt.Errorf("rule from %s lookup %d: %w", r.Source, r.Table, err)
	}
	return nil
}

// DeleteRule removes a rule; one that is gone already is no error.
func (c *Conn) DeleteRule(r Rule) error {
	if err := c.change(unix.RTM_DELRULE, 0, r.message()); err != nil && !gone(err) {
		return fmt.Errorf("remove rule from %s lookup %d: %w", r.Source, r.Table, err)
	}
	return nil
}

// Attributes of fib_rules.h.
const (
	fraSrc      = 2
	fraPriority = 6
	fraTable    = 15
	fraProtocol = 21
	frActTable  = 1
)

func (r Rule) message() message {
	b := rtmsg(intf.FamilyOf(r.Source), r.Table)
	b[2] = uint8(r.Source.BitLen())
	b[7] = frActTable
	b.bytes(fraSrc, r.Source.AsSlice())
	b.u32(fraPriority, r.Priority)
	b.u32(fraTable, r.Table)
	b.u8(fraProtocol, Protocol)
	return b
}

// Rules lists the rules of a family that a router made.
func (c *Conn) Rules(f intf.Family) ([]Rule, error) {
	b := make(message, rtmsgLen)
	b[0] = af(f)
	msgs, err := c.request(unix.RTM_GETRULE, unix.NLM_F_DUMP, b)
	if err != nil {
		return nil, fmt.Errorf("list rules of %s: %w", f, err)
	}
	var list []Rule
	for _, m := range msgs {
		if r, ok := parseRule(m); ok && intf.FamilyOf(r.Source) == f {
			list = append(list, r)
		}
	}
	return list, nil
}

// parseRule reads an RTM_NEWRULE; ok is false for a rule of somebody else.
func parseRule(b []byte) (r Rule, ok bool) {
	if len(b) < rtmsgLen || b[7] != frActTable {
		return Rule{}, false
	}
	r.Table = uint32(b[4])
	for typ, v := range attributes(b[rtmsgLen:]) {
		switch typ {
		case fraSrc:
			r.Source, _ = netip.AddrFromSlice(v)
		case fraPriority:
			r.Priority = u32(v)
		case fraTable:
			r.Table = u32(v)
		case fraProtocol:
			ok = len(v) > 0 && v[0] == Protocol
		}
	}
	return r, ok && r.Source.IsValid() && r.Source.BitLen() == int(b[2])
}

func familyOf(af uint8) (intf.Family, bool) {
	switch af {
	case unix.AF_INET:
		return intf.Inet, true
	case unix.AF_INET6:
		return intf.Inet6, true
	}
	return 0, false
}
