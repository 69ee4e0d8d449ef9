package routing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"router/intf"
)

// MaxCopies is how many units a [List] can have.
const MaxCopies = 128

// A List is what a Multicast or a Flood does with a packet.
type List struct {
	Flood bool // leave out the unit that the packet came in by
	// In is the unit that packets have to come in by; 0 for any.
	In    intf.Index
	Out   []intf.Index // the units that get a copy each, without order
	Local bool         // deliver a copy here
	// Report has the control plane told of each source that sends to the group,
	// so that it can make a route of the flow.
	Report bool
	// Tally is the number that the packets are counted under, 0 for none. Lists
	// with different ones are different next hops, though they do the same.
	Tally uint32
	// Under is a second number that the packets are counted under: that of the
	// route that a clone follows. 0 for none.
	Under uint32
}

// Copies are a List's Out, Local and Report. The value is comparable: those that
// name the same units in whatever order are equal. The zero Copies belongs to
// no List.
type Copies struct {
	packed string // an octet of flags, then four for each unit
}

const (
	copiesLocal = 1 << iota
	copiesReport
)

// NewList is the next hop that does what l says. It refuses more than MaxCopies
// units, and one that is there twice or is none.
func NewList(l List) (NextHop, error) {
	if len(l.Out) > MaxCopies {
		return NextHop{}, fmt.Errorf("copies to %d units: there can be %d", len(l.Out), MaxCopies)
	}
	out := slices.Sorted(slices.Values(l.Out))
	if slices.Contains(out, 0) {
		return NextHop{}, errors.New("a copy to no unit")
	}
	if len(slices.Compact(out)) < len(l.Out) {
		return NextHop{}, errors.New("two copies to one unit")
	}
	packed := make([]byte, 1, 1+4*len(out))
	if l.Local {
		packed[0] |= copiesLocal
	}
	if l.Report {
		packed[0] |= copiesReport
	}
	for _, i := range out {
		packed = binary.BigEndian.AppendUint32(packed, uint32(i))
	}
	nh := NextHop{Kind: Multicast, IfIndex: l.In, Copies: Copies{string(packed)}, Tally: l.Tally, Under: l.Under}
	if l.Flood {
		nh.Kind = Flood
	}
	return nh, nil
}

// List is what a Multicast or a Flood does; of another next hop it is zero. Out
// is in order.
func (nh NextHop) List() List {
	packed := nh.Copies.packed
	if packed == "" {
		return List{}
	}
	l := List{
		Flood: nh.Kind == Flood, In: nh.IfIndex, Tally: nh.Tally, Under: nh.Under,
		Local: packed[0]&copiesLocal != 0, Report: packed[0]&copiesReport != 0,
	}
	for at := 1; at < len(packed); at += 4 {
		l.Out = append(l.Out, intf.Index(binary.BigEndian.Uint32([]byte(packed[at:at+4]))))
	}
	return l
}

// counted is the next hop of one flow that follows nh: the same list, counted
// under a tally of its own too, and not reported again.
func (nh NextHop) counted(tally uint32) NextHop {
	if nh.Copies.packed == "" || tally == 0 {
		return nh
	}
	nh.Tally, nh.Under = tally, nh.Tally
	nh.Copies.packed = string(nh.Copies.packed[0]&^copiesReport) + nh.Copies.packed[1:]
	return nh
}
