package dataplane

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/intf"
)

// An adjacency is a neighbour on a unit. It exists while its link-layer address
// is known or a Forward next hop names it. Workers read key and rewrite; the
// rest belongs to the writer, under Engine.mu.
type adjacency struct {
	key     adjacencyKey
	rewrite atomic.Pointer[rewrite] // nil while the link-layer address is unknown

	record  uint32   // of a mirror; 0 for none
	mac     intf.MAC // zero while unknown
	stale   bool
	holders int // Forward next hops
}

// adjacencyKey names a neighbour: IPv4 addresses stand in lo, with hi all ones.
type adjacencyKey struct {
	ifindex intf.Index
	hi, lo  uint64
}

// notIPv6 marks the key of an IPv4 address; as the upper half of an IPv6 address
// it would be a multicast group, which is nobody's neighbour.
const notIPv6 = ^uint64(0)

func keyOf(i intf.Index, a netip.Addr) adjacencyKey {
	if a.Is4() {
		return adjacencyKey{i, notIPv6, uint64(addr4(a))}
	}
	hi, lo := addr6(a)
	return adjacencyKey{i, hi, lo}
}

func (k adjacencyKey) addr() netip.Addr {
	if k.hi == notIPv6 {
		return addrFrom4(uint32(k.lo))
	}
	return addrFrom6(k.hi, k.lo)
}

func (k adjacencyKey) hash() uint64 {
	h := (k.hi^uint64(k.ifindex)<<17)*0x9e3779b97f4a7c15 ^ k.lo
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

// A rewrite is all that sending to a neighbour takes: the L2 header, ready but
// for the EtherType, and where the frame goes. It is immutable except for stale.
type rewrite struct {
	header [24]byte // hlen octets, and room for writing them in words
	hlen   uint8
	port   PortID    // 0: the egress unit is gone or has no port
	mtu    [2]uint16 // 0 where emit has to look closer: a family is down or has an output filter, or mac is a group
	unit   *unit
	key    adjacencyKey
	stale  atomic.Bool // reported when used, once
}

// egressDown is the rewrite of neighbours whose unit is gone.
var egressDown = &rewrite{}

// publish makes a worker's view of the adjacency follow its state and the unit
// u, which is nil when the unit is gone. renew says that the state is new, so
// that the use of a stale address is reported again.
func (a *adjacency) publish(u *unit, renew bool) {
	if a.mac.IsZero() {
		a.rewrite.Store(nil)
		return
	}
	if u == nil || u.port == 0 {
		a.rewrite.Store(egressDown)
		return
	}
	r := &rewrite{port: u.port, unit: u, key: a.key}
	for _, f := range intf.Families {
		if u.fam[f].up && !u.fam[f].hooks.has(filter.Output) && a.mac[0]&1 == 0 {
			r.mtu[f] = u.fam[f].mtu
		}
	}
	r.hlen = uint8(u.header(r.header[:], a.mac, 0))
	old := a.rewrite.Load()
	r.stale.Store(a.stale && (renew || old == nil || old == egressDown || old.stale.Load()))
	a.rewrite.Store(r)
}

// publishAdjacency is publish, for the readers of a mirror too.
func (e *Engine) publishAdjacency(a *adjacency, u *unit, renew bool) {
	a.publish(u, renew)
	if e.mirror != nil {
		e.mirror.setNeighbor(a, u)
	}
}

// put writes the L2 header in front of offset at of mem and returns where it
// starts. mem has at least maxHeader octets before at, and the EtherType follows
// the packet.
func (r *rewrite) put(mem []byte, at uint32, etherType uint16) uint32 {
	start := at - uint32(r.hlen)
	b := mem[start:at]
	// 14, 18 or 22 octets as overlapping words: no loop, no call.
	h := &r.header
	end := len(b)
	binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(h[:8]))
	if end > 16 {
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(h[8:16]))
	}
	binary.LittleEndian.PutUint64(b[end-8:], binary.LittleEndian.Uint64(h[end-8:]))
	binary.BigEndian.PutUint16(b[end-2:], etherType)
	return start
}

// SetAdjacency makes a neighbour's link-layer address known, or changes it. A
// stale one is used, and the first use after each SetAdjacency is reported as
// a StaleUse punt. The unit may be unknown yet. A zero mac clears it.
func (e *Engine) SetAdjacency(i intf.Index, addr netip.Addr, mac intf.MAC, stale bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.adjacency(i, addr)
	a.mac, a.stale = mac, stale
	e.publishAdjacency(a, e.snapshot.Load().units.at(uint32(i)), true)
	e.dropAdjacency(a)
}

// ClearAdjacency forgets a neighbour's link-layer address: packets to it are
// punted as Unresolved. One that is not known is no error.
func (e *Engine) ClearAdjacency(i intf.Index, addr netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.topology.adjacencies[i][addr]; a != nil {
		a.mac, a.stale = intf.MAC{}, false
		e.publishAdjacency(a, nil, true)
		e.dropAdjacency(a)
	}
}

// adjacency finds or makes the adjacency. The caller holds Engine.mu.
func (e *Engine) adjacency(i intf.Index, addr netip.Addr) *adjacency {
	m := e.topology.adjacencies[i]
	if m == nil {
		m = make(map[netip.Addr]*adjacency)
		e.topology.adjacencies[i] = m
	}
	a := m[addr]
	if a == nil {
		a = &adjacency{key: keyOf(i, addr)}
		m[addr] = a
		e.adjacencies.insert(a)
	}
	return a
}

func (e *Engine) holdAdjacency(i intf.Index, addr netip.Addr) *adjacency {
	a := e.adjacency(i, addr)
	a.holders++
	return a
}

// dropAdjacency forgets an adjacency that nothing needs any more.
func (e *Engine) dropAdjacency(a *adjacency) {
	if a.holders > 0 || !a.mac.IsZero() {
		return
	}
	m := e.topology.adjacencies[a.key.ifindex]
	delete(m, a.key.addr())
	if len(m) == 0 {
		delete(e.topology.adjacencies, a.key.ifindex)
	}
	e.adjacencies.remove(a)
}

// An adjacencyTable finds adjacencies for packets whose next hop is not a
// neighbour itself (Resolve, LinkLocal). It is a chained hash table that is read
// without locks; the writer holds Engine.mu.
type adjacencyTable struct {
	buckets atomic.Pointer[[]atomic.Pointer[adjacencyNode]]
	count   int
}

type adjacencyNode struct {
	adj  *adjacency
	next atomic.Pointer[adjacencyNode]
}

func newAdjacencyTable() *adjacencyTable {
	t := &adjacencyTable{}
	b := make([]atomic.Pointer[adjacencyNode], 64)
	t.buckets.Store(&b)
	return t
}

// find returns the adjacency of k, nil when there is none.
func (t *adjacencyTable) find(k adjacencyKey) *adjacency {
	b := *t.buckets.Load()
	for n := b[k.hash()&uint64(len(b)-1)].Load(); n != nil; n = n.next.Load() {
		if n.adj.key == k {
			return n.adj
		}
	}
	return nil
}

func (t *adjacencyTable) insert(a *adjacency) {
	b := *t.buckets.Load()
	if t.count >= len(b) {
		// Readers go on in the old chains, which stay as they are.
		grown := make([]atomic.Pointer[adjacencyNode], 2*len(b))
		for i := range b {
			for n := b[i].Load(); n != nil; n = n.next.Load() {
				push(grown, n.adj)
			}
		}
		b = grown
		push(b, a)
		t.buckets.Store(&b)
	} else {
		push(b, a)
	}
	t.count++
}

func push(b []atomic.Pointer[adjacencyNode], a *adjacency) {
	head := &b[a.key.hash()&uint64(len(b)-1)]
	n := &adjacencyNode{adj: a}
	n.next.Store(head.Load())
	head.Store(n)
}

func (t *adjacencyTable) remove(a *adjacency) {
	b := *t.buckets.Load()
	link := &b[a.key.hash()&uint64(len(b)-1)]
	for n := link.Load(); n != nil; n = link.Load() {
		if n.adj == a {
			link.Store(n.next.Load())
			t.count--
			return
		}
		link = &n.next
	}
}

// etherTypes of the families.
var etherTypes = [...]uint16{intf.Inet: packet.EtherTypeIPv4, intf.Inet6: packet.EtherTypeIPv6}
