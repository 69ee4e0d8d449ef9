package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"router/dataplane"
	"router/dataplane/packet"
	"router/intf"
	"router/routing"
	"router/routing/neighbor"
)

// act queues what the neighbour table wants done. The actions are copied: they
// are done by drain, which may call the table again.
func (r *Router) act(actions []neighbor.Action) { r.actions = append(r.actions, actions...) }

// A gatewayChange says that routes begin or cease to go through a neighbour.
type gatewayChange struct {
	key  neighbor.Key
	used bool
}

// onGateway is called by the routing instances, which must not be called back.
func (r *Router) onGateway(i intf.Index, gateway netip.Addr, used bool) {
	r.gateways = append(r.gateways, gatewayChange{neighbor.Key{IfIndex: i, Addr: gateway}, used})
}

// drain does what is queued, and what follows from it, until nothing is left.
func (r *Router) drain() error {
	var errs []error
	for len(r.gateways) > 0 || len(r.actions) > 0 {
		gateways, actions := r.gateways, r.actions
		r.gateways, r.actions = nil, nil
		for _, g := range gateways {
			if g.used {
				r.act(r.neighbors.Hold(r.clock(), g.key))
			} else {
				r.act(r.neighbors.Release(r.clock(), g.key))
			}
		}
		for i := range actions {
			if err := r.do(&actions[i]); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// do does one thing that the neighbour table wants done.
func (r *Router) do(a *neighbor.Action) error {
	key := a.Key
	switch a.Kind {
	case neighbor.Send:
		r.sends = append(r.sends, a.Message)
	case neighbor.Changed:
		r.changedNeighbor(key)
		if a.State.Usable() {
			if a.State != neighbor.Permanent {
				r.remember(key, false, a.MAC)
			}
			r.engine.SetAdjacency(key.IfIndex, key.Addr, a.MAC, a.State == neighbor.Stale)
			return r.vrfs.AddNeighbor(key.IfIndex, key.Addr)
		}
		return r.forgetNeighbor(key)
	case neighbor.Removed:
		r.changedNeighbor(key)
		return r.forgetNeighbor(key)
	case neighbor.Deliver:
		r.send(key.IfIndex, etherType(key.Addr), a.MAC, a.Packet.Bytes)
	case neighbor.Reject:
		err := r.engine.Reject(a.Packet.Bytes, intf.Index(a.Packet.Token), routing.RejectHost)
		if err != nil && !errors.Is(err, dataplane.ErrBusy) && !errors.Is(err, dataplane.ErrNoUnit) {
			return fmt.Errorf("neighbour %v: %w", key.Addr, err)
		}
	case neighbor.Drop:
		// The table counts it.
	case neighbor.AddressOK:
		if key.Addr.Is6() {
			r.remember(key, true, intf.MAC{})
		}
		return r.useAddress(key.IfIndex, key.Addr)
	case neighbor.AddressDuplicate:
		r.forget(key, true)
		return r.refuseAddress(key.IfIndex, key.Addr, a.MAC)
	case neighbor.Conflict:
		u := r.byIndex[key.IfIndex]
		if u != nil {
			r.conflict(u, key.Addr, a.MAC)
		}
	}
	return nil
}

func etherType(a netip.Addr) uint16 {
	if a.Is4() {
		return packet.EtherTypeIPv4
	}
	return packet.EtherTypeIPv6
}

func (r *Router) forgetNeighbor(key neighbor.Key) error {
	r.forget(key, false)
	err := r.vrfs.RemoveNeighbor(key.IfIndex, key.Addr)
	r.engine.ClearAdjacency(key.IfIndex, key.Addr)
	return err
}

func (r *Router) changedNeighbor(key neighbor.Key) {
	if u := r.byIndex[key.IfIndex]; u != nil {
		r.events.unit(u.key)
	}
}

// conflict notes that another station uses an address of ours, which stays in use.
func (r *Router) conflict(u *unit, addr netip.Addr, mac intf.MAC) {
	r.log.Error("another station uses our address", "ifl", u.key.Name(), "address", addr.String(), "mac", mac.String())
	fam := u.families[intf.FamilyOf(addr)]
	if fam == nil {
		return
	}
	for _, a := range fam.addresses {
		if a.spec.Prefix.Addr() == addr {
			a.reason = fmt.Sprintf("%s uses this address too: give one of them another", mac)
			r.events.unit(u.key)
		}
	}
}

// transmit sends the messages that are queued. What they ask for must be visible
// to the workers by then: an answer takes some microseconds, and one that finds
// its family down is lost, which for a duplicate address is never made good.
func (r *Router) transmit() {
	if r.adopting {
		return // nor would an answer come
	}
	for i := range r.sends {
		r.sendNeighbor(&r.sends[i])
	}
	r.sends = r.sends[:0]
	for i := range r.announcements {
		r.sendAdvert(&r.announcements[i])
	}
	clear(r.announcements)
	r.announcements = r.announcements[:0]
}

// sendNeighbor puts a message of ARP or neighbour discovery on the wire.
func (r *Router) sendNeighbor(m *neighbor.Message) {
	u := r.byIndex[m.IfIndex]
	if u == nil {
		return
	}
	var b [packet.NDMaxLen]byte
	switch m.Kind {
	case neighbor.ARPRequest, neighbor.ARPReply:
		op, target := uint16(packet.ARPRequest), intf.MAC{}
		if m.Kind == neighbor.ARPReply {
			op, target = packet.ARPReply, m.To
		}
		n := packet.PutARP(b[:], op, m.MAC, m.Src, target, m.Target)
		r.send(m.IfIndex, packet.EtherTypeARP, m.To, b[:n])
	case neighbor.NeighborSolicit, neighbor.NeighborAdvert, neighbor.RouterSolicit:
		nd := packet.ND{Target: m.Target, LinkLayer: m.MAC, Router: m.Router, Solicited: m.Solicited, Override: m.Override}
		//exhaustive:ignore the outer switch has the kinds
		switch m.Kind {
		case neighbor.NeighborSolicit:
			nd.Type = packet.ICMPv6NeighborSol
		case neighbor.NeighborAdvert:
			nd.Type = packet.ICMPv6NeighborAdv
		default:
			nd.Type = packet.ICMPv6RouterSolicit
		}
		n := packet.PutND(b[:], m.Src, m.Dst, nd)
		r.send(m.IfIndex, packet.EtherTypeIPv6, m.To, b[:n])
	case neighbor.RouterAdvert:
		// The table never sends one.
	}
}

// send counts on the senders to repeat themselves: what doesn't fit is lost, as
// on a wire, and counted by the engine.
func (r *Router) send(i intf.Index, etherType uint16, dst intf.MAC, payload []byte) {
	if err := r.engine.SendUnit(i, etherType, dst, payload); err != nil {
		r.log.Debug("not sent", "ifl", uint32(i), "err", err)
	}
}

// Punted takes a packet from the dataplane that needs more than forwarding.
func (r *Router) Punted(p dataplane.Punt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch p.Kind {
	case dataplane.PuntNeighbor:
		if m, ok := parseNeighbor(p); ok {
			r.act(r.neighbors.Input(r.clock(), m))
			//exhaustive:ignore the others are no concern of advertisements
			switch m.Kind {
			case neighbor.RouterSolicit:
				r.adverts.Solicit(r.clock(), p.IfIndex)
			case neighbor.RouterAdvert:
				r.receiveAdvert(p)
			}
		} else {
			r.malformed++
		}
	case dataplane.PuntUnresolved:
		r.act(r.neighbors.Resolve(r.clock(), neighbor.Key{IfIndex: p.IfIndex, Addr: p.Addr},
			neighbor.Packet{Bytes: bytes.Clone(p.Frame), Token: uint64(p.From)}))
	case dataplane.PuntStaleUse:
		r.act(r.neighbors.Use(r.clock(), neighbor.Key{IfIndex: p.IfIndex, Addr: p.Addr}))
	case dataplane.PuntFlow:
		r.newFlow(p)
	}
	r.finish()
}

// finish ends the handling of an event: what follows is done, and what became
// dirty by it converges.
func (r *Router) finish() {
	if err := r.drain(); err != nil {
		r.log.Error("neighbour event", "err", err)
	}
	if !r.dirty.empty() {
		r.repair(context.Background())
	}
	r.transmit()
	r.kick()
}

// parseNeighbor reads a message of ARP or neighbour discovery; ok is false for
// one that is not valid.
func parseNeighbor(p dataplane.Punt) (m neighbor.Message, ok bool) {
	m = neighbor.Message{IfIndex: p.IfIndex, From: p.Src, To: p.Dst}
	if p.EtherType == packet.EtherTypeARP {
		a, fault := packet.ParseARP(p.Frame)
		if fault != packet.FaultNone {
			return m, false
		}
		m.Kind, m.Src, m.MAC, m.Target = neighbor.ARPRequest, a.SenderIP(), a.SenderMAC(), a.TargetIP()
		if a.Op() == packet.ARPReply {
			m.Kind = neighbor.ARPReply
		}
		return m, true
	}
	ip, fault := packet.CheckIPv6(p.Frame)
	if fault != packet.FaultNone {
		return m, false
	}
	nd, fault := packet.ParseND(ip, packet.IPv6HeaderLen)
	if fault != packet.FaultNone {
		return m, false
	}
	m.Src, m.Dst, m.Target, m.MAC = ip.Src(), ip.Dst(), nd.Target, nd.LinkLayer
	m.Router, m.Solicited, m.Override = nd.Router, nd.Solicited, nd.Override
	switch nd.Type {
	case packet.ICMPv6NeighborSol:
		m.Kind = neighbor.NeighborSolicit
	case packet.ICMPv6NeighborAdv:
		m.Kind = neighbor.NeighborAdvert
	case packet.ICMPv6RouterSolicit:
		m.Kind = neighbor.RouterSolicit
	case packet.ICMPv6RouterAdvert:
		m.Kind = neighbor.RouterAdvert
	default:
		return m, false
	}
	return m, true
}

// kick has the timers looked at again.
func (r *Router) kick() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// kickWithin has the timers looked at after d at most, or when those of neighbours are due: a
// thousand commits a second need not wake Run as often.
func (r *Router) kickWithin(d time.Duration) {
	for _, next := range []func() (time.Duration, bool){r.neighbors.Next, r.adverts.Next} {
		if due, ok := next(); ok {
			d = min(d, due-r.clock())
		}
	}
	if len(r.failed) > 0 || r.nextTick.After(r.now().Add(d)) {
		r.kick()
	}
}

// Run keeps the timers of neighbours and of devices to be tried again until ctx
// ends.
func (r *Router) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-timer.C:
		}
		timer.Reset(r.tick(ctx))
	}
}

// tick does what is due and returns the time until something is due next.
func (r *Router) tick(ctx context.Context) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.tickAt(ctx, r.now())
	r.nextTick = r.now().Add(next)
	return next
}

// tickAt is tick, now.
func (r *Router) tickAt(ctx context.Context, now time.Time) time.Duration {
	next := time.Minute
	for name, d := range r.devices {
		if d.retry.IsZero() {
			continue
		}
		if wait := d.retry.Sub(now); wait > 0 {
			next = min(next, wait)
		} else {
			r.dirty.devices[name] = struct{}{}
		}
	}
	if len(r.failed) > 0 {
		next = r.retryFailed(now, next)
	}
	if !r.dirty.empty() {
		r.repair(ctx)
	}
	if due, ok := r.neighbors.Next(); ok && due <= r.clock() {
		r.act(r.neighbors.Tick(r.clock()))
		r.finish()
	}
	if wait := r.ageFlows(); wait > 0 {
		next = min(next, wait)
	}
	if due, ok := r.adverts.Next(); ok && due <= r.clock() {
		r.announce(r.adverts.Tick(r.clock()))
		r.transmit()
	}
	if due, ok := r.adverts.Next(); ok {
		next = min(next, max(due-r.clock(), 0))
	}
	if r.arena.Stats().Limbo > 0 {
		r.arena.Reclaim()
		next = min(next, time.Second)
	}
	if r.engine.ReclaimFast() {
		next = min(next, time.Second)
	}
	next = min(next, r.makeRoom(now), r.retryFastPath(now), r.retryPins(now))
	if due, ok := r.neighbors.Next(); ok {
		next = min(next, max(due-r.clock(), 0))
	}
	return min(next, r.measure(now))
}
