package filters

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"router/dataplane/filter"
	"router/internal/testnet"
	"router/intf"
	"router/vrf/epoch"
)

func TestArenaGivesEachWordOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	a := newArena(reserved, 4096)
	owner := make([]int, 8192)
	held := map[int]extent{}
	for i := 1; i < 20000; i++ {
		if r.IntN(2) == 0 && len(held) > 0 {
			for id, e := range held {
				for w := e.start; w < e.start+e.words; w++ {
					owner[w] = 0
				}
				a.give(e)
				delete(held, id)
				break
			}
			continue
		}
		if i == 10000 {
			a.grow(8192)
		}
		n := 1 + r.Uint32N(300)
		e, ok := a.take(n)
		if !ok {
			continue
		}
		if e.words < n || e.start < reserved || e.start+e.words > a.size {
			t.Fatalf("%d words at %+v of %d", n, e, a.size)
		}
		for w := e.start; w < e.start+e.words; w++ {
			if owner[w] != 0 {
				t.Fatalf("word %d is handed out twice", w)
			}
			owner[w] = i
		}
		held[i] = e
	}
	for _, e := range held {
		a.give(e)
	}
	if a.used() != reserved || len(a.free) != 1 {
		t.Errorf("%d words in use and %d pieces free when all came back: want %d and 1", a.used(), len(a.free), reserved)
	}
}

// boundTo is a filter of n terms, bound.
func boundTo(t *testing.T, x *filter.Table, name string, n int) *filter.Bound {
	t.Helper()
	s := &filter.Spec{Name: name, Family: intf.Inet}
	for i := range n {
		s.Terms = append(s.Terms, filter.Term{
			Name:  fmt.Sprint("t", i),
			Match: filter.Match{DstPort: filter.Numbers{Ranges: []filter.Range{filter.One(uint32(i))}}, Length: filter.Numbers{Ranges: []filter.Range{{Lo: uint32(i), Hi: 60000}}}},
		})
	}
	p, err := filter.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	x.SetFilter(p)
	b, err := x.Bind(name, filter.Place{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A filter stays until the last who holds it, and until readers have passed; what it has counted
// stays longer.
func TestFiltersComeAndGo(t *testing.T) {
	testnet.Require(t)
	domain := epoch.New()
	s, err := New(domain, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	empty := s.Stats()
	x := filter.NewTable(1)
	b := boundTo(t, x, "f", 100)
	place, err := s.Hold(b)
	if err != nil || place == Ask {
		t.Fatalf("place %d: %v", place, err)
	}
	if again, err := s.Hold(b); err != nil || again != place {
		t.Errorf("held twice, it stands at %d and %d: %v", place, again, err)
	}
	image := uint32(s.programs.words[place+boundHeader])
	tally := uint32(s.programs.words[image+uint32(s.programs.words[image+1]>>32)+1] >> 32)
	s.counts.counts.words[2*tally] = 7
	if c := x.Counts("f")[0]; c.Packets != 7 {
		t.Errorf("the first term shows %d packets: want 7", c.Packets)
	}

	// Room for more is another array with the same in it.
	var more []*filter.Bound
	for i := 0; len(s.programs.words) == firstWords; i++ {
		b := boundTo(t, x, fmt.Sprint("g", i), 300)
		_, err := s.Hold(b)
		if errors.Is(err, ErrFull) {
			if err := s.Grow(); err != nil {
				t.Fatal(err)
			}
			_, err = s.Hold(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		more = append(more, b)
	}
	s.counts.counts.words[2*tally]++
	if c := x.Counts("f")[0]; c.Packets != 8 {
		t.Errorf("while both arrays count, the first term shows %d packets: want 8", c.Packets)
	}
	if err := s.Settle(); err != nil {
		t.Fatal(err)
	}
	if c := x.Counts("f")[0]; c.Packets != 8 {
		t.Errorf("afterwards it shows %d: want 8", c.Packets)
	}

	reader := domain.Reader()
	reader.Unpark()
	s.Release(b)
	s.Reclaim()
	if n := s.Stats().Bounds; n != len(more)+1 {
		t.Errorf("%d filters are held: want %d", n, len(more)+1)
	}
	s.Release(b)
	for _, b := range more {
		s.Release(b)
	}
	if got := s.Stats(); got.Bounds != 0 || got.Programs == 0 {
		t.Errorf("with a reader at work there are %+v", got)
	}
	reader.Close()
	s.Reclaim()
	if got := s.Stats(); got.Used != empty.Used || got.Programs != 0 {
		t.Errorf("after all were released there are %+v: want %+v", got, empty)
	}
	if c := x.Counts("f")[0]; c.Packets != 8 {
		t.Errorf("without the filter, its term shows %d packets: want 8", c.Packets)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestWordsRunOut(t *testing.T) {
	testnet.Require(t)
	s, err := New(epoch.New(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	var words []*filter.Word
	for w := s.Word(); w != nil; w = s.Word() {
		words = append(words, w)
	}
	if len(words) != bucketWords-1 {
		t.Errorf("%d words were handed out: want %d", len(words), bucketWords-1)
	}
	defer runtime.KeepAlive(words)
	words[5].Owes.Store(3)
	s.buckets.give(words[5].Place)
	if w := s.Word(); w == nil || w.Owes.Load() != 0 {
		t.Errorf("a word that came back is %+v: want one that is 0", w)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
