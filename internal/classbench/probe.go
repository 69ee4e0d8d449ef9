package classbench

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"router/dataplane/filter"
	"router/dataplane/packet"
)

// Probe changes up to count terms of a filter of Filter, at random positions, so that
// they accept UDP datagrams from src to a port, and returns addresses by which
// such datagrams reach these terms and no earlier one. A filter without terms gets
// none. Equal arguments make equal changes.
func Probe(s *filter.Spec, src netip.Addr, port uint16, count int) ([]netip.Addr, error) {
	r := rand.New(rand.NewPCG(uint64(len(s.Terms)), 5))
	changed := map[int]bool{}
	for range min(count, len(s.Terms)) {
		i := r.IntN(len(s.Terms))
		m := &s.Terms[i].Match
		if len(m.Src.Prefixes) > 0 {
			m.Src.Prefixes = []netip.Prefix{netip.PrefixFrom(src, m.Src.Prefixes[0].Bits()).Masked()}
		}
		m.Protocol, m.SrcPort, m.DstPort = only(packet.ProtocolUDP), filter.Numbers{}, only(uint32(port))
		s.Terms[i].Action = filter.Action{}
		changed[i] = true
	}
	p, err := filter.Compile(s)
	if err != nil {
		return nil, fmt.Errorf("filter with probes: %w", err)
	}
	t := filter.NewTable(1)
	t.SetFilter(p)
	bound, err := t.Bind(s.Name, filter.Place{})
	if err != nil {
		return nil, fmt.Errorf("filter with probes: %w", err)
	}
	w := t.Worker(0)
	var out []netip.Addr
	for i := range s.Terms {
		if !changed[i] {
			continue
		}
		// Some of the addresses are hidden by terms before.
		for range 8 {
			pkt := For(r, s.Family, &s.Terms[i])
			pkt.Src = src
			if v := bound.Run(w, 0, pkt.Octets(), &filter.Meta{}); v.Term == filter.TermID(i) {
				out = append(out, pkt.Dst)
				break
			}
		}
	}
	return out, nil
}

// NFT is a filter of Filter as a chain of nftables that filters what the kernel
// forwards, rule by rule.
func NFT(s *filter.Spec) string {
	family := map[bool]string{false: "ip", true: "ip6"}[s.Family != 0]
	var b strings.Builder
	fmt.Fprintf(&b, "table %s bench {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n", family)
	for i := range s.Terms {
		m := &s.Terms[i].Match
		b.WriteString("\t\t")
		if len(m.Src.Prefixes) > 0 {
			fmt.Fprintf(&b, "%s saddr %s ", family, m.Src.Prefixes[0])
		}
		if len(m.Dst.Prefixes) > 0 {
			fmt.Fprintf(&b, "%s daddr %s ", family, m.Dst.Prefixes[0])
		}
		if len(m.Protocol.Ranges) > 0 {
			fmt.Fprintf(&b, "meta l4proto %d ", m.Protocol.Ranges[0].Lo)
		}
		for way, n := range map[string]filter.Numbers{"sport": m.SrcPort, "dport": m.DstPort} {
			if len(n.Ranges) > 0 {
				fmt.Fprintf(&b, "th %s %d-%d ", way, n.Ranges[0].Lo, n.Ranges[0].Hi)
			}
		}
		verdict := "accept"
		if s.Terms[i].Action.Kind == filter.Discard {
			verdict = "drop"
		}
		fmt.Fprintf(&b, "counter %s\n", verdict)
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

// Configuration is a filter of Filter in the form of RFC 7951, for routerd.
func Configuration(s *filter.Spec) map[string]any {
	type m = map[string]any
	var terms []m
	for i := range s.Terms {
		t := &s.Terms[i]
		match := m{}
		if len(t.Match.Src.Prefixes) > 0 {
			match["source-prefix"] = []string{t.Match.Src.Prefixes[0].String()}
		}
		if len(t.Match.Dst.Prefixes) > 0 {
			match["destination-prefix"] = []string{t.Match.Dst.Prefixes[0].String()}
		}
		if len(t.Match.Protocol.Ranges) > 0 {
			match["protocol"] = []any{t.Match.Protocol.Ranges[0].Lo}
		}
		for leaf, n := range map[string]filter.Numbers{"source-port": t.Match.SrcPort, "destination-port": t.Match.DstPort} {
			if len(n.Ranges) == 0 {
				continue
			}
			if r := n.Ranges[0]; r.Lo == r.Hi {
				match[leaf] = []any{r.Lo}
			} else {
				match[leaf] = []any{fmt.Sprintf("%d-%d", r.Lo, r.Hi)}
			}
		}
		disposition := "accept"
		if t.Action.Kind == filter.Discard {
			disposition = "discard"
		}
		terms = append(terms, m{
			"name": t.Name, "config": m{"name": t.Name},
			"match": m{"config": match}, "action": m{"config": m{"disposition": disposition}},
		})
	}
	return m{"name": s.Name, "config": m{"name": s.Name, "family": s.Family.String()}, "term": terms}
}
