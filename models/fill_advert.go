package models

import (
	"time"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
	"router/intf"
)

// An AdvertState is the state of a family's router advertisements.
type AdvertState struct {
	Applied       *intf.AdvertSpec // with the prefixes that are advertised
	Sent          uint64
	Solicitations uint64
	Adverts       uint64
	Inconsistent  uint64
	Inconsistency string // empty for none
}

func fillAdvert(f *gen.Routerd_Interface_Unit_Family, s *AdvertState) {
	g := f.GetOrCreateRouterAdvertisement()
	st := &gen.Routerd_Interface_Unit_Family_RouterAdvertisement_State{
		Enabled:                    ygot.Bool(s.Applied != nil),
		Sent:                       ygot.Uint64(s.Sent),
		ReceivedSolicitations:      ygot.Uint64(s.Solicitations),
		ReceivedAdvertisements:     ygot.Uint64(s.Adverts),
		InconsistentAdvertisements: ygot.Uint64(s.Inconsistent),
		Inconsistency:              text(s.Inconsistency),
	}
	g.State = st
	if s.Applied == nil {
		return
	}
	a := &s.Applied.Advert
	st.MaxInterval, st.MinInterval = ygot.Uint16(uint16(inSeconds(s.Applied.MaxInterval))), ygot.Uint16(uint16(inSeconds(s.Applied.MinInterval)))
	st.DefaultLifetime = ygot.Uint16(uint16(inSeconds(a.Lifetime)))
	st.Preference = preferenceState(a.Preference)
	st.Managed, st.OtherConfig = ygot.Bool(a.Managed), ygot.Bool(a.Other)
	st.CurHopLimit = ygot.Uint8(a.HopLimit)
	st.ReachableTime, st.RetransTimer = ygot.Uint32(uint32(a.Reachable/time.Millisecond)), ygot.Uint32(uint32(a.Retrans/time.Millisecond))
	if a.MTU != 0 {
		st.LinkMtu = ygot.Uint32(a.MTU)
	}
	for _, server := range a.DNSServers {
		st.DnsServer = append(st.DnsServer, server.String())
	}
	st.DnsSearch = a.DNSSearch
	st.DnsLifetime = ygot.Uint32(inSeconds(a.DNSLifetime))
	for _, p := range a.Prefixes {
		key := p.Prefix.String()
		g.GetOrCreatePrefix(key).State = &gen.Routerd_Interface_Unit_Family_RouterAdvertisement_Prefix_State{
			Prefix: ygot.String(key), OnLink: ygot.Bool(p.OnLink), Autonomous: ygot.Bool(p.Autonomous),
			ValidLifetime: ygot.Uint32(inSeconds(p.Valid)), PreferredLifetime: ygot.Uint32(inSeconds(p.Preferred)),
		}
	}
	for _, r := range a.Routes {
		key := r.Prefix.String()
		g.GetOrCreateRoute(key).State = &gen.Routerd_Interface_Unit_Family_RouterAdvertisement_Route_State{
			Prefix: ygot.String(key), Preference: preferenceState(r.Preference), Lifetime: ygot.Uint32(inSeconds(r.Lifetime)),
		}
	}
}

func inSeconds(d time.Duration) uint32 { return uint32(d / time.Second) }

func preferenceState(p intf.RouterPreference) gen.E_Routerd_RouterPreference {
	switch p {
	case intf.PreferMedium:
		return gen.Routerd_RouterPreference_medium
	case intf.PreferLow:
		return gen.Routerd_RouterPreference_low
	case intf.PreferHigh:
		return gen.Routerd_RouterPreference_high
	}
	return gen.Routerd_RouterPreference_UNSET
}
