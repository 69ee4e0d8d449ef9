package models

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"router/dataplane/packet"
	"router/gen"
	"router/intf"
)

// Defaults of router advertisements.
const (
	defaultMaxInterval = 600
	defaultHopLimit    = 64
	defaultValid       = uint32(intf.AdvertValid / time.Second)
	defaultPreferred   = uint32(intf.AdvertPreferred / time.Second)
)

const (
	maxAdvertPrefixes = 64
	maxAdvertRoutes   = 16
	// advertRoom is the packet that every link takes (RFC 8200, 5).
	advertRoom = inet6MinMTU
)

// compileAdvert compiles the router advertisements of a family; nil for none.
func compileAdvert(f intf.Family, g *gen.Routerd_Interface_Unit_Family_RouterAdvertisement, path string, v *violations) *intf.AdvertSpec {
	if g == nil {
		return nil
	}
	path += "/router-advertisement"
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Interface_Unit_Family_RouterAdvertisement_Config{}
	}
	if !checkLeaves(c, path+"/config", v) {
		return nil
	}
	enabled := value(c.Enabled, false)
	declared := len(declaredPrefixes(g)) + len(declaredRoutes(g))
	if f != intf.Inet6 && (enabled || declared > 0) {
		v.add(path, ruleAdvertInet6, "router advertisements under family %v are IPv6's: declare them under the family inet6", f)
		return nil
	}
	most := value(c.MaxInterval, defaultMaxInterval)
	s := intf.AdvertSpec{
		MinInterval: seconds(uint32(value(c.MinInterval, max(3, most/3)))), MaxInterval: seconds(uint32(most)),
		Advert: intf.Advert{
			HopLimit: value(c.CurHopLimit, defaultHopLimit), Managed: value(c.Managed, false), Other: value(c.OtherConfig, false),
			Preference: routerPreference(c.Preference), Lifetime: seconds(uint32(value(c.DefaultLifetime, 3*most))),
			Reachable: time.Duration(value(c.ReachableTime, 0)) * time.Millisecond, Retrans: time.Duration(value(c.RetransTimer, 0)) * time.Millisecond,
			MTU: value(c.LinkMtu, 0), DNSSearch: slices.Clone(c.DnsSearch), DNSLifetime: seconds(value(c.DnsLifetime, 3*uint32(most))),
		},
	}
	if 4*s.MinInterval > 3*s.MaxInterval {
		v.add(path+"/config/min-interval", ruleAdvertInterval,
			"min-interval %v is more than three quarters of max-interval %v: lower it, or raise max-interval", s.MinInterval, s.MaxInterval)
	}
	if s.Advert.Lifetime != 0 && s.Advert.Lifetime < s.MaxInterval {
		v.add(path+"/config/default-lifetime", ruleAdvertLifetime,
			"hosts would forget the router %v after an advertisement, and the next may come after %v: make default-lifetime 0, or at least max-interval", s.Advert.Lifetime, s.MaxInterval)
	}
	for _, text := range c.DnsServer {
		a, ok := parseAddr(text, path+"/config/dns-server", v)
		if ok && notUnicast(a) != nil {
			v.add(path+"/config/dns-server", ruleAdvertDNS, "%v is %w: use a name server's own address", a, notUnicast(a))
		}
		s.Advert.DNSServers = append(s.Advert.DNSServers, a)
	}
	compileAdvertPrefixes(&s, g, path, v)
	compileAdvertRoutes(&s, g, path, seconds(3*uint32(most)), v)
	bare := s.Advert
	bare.Prefixes = nil
	if n := packet.RouterAdvertLen(&bare); n > advertRoom {
		v.add(path, ruleAdvertFits, "%d octets are more than the 1280 of an advertisement: delete some of dns-search, dns-server or route", n)
	}
	if !enabled {
		return nil
	}
	return &s
}

// declaredPrefixes are the prefixes that have config; those of the family's own
// networks have state alone.
func declaredPrefixes(g *gen.Routerd_Interface_Unit_Family_RouterAdvertisement) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(g.Prefix)), func(p string) bool {
		return g.Prefix[p].Config == nil && g.Prefix[p].State != nil
	})
}

func declaredRoutes(g *gen.Routerd_Interface_Unit_Family_RouterAdvertisement) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(g.Route)), func(p string) bool {
		return g.Route[p].Config == nil && g.Route[p].State != nil
	})
}

func compileAdvertPrefixes(s *intf.AdvertSpec, g *gen.Routerd_Interface_Unit_Family_RouterAdvertisement, path string, v *violations) {
	texts := declaredPrefixes(g)
	if len(texts) > maxAdvertPrefixes {
		v.add(path+"/prefix", ruleTooMany, "%d prefixes: a family advertises %d at most", len(texts), maxAdvertPrefixes)
	}
	for _, text := range texts {
		at := keyed(path, "prefix", "prefix", text)
		c := g.Prefix[text].Config
		if c == nil {
			c = &gen.Routerd_Interface_Unit_Family_RouterAdvertisement_Prefix_Config{}
		}
		implied := *c
		implied.Prefix = &text
		if !checkLeaves(&implied, at+"/config", v) {
			continue
		}
		checkKey(c.Prefix, text, at+"/config/prefix", v)
		p, ok := parseNetwork(text, at, v)
		if !ok {
			continue
		}
		a := intf.AdvertPrefix{
			Prefix: p, OnLink: value(c.OnLink, true), Autonomous: value(c.Autonomous, true),
			Valid: seconds(value(c.ValidLifetime, defaultValid)), Preferred: seconds(value(c.PreferredLifetime, defaultPreferred)),
		}
		if p.Bits() == 0 || isLinkLocal6(p.Addr()) || p.Addr().IsMulticast() {
			v.add(at, ruleAdvertPrefix, "%v is no network of a link: use the link's own", p)
		}
		if a.Preferred > a.Valid {
			v.add(at+"/config/preferred-lifetime", ruleAdvertLifetimes,
				"addresses would be preferred for %v, and valid for %v: lower preferred-lifetime or raise valid-lifetime", a.Preferred, a.Valid)
		}
		if a.Autonomous && p.Bits() != 64 {
			v.add(at, ruleAdvertAutonomous, "hosts make addresses from a /64 only, and this is a /%d: change the length, or set autonomous to false", p.Bits())
		}
		s.Advert.Prefixes = append(s.Advert.Prefixes, a)
	}
	slices.SortFunc(s.Advert.Prefixes, func(a, b intf.AdvertPrefix) int { return a.Prefix.Compare(b.Prefix) })
}

func compileAdvertRoutes(s *intf.AdvertSpec, g *gen.Routerd_Interface_Unit_Family_RouterAdvertisement, path string, lifetime time.Duration, v *violations) {
	texts := declaredRoutes(g)
	if len(texts) > maxAdvertRoutes {
		v.add(path+"/route", ruleTooMany, "%d routes: a family advertises %d at most", len(texts), maxAdvertRoutes)
	}
	for _, text := range texts {
		at := keyed(path, "route", "prefix", text)
		c := g.Route[text].Config
		if c == nil {
			c = &gen.Routerd_Interface_Unit_Family_RouterAdvertisement_Route_Config{}
		}
		implied := *c
		implied.Prefix = &text
		if !checkLeaves(&implied, at+"/config", v) {
			continue
		}
		checkKey(c.Prefix, text, at+"/config/prefix", v)
		p, ok := parseNetwork(text, at, v)
		if !ok {
			continue
		}
		if isLinkLocal6(p.Addr()) || p.Addr().IsMulticast() {
			v.add(at, ruleAdvertRoute, "%v is not reached through a router: use another prefix", p)
		}
		r := intf.AdvertRoute{Prefix: p, Preference: routerPreference(c.Preference), Lifetime: lifetime}
		if c.Lifetime != nil {
			r.Lifetime = seconds(*c.Lifetime)
		}
		s.Advert.Routes = append(s.Advert.Routes, r)
	}
	slices.SortFunc(s.Advert.Routes, func(a, b intf.AdvertRoute) int { return a.Prefix.Compare(b.Prefix) })
}

// parseNetwork is parsePrefix for a prefix that has no host bits.
func parseNetwork(text, path string, v *violations) (netip.Prefix, bool) {
	p, ok := parsePrefix(text, path, v)
	if ok && p != p.Masked() {
		v.add(path, rulePrefixHostBits, "%v has bits set behind its length: write %v", p, p.Masked())
		return p, false
	}
	return p, ok
}

// checkAdvert checks what the advertisements of a family have to do with the
// rest of the configuration. mtu is the family's.
func checkAdvert(s *intf.AdvertSpec, mtu int, loopback bool, path string, v *violations) {
	if s == nil {
		return
	}
	path += "/router-advertisement"
	if loopback {
		v.add(path, ruleAdvertLink, "a loopback has no hosts to advertise to: declare router-advertisement on another unit")
	}
	if int(s.Advert.MTU) > mtu {
		v.add(path+"/config/link-mtu", ruleAdvertMTU,
			"hosts would send packets of %d octets, and the family's MTU is %d: lower link-mtu, or raise the family's mtu", s.Advert.MTU, mtu)
	}
}

// seconds of the model; the largest number is for ever.
func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

func routerPreference(p gen.E_Routerd_RouterPreference) intf.RouterPreference {
	switch p {
	case gen.Routerd_RouterPreference_UNSET, gen.Routerd_RouterPreference_medium:
	case gen.Routerd_RouterPreference_low:
		return intf.PreferLow
	case gen.Routerd_RouterPreference_high:
		return intf.PreferHigh
	}
	return intf.PreferMedium
}
