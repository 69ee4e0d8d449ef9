package models

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// DefaultGRIBI is what holds for the gRIBI service when nothing is declared.
var DefaultGRIBI = GRIBISpec{Enabled: true, Preference: 6, EntryLimit: 1000000, RestartTime: 300}

// A GRIBISpec is what is declared of the gRIBI service. It is comparable.
type GRIBISpec struct {
	Enabled    bool
	Preference uint8  // of programmed routes; lower wins
	EntryLimit uint32 // entries of all kinds and instances at most
	// RestartTime is how many seconds after a restart entries of the former run end that no
	// client has taken over; 0 for never.
	RestartTime uint32
}

func compileGRIBI(dev *gen.Device, v *violations) GRIBISpec {
	c := dev.GetGribi().GetConfig()
	checkLeaves(c, "/gribi/config", v)
	s := DefaultGRIBI
	if c == nil {
		return s
	}
	s.Enabled = value(c.Enabled, s.Enabled)
	s.Preference = value(c.Preference, s.Preference)
	s.EntryLimit = value(c.EntryLimit, s.EntryLimit)
	s.RestartTime = value(c.RestartTime, s.RestartTime)
	return s
}

// A GRIBIState is the state of the gRIBI service.
type GRIBIState struct {
	Applied      GRIBISpec
	Single       bool // the mode of the clients; false before the first, and for all-primary
	Known        bool // a client has said the mode
	ElectionHigh uint64
	ElectionLow  uint64
	Operations   uint64
	Failed       uint64
	Flushes      uint64
	Stale        uint32          // entries of the former run that no client has sent again
	StaleUntil   time.Time       // when they end; zero when they stay
	KeepReason   string          // why entries would not outlive routerd; empty if they would
	Instances    []GRIBIInstance // sorted by name; those that have entries
	Clients      []GRIBIClient   // sorted by number
}

// A GRIBIInstance counts the entries of one instance.
type GRIBIInstance struct {
	Name                         string
	IPv4, IPv6, NextHops, Groups uint32
}

// A GRIBIClient is one Modify stream.
type GRIBIClient struct {
	ID                        uint32
	Address                   netip.AddrPort // zero for one on the Unix socket
	User                      string
	Connected                 time.Time
	Single, Preserve, FIBAck  bool
	Negotiated, Primary       bool
	ElectionHigh, ElectionLow uint64
	Operations, Failed        uint64
}

// electionText is an election id as the model spells it: 128 bits in
// hexadecimal, without leading zeros. None is absent.
func electionText(high, low uint64) *string {
	switch {
	case high != 0:
		return ygot.String(fmt.Sprintf("%x%016x", high, low))
	case low != 0:
		return ygot.String(fmt.Sprintf("%x", low))
	}
	return nil
}

func gribiMode(single bool) gen.E_Routerd_GribiRedundancy {
	if single {
		return gen.Routerd_GribiRedundancy_single_primary
	}
	return gen.Routerd_GribiRedundancy_all_primary
}

// FillGRIBI writes the state of the gRIBI service.
func FillGRIBI(dst *gen.Device, s GRIBIState) {
	g := dst.GetOrCreateGribi()
	g.State = &gen.Routerd_Gribi_State{
		Enabled:          ygot.Bool(s.Applied.Enabled),
		Preference:       ygot.Uint8(s.Applied.Preference),
		EntryLimit:       ygot.Uint32(s.Applied.EntryLimit),
		ElectionId:       electionText(s.ElectionHigh, s.ElectionLow),
		Clients:          ygot.Uint32(uint32(len(s.Clients))),
		Operations:       ygot.Uint64(s.Operations),
		FailedOperations: ygot.Uint64(s.Failed),
		Flushes:          ygot.Uint64(s.Flushes),
		RestartTime:      ygot.Uint32(s.Applied.RestartTime),
		StaleEntries:     ygot.Uint32(s.Stale),
		StaleUntil:       moment(s.StaleUntil),
		KeepReason:       text(s.KeepReason),
	}
	if s.Known {
		g.State.Redundancy = gribiMode(s.Single)
	}
	var entries uint32
	for _, in := range s.Instances {
		entries += in.IPv4 + in.IPv6 + in.NextHops + in.Groups
		g.GetOrCreateInstance(in.Name).State = &gen.Routerd_Gribi_Instance_State{
			Name:          ygot.String(in.Name),
			Ipv4Entries:   ygot.Uint32(in.IPv4),
			Ipv6Entries:   ygot.Uint32(in.IPv6),
			NextHopGroups: ygot.Uint32(in.Groups),
			NextHops:      ygot.Uint32(in.NextHops),
		}
	}
	g.State.Entries = ygot.Uint32(entries)
	for _, c := range s.Clients {
		st := &gen.Routerd_Gribi_Client_State{
			Id:               ygot.Uint32(c.ID),
			User:             text(c.User),
			Connected:        moment(c.Connected),
			Primary:          ygot.Bool(c.Primary),
			ElectionId:       electionText(c.ElectionHigh, c.ElectionLow),
			Operations:       ygot.Uint64(c.Operations),
			FailedOperations: ygot.Uint64(c.Failed),
		}
		if c.Address.IsValid() {
			st.Address = ygot.String(c.Address.Addr().Unmap().WithZone("").String())
			st.Port = ygot.Uint16(c.Address.Port())
		}
		if c.Negotiated {
			st.Redundancy = gribiMode(c.Single)
			st.Persistence, st.Acknowledgement = gen.Routerd_GribiPersistence_delete, gen.Routerd_GribiAcknowledgement_rib
			if c.Preserve {
				st.Persistence = gen.Routerd_GribiPersistence_preserve
			}
			if c.FIBAck {
				st.Acknowledgement = gen.Routerd_GribiAcknowledgement_rib_and_fib
			}
		}
		g.GetOrCreateClient(c.ID).State = st
	}
}
