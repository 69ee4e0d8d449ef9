package filter

import (
	"testing"

	"router/intf"
)

// disagreement compares program and oracle on one packet, term after term, and
// describes where they differ.
func disagreement(p *Program, k *Key, s *search, l3 []byte, m *Meta) (from, got, want int) {
	x := readFacts(p.spec.Family, l3, m)
	k.parse(p.spec.Family, l3, m, p.need)
	p.prepare(s, k)
	for from = 0; ; {
		got, want = int(p.next(s, k, int32(from))), oracleFirst(p.spec, &x, from)
		if got != want || want < 0 {
			return from, got, want
		}
		from = want + 1
	}
}

// Random filters of all sizes against the oracle: a million pairs of filter and
// packet, each down to the last term that matches.
func TestProgramsAnswerAsTheirTerms(t *testing.T) {
	sizes := []int{0, 1, 2, 5, 20, 64, 65, 128, 129, 200, 256, 400, 512, 513, 700, 1500}
	rounds, packets := 20, 2700
	if testing.Short() {
		rounds, packets = 2, 600
	}
	var k Key
	var s search
	pairs, hits, loops := 0, 0, 0
	for _, f := range intf.Families {
		for seed := range rounds {
			m := newMaker(uint64(seed), f)
			for _, n := range sizes {
				spec := m.spec(n)
				p, err := Compile(spec)
				if err != nil {
					t.Fatal(err)
				}
				loop, vectors := p, p
				if n <= 64 {
					if loop, err = compile(spec, n); err != nil {
						t.Fatal(err)
					}
					if vectors, err = compile(spec, 0); err != nil {
						t.Fatal(err)
					}
				}
				if loop.loop != nil && n > 0 {
					loops++
				}
				for range max(1, packets/(1+n/100)) {
					if pairs%3 == 1 {
						p = loop
					} else if pairs%3 == 2 {
						p = vectors
					}
					l3, meta := m.packet()
					from, got, want := disagreement(p, &k, &s, l3, meta)
					if got != want {
						t.Fatalf("%v, seed %d, %d terms, packet %x, %+v: first match from term %d on: %d, want %d", f, seed, n, l3, *meta, from, got, want)
					}
					pairs++
					if from > 0 {
						hits++
					}
				}
			}
		}
	}
	t.Logf("%d pairs of filter and packet, %d with a match, %d filters looped over", pairs, hits, loops)
	if loops < rounds {
		t.Errorf("only %d filters are looped over", loops)
	}
	if hits < pairs/4 || hits > pairs*19/20 {
		t.Errorf("%d of %d packets match: the test looks at one side only", hits, pairs)
	}
}

func FuzzFilter(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, uint16(10), []byte{}, false)
		f.Add(seed, uint16(300), []byte{1, 2, 3}, true)
	}
	f.Fuzz(func(t *testing.T, seed uint64, n uint16, octets []byte, six bool) {
		family := intf.Inet
		if six {
			family = intf.Inet6
		}
		m := newMaker(seed, family)
		p, err := compile(m.spec(int(n)%600), int(n)>>8)
		if err != nil {
			t.Fatal(err)
		}
		var k Key
		var s search
		for range 20 {
			l3, meta := m.packet()
			// What the fuzzer found stands somewhere in the packet.
			if len(octets) > 0 {
				copy(l3[m.IntN(len(l3)):], octets)
			}
			if from, got, want := disagreement(p, &k, &s, l3, meta); got != want {
				t.Fatalf("packet %x, %+v: first match from term %d on: %d, want %d", l3, *meta, from, got, want)
			}
		}
	})
}
