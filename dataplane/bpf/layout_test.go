package bpf

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cilium/ebpf/btf"

	"router/dataplane/layout"
)

// TestLayout holds the records of package layout and the structures of layout.h
// together: every field of C is where Go puts it.
func TestLayout(t *testing.T) {
	spec, err := loadRouter()
	if err != nil {
		t.Fatal(err)
	}
	fam := func(i int, base uint32) layout.UnitFamily {
		return layout.UnitFamily{Table: base + 1, Sources: base + 2, OwnBits: uint64(base + 3), Own: base + 4, OwnCount: uint8(base + 5),
			Flags: uint8(base + 6), Group: base + 7, Filter: base + 8}
	}
	unit := layout.Unit{Station: [6]byte{1, 2, 3, 4, 5, 6}, IfIndex: 8, Tally: 9, Families: [2]layout.UnitFamily{fam(0, 10), fam(1, 30)}}
	neighbor := layout.Neighbor{HeaderLen: 22, Flags: 1, MTU: [2]uint16{1500, 1280}, Port: 3, IfIndex: 4, Tally: 5, Filter: [2]uint32{6, 7}, Device: 8}
	for i := range neighbor.Header {
		neighbor.Header[i] = byte(i + 1)
	}
	le := binary.LittleEndian.Uint64
	u, n := unit.Words(), neighbor.Words()
	port := layout.Port{Untagged: 1, Tagged: 2}
	family := func(i int, f layout.UnitFamily) map[string]uint64 {
		at := fmt.Sprintf("families[%d].", i)
		return map[string]uint64{
			at + "table": uint64(f.Table), at + "sources": uint64(f.Sources), at + "own_bits": f.OwnBits, at + "own": uint64(f.Own),
			at + "own_count": uint64(f.OwnCount), at + "flags": uint64(f.Flags), at + "group": uint64(f.Group), at + "filter": uint64(f.Filter), at + "zero": 0,
		}
	}
	unitFields := map[string]uint64{"zero": 0, "ifindex": 8, "tally": 9}
	for i, b := range unit.Station {
		unitFields[fmt.Sprintf("station[%d]", i)] = uint64(b)
	}
	for i := range 6 {
		unitFields[fmt.Sprintf("spare[%d]", i)] = 0
	}
	for i, f := range unit.Families {
		for name, v := range family(i, f) {
			unitFields[name] = v
		}
	}
	tally, tallyFields := [layout.TallyWords]uint64{}, map[string]uint64{"spare[0]": 13, "spare[1]": 14, "spare[2]": 15, "spare[3]": 16}
	for i := range tally {
		tally[i] = uint64(i + 1)
	}
	for name, place := range map[string]int{
		"in_packets": layout.TallyInPackets, "in_octets": layout.TallyInOctets, "out_packets": layout.TallyOutPackets, "out_octets": layout.TallyOutOctets,
		"discarded": layout.TallyDiscarded, "rpf[0]": layout.TallyRPF4, "rpf[1]": layout.TallyRPF6, "filtered": layout.TallyFiltered,
		"policed": layout.TallyPoliced, "out_filtered": layout.TallyOutFiltered, "out_policed": layout.TallyOutPoliced, "lost": layout.TallyLost,
	} {
		tallyFields[name] = uint64(place + 1)
	}
	for _, x := range []struct {
		name   string
		words  []uint64
		fields map[string]uint64
	}{
		{"unit", u[:], unitFields},
		{"neighbor", n[:], map[string]uint64{
			"header[0]": le(neighbor.Header[0:]), "header[1]": le(neighbor.Header[8:]), "header[2]": le(neighbor.Header[16:]),
			"header_len": 22, "flags": 1, "mtu[0]": 1500, "mtu[1]": 1280, "zero": 0, "port": 3, "ifindex": 4, "tally": 5,
			"filter[0]": 6, "filter[1]": 7, "device": 8, "reported": 0,
		}},
		{"port", []uint64{port.Word()}, map[string]uint64{"untagged": 1, "tagged": 2}},
		{"next_hop", []uint64{layout.GroupWord(77, 5), layout.EgressWord(layout.EgressOne, 9)}, map[string]uint64{
			"kind": layout.NextHopGroup, "log": 5, "zero": 0, "value": 77, "egress": layout.EgressOne, "ifindex": 9,
		}},
		{"tally", tally[:], tallyFields},
	} {
		var typ *btf.Struct
		if err := spec.Types.TypeByName(x.name, &typ); err != nil {
			t.Fatalf("struct %s: %v", x.name, err)
		}
		if int(typ.Size) != 8*len(x.words) {
			t.Errorf("struct %s: %d octets in C, %d in Go", x.name, typ.Size, 8*len(x.words))
			continue
		}
		var mem []byte
		for _, w := range x.words {
			mem = binary.LittleEndian.AppendUint64(mem, w)
		}
		seen := map[string]uint64{}
		readFields(t, seen, "", typ, mem)
		for name, v := range seen {
			if want, ok := x.fields[name]; !ok || want != v {
				t.Errorf("struct %s: C finds %d in %s, Go has put %d there", x.name, v, name, want)
			}
		}
		for name := range x.fields {
			if _, ok := seen[name]; !ok {
				t.Errorf("struct %s has no %s in C", x.name, name)
			}
		}
	}
}

// readFields notes the value of every number in memory of a type.
func readFields(t *testing.T, seen map[string]uint64, name string, typ btf.Type, mem []byte) {
	switch v := btf.UnderlyingType(typ).(type) {
	case *btf.Int:
		var b [8]byte
		copy(b[:], mem[:v.Size])
		seen[name] = binary.LittleEndian.Uint64(b[:])
	case *btf.Array:
		size, err := btf.Sizeof(v.Type)
		if err != nil {
			t.Fatal(err)
		}
		for i := range int(v.Nelems) {
			readFields(t, seen, fmt.Sprintf("%s[%d]", name, i), v.Type, mem[i*size:])
		}
	case *btf.Struct:
		for _, m := range v.Members {
			at := m.Name
			if name != "" {
				at = name + "." + at
			}
			readFields(t, seen, at, m.Type, mem[m.Offset.Bytes():])
		}
	default:
		t.Fatalf("%s: type %v", name, typ)
	}
}
