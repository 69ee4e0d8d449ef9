package gribi

import (
	"encoding/binary"
	"errors"
	"net/netip"

	spb "github.com/openconfig/gribi/v1/proto/service"
)

// A record is what the file says of one entry, or of the election:
//
//	1  kind
//	n  the instance, a string
//	   a route: the prefix (1 length of the address, 4 or 16 octets, 1 bits);
//	     set: the group, a uvarint, its instance and the metadata, strings
//	   a group: its id, a uvarint;
//	     set: 1 flags, the backup and the color, uvarints where the flags have them, the number
//	     of members, and each one's index and weight, all uvarints
//	   a next hop: its index, a uvarint;
//	     set: 1 flags, the address (1 length, 0, 4 or 16 octets), the device and the instance,
//	     strings, and the subinterface, a uvarint where the flags have it
//
// The election has no instance: 1 flags, and two uvarints for the halves of the highest id. A
// string is a uvarint and as many octets.
type recordKind uint8

const (
	setRouteRecord recordKind = 1 + iota
	setGroupRecord
	setNexthopRecord
	removeRouteRecord
	removeGroupRecord
	removeNexthopRecord
	electionRecord
)

// Flags of records.
const (
	flagBackup    = 1 << iota // a group: it has one
	flagColor                 // likewise
	flagSub                   // a next hop: it names a subinterface
	flagSingle                // the election: the mode of the clients
	flagsOfGroup  = flagBackup | flagColor
	flagsOfHop    = flagSub
	flagsOfChoice = flagSingle
)

var errRecord = errors.New("a record is not valid")

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendAddr(b []byte, a netip.Addr) []byte {
	raw := a.AsSlice()
	return append(append(b, byte(len(raw))), raw...)
}

func appendHead(b []byte, kind recordKind, instance string) []byte {
	return appendText(append(b, byte(kind)), instance)
}

func appendPrefix(b []byte, p netip.Prefix) []byte {
	return append(appendAddr(b, p.Addr()), byte(p.Bits()))
}

// appendSet appends the record of an entry as the operation o sets it.
func appendSet(b []byte, o *operation) []byte {
	switch o.kind {
	case routeEntry:
		b = appendPrefix(appendHead(b, setRouteRecord, o.instance), o.prefix)
		b = binary.AppendUvarint(b, o.group)
		return appendText(appendText(b, o.groupInstance), o.metadata)
	case groupEntry:
		b = binary.AppendUvarint(appendHead(b, setGroupRecord, o.instance), o.index)
		at, flags := len(b), byte(0)
		b = append(b, 0)
		if o.hasBackup {
			flags |= flagBackup
			b = binary.AppendUvarint(b, o.backup)
		}
		if o.color != nil {
			flags |= flagColor
			b = binary.AppendUvarint(b, *o.color)
		}
		b[at] = flags
		b = binary.AppendUvarint(b, uint64(len(o.members)))
		for _, m := range o.members {
			b = binary.AppendUvarint(binary.AppendUvarint(b, m.index), m.weight)
		}
		return b
	case nexthopEntry:
		b = binary.AppendUvarint(appendHead(b, setNexthopRecord, o.instance), o.index)
		v, flags := o.via, byte(0)
		if v.hasSub {
			flags = flagSub
		}
		b = appendText(appendText(appendAddr(append(b, flags), v.address), v.device), v.instance)
		if v.hasSub {
			b = binary.AppendUvarint(b, v.subinterface)
		}
		return b
	}
	return b
}

// appendElection appends the record of the election.
func appendElection(b []byte, single bool, id uint128) []byte {
	flags := byte(0)
	if single {
		flags = flagSingle
	}
	return binary.AppendUvarint(binary.AppendUvarint(append(b, byte(electionRecord), flags), id.high), id.low)
}

// A reader takes records apart. After an error it answers zeros.
type reader struct {
	b    []byte
	bad  bool
	last string // the text read last, which the next one often is again
}

func (r *reader) take(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) octet() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	if b := r.take(r.uvarint()); string(b) != r.last {
		r.last = string(b)
	}
	return r.last
}

func (r *reader) flags(known byte) byte {
	f := r.octet()
	r.bad = r.bad || f&^known != 0
	return f
}

func (r *reader) addr() netip.Addr {
	n := r.octet()
	if n == 0 {
		return netip.Addr{}
	}
	a, ok := netip.AddrFromSlice(r.take(uint64(n)))
	r.bad = r.bad || !ok
	return a
}

func (r *reader) prefix() netip.Prefix {
	a := r.addr()
	bits := int(r.octet())
	p := netip.PrefixFrom(a, bits)
	r.bad = r.bad || !p.IsValid() || p != p.Masked() || a.Is4In6()
	return p
}

// An elected is the election that a record holds.
type elected struct {
	single bool
	id     uint128
}

// next reads a record: an operation that adds or deletes, or the election, which is not nil
// then.
func (r *reader) next() (o operation, e *elected, err error) {
	kind := recordKind(r.octet())
	o.verb = spb.AFTOperation_ADD
	if kind == electionRecord {
		e = &elected{single: r.flags(flagsOfChoice) != 0}
		e.id.high, e.id.low = r.uvarint(), r.uvarint()
	} else {
		o.instance = r.text()
	}
	switch kind {
	case setRouteRecord, removeRouteRecord:
		o.kind, o.prefix = routeEntry, r.prefix()
		if kind == setRouteRecord {
			o.group, o.groupInstance, o.metadata = r.uvarint(), r.text(), r.text()
			r.bad = r.bad || len(o.metadata) > maxMetadata
		}
	case setGroupRecord, removeGroupRecord:
		o.kind, o.index = groupEntry, r.uvarint()
		if kind == setGroupRecord {
			r.group(&o)
		}
	case setNexthopRecord, removeNexthopRecord:
		o.kind, o.index = nexthopEntry, r.uvarint()
		if kind == setNexthopRecord {
			flags := r.flags(flagsOfHop)
			o.via = via{address: r.addr(), device: r.text(), instance: r.text(), hasSub: flags != 0}
			if flags != 0 {
				o.via.subinterface = r.uvarint()
			}
		}
	case electionRecord:
	default:
		r.bad = true
	}
	if kind >= removeRouteRecord {
		o.verb = spb.AFTOperation_DELETE
	}
	if r.bad || e == nil && o.instance == "" {
		return operation{}, nil, errRecord
	}
	return o, e, nil
}

func (r *reader) group(o *operation) {
	flags := r.flags(flagsOfGroup)
	if o.hasBackup = flags&flagBackup != 0; o.hasBackup {
		o.backup = r.uvarint()
	}
	if flags&flagColor != 0 {
		color := r.uvarint()
		o.color = &color
	}
	n := r.uvarint()
	if n > uint64(len(r.b))/2 { // each takes two octets at least
		r.bad = true
	}
	seen := make(map[uint64]bool)
	for range n {
		if r.bad {
			return
		}
		m := share{r.uvarint(), r.uvarint()}
		r.bad = r.bad || seen[m.index] || m.weight == 0
		seen[m.index] = true
		o.members = append(o.members, m)
	}
}
