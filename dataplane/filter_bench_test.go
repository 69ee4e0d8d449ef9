package dataplane

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"router/dataplane/filter"
	"router/intf"
	"router/routing"
)

// BenchmarkPipelineFilter measures one packet from memory port to memory port as
// BenchmarkForward does, past an input filter of so many terms by addresses,
// protocol and ports, any of which may be the one that accepts it. none is without
// a filter; terms=0 has one that accepts everything.
func BenchmarkPipelineFilter(b *testing.B) {
	for _, f := range intf.Families {
		b.Run(fmt.Sprintf("%v/none", f), func(b *testing.B) { benchmarkFilter(b, f, -1) })
		for _, n := range []int{0, 10, 100, 1000, 10000} {
			b.Run(fmt.Sprintf("%v/terms=%d", f, n), func(b *testing.B) { benchmarkFilter(b, f, n) })
		}
	}
}

func benchmarkFilter(b *testing.B, f intf.Family, n int) {
	r := rand.New(rand.NewPCG(3, uint64(n+1)))
	frames := make([][96]byte, 1<<14)
	length, next := 0, 0
	x, w := newLine(b, 16<<20, func(frame []byte) int {
		next = (next + 1) & (len(frames) - 1)
		return copy(frame, frames[next][:length])
	})
	x.route(0, []string{"0.0.0.0/0", "::/0"}[f], routing.NextHop{
		Kind: routing.Forward, IfIndex: unitB, Gateway: ip([]string{"198.51.100.10", "2001:db8:b::10"}[f]),
	})
	terms := make([]filter.Term, 0, max(n, 0)+1)
	for range max(n, 0) {
		terms = append(terms, randomTerm(r, f))
	}
	for i := range frames {
		m := filter.Match{}
		if n > 0 {
			m = terms[r.IntN(n)].Match
		}
		length = copy(frames[i][:], frameFor(r, f, m))
	}
	if n >= 0 {
		x.bind(unitA, f, filter.Input, append(terms, do(filter.Action{}))...)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b.ReportAllocs()
	b.ResetTimer()
	before := threadTime(b)
	for done := 0; done < b.N; done += batchSize {
		w.runOnce()
	}
	b.StopTimer()
	b.ReportMetric(float64(threadTime(b)-before)/float64(b.N), "cpu-ns/op")
	if s := x.e.Totals(); s.Sent == 0 || s.Sent != s.Received {
		b.Fatalf("not everything was forwarded: %+v, drops %v", s, x.drops())
	}
}

// randomTerm accepts TCP or UDP between two prefixes to a port or a range of them.
func randomTerm(r *rand.Rand, f intf.Family) filter.Term {
	prefix := func() []netip.Prefix {
		if f == intf.Inet {
			return []netip.Prefix{netip.PrefixFrom(addrFrom4(1<<24+r.Uint32N(126<<24)), 16+r.IntN(17)).Masked()}
		}
		return []netip.Prefix{netip.PrefixFrom(addrFrom6(0x2000<<48|r.Uint64()>>3, r.Uint64()), 32+r.IntN(33)).Masked()}
	}
	m := filter.Match{
		Src: filter.Addresses{Prefixes: prefix()}, Dst: filter.Addresses{Prefixes: prefix()},
		Protocol: filter.Numbers{Ranges: []filter.Range{filter.One([]uint32{6, 17}[r.IntN(2)])}},
	}
	lo := r.Uint32N(60000)
	m.DstPort = filter.Numbers{Ranges: []filter.Range{{Lo: lo, Hi: lo + []uint32{0, 0, 0, 100, 5000}[r.IntN(5)]}}}
	return filter.Term{Match: m}
}

// frameFor is a frame with a TCP or UDP packet that m matches.
func frameFor(r *rand.Rand, f intf.Family, m filter.Match) []byte {
	src, dst := []string{"9.1.2.3", "2400::1"}[f], []string{"9.3.2.1", "2400::2"}[f]
	protocol, port := uint32(17), uint32(53)
	if len(m.Src.Prefixes) > 0 {
		src, dst = m.Src.Prefixes[0].Addr().String(), m.Dst.Prefixes[0].Addr().String()
		protocol, port = m.Protocol.Ranges[0].Lo, m.DstPort.Ranges[0].Lo
	}
	payload := make([]byte, 20)
	binary.BigEndian.PutUint16(payload, uint16(1024+r.IntN(60000)))
	binary.BigEndian.PutUint16(payload[2:], uint16(port))
	payload[12] = 0x50
	if f == intf.Inet {
		return eth4(routerA, hostA, ip4{src: src, dst: dst, proto: int(protocol), payload: payload})
	}
	return eth6(routerA, hostA, ip6{src: src, dst: dst, next: int(protocol), payload: payload})
}
