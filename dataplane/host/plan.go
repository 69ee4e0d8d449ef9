package host

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"

	"router/intf"
	"router/intf/kernel"
)

// minMTU6 is the least MTU of a link that carries IPv6 (RFC 8200, 5).
const minMTU6 = 1280

const (
	// tableBase plus the TAP's link index is the number of the route table
	// that what is sent from the TAP's addresses looks up.
	tableBase = 0x52000000
	// rulePriority stands behind the local table (0) and before main (32766).
	rulePriority = 20000
	// metricBase plus the if_index is the metric of the default route in the
	// main table: the worst that there are, so that any other default wins.
	metricBase = 0xFF000000
	indexMask  = 0x00FFFFFF
)

// The router as the host sees it: a neighbour to which everything goes that is
// not on a link. Through it, many destinations cost one neighbour entry. The
// IPv4 one is the dummy address of RFC 7600, the other its like.
var routerAs = [...]netip.Addr{
	intf.Inet:  netip.MustParseAddr("192.0.0.8"),
	intf.Inet6: netip.MustParseAddr("fe80::c000:8"),
}

// A placement is what one TAP is to be: the families of a unit that live in
// one namespace.
type placement struct {
	ifindex  intf.Index
	unit     string
	mac      intf.MAC
	mtu      int // the larger of the families'
	up       bool
	families [len(intf.Families)]*Family
}

// split groups the families of a unit by namespace.
func (s Spec) split() map[string]placement {
	groups := map[string]placement{}
	for i := range s.Families {
		f := &s.Families[i]
		p, ok := groups[f.Namespace]
		if !ok {
			p = placement{ifindex: s.IfIndex, unit: s.Name, mac: s.MAC}
		}
		p.families[f.Family] = f
		p.mtu = max(p.mtu, int(f.MTU))
		p.up = p.up || f.Up
		groups[f.Namespace] = p
	}
	return groups
}

// addresses are those that the TAP is to have, in the order in which they are
// to be added: the kernel takes the first of a subnet as its primary.
func (p placement) addresses(link int) []kernel.Address {
	var list []kernel.Address
	for _, f := range p.families {
		if f == nil {
			continue
		}
		specs := slices.Clone(f.Addresses)
		slices.SortStableFunc(specs, func(a, b intf.AddressSpec) int {
			return cmp.Or(rank(a)-rank(b), a.Prefix.Compare(b.Prefix))
		})
		for i, a := range specs {
			list = append(list, kernel.Address{
				Index:      link,
				Prefix:     a.Prefix,
				Peer:       a.Peer,
				Deprecated: f.Family == intf.Inet6 && !a.Primary && !a.Preferred && outranked(specs[:i], a),
			})
		}
	}
	return list
}

// rank orders the addresses of one network: there the preferred one speaks.
func rank(a intf.AddressSpec) int {
	switch {
	case a.Preferred:
		return 0
	case a.Primary:
		return 1
	}
	return 2
}

// source is the address that programs send from which don't choose: the primary
// one, else the lowest of those that can be reached from afar.
func (f *Family) source(routable []netip.Addr) netip.Addr {
	for _, a := range f.Addresses {
		if a.Primary && slices.Contains(routable, a.Prefix.Addr()) {
			return a.Prefix.Addr()
		}
	}
	return slices.MinFunc(routable, netip.Addr.Compare)
}

// outranked reports whether a better address shares the prefix of a: IPv6 has
// no order of addresses, so the others are marked deprecated, which keeps them
// usable and makes the kernel choose the better one.
func outranked(better []intf.AddressSpec, a intf.AddressSpec) bool {
	return slices.ContainsFunc(better, func(b intf.AddressSpec) bool {
		return rank(b) < rank(a) && b.Prefix.Masked() == a.Prefix.Masked()
	})
}

// routable are the addresses of a family that programs can be reached at from
// afar.
func routable(list []kernel.Address, family intf.Family) []netip.Addr {
	var out []netip.Addr
	for _, a := range list {
		addr := a.Prefix.Addr()
		if intf.FamilyOf(addr) == family && !addr.IsLinkLocalUnicast() {
			out = append(out, addr)
		}
	}
	return out
}

// routes are the default routes through the TAP: in its own table, for what is
// sent from its addresses, and in the main table for what is not bound.
func (p placement) routes(link int, addresses []kernel.Address) []kernel.DefaultRoute {
	if !p.up {
		return nil // the kernel takes the routes of a link that is down
	}
	var list []kernel.DefaultRoute
	for _, family := range intf.Families {
		sources := routable(addresses, family)
		if len(sources) == 0 {
			continue
		}
		own := kernel.DefaultRoute{
			Family: family,
			Table:  tableBase + uint32(link),
			Index:  link,
			Via:    routerAs[family],
			Metric: 1,
		}
		main := own
		main.Table = kernel.MainTable
		main.Source = p.families[family].source(sources)
		main.Metric = metricBase + uint32(p.ifindex)&indexMask
		list = append(list, own, main)
	}
	return list
}

// rules send what comes from the TAP's addresses to the TAP's table, so that
// answers leave through the router whatever other default routes there are.
func rules(link int, addresses []kernel.Address) []kernel.Rule {
	var list []kernel.Rule
	for _, family := range intf.Families {
		for _, a := range routable(addresses, family) {
			list = append(list, kernel.Rule{Source: a, Table: tableBase + uint32(link), Priority: rulePriority})
		}
	}
	return list
}

// maxName is IFNAMSIZ less the terminating zero.
const maxName = 15

// names are the link names to try for a unit, in order: its own name where the
// kernel takes it, then shortened ones that depend on nothing but the name.
func names(unit string) []string {
	var list []string
	if len(unit) <= maxName && validName(unit) {
		list = append(list, unit)
	}
	head := strings.Map(func(r rune) rune {
		if !validName(string(r) + "x") {
			return '_'
		}
		return r
	}, unit)
	head = head[:min(len(head), 8)]
	for attempt := range 4 {
		h := fnv.New32a()
		// Write to a hash never fails.
		_, _ = fmt.Fprintf(h, "%s#%d", unit, attempt)
		list = append(list, fmt.Sprintf("%s~%06x", head, h.Sum32()&0xffffff))
	}
	return list
}

// validName is dev_valid_name of the kernel, less the length, for printable
// ASCII; "%" would be taken as a pattern.
func validName(name string) bool {
	if name == "" || name == "." || name == ".." {
		return false
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' || c == '/' || c == ':' || c == '%' {
			return false
		}
	}
	return true
}

// broadcasts are the IPv4 addresses that mean everyone on the TAP's subnets.
func (p placement) broadcasts() map[netip.Addr]struct{} {
	set := map[netip.Addr]struct{}{netip.AddrFrom4([4]byte{255, 255, 255, 255}): {}}
	if f := p.families[intf.Inet]; f != nil {
		for _, a := range f.Addresses {
			if a.Prefix.Bits() >= 31 || a.Peer.IsValid() {
				continue
			}
			b := a.Prefix.Addr().As4()
			binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])|^uint32(0)>>a.Prefix.Bits())
			set[netip.AddrFrom4(b)] = struct{}{}
		}
	}
	return set
}
