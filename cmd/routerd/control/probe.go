package control

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"router/dataplane"
	"router/intf"
	"router/models"
	"router/routing"
	"router/vrf"
)

// A ProbeRequest says what a probe is sent to, in the operator's words.
type ProbeRequest struct {
	Destination netip.Addr // without zone
	// Unit names the link of a destination that means something on its link only:
	// link-local, multicast, the limited broadcast. Empty for all others.
	Unit         string
	Source       netip.Addr // one of ours; zero: the router chooses
	SourceUnit   string     // the unit whose address is the source, instead of Source; empty: none
	Instance     string     // empty: the default one
	Protocol     uint8      // ICMP of the destination's family, UDP or TCP
	Port         uint16     // the destination port of UDP and TCP
	DontFragment bool       // IPv4 only
}

// A ProbeFault says what kind of mistake a ProbeError is. It is a closed set.
type ProbeFault uint8

// The faults.
const (
	ProbeInvalid  ProbeFault = iota // the request makes no sense
	ProbeNotFound                   // it names what isn't there
	ProbeNoSource                   // nothing that is up has an address to send from
	ProbeBusy                       // too many probes run
)

// A ProbeError says why a probe was not begun.
type ProbeError struct {
	Fault ProbeFault
	Err   error
}

func (e *ProbeError) Error() string { return e.Err.Error() }
func (e *ProbeError) Unwrap() error { return e.Err }

func probeError(f ProbeFault, format string, args ...any) error {
	return &ProbeError{f, fmt.Errorf(format, args...)}
}

// StartProbe begins a probe through the dataplane and says which address it comes
// from. The caller closes it. The error is a *ProbeError.
func (r *Router) StartProbe(q ProbeRequest) (*dataplane.Probe, netip.Addr, error) {
	r.mu.Lock()
	spec, err := r.probeSpec(q)
	r.mu.Unlock()
	if err != nil {
		return nil, netip.Addr{}, err
	}
	p, err := r.engine.StartProbe(spec)
	if errors.Is(err, dataplane.ErrProbes) {
		return nil, netip.Addr{}, probeError(ProbeBusy, "%d probes run already: try again when one has ended", dataplane.MaxProbes)
	}
	if err != nil {
		return nil, netip.Addr{}, &ProbeError{ProbeInvalid, err}
	}
	return p, spec.Src, nil
}

func (r *Router) probeSpec(q ProbeRequest) (s dataplane.ProbeSpec, err error) {
	dst := q.Destination.Unmap().WithZone("")
	if !dst.IsValid() || dst.IsUnspecified() || dst.IsLoopback() {
		return s, probeError(ProbeInvalid, "destination %v is no address of a host or a group", q.Destination)
	}
	name := cmp.Or(q.Instance, vrf.Default)
	in := r.instances[name]
	if in == nil || !in.applied {
		return s, probeError(ProbeNotFound, "there is no instance %s", name)
	}
	s = dataplane.ProbeSpec{Dst: dst, Protocol: q.Protocol, Port: q.Port, Instance: in.index, DontFragment: q.DontFragment}
	f := intf.FamilyOf(dst)
	link := onLink(dst)
	var via *unit
	switch {
	case link && q.Unit == "":
		return s, probeError(ProbeInvalid, "destination %v means something on its link only: name the interface, as in %v%%ge0.0", dst, dst)
	case q.Unit != "" && !link:
		return s, probeError(ProbeInvalid, "destination %v needs no interface: the route table says where it is", dst)
	case q.Unit != "":
		if via, err = r.probeUnit(q.Unit, f, name); err != nil {
			return s, err
		}
	}
	src := q.Source.Unmap()
	switch {
	case src.IsValid() && q.SourceUnit != "":
		return s, probeError(ProbeInvalid, "source address %v and source interface %s: give one of them", src, q.SourceUnit)
	case src.IsValid():
		if intf.FamilyOf(src) != f {
			return s, probeError(ProbeInvalid, "source %v and destination %v are of different families", src, dst)
		}
		src = src.WithZone("")
		own := r.ownerOf(src, name, via)
		if own == nil {
			return s, probeError(ProbeInvalid, "source %v is no usable address of instance %s", src, name)
		}
		s.Src, s.From = src, own.index
	case q.SourceUnit != "":
		u, err := r.probeUnit(q.SourceUnit, f, name)
		if err != nil {
			return s, err
		}
		s.Src, s.From = u.sourceTo(s.Dst, f), u.index
	case via != nil:
		s.Src, s.From = via.sourceTo(s.Dst, f), via.index
	default:
		s.Src, s.From = r.sourceTo(s.Dst, name)
	}
	if via != nil {
		s.From = via.index
	}
	if !s.Src.IsValid() {
		return s, probeError(ProbeNoSource, "instance %s has no %s address that is in use to send from: configure one, or look at show interfaces for why it is down", name, f)
	}
	return s, nil
}

// onLink reports whether a destination leaves by a unit that somebody has to name.
func onLink(a netip.Addr) bool {
	return a.IsLinkLocalUnicast() && a.Is6() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// probeUnit is the unit of a name whose family f is up in the instance.
func (r *Router) probeUnit(name string, f intf.Family, instance string) (*unit, error) {
	u := r.units[models.ParseUnitName(name)]
	if u == nil || u.index == 0 {
		return nil, probeError(ProbeNotFound, "there is no interface %s", name)
	}
	fam := u.families[f]
	if fam == nil {
		return nil, probeError(ProbeNotFound, "interface %s has no family %s", name, f)
	}
	if fam.instance != instance {
		return nil, probeError(ProbeInvalid, "interface %s is in instance %s, not in %s", name, fam.instance, instance)
	}
	return u, nil
}

// sortedUnits are all units, loopbacks first: their addresses stay when links go.
func (r *Router) sortedUnits() []*unit {
	list := make([]*unit, 0, len(r.units))
	for _, u := range r.units {
		if u.index != 0 {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, func(a, b *unit) int {
		if a.loopback != b.loopback {
			if a.loopback {
				return -1
			}
			return 1
		}
		return a.key.Compare(b.key)
	})
	return list
}

// ownerOf is the unit of an instance that has an address in use: via, if that is
// one; nil when none has.
func (r *Router) ownerOf(a netip.Addr, instance string, via *unit) *unit {
	has := func(u *unit) bool {
		fam := u.families[intf.FamilyOf(a)]
		if fam == nil || fam.instance != instance {
			return false
		}
		own := fam.at(a)
		return own != nil && own.usable
	}
	if via != nil && has(via) {
		return via
	}
	for _, u := range r.units {
		if u.index != 0 && has(u) && (via == nil || !a.IsLinkLocalUnicast()) {
			return u
		}
	}
	return nil
}

// sourceTo is the address of a unit that packets to dst come from: one whose
// network dst lies in, the preferred one before others, else the unit's primary
// one; of the scope of a link-local destination.
func (u *unit) sourceTo(dst netip.Addr, f intf.Family) netip.Addr {
	fam := u.families[f]
	if fam == nil {
		return netip.Addr{}
	}
	var best netip.Addr
	for _, a := range fam.sorted() {
		own := a.spec.Prefix.Addr()
		if !a.usable || own.IsLinkLocalUnicast() != dst.IsLinkLocalUnicast() {
			continue
		}
		if (a.spec.Prefix.Contains(dst) || a.spec.Peer == dst) && (!best.IsValid() || a.spec.Preferred) {
			best = own
		}
	}
	switch {
	case best.IsValid():
		return best
	case dst.IsLinkLocalMulticast() && f == intf.Inet6:
		for _, a := range fam.sorted() {
			if a.usable && a.spec.Prefix.Addr().IsLinkLocalUnicast() {
				return a.spec.Prefix.Addr()
			}
		}
	case fam.borrowed.IsValid():
		return fam.borrowed
	}
	return fam.primary()
}

// sourceTo is the address that packets to dst come from, and its unit: of the unit
// that they leave by if that is the instance's, else the first of the instance.
func (r *Router) sourceTo(dst netip.Addr, instance string) (netip.Addr, intf.Index) {
	f := intf.FamilyOf(dst)
	if own := r.ownerOf(dst, instance, nil); own != nil {
		return dst, own.index
	}
	if u, next := r.egressTo(dst, instance); u != nil {
		if fam := u.families[f]; fam != nil && fam.instance == instance {
			if a := u.sourceTo(next, f); a.IsValid() && !a.IsLinkLocalUnicast() {
				return a, u.index
			}
		}
	}
	for _, u := range r.sortedUnits() {
		fam := u.families[f]
		if fam == nil || fam.instance != instance || !fam.up {
			continue
		}
		if a := fam.primary(); a.IsValid() && !a.IsLinkLocalUnicast() {
			return a, u.index
		}
	}
	return netip.Addr{}, 0
}

// maxRecursion bounds the instances that egressTo looks into.
const maxRecursion = 8

// egressTo is the unit that packets to dst leave by and the neighbour that they go
// to; nil when they don't leave.
func (r *Router) egressTo(dst netip.Addr, instance string) (*unit, netip.Addr) {
	for range maxRecursion {
		rib := r.vrfs.RIB(instance)
		if rib == nil {
			return nil, dst
		}
		e, ok := rib.Lookup(dst)
		if !ok {
			return nil, dst
		}
		nh := e.NextHop
		switch {
		case nh.Kind == routing.Lookup:
			instance = r.vrfs.Name(nh.Instance)
			continue
		case nh.Kind == routing.Indirect:
			nh = e.Via
		case nh.Kind == routing.Group:
			for _, m := range r.vrfs.Members(e.ID) {
				if !m.Active {
					continue
				}
				if nh = m.NextHop; nh.Kind == routing.Indirect {
					nh = m.Via
				}
				break
			}
		}
		next := nh.Gateway
		if !next.IsValid() {
			next = dst
		}
		return r.byIndex[nh.IfIndex], next
	}
	return nil, dst
}
