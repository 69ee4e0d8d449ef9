package control

import (
	"router/dataplane"
	"router/dataplane/packet"
	"router/intf"
	"router/models"
	"router/routing/advertise"
)

// advertOf is what a unit advertises now; ok is false while it can't, or isn't to.
func (r *Router) advertOf(u *unit, t *intf.Unit) (a advertise.Interface, ok bool) {
	tf, fam := t.Family(intf.Inet6), u.families[intf.Inet6]
	if tf == nil || fam == nil || tf.Spec.Advert == nil || !fam.up {
		return a, false
	}
	spec := advertSpec(tf)
	a = advertise.Interface{MinInterval: spec.MinInterval, MaxInterval: spec.MaxInterval, Advert: spec.Advert}
	for _, own := range fam.sorted() {
		if own.usable && own.spec.Prefix.Addr().IsLinkLocalUnicast() {
			a.Source = own.spec.Prefix.Addr()
			return a, true
		}
	}
	return a, false
}

// advertSpec is the family's declared advertisement with the prefixes that it
// means: where none is declared, those of the family's own networks.
func advertSpec(tf *intf.UnitFamily) intf.AdvertSpec {
	spec := *tf.Spec.Advert
	if len(spec.Advert.Prefixes) == 0 {
		spec.Advert.Prefixes = intf.OwnPrefixes(tf.Spec.Addresses)
	}
	return spec
}

// buildAdvert has a unit advertise what is declared.
func (r *Router) buildAdvert(u *unit, t *intf.Unit) {
	a, ok := r.advertOf(u, t)
	if ok {
		r.announce(r.adverts.Set(r.clock(), u.index, a))
		return
	}
	tf := t.Family(intf.Inet6)
	switch {
	case t.Down&(intf.Absent|intf.LinkDown) != 0:
		r.adverts.Stop(u.index)
	case tf != nil && tf.Spec.Advert == nil && u.families[intf.Inet6] != nil && u.families[intf.Inet6].up:
		r.announce(r.adverts.Cease(r.clock(), u.index))
	default:
		r.leave(u.index)
	}
}

// announce queues advertisements for transmit.
func (r *Router) announce(sends []advertise.Send) {
	r.announcements = append(r.announcements, sends...)
}

// leave lets the hosts on a unit's link know that it is no router any more,
// before it can't be said.
func (r *Router) leave(i intf.Index) {
	sends := r.adverts.Leave(r.clock(), i)
	for j := range sends {
		r.sendAdvert(&sends[j])
	}
	if len(sends) > 0 {
		r.engine.FlushUnit(i)
	}
}

// leaveDevice does the same on all units of a device that is about to close.
func (r *Router) leaveDevice(name string) {
	for _, i := range r.adverts.Units() {
		if u := r.byIndex[i]; u != nil && u.key.Device == name {
			r.leave(i)
		}
	}
}

// advertRoom is the packet that every link takes (RFC 8200, 5).
const advertRoom = intf.MinMTU6

// sendAdvert puts an advertisement on the wire. Prefixes that it has no room for
// follow in others, which say nothing else (RFC 4861, 6.2.3).
func (r *Router) sendAdvert(s *advertise.Send) {
	u := r.byIndex[s.IfIndex]
	if u == nil {
		return
	}
	part, left := s.Advert, s.Advert.Prefixes
	for {
		n := len(left)
		for part.Prefixes = left; n > 0 && packet.RouterAdvertLen(&part) > advertRoom; part.Prefixes = left[:n] {
			n--
		}
		b := make([]byte, packet.RouterAdvertLen(&part))
		packet.PutRouterAdvert(b, s.Source, u.params.MAC, &part)
		r.send(s.IfIndex, packet.EtherTypeIPv6, allNodesMAC, b)
		if left = left[n:]; len(left) == 0 || n == 0 {
			return
		}
		part.MTU, part.Routes, part.DNSServers, part.DNSSearch = 0, nil, nil, nil
	}
}

// allNodesMAC carries ff02::1 (RFC 2464, 7).
var allNodesMAC = intf.MAC{0x33, 0x33, 0, 0, 0, 1}

// receiveAdvert compares what another router advertises with what we do.
func (r *Router) receiveAdvert(p dataplane.Punt) {
	u := r.byIndex[p.IfIndex]
	ip, fault := packet.CheckIPv6(p.Frame)
	if u == nil || fault != packet.FaultNone || p.Src == u.params.MAC {
		return
	}
	theirs, fault := packet.ParseRouterAdvert(ip, packet.IPv6HeaderLen)
	if fault != packet.FaultNone {
		return
	}
	if differs := r.adverts.Receive(r.clock(), p.IfIndex, ip.Src(), &theirs); differs != "" {
		r.log.Warn("another router advertises otherwise", "ifl", u.key.Name(), "differs", differs)
		r.events.unit(u.key)
	}
}

// advertState is the state of a family's advertisements, nil where none was ever
// declared.
func (r *Router) advertState(u *unit, tf *intf.UnitFamily) *models.AdvertState {
	c, differs, ok := r.adverts.State(u.index)
	if !ok && tf.Spec.Advert == nil {
		return nil
	}
	s := models.AdvertState{
		Sent: c.Sent, Solicitations: c.Solicitations, Adverts: c.Adverts, Inconsistent: c.Inconsistent, Inconsistency: differs,
	}
	if tf.Spec.Advert != nil {
		spec := advertSpec(tf)
		s.Applied = &spec
	}
	return &s
}
