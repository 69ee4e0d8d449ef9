package dataplane

import (
	"net/netip"

	"router/dataplane/layout"
	"router/dataplane/packet"
	"router/intf"
	"router/vrf/fib"
)

// A snapshot is what workers read of the topology: immutable, loaded once a
// batch.
type snapshot struct {
	units     vector[unit]         // by intf.Index
	ports     vector[portView]     // by PortID
	instances vector[instanceView] // by instance index
}

// A portView is a port with its demux: the tag stack of a frame leads to a unit.
type portView struct {
	id       PortID
	name     string
	home     int // the worker that serves the port's first queue
	stats    *portStats
	untagged *unit
	single   vector[unit] // by tagKey of the one tag
	double   vector[unit] // by the outer and the inner tagKey
}

type portStats struct {
	blocks []counterBlock // a block for each worker
	drops  []dropCounts
	past   [layout.TallyWords]uint64 // as of unitStats
}

// An instanceView is a routing instance.
type instanceView struct {
	table *fib.Table
	// feasible is the second table, for the check of sources; nil while nobody asks for it.
	feasible *fib.Table
	// source is an address of the instance for ICMP errors of units that have
	// none of their own; unset while the instance has no address.
	source [2]netip.Addr
	owner  [2]intf.Index // the unit that source belongs to
	// guards are the loopbacks whose local filters are asked about all packets of
	// the instance, by index.
	guards [2][]*unit
}

const tagKeyBits = 15

// tagKey is a VLAN tag as 15 bits; ok is false for a TPID that we do not read.
func tagKey(tpid, id uint16) (key uint32, ok bool) {
	key = uint32(id & 0xfff)
	switch tpid {
	case packet.TPID8021Q:
		return key, true
	case packet.TPID8021AD:
		return key | 1<<12, true
	case packet.TPIDQinQ:
		return key | 2<<12, true
	case packet.TPID9200:
		return key | 3<<12, true
	case packet.TPID9300:
		return key | 4<<12, true
	}
	return 0, false
}

// unit finds the unit whose tag stack is v.
func (p *portView) unit(v intf.VLAN) *unit {
	if v.OuterTPID == 0 {
		return p.untagged
	}
	outer, ok := tagKey(v.OuterTPID, v.OuterID)
	if !ok {
		return nil
	}
	if v.InnerTPID == 0 {
		return p.single.at(outer)
	}
	inner, ok := tagKey(v.InnerTPID, v.InnerID)
	if !ok {
		return nil
	}
	return p.double.at(outer<<tagKeyBits | inner)
}

// withUnit returns the port on which frames tagged v belong to u, or to nobody
// when u is nil. A tag stack that cannot be parsed leads nowhere.
func (p *portView) withUnit(v intf.VLAN, u *unit) *portView {
	c := *p
	outer, outerOK := tagKey(v.OuterTPID, v.OuterID)
	inner, innerOK := tagKey(v.InnerTPID, v.InnerID)
	switch {
	case v.OuterTPID == 0:
		c.untagged = u
	case !outerOK:
	case v.InnerTPID == 0:
		c.single = c.single.with(outer, u)
	case innerOK:
		c.double = c.double.with(outer<<tagKeyBits|inner, u)
	}
	return &c
}
