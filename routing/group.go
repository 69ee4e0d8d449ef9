package routing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"router/intf"
)

// Bounds of groups.
const (
	MaxMembers = 64 // next hops in a group
	MaxWeight  = 64 // of a member
)

// A Member is one of the next hops of a Group: a Forward, a Resolve or an
// Indirect.
type Member struct {
	NextHop NextHop
	Weight  uint8 // 1 to MaxWeight: its share of the flows
	Backup  bool  // carries traffic only while no other member can
}

// Members are the members of a Group, and its family. The value is comparable:
// groups of the same members in whatever order are equal. The zero Members has
// none. [NewGroup] makes one.
type Members struct {
	packed string // the family, then memberSize octets for each
}

const memberSize = 28

// NewGroup is the next hop that spreads the flows of a family over members. It
// refuses none or more than MaxMembers of them, one that is there twice or of
// the other family, a weight out of range, and a group of backups alone.
func NewGroup(f intf.Family, members []Member) (NextHop, error) {
	if err := checkMembers(f, members, false); err != nil {
		return NextHop{}, err
	}
	return groupOf(f, members), nil
}

// checkMembers refuses what can't be the members of a group. Those of a shared
// one may be of the other family, and it may look up in another instance.
func checkMembers(f intf.Family, members []Member, shared bool) error {
	if len(members) == 0 || len(members) > MaxMembers {
		return fmt.Errorf("a group of %d next hops: it has 1 to %d", len(members), MaxMembers)
	}
	seen, primaries, lookups := map[NextHop]bool{}, 0, 0
	for _, m := range members {
		nh, known := m.NextHop, false
		switch nh.Kind {
		case Forward, Indirect:
			known = true
			if !nh.Gateway.IsValid() || nh.Gateway.Zone() != "" || !shared && intf.FamilyOf(nh.Gateway) != f {
				return fmt.Errorf("group member %v: the gateway is not an address of family %v without zone", nh, f)
			}
		case Resolve:
			known = true
		case Lookup:
			known = shared && (len(members) == 1 || m.Backup)
			if m.Backup {
				lookups++
			}
		case Receive, Broadcast, LinkLocal, Reject, Discard, Group, Choice, Multicast, Flood, BySource:
		}
		if !known {
			return fmt.Errorf("group member %v: members forward, resolve or are indirect", nh)
		}
		if (nh.Kind == Forward || nh.Kind == Resolve) && nh.IfIndex == 0 {
			return fmt.Errorf("group member %v needs a unit", nh)
		}
		if m.Weight == 0 || m.Weight > MaxWeight {
			return fmt.Errorf("group member %v: weight %d is not in 1 to %d", nh, m.Weight, MaxWeight)
		}
		if seen[nh] {
			return fmt.Errorf("group member %v is there twice: give it one weight", nh)
		}
		seen[nh] = true
		if !m.Backup {
			primaries++
		}
	}
	if lookups > 0 && primaries+1 != len(members) {
		return errors.New("a group with a look-up in another instance for its backup has no other backup")
	}
	if primaries == 0 {
		return errors.New("a group of backups alone: one next hop is not a backup")
	}
	return nil
}

// groupOf packs members in an order that depends on their values only.
func groupOf(f intf.Family, members []Member) NextHop {
	list := make([]string, len(members))
	for i, m := range members {
		var b [memberSize]byte
		b[0], b[1] = byte(m.NextHop.Kind), m.Weight
		if m.Backup {
			b[2] = 1
		}
		binary.BigEndian.PutUint32(b[4:], uint32(m.NextHop.IfIndex))
		binary.BigEndian.PutUint32(b[8:], m.NextHop.Instance)
		if a := m.NextHop.Gateway; a.Is4() {
			b[3] = 4
			v := a.As4()
			copy(b[12:], v[:])
		} else if a.IsValid() {
			b[3] = 16
			v := a.As16()
			copy(b[12:], v[:])
		}
		list[i] = string(b[:])
	}
	slices.Sort(list)
	return NextHop{Kind: Group, Members: Members{string(rune(f)) + strings.Join(list, "")}}
}

// Len is the number of members.
func (m Members) Len() int { return len(m.packed) / memberSize }

// family is that of the packets; the zero Members has none.
func (m Members) family() intf.Family { return intf.Family(m.packed[0]) }

// All lists the members, in an order that depends on their values only.
func (m Members) All() []Member {
	list := make([]Member, 0, m.Len())
	for at := 1; at < len(m.packed); at += memberSize {
		b := []byte(m.packed[at : at+memberSize])
		nh := NextHop{
			Kind:     Kind(b[0]),
			IfIndex:  intf.Index(binary.BigEndian.Uint32(b[4:])),
			Instance: binary.BigEndian.Uint32(b[8:]),
		}
		if n := int(b[3]); n > 0 {
			nh.Gateway, _ = netip.AddrFromSlice(b[12 : 12+n])
		}
		list = append(list, Member{NextHop: nh, Weight: b[1], Backup: b[2] != 0})
	}
	return list
}

// toward is what a gateway of family f resolves to that is found by a route with
// these members: the group of them in which the gateway itself is the neighbour
// on each link, and which doesn't lead through the gateway again. A Kind of zero
// says that nothing is left; one member left stands for itself.
func toward(f intf.Family, members []Member, g gatewayKey) NextHop {
	var list []Member
	for _, member := range members {
		switch nh := &member.NextHop; {
		case nh.Kind == Resolve:
			*nh = NextHop{Kind: Forward, IfIndex: nh.IfIndex, Gateway: g.addr}
		case nh.Kind == Indirect && gatewayKey{nh.Instance, nh.Gateway} == g, nh.Kind == Lookup:
			continue
		}
		if !slices.ContainsFunc(list, func(o Member) bool { return o.NextHop == member.NextHop }) {
			list = append(list, member)
		}
	}
	switch len(list) {
	case 0:
		return NextHop{}
	case 1:
		return list[0].NextHop
	}
	return groupOf(f, list)
}

// A group is what a hop of kind Group has beside its value.
type group struct {
	members []member
	usable  []bool      // of members, when the buckets were dealt
	buckets []NextHopID // of usable members; none when no member is usable
	direct  bool        // a member is usable that is no Indirect
	queued  bool        // in Store.regroups
	// Of a shared group: its maker keeps it; nothing is usable, so it discards;
	// and the gateways whose resolution looked at it.
	kept      bool
	blocked   bool
	followers map[*gateway]struct{}
}

// A member is a member in use. The group holds a reference to its hop.
type member struct {
	hop    *hop
	weight uint8
	backup bool
}

// join acquires the members of the new group h.
func (s *Store) join(h *hop) {
	h.group = &group{}
	if h.Shared != 0 {
		return // its maker says what its members are
	}
	h.group.members = s.enter(h, h.Members.All())
	h.kill(true) // until the change settles
	s.requeue(h)
}

// enter acquires members for the group h.
func (s *Store) enter(h *hop, members []Member) []member {
	list := make([]member, 0, len(members))
	for _, m := range members {
		mh := s.acquire(m.NextHop)
		if mh.groups == nil {
			mh.groups = map[*hop]struct{}{}
		}
		mh.groups[h] = struct{}{}
		s.want(mh, 1)
		list = append(list, member{mh, m.Weight, m.Backup})
	}
	return list
}

// leave gives members of h back.
func (s *Store) leave(h *hop, members []member) {
	for _, m := range members {
		if !slices.ContainsFunc(h.group.members, func(o member) bool { return o.hop == m.hop }) {
			delete(m.hop.groups, h)
		}
		s.want(m.hop, -1)
		s.release(m.hop)
	}
}

// requeue has the buckets of h dealt anew when the change settles.
func (s *Store) requeue(h *hop) {
	if !h.group.queued {
		h.group.queued = true
		s.regroups = append(s.regroups, h)
	}
}

// memberChanged has the groups of h dealt anew, which has become usable or not.
func (s *Store) memberChanged(h *hop) {
	for g := range h.groups {
		s.requeue(g)
	}
}

// linkChanged is memberChanged before the change settles: of what is found by
// shared groups, the routes don't tell.
func (s *Store) linkChanged(h *hop) {
	s.memberChanged(h)
	for g := range h.groups {
		s.touchFollowers(g)
	}
}

// regroup deals the buckets of the groups whose members have changed. Those
// that the sink doesn't know as they are now go to s.regrouped; routes that
// become usable or unusable are queued.
func (s *Store) regroup() {
	for _, h := range s.regroups {
		g := h.group
		g.queued = false
		f := h.Members.family()
		usable := make([]bool, len(g.members))
		direct := false
		for i, m := range g.members {
			usable[i] = !m.hop.dead[f]
			direct = direct || usable[i] && m.hop.Kind != Indirect
		}
		if slices.Equal(usable, g.usable) {
			continue
		}
		g.usable = usable
		g.buckets = nil
		for _, i := range deal(g.members, usable) {
			g.buckets = append(g.buckets, g.members[i].hop.id)
		}
		s.regrouped = append(s.regrouped, h)
		h.stale = true
		if h.Shared != 0 {
			s.block(h, len(g.buckets) == 0)
			continue
		}
		// Gateways are found by the routes as well, and one that is a member
		// itself counts on the others.
		if dead := len(g.buckets) == 0; h.dead[f] != dead || g.direct != direct {
			h.kill(dead)
			s.enqueueRoutes(h)
		}
		g.direct = direct
	}
	s.regroups = s.regroups[:0]
}

// A MemberState is a member of a group with its state.
type MemberState struct {
	Member
	Usable bool      // its unit is up, its gateway resolved
	Active bool      // it carries traffic now
	Reason string    // why it isn't usable; else empty
	Since  time.Time // since when it isn't, to a tenth of a second; zero for a usable one
	// Via and Through are those of an Indirect, as in [Entry].
	Via     NextHop
	Through netip.Prefix
}

// Members lists the members of the group id, or of the group that the Indirect
// id resolves to, in an order that depends on their values only; none if id is
// neither.
func (s *Store) Members(id NextHopID) []MemberState {
	if int(id) >= len(s.hops.byID) || s.hops.byID[id] == nil {
		return nil
	}
	h := s.hops.byID[id]
	if h.gateway != nil && h.gateway.via != nil {
		h = h.gateway.via
	}
	if h.group == nil {
		return nil
	}
	f, primary := h.Members.family(), false
	list := make([]MemberState, 0, len(h.group.members))
	for _, m := range h.group.members {
		st := MemberState{Member: Member{m.hop.NextHop, m.weight, m.backup}, Usable: !m.hop.dead[f], Via: m.hop.resolved()}
		if !st.Usable {
			st.Since = s.at(m.hop.turned[f])
		}
		if !st.Usable && m.hop.Kind == Lookup {
			st.Reason = lookupGone
		} else if !st.Usable {
			st.Reason = s.whyDead(m.hop, f)
		} else if m.hop.gateway != nil {
			st.Through = m.hop.gateway.through
		}
		primary = primary || st.Usable && !m.backup
		list = append(list, st)
	}
	for i := range list {
		list[i].Active = list[i].Usable && list[i].Backup != primary
	}
	return list
}
