package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"router/dataplane/session"
	"router/intf"
)

// A Session says of some packets to a shared address whether they are the
// kernel's. A list of them is in order of precedence, sessions of one Shape side
// by side; the first that matches a packet decides.
type Session struct {
	Match  session.Match // its Instance and IfIndex are the claim's, and not looked at
	Shape  session.Shape // by which the session has its place
	Inet   bool          // it holds for IPv4
	Inet6  bool          // it holds for IPv6
	Kernel bool
}

// maxShapes is how many shapes of sessions the programs try, SHAPES of sessions.h.
const maxShapes = 32

// Flags of a flow, as in sessions.h.
const (
	flowNoPorts  = 1
	flowFragment = 2
	flowInet6    = 4
)

// A flow is a packet as struct flow of sessions.h has it.
type flow [40]byte

func (f flow) words() (w [5]uint64) {
	for i := range w {
		w[i] = binary.NativeEndian.Uint64(f[8*i:])
	}
	return w
}

// flow returns the octets that packets of m have, and which of these count.
func (s Session) flow(f intf.Family) (value, mask flow) {
	m := s.Match
	mask[6] = flowInet6
	if f == intf.Inet6 {
		value[6] = flowInet6
	}
	if m.Fields&session.HasProtocol != 0 {
		mask[0], mask[1] = 0xff, 0xff
		binary.BigEndian.PutUint16(value[0:], uint16(m.Protocol))
	}
	if m.Fields&session.HasLocalPort != 0 {
		mask[2], mask[3] = 0xff, 0xff
		mask[6] |= flowNoPorts
		binary.BigEndian.PutUint16(value[2:], m.LocalPort)
	}
	if m.Fields&session.HasRemotePort != 0 {
		mask[4], mask[5] = 0xff, 0xff
		mask[6] |= flowNoPorts
		binary.BigEndian.PutUint16(value[4:], m.RemotePort)
	}
	if m.Fragment {
		mask[6] |= flowFragment
		value[6] |= flowFragment
	}
	putPrefix(value[8:24], mask[8:24], m.Local)
	putPrefix(value[24:40], mask[24:40], m.Remote)
	return value, mask
}

// putPrefix writes an address and the bits of it that count; IPv4 stands in the
// last four octets.
func putPrefix(value, mask []byte, p netip.Prefix) {
	if !p.IsValid() {
		return
	}
	a := p.Addr().AsSlice()
	value, mask = value[16-len(a):], mask[16-len(a):]
	copy(value, a)
	for i := range p.Bits() {
		mask[i/8] |= 0x80 >> (i % 8)
	}
}

// holds reports whether s can match packets of a family.
func (s Session) holds(f intf.Family) bool {
	for _, p := range []netip.Prefix{s.Match.Local, s.Match.Remote} {
		if p.IsValid() && intf.FamilyOf(p.Addr()) != f {
			return false
		}
	}
	return f == intf.Inet && s.Inet || f == intf.Inet6 && s.Inet6
}

// putSessions fills the bank that is not in force, and returns its number; that
// of the bank in force, when it holds these sessions already.
func (s *Set) putSessions(claim, inForce uint32, sessions []Session) (bank uint32, err error) {
	t := &s.claims
	if inForce != 0 && slices.Equal(sessions, t.sessions) {
		return inForce, nil
	}
	// What stands behind the last of the kernel's sessions makes no difference.
	sessions = slices.DeleteFunc(slices.Clone(sessions), func(x Session) bool { return !x.holds(intf.Inet) && !x.holds(intf.Inet6) })
	last := len(sessions)
	for last > 0 && !sessions[last-1].Kernel {
		last--
	}
	bank = 1
	if inForce == 1 {
		bank = 2
	}
	// An attempt that failed may have left something there.
	if err := s.keepKeys(func(key routerSessionKey) bool { return key.Shape/maxShapes != bank-1 }); err != nil {
		return 0, err
	}
	base := (bank - 1) * maxShapes
	shape := base
	for i, x := range sessions[:last] {
		if i > 0 && x.Shape != sessions[i-1].Shape {
			shape++
		}
		if shape == base+maxShapes {
			return 0, fmt.Errorf("sessions of more than %d shapes before the last with the consumer kernel: give more of them the same fields and prefix lengths", maxShapes)
		}
		for _, f := range intf.Families {
			if !x.holds(f) {
				continue
			}
			value, mask := x.flow(f)
			if err := s.maps["shapes"].Put(shape, routerShape{Used: 1, Mask: mask.words()}); err != nil {
				return 0, fmt.Errorf("shapes of sessions: %w", explain(err))
			}
			key := routerSessionKey{Claim: claim, Shape: shape, Flow: value.words()}
			kernel := uint8(0)
			if x.Kernel {
				kernel = 1
			}
			if err := s.maps["sessions"].Put(key, kernel); err != nil {
				return 0, fmt.Errorf("session %+v: %w", x.Match, explain(err))
			}
			t.keys = append(t.keys, key)
		}
	}
	if last > 0 {
		shape++
	}
	if shape < base+maxShapes {
		if err := s.maps["shapes"].Put(shape, routerShape{}); err != nil {
			return 0, fmt.Errorf("shapes of sessions: %w", explain(err))
		}
	}
	return bank, nil
}

// dropSessions removes from the map what is no longer in force.
func (s *Set) dropSessions(inForce []Session) error {
	t := &s.claims
	if slices.Equal(inForce, t.sessions) {
		return nil
	}
	t.sessions = inForce
	bank := uint32(0)
	for _, c := range t.claims {
		bank = max(bank, c.Bank)
	}
	return s.keepKeys(func(key routerSessionKey) bool { return bank != 0 && key.Shape/maxShapes == bank-1 })
}

// keepKeys deletes the sessions in the map that are not to be kept.
func (s *Set) keepKeys(keep func(routerSessionKey) bool) error {
	kept := make([]routerSessionKey, 0, len(s.claims.keys))
	for _, key := range s.claims.keys {
		if keep(key) {
			kept = append(kept, key)
			continue
		}
		if err := s.maps["sessions"].Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("take a session's packets from the kernel: %w", err)
		}
	}
	s.claims.keys = kept
	return nil
}
