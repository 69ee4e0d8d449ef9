package intf

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A RouterPreference says how much a router or a route of a router advertisement
// is to be preferred over those of other routers (RFC 4191, 2.1).
type RouterPreference uint8

const (
	PreferMedium RouterPreference = iota // what routers without the extension mean
	PreferLow
	PreferHigh
)

func (p RouterPreference) String() string {
	switch p {
	case PreferMedium:
		return "medium"
	case PreferLow:
		return "low"
	case PreferHigh:
		return "high"
	}
	return fmt.Sprintf("router-preference(%d)", uint8(p))
}

// Infinity is the lifetime that never ends (RFC 4861, 4.6.2).
const Infinity = 0xffffffff * time.Second

// An Advert is what a router advertisement says (RFC 4861, 4.2; RFC 4191;
// RFC 8106), but for the router's link-layer address. Lifetimes are whole
// seconds, the other times whole milliseconds; zero leaves a value to the hosts.
type Advert struct {
	HopLimit           uint8
	Managed, Other     bool             // addresses, and other configuration, are to be had by DHCPv6
	Preference         RouterPreference // among default routers
	Lifetime           time.Duration    // as a default router; zero: it is none
	Reachable, Retrans time.Duration    // of neighbours
	MTU                uint32           // octets; zero says nothing
	Prefixes           []AdvertPrefix
	Routes             []AdvertRoute
	DNSServers         []netip.Addr
	DNSSearch          []string // names without a dot at their end
	DNSLifetime        time.Duration
}

// An AdvertPrefix is a prefix that hosts may be on or take addresses from
// (RFC 4861, 4.6.2).
type AdvertPrefix struct {
	Prefix             netip.Prefix  // without host bits
	OnLink, Autonomous bool          // it is on the link; hosts make addresses from it (RFC 4862)
	Valid, Preferred   time.Duration // of the addresses; Infinity for ever
}

// An AdvertRoute is a route that hosts may use this router for (RFC 4191, 2.3).
type AdvertRoute struct {
	Prefix     netip.Prefix // without host bits
	Preference RouterPreference
	Lifetime   time.Duration
}

// Equal reports whether both say the same, in the same order.
func (a *Advert) Equal(b *Advert) bool {
	return a.HopLimit == b.HopLimit && a.Managed == b.Managed && a.Other == b.Other && a.Preference == b.Preference &&
		a.Lifetime == b.Lifetime && a.Reachable == b.Reachable && a.Retrans == b.Retrans && a.MTU == b.MTU &&
		a.DNSLifetime == b.DNSLifetime && slices.Equal(a.Prefixes, b.Prefixes) && slices.Equal(a.Routes, b.Routes) &&
		slices.Equal(a.DNSServers, b.DNSServers) && slices.Equal(a.DNSSearch, b.DNSSearch)
}

// Final is what a router says that ceases to advertise (RFC 4861, 6.2.5): it is
// no router any more, neither for default nor for other routes, and knows no
// name server. Addresses that hosts have made stay.
func (a Advert) Final() Advert {
	a.Lifetime, a.DNSLifetime, a.Preference = 0, 0, PreferMedium
	a.Routes = slices.Clone(a.Routes)
	for i := range a.Routes {
		a.Routes[i].Lifetime = 0
	}
	return a
}

// An AdvertSpec is the intended router advertisements of an IPv6 family.
type AdvertSpec struct {
	MinInterval, MaxInterval time.Duration // between unsolicited ones
	// Advert's Prefixes are those declared. With none, the networks of the
	// family's own addresses are advertised.
	Advert Advert
}

// Equal reports whether both declare the same; nil declares nothing.
func (s *AdvertSpec) Equal(o *AdvertSpec) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.MinInterval == o.MinInterval && s.MaxInterval == o.MaxInterval && s.Advert.Equal(&o.Advert)
}

// Lifetimes of prefixes (AdvValidLifetime and AdvPreferredLifetime of RFC 4861, 6.2.1).
const (
	AdvertValid     = 30 * 24 * time.Hour
	AdvertPreferred = 7 * 24 * time.Hour
)

// OwnPrefixes are the networks of addresses as they are advertised: without
// those of link-local addresses and hosts, each once, in order. Hosts make
// addresses only from a /64 (RFC 4862, 5.5.3; RFC 4291, 2.5.1).
func OwnPrefixes(addresses []AddressSpec) []AdvertPrefix {
	var list []AdvertPrefix
	for _, a := range addresses {
		if a.Prefix.Addr().IsLinkLocalUnicast() || a.Prefix.IsSingleIP() {
			continue
		}
		list = append(list, AdvertPrefix{
			Prefix: a.Prefix.Masked(), OnLink: true, Autonomous: a.Prefix.Bits() == 64, Valid: AdvertValid, Preferred: AdvertPreferred,
		})
	}
	slices.SortFunc(list, func(a, b AdvertPrefix) int { return a.Prefix.Compare(b.Prefix) })
	return slices.Compact(list)
}
