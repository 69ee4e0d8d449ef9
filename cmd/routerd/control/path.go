package control

import (
	"cmp"
	"errors"
	"net/netip"
	"slices"

	"router/dataplane"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
	"router/models"
	"router/routing"
	"router/routing/neighbor"
	"router/vrf"
)

// A PathRequest is a packet to try out, in the operator's words.
type PathRequest struct {
	Destination netip.Addr // without zone
	// Source is where it comes from; zero: a neighbour on the unit that it comes in by,
	// or the address that the router would send from.
	Source netip.Addr
	// Unit is where it comes in; empty for a packet of the router's own, which Instance
	// is for, too.
	Unit     string
	Instance string // empty: the default one

	Protocol         uint8
	SrcPort, DstPort uint16 // the latter is the type of ICMP
	TTL, DSCP        uint8
	Size             int // of the IP packet
	DontFragment     bool
}

// A PathRoute is the route that a lookup found.
type PathRoute struct {
	Prefix     netip.Prefix
	Source     string
	Protocol   string
	Preference uint8
	Via        string
}

// A PathStep is a step of the dataplane with the names of what it tells of.
type PathStep struct {
	dataplane.TraceStep
	Interface, Instance, Device string
	VLAN                        intf.VLAN  // of what arrives and is sent
	Route                       *PathRoute // nil for none
	ToInstance, ToMirror        string     // of the filter's verdict
	Session, Class              string
}

// A Path is what would become of a packet.
type Path struct {
	Packet    packet.Sample
	Interface string // where it comes in, or that the router sends it by
	Instance  string // of the first lookup
	Own       bool   // the router's own
	Subjects  []PathSubject
	Steps     []PathStep
}

// A PathSubject is a packet that steps tell of.
type PathSubject struct {
	Kind      dataplane.TraceSubjectKind
	Interface string
}

// maxPathSize is the largest packet that can be tried out.
const maxPathSize = port.MaxJumbo - 64

// Path says what would become of a packet now, by the dataplane itself
// ([dataplane.Engine.Trace]) and the routes behind its tables, which don't change
// meanwhile. The error is a *ProbeError.
func (r *Router) Path(q PathRequest) (Path, error) {
	if q.Size > maxPathSize {
		return Path{}, probeError(ProbeInvalid, "size %d: want at most %d octets, which is what a frame buffer holds", q.Size, maxPathSize)
	}
	if q.DSCP > 63 {
		return Path{}, probeError(ProbeInvalid, "dscp %d: want 0 to 63", q.DSCP)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Path{Own: q.Unit == "", Packet: packet.Sample{
		Dst: q.Destination.Unmap().WithZone(""), Protocol: q.Protocol, SrcPort: q.SrcPort, DstPort: q.DstPort,
		TTL: q.TTL, DSCP: q.DSCP, DontFragment: q.DontFragment, Size: q.Size,
	}}
	if !p.Packet.Dst.IsValid() {
		return p, probeError(ProbeInvalid, "destination is missing: want an address")
	}
	if src := q.Source.Unmap(); src.IsValid() && src.Is4() != p.Packet.Dst.Is4() {
		return p, probeError(ProbeInvalid, "source %v and destination %v are of different families", src, p.Packet.Dst)
	}
	var spec dataplane.TraceSpec
	var err error
	if p.Own {
		spec, err = r.ownPath(q, &p)
	} else {
		spec, err = r.pathInto(q, &p)
	}
	if err != nil {
		return p, err
	}
	spec.Packet = p.Packet.Put()
	p.Packet.Size = len(spec.Packet)
	t, err := r.engine.Trace(spec)
	switch {
	case errors.Is(err, dataplane.ErrNoPort):
		return p, probeError(ProbeNoSource, "interface %s is down, so that nothing comes in by it: show interfaces says why", p.Interface)
	case err != nil:
		return p, &ProbeError{ProbeInvalid, err}
	}
	for _, s := range t.Subjects {
		p.Subjects = append(p.Subjects, PathSubject{s.Kind, r.unitName(s.IfIndex)})
	}
	for _, s := range t.Steps {
		p.Steps = append(p.Steps, r.pathStep(s))
	}
	return p, nil
}

// ownPath prepares a packet that the router sends.
func (r *Router) ownPath(q PathRequest, p *Path) (s dataplane.TraceSpec, err error) {
	p.Instance = cmp.Or(q.Instance, vrf.Default)
	in := r.instances[p.Instance]
	if in == nil || !in.applied {
		return s, probeError(ProbeNotFound, "there is no instance %s", p.Instance)
	}
	s = dataplane.TraceSpec{FromHost: true, Instance: in.index}
	src := q.Source.Unmap().WithZone("")
	if src.IsValid() {
		own := r.ownerOf(src, p.Instance, nil)
		if own == nil {
			return s, probeError(ProbeInvalid, "source %v is no usable address of instance %s: a packet that comes from outside needs the interface that it comes in by", src, p.Instance)
		}
		s.Unit = own.index
	} else if src, s.Unit = r.sourceTo(p.Packet.Dst, p.Instance); !src.IsValid() {
		return s, probeError(ProbeNoSource, "instance %s has no %s address that is in use to send from: configure one, or name the interface that the packet comes in by", p.Instance, intf.FamilyOf(p.Packet.Dst))
	}
	p.Packet.Src, p.Interface = src, r.unitName(s.Unit)
	return s, nil
}

// pathInto prepares a packet that comes in by a unit.
func (r *Router) pathInto(q PathRequest, p *Path) (s dataplane.TraceSpec, err error) {
	u := r.units[models.ParseUnitName(q.Unit)]
	if u == nil || u.index == 0 {
		return s, probeError(ProbeNotFound, "there is no interface %s", q.Unit)
	}
	f := intf.FamilyOf(p.Packet.Dst)
	fam := u.families[f]
	p.Interface = u.key.Name()
	if fam != nil {
		p.Instance = fam.instance
	}
	if q.Instance != "" && q.Instance != p.Instance {
		return s, probeError(ProbeInvalid, "interface %s is in instance %s, where its packets are looked up: leave out instance %s", q.Unit, cmp.Or(p.Instance, "none"), q.Instance)
	}
	p.Packet.Src = q.Source.Unmap().WithZone("")
	if !p.Packet.Src.IsValid() {
		if p.Packet.Src = r.somebodyOn(u, f); !p.Packet.Src.IsValid() {
			return s, probeError(ProbeInvalid, "interface %s has no %s address whose network a sender could be in: give the source", q.Unit, f)
		}
	}
	s = dataplane.TraceSpec{Unit: u.index, Station: intf.MAC{2}}
	if e, ok := r.neighbors.Lookup(neighbor.Key{IfIndex: u.index, Addr: p.Packet.Src}); ok && !e.MAC.IsZero() {
		s.Station = e.MAC
	}
	return s, nil
}

// somebodyOn is an address that a neighbour on a unit has or could have; the zero
// one where its addresses tell of none.
func (r *Router) somebodyOn(u *unit, f intf.Family) netip.Addr {
	for _, e := range r.neighbors.Entries(u.index) {
		if intf.FamilyOf(e.Key.Addr) == f && !e.Key.Addr.IsLinkLocalUnicast() && !e.MAC.IsZero() {
			return e.Key.Addr
		}
	}
	fam := u.families[f]
	if fam == nil {
		return netip.Addr{}
	}
	for _, a := range fam.sorted() {
		switch own := a.spec.Prefix.Addr(); {
		case own.IsLinkLocalUnicast():
		case a.spec.Peer.IsValid():
			return a.spec.Peer
		case a.spec.Prefix.Contains(own.Next()) && !isLast(a.spec.Prefix, own.Next()):
			return own.Next()
		case a.spec.Prefix.Contains(own.Prev()) && (own.Prev() != a.spec.Prefix.Masked().Addr() || a.spec.Prefix.Bits() == own.BitLen()-1):
			return own.Prev()
		}
	}
	return netip.Addr{}
}

// isLast reports whether a is the broadcast address of an IPv4 network.
func isLast(p netip.Prefix, a netip.Addr) bool {
	return a.Is4() && p.Bits() < 31 && !p.Contains(a.Next())
}

// pathStep gives a step its names.
func (r *Router) pathStep(s dataplane.TraceStep) PathStep {
	p := PathStep{TraceStep: s, Interface: r.unitName(s.IfIndex)}
	if d := r.ports[s.Port]; d != nil {
		p.Device = d.name
	}
	switch s.Kind {
	case dataplane.TraceArrived, dataplane.TraceOriginated:
		p.Instance = r.names[s.Instance]
		p.VLAN = r.vlanOf(s.IfIndex)
	case dataplane.TraceLookup, dataplane.TraceSource:
		p.Instance = r.names[s.Instance]
		p.Route = r.pathRoute(p.Instance, s.Addr)
	case dataplane.TraceFilter:
		p.ToInstance, p.ToMirror = r.names[s.Verdict.To], r.unitName(s.Verdict.Mirror)
	case dataplane.TraceNextHop:
		if s.Via == routing.Lookup || s.Via == routing.Indirect || s.Via == routing.BySource {
			p.Instance = r.names[s.Instance]
		}
	case dataplane.TraceSent:
		if l2, fault := packet.ParseEthernet(s.Frame); fault == packet.FaultNone {
			p.VLAN = l2.VLAN
		}
	case dataplane.TraceSession:
		p.Session, p.Class = r.sessionName(s.Session), r.className(s.Class)
	case dataplane.TraceBucket, dataplane.TraceNeighbor, dataplane.TraceUnresolved, dataplane.TraceFragmented, dataplane.TraceDelivered,
		dataplane.TraceControl, dataplane.TraceReported, dataplane.TraceICMP, dataplane.TraceEcho, dataplane.TraceReset,
		dataplane.TraceRedirect, dataplane.TraceDropped:
	}
	return p
}

func (r *Router) vlanOf(i intf.Index) (v intf.VLAN) {
	if u := r.byIndex[i]; u != nil {
		if t := r.tree.Unit(u.key); t != nil {
			v = t.Stack
		}
	}
	return v
}

// pathRoute is the route by which packets to an address are looked up in an
// instance; nil for none.
func (r *Router) pathRoute(instance string, a netip.Addr) *PathRoute {
	rib := r.vrfs.RIB(instance)
	if rib == nil {
		return nil
	}
	e, ok := rib.Lookup(a)
	if !ok {
		return nil
	}
	return &PathRoute{Prefix: e.Prefix, Source: e.Source.String(), Protocol: e.Protocol.String(), Preference: e.Preference, Via: r.wayOf(e)}
}

// wayOf says in words where a route leads.
func (r *Router) wayOf(e routing.Entry) string {
	nh := e.NextHop
	on := ""
	if name := r.unitName(nh.IfIndex); name != "" {
		on = " on " + name
	}
	switch nh.Kind {
	case routing.Forward:
		return "neighbor " + nh.Gateway.String() + on
	case routing.Resolve:
		return "neighbors" + on
	case routing.Receive:
		return "the router itself" + on
	case routing.Broadcast:
		return "broadcast" + on
	case routing.Reject:
		return "reject with " + nh.Reject.String()
	case routing.Lookup:
		return "lookup in instance " + r.names[nh.Instance]
	case routing.Indirect:
		way := "gateway " + nh.Gateway.String()
		if e.Through.IsValid() {
			way += " by " + e.Through.String()
		}
		return way
	case routing.Group:
		return "a group of next hops"
	case routing.LinkLocal, routing.Discard, routing.Choice, routing.Multicast, routing.Flood, routing.BySource:
	}
	return nh.Kind.String()
}

func (r *Router) sessionName(id dataplane.SessionID) string {
	for name, s := range r.policy.sessions {
		if s.applied && s.id == id && id != 0 {
			return name
		}
	}
	return ""
}

func (r *Router) className(id dataplane.ClassID) string {
	for name, c := range r.policy.classes {
		if c.applied && c.id == id && id < dataplane.MaxClasses {
			return name
		}
	}
	return ""
}

// PathVerdict is what becomes of the packet itself. It is a closed set.
type PathVerdict uint8

// The verdicts.
const (
	PathUnknown    PathVerdict = iota
	PathForwarded              // it leaves by an interface
	PathDelivered              // to the host stack, or the router's own ARP and ND
	PathAnswered               // by the router itself
	PathResolving              // it waits until its neighbour has answered
	PathDropped                // for the reason that comes along
	PathReplicated             // it leaves by several interfaces, or by one and to the host
)

// Verdict sums the steps up: what becomes of the packet, not of its copies and
// answers, and why it was dropped.
func (p *Path) Verdict() (v PathVerdict, reason string) {
	var ends []PathVerdict
	for _, s := range p.Steps {
		own := s.Subject == 0
		switch s.Kind {
		case dataplane.TraceSent:
			if own || p.Subjects[s.Subject].Kind == dataplane.TraceCopy {
				ends = append(ends, PathForwarded)
			}
		case dataplane.TraceDelivered, dataplane.TraceControl:
			if own {
				ends = append(ends, PathDelivered)
			}
		case dataplane.TraceEcho:
			if own {
				ends = append(ends, PathAnswered)
			}
		case dataplane.TraceUnresolved:
			if own {
				ends = append(ends, PathResolving)
			}
		case dataplane.TraceDropped:
			if own {
				ends, reason = append(ends, PathDropped), s.Reason.String()
			}
		case dataplane.TraceArrived, dataplane.TraceOriginated, dataplane.TraceFilter, dataplane.TraceSource, dataplane.TraceLookup,
			dataplane.TraceNextHop, dataplane.TraceBucket, dataplane.TraceNeighbor, dataplane.TraceFragmented, dataplane.TraceSession,
			dataplane.TraceReported, dataplane.TraceICMP, dataplane.TraceReset, dataplane.TraceRedirect:
		}
	}
	fragmented := slices.ContainsFunc(p.Steps, func(s PathStep) bool { return s.Kind == dataplane.TraceFragmented })
	switch kinds := slices.Compact(slices.Sorted(slices.Values(ends))); {
	case len(kinds) == 0:
		return PathUnknown, ""
	case len(ends) > 1 && !fragmented || len(kinds) > 1:
		return PathReplicated, reason
	default:
		return kinds[0], reason
	}
}
