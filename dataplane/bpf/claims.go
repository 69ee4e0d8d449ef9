package bpf

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"router/intf"
)

// A Claim is a tag stack whose frames are the router's on a device that it
// shares with the kernel.
type Claim struct {
	Tags intf.VLAN
	// Kernel holds the kernel's own unicast addresses behind that tag stack
	// (none, where the kernel has no interface there). Frames addressed to one
	// of them, and ARP and ND for them, stay with the kernel.
	Kernel []netip.Addr
	// Shared holds addresses that the kernel and the router both have there.
	// Packets to them are the kernel's where Sessions say so; ARP and ND for
	// them are the router's. One claim of a Set at most has Sessions.
	Shared   []netip.Addr
	Sessions []Session
}

// table is what the maps of a Set hold.
type table struct {
	next   uint32
	claims map[intf.VLAN]routerClaim
	passes map[pass]uint8 // passAll or passBySession

	sessions []Session          // those in force
	keys     []routerSessionKey // of these, in the map
}

// What the maps say of an address.
const (
	passAll       uint8 = 1
	passBySession uint8 = 2
)

// A pass is an address left to the kernel under a claim's number.
type pass struct {
	claim   uint32
	address netip.Addr
}

func newTable() table {
	return table{next: 1, claims: make(map[intf.VLAN]routerClaim), passes: make(map[pass]uint8)}
}

func stackOf(v intf.VLAN) routerStack {
	return routerStack{OuterTpid: v.OuterTPID, OuterId: v.OuterID, InnerTpid: v.InnerTPID, InnerId: v.InnerID}
}

// SetClaims replaces all claims. Frames that are claimed before and after are
// so throughout; an address that the kernel keeps is the kernel's throughout.
// After an error some of the change may be in place; SetClaims may be repeated.
func (s *Set) SetClaims(claims []Claim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.claims
	wantClaims := make(map[intf.VLAN]routerClaim, len(claims))
	wantPasses := make(map[pass]uint8)
	var sessions []Session
	for _, c := range claims {
		v, ok := wantClaims[c.Tags]
		if !ok {
			v.Number = t.claims[c.Tags].Number
		}
		if v.Number == 0 {
			v.Number = t.next
			t.next++
		}
		for _, a := range c.Kernel {
			v.HasPasses = 1
			wantPasses[pass{v.Number, a.Unmap().WithZone("")}] = passAll
		}
		for _, a := range c.Shared {
			v.HasPasses = 1
			wantPasses[pass{v.Number, a.Unmap().WithZone("")}] = passBySession
		}
		v.Bank = 0
		if len(c.Sessions) > 0 {
			if sessions != nil {
				return fmt.Errorf("claim %v: another claim of the device has sessions", c.Tags)
			}
			sessions = c.Sessions
			bank, err := s.putSessions(v.Number, t.claims[c.Tags].Bank, sessions)
			if err != nil {
				return fmt.Errorf("claim %v: %w", c.Tags, err)
			}
			v.Bank = bank
		}
		wantClaims[c.Tags] = v
	}
	// Addresses before the claims that need them, and claims before the removal
	// of addresses: no frame of the kernel's is taken in between.
	// What was all the kernel's becomes shared only when the sessions are in force.
	putPasses := func(late bool) error {
		for p, how := range wantPasses {
			if have := t.passes[p]; have == how || (have == passAll && how == passBySession) != late {
				continue
			}
			if err := s.putPass(p, how); err != nil {
				return fmt.Errorf("leave %s to the kernel: %w", p.address, err)
			}
			t.passes[p] = how
		}
		return nil
	}
	if err := putPasses(false); err != nil {
		return err
	}
	for tags, v := range wantClaims {
		if t.claims[tags] == v {
			continue
		}
		if err := s.maps["claims"].Put(stackOf(tags), v); err != nil {
			return fmt.Errorf("claim %v: %w", tags, explain(err))
		}
		t.claims[tags] = v
	}
	if err := putPasses(true); err != nil {
		return err
	}
	if err := s.dropSessions(sessions); err != nil {
		return err
	}
	for tags := range t.claims {
		if _, ok := wantClaims[tags]; ok {
			continue
		}
		if err := s.maps["claims"].Delete(stackOf(tags)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("release %v: %w", tags, err)
		}
		delete(t.claims, tags)
	}
	for p := range t.passes {
		if _, ok := wantPasses[p]; ok {
			continue
		}
		if err := s.deletePass(p); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("take %s from the kernel: %w", p.address, err)
		}
		delete(t.passes, p)
	}
	return nil
}

func (s *Set) putPass(p pass, how uint8) error {
	if p.address.Is4() {
		return s.maps["pass4"].Put(routerKey4{Claim: p.claim, Address: p.address.As4()}, how)
	}
	return s.maps["pass6"].Put(routerKey6{Claim: p.claim, Address: p.address.As16()}, how)
}

func (s *Set) deletePass(p pass) error {
	if p.address.Is4() {
		return s.maps["pass4"].Delete(routerKey4{Claim: p.claim, Address: p.address.As4()})
	}
	return s.maps["pass6"].Delete(routerKey6{Claim: p.claim, Address: p.address.As16()})
}
