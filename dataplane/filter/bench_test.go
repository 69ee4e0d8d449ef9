package filter_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"

	"router/dataplane/filter"
	"router/internal/classbench"
	"router/intf"
)

// packets are packets for random terms of a filter; without terms any.
func packets(s *filter.Spec) [][]byte {
	r := rand.New(rand.NewPCG(7, 7))
	out := make([][]byte, 8192)
	for i := range out {
		t := &filter.Term{}
		if len(s.Terms) > 0 {
			t = &s.Terms[r.IntN(len(s.Terms))]
		}
		out[i] = classbench.For(r, s.Family, t).Octets()
	}
	return out
}

func bind(b testing.TB, s *filter.Spec) (*filter.Bound, *filter.Worker) {
	p, err := filter.Compile(s)
	if err != nil {
		b.Fatal(err)
	}
	return bindProgram(b, p)
}

func bindProgram(b testing.TB, p *filter.Program) (*filter.Bound, *filter.Worker) {
	t := filter.NewTable(1)
	t.SetFilter(p)
	bound, err := t.Bind(p.Name(), filter.Place{})
	if err != nil {
		b.Fatal(err)
	}
	return bound, t.Worker(0)
}

// processorTime is the time that this process has run for, in nanoseconds.
func processorTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// run filters packets in batches of 64, as the pipeline does.
func run(b *testing.B, bound *filter.Bound, w *filter.Worker, packets [][]byte) {
	accepted, i := 0, 0
	before := processorTime()
	for b.Loop() {
		m := filter.Meta{In: 1}
		if v := bound.Run(w, 0, packets[i&(len(packets)-1)], &m); v.Kind == filter.Accept {
			accepted++
		}
		if i++; i&63 == 0 {
			w.Flush()
		}
	}
	// Time on the processor is what a filter costs on a machine that is also busy
	// with other things.
	b.ReportMetric(float64(processorTime()-before)/float64(i), "cpu-ns/op")
	b.ReportMetric(100*float64(accepted)/float64(i), "%accepted")
}

// Nanoseconds for a packet, its headers and addresses different from those before,
// through filters of more and more terms.
func BenchmarkRun(b *testing.B) {
	for _, f := range intf.Families {
		for _, k := range classbench.Kinds {
			for _, n := range []int{0, 1, 10, 100, 200, 500, 1000, 2000, 10000} {
				s := classbench.Filter(k, f, n, 1)
				bound, w := bind(b, s)
				p := packets(s)
				b.Run(fmt.Sprintf("%s/%s/terms=%d", f, k, n), func(b *testing.B) { run(b, bound, w, p) })
			}
		}
	}
}

// Where a loop over the terms is slower than bit vectors.
func BenchmarkLoop(b *testing.B) {
	for _, f := range intf.Families {
		for _, k := range classbench.Kinds {
			for _, n := range []int{1, 2, 4, 8, 12, 16, 24, 32} {
				for _, how := range []struct {
					name string
					upTo int
				}{{"loop", n}, {"vectors", 0}} {
					s := classbench.Filter(k, f, n, 1)
					p, err := filter.CompileWithLoop(s, how.upTo)
					if err != nil {
						b.Fatal(err)
					}
					bound, w := bindProgram(b, p)
					l3 := packets(s)
					b.Run(fmt.Sprintf("%s/%s/terms=%d/%s", f, k, n, how.name), func(b *testing.B) { run(b, bound, w, l3) })
				}
			}
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, f := range intf.Families {
		for _, k := range classbench.Kinds {
			for _, n := range []int{100, 1000, 10000} {
				s := classbench.Filter(k, f, n, 1)
				b.Run(fmt.Sprintf("%s/%s/terms=%d", f, k, n), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, err := filter.Compile(s); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// list is a prefix list of n entries, of lengths as in the Internet.
func list(f intf.Family, n int) *filter.PrefixList {
	r := rand.New(rand.NewPCG(3, 3))
	l := &filter.PrefixList{Name: "list"}
	for range n {
		if f == intf.Inet {
			a := [4]byte{byte(1 + r.IntN(222)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256))}
			l.Prefixes = append(l.Prefixes, netip.PrefixFrom(netip.AddrFrom4(a), min(32, 16+r.IntN(9)+r.IntN(9))).Masked())
			continue
		}
		a := [16]byte{0x20 + byte(r.IntN(2))*10, byte(r.IntN(16)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(256)), byte(r.IntN(4))}
		l.Prefixes = append(l.Prefixes, netip.PrefixFrom(netip.AddrFrom16(a), 32+r.IntN(17)).Masked())
	}
	return l
}

func BenchmarkPrefixList(b *testing.B) {
	for _, f := range intf.Families {
		s := &filter.Spec{Name: "f", Family: f, Terms: []filter.Term{
			{Name: "listed", Match: filter.Match{Src: filter.Addresses{Lists: []*filter.PrefixList{list(f, 100_000)}}}},
			{Name: "rest", Action: filter.Action{Kind: filter.Discard}},
		}}
		b.Run(fmt.Sprintf("%s/compile", f), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := filter.Compile(s); err != nil {
					b.Fatal(err)
				}
			}
		})
		bound, w := bind(b, s)
		r := rand.New(rand.NewPCG(7, 7))
		var p [][]byte
		for range 8192 {
			a := s.Terms[0].Match.Src.Lists[0].Prefixes[r.IntN(100_000)].Addr()
			p = append(p, classbench.Packet{Src: a, Dst: a, Protocol: 6}.Octets())
		}
		b.Run(fmt.Sprintf("%s/run", f), func(b *testing.B) { run(b, bound, w, p) })
	}
}
