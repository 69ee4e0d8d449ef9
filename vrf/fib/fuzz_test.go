package fib

import (
	"errors"
	"maps"
	"net/netip"
	"testing"

	"github.com/gaissmai/bart"
)

func isFull(err error) bool { return errors.Is(err, ErrFull) }

// program reads a fuzzer's bytes as changes.
type program struct{ b []byte }

func (p *program) byte() byte {
	if len(p.b) == 0 {
		return 0
	}
	v := p.b[0]
	p.b = p.b[1:]
	return v
}

// prefix reads a length and as many bytes of address as that needs.
func (p *program) prefix() netip.Prefix {
	kind := p.byte()
	b := make([]byte, 4, 16)
	if kind&1 != 0 {
		b = b[:16]
	}
	length := int(p.byte()) % (8*len(b) + 1)
	for i := range (length + 7) / 8 {
		b[i] = p.byte()
		if kind&2 != 0 { // crowd
			b[i] &= 0x83
		}
		if kind&4 != 0 && i > 0 { // one long path
			b[i] = b[0]
		}
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(addr, length).Masked()
}

// FuzzTable runs changes against a linear scan and bart, and checks all of the
// arena after each.
func FuzzTable(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte{0, 0, 24, 10, 1, 2, 7, 0, 0, 8, 10, 9, 4, 0, 24, 10, 1, 2}, false)
	f.Add([]byte{0, 1, 128, 32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5, 0, 1, 64, 32, 1, 13, 184, 0, 0, 0, 0, 6, 4, 1, 64, 32, 1, 13, 184}, true)
	f.Add([]byte{3, 5, 0, 7, 128, 129, 3, 0, 7, 120, 129, 2, 0, 7, 127, 129, 1, 4, 7, 128, 129, 4, 7, 120, 129}, false)
	f.Add([]byte{3, 9, 0, 3, 60, 1, 2, 3, 128, 1, 2, 3, 4, 9, 0, 3, 66, 1, 2, 3, 128, 1, 2, 3, 4, 128, 8, 4, 3, 60, 1, 2, 3, 128, 1, 2, 3}, true)
	f.Fuzz(func(t *testing.T, code []byte, direct bool) {
		if len(code) > 2000 {
			return
		}
		a, table := newTable(t, 1<<19)
		if direct {
			for f := range table.family {
				if err := table.family[f].rebuild(&a.w, 12); err != nil {
					t.Fatal(err)
				}
				table.family[f].pause = 1 << 30
			}
		}
		want := naive{}
		var oracle bart.Table[uint32]
		var probes []netip.Addr
		p := program{code}
		single := func(insert func(netip.Prefix, uint32) error, remove func(netip.Prefix) error) {
			op, q := p.byte(), p.prefix()
			probes = append(probes, edges(q)...)
			var err error
			if op&4 != 0 {
				delete(want, q)
				oracle.Delete(q)
				err = remove(q)
			} else {
				b := p.byte()
				nh := (1 + uint32(b&15)) << (b >> 6 * 8) // of every width
				want[q] = nh
				oracle.Insert(q, nh)
				err = insert(q, nh)
			}
			if err != nil {
				t.Fatalf("change %s: %v", q, err)
			}
		}
		for len(p.b) > 0 {
			if p.b[0]&3 == 3 { // a transaction
				p.byte()
				n := int(p.byte()) % 32
				if err := table.Update(func(x *Txn) error {
					for range n {
						single(x.Insert, x.Delete)
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			} else {
				single(table.Insert, func(q netip.Prefix) error {
					_, err := table.Delete(q)
					return err
				})
			}
			if err := check(a, table); err != nil {
				t.Fatal(err)
			}
		}
		compare(t, table, want, probes)
		batches(t, table, probes)
		for _, addr := range probes {
			nh, _ := oracle.Lookup(addr)
			if got := table.lookup(addr); got != nh {
				t.Fatalf("lookup %s: %d, bart says %d", addr, got, nh)
			}
		}
		for q := range maps.Keys(want) {
			if ok, err := table.Delete(q); !ok || err != nil {
				t.Fatalf("delete %s: %v, %v", q, ok, err)
			}
		}
		if err := check(a, table); err != nil {
			t.Fatal(err)
		}
		table.Close()
		if err := check(a); err != nil {
			t.Fatal(err)
		}
		a.Reclaim()
		if s := a.Stats(); s.Used != 8*reservedWords {
			t.Fatalf("after close: %+v", s)
		}
	})
}

// batches holds the batch lookups against the single ones.
func batches(t *testing.T, table *Table, addrs []netip.Addr) {
	t.Helper()
	var v4 []uint32
	var v6 [][2]uint64
	for _, addr := range addrs {
		if c := split(addr); addr.Is4() {
			v4 = append(v4, uint32(c.hi>>32))
		} else {
			v6 = append(v6, [2]uint64{c.hi, c.lo})
		}
	}
	out := make([]uint32, len(addrs))
	table.Lookup4Batch(v4, out)
	for i, addr := range v4 {
		if want := table.Lookup4(addr); out[i] != want {
			t.Fatalf("batch lookup %#x: %d, want %d", addr, out[i], want)
		}
	}
	table.Lookup6Batch(v6, out)
	for i, addr := range v6 {
		if want := table.Lookup6(addr[0], addr[1]); out[i] != want {
			t.Fatalf("batch lookup %#x: %d, want %d", addr, out[i], want)
		}
	}
}
