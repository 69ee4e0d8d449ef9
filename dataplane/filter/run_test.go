package filter

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"

	"router/dataplane/packet"
	"router/intf"
)

// tcp4 is a TCP segment over IPv4 to a port of 198.51.100.1.
func tcp4(port uint16, flags uint8) []byte {
	b := make([]byte, 40)
	packet.PutIPv4(b, 46<<2|1, 1, false, 64, packet.ProtocolTCP, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1"), 20)
	b[20], b[21], b[22], b[23] = 0xc0, 0, byte(port>>8), byte(port)
	b[32], b[33] = 5<<4, flags
	return b
}

func ports(n ...uint32) (s Numbers) {
	for _, p := range n {
		s.Ranges = append(s.Ranges, One(p))
	}
	return s
}

func mustCompile(t testing.TB, s *Spec) *Program {
	t.Helper()
	p, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// table is a Table with filters and policers in force.
func table(t testing.TB, policers []PolicerSpec, filters ...*Spec) *Table {
	t.Helper()
	x := NewTable(2)
	for i := range policers {
		if err := x.SetPolicer(&policers[i]); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range filters {
		x.SetFilter(mustCompile(t, f))
	}
	return x
}

func mustBind(t testing.TB, x *Table, name string, at Place) *Bound {
	t.Helper()
	b, err := x.Bind(name, at)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVerdicts(t *testing.T) {
	ssh := Match{DstPort: ports(22)}
	yes := Some[uint8]
	policer := []PolicerSpec{
		{Name: "drop", Rate: 1000, Burst: 39, Red: ColourAction{Drop: true}},
		{Name: "mark", Rate: 1000, Burst: 39, Red: ColourAction{LossPriority: yes(LossHigh), DSCP: yes(8), ForwardingClass: yes(2)}},
		{Name: "aware", Rate: 1e9, Burst: 1e6, ColourAware: true, Red: ColourAction{Drop: true}},
	}
	for _, c := range []struct {
		name  string
		terms []Term
		want  Verdict
		meta  Meta // afterwards
	}{
		{"no terms", nil, Verdict{Kind: Discard, Term: NoTerm}, Meta{}},
		{"no term matches", []Term{{Match: Match{DstPort: ports(23)}}}, Verdict{Kind: Discard, Term: NoTerm}, Meta{}},
		{"accept by default", []Term{{Match: ssh}}, Verdict{Kind: Accept}, Meta{}},
		{"empty match", []Term{{}}, Verdict{Kind: Accept}, Meta{}},
		{"discard", []Term{{Match: ssh, Action: Action{Kind: Discard}}}, Verdict{Kind: Discard}, Meta{}},
		{"reject", []Term{{Match: ssh, Action: Action{Kind: Reject, Reject: RejectTCPReset}}}, Verdict{Kind: Reject, Reject: RejectTCPReset}, Meta{}},
		{"instance", []Term{{Action: Action{Kind: ToInstance, Instance: 7}}}, Verdict{Kind: ToInstance, To: 7}, Meta{}},
		{"next hop", []Term{{Action: Action{Kind: ToNextHop, NextHop: 9, NextHopIf: 3}}}, Verdict{Kind: ToNextHop, To: 9}, Meta{}},
		{"first match decides", []Term{{Match: Match{DstPort: ports(23)}}, {Match: ssh, Action: Action{Kind: Discard}}, {}}, Verdict{Kind: Discard, Term: 1}, Meta{}},
		{"next term without another", []Term{{Action: Action{Kind: NextTerm, DSCP: yes(10)}}}, Verdict{Kind: Discard, Term: NoTerm, DSCP: yes(10)}, Meta{}},
		{"modifiers add up, the later wins", []Term{
			{Action: Action{Kind: NextTerm, DSCP: yes(10), LossPriority: yes(1), Mark: Some[uint16](5), Mirror: 4}},
			{Match: Match{DstPort: ports(23)}, Action: Action{Kind: NextTerm, DSCP: yes(11)}},
			{Action: Action{DSCP: yes(12), ForwardingClass: yes(3)}},
		}, Verdict{Term: 2, DSCP: yes(12), Mirror: 4}, Meta{LossPriority: 1, Mark: 5, ForwardingClass: 3}},
		{"later terms match what earlier ones set", []Term{
			{Match: Match{DSCP: ports(46)}, Action: Action{Kind: NextTerm, DSCP: yes(0), Mark: Some[uint16](6), LossPriority: yes(2), ForwardingClass: yes(4)}},
			{Match: Match{DSCP: ports(46)}, Action: Action{Kind: Discard}},
			{Match: Match{
				DSCP: ports(0), Mark: Marks{Entries: []MaskedMark{{4, 4}}}, LossPriority: ports(2), ForwardingClass: ports(4),
			}, Action: Action{Kind: Reject}},
		}, Verdict{Kind: Reject, Term: 2, DSCP: yes(0)}, Meta{Mark: 6, LossPriority: 2, ForwardingClass: 4}},
		{"policer drops", []Term{{Action: Action{Police: "drop", Mirror: 3, LogEvery: 1}}}, Verdict{Kind: Discard, Policed: true, Log: true}, Meta{}},
		{"policer marks over the term", []Term{
			{Action: Action{Kind: NextTerm, Police: "mark", DSCP: yes(1), LossPriority: yes(0)}},
			{Match: Match{DSCP: ports(8)}, Action: Action{Kind: Reject}},
		}, Verdict{Kind: Reject, Term: 1, DSCP: yes(8)}, Meta{LossPriority: LossHigh, ForwardingClass: 2}},
		{"policer sees what the term sets", []Term{{Action: Action{LossPriority: yes(LossHigh), Police: "aware"}}}, Verdict{Kind: Discard, Policed: true}, Meta{LossPriority: LossHigh}},
		{"the last term that logs is named", []Term{
			{Action: Action{Kind: NextTerm, LogEvery: 1}}, {Action: Action{Kind: NextTerm, LogEvery: 1}}, {Action: Action{Kind: NextTerm}},
		}, Verdict{Kind: Discard, Log: true, Term: 1}, Meta{}},
		{"next filter", []Term{{Action: Action{Kind: NextFilter, NextFilter: "next", DSCP: yes(5)}}}, Verdict{Kind: Reject, Term: 2, DSCP: yes(5)}, Meta{}},
		{"next filter without a match", []Term{{Action: Action{Kind: NextFilter, NextFilter: "none"}}, {}}, Verdict{Kind: Discard, Term: NoTerm}, Meta{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.terms {
				c.terms[i].Name = fmt.Sprint("t", i)
			}
			next := &Spec{Name: "next", Terms: []Term{
				{Name: "other", Match: Match{DSCP: ports(46)}}, {Name: "here", Match: Match{DSCP: ports(5)}, Action: Action{Kind: Reject}},
			}}
			x := table(t, policer, &Spec{Name: "f", Terms: c.terms}, next, &Spec{Name: "none"})
			b := mustBind(t, x, "f", Place{})
			w := x.Worker(1)
			l3 := tcp4(22, packet.TCPSyn)
			before := string(l3)
			m := Meta{}
			if got := b.Run(w, 0, l3, &m); got != c.want {
				t.Errorf("verdict %+v, want %+v", got, c.want)
			}
			if !reflect.DeepEqual(m, c.meta) {
				t.Errorf("then meta %+v, want %+v", m, c.meta)
			}
			if string(l3) != before {
				t.Error("the packet was changed")
			}
		})
	}
}

func TestTermsAreNamedAcrossFilters(t *testing.T) {
	x := table(t, nil,
		&Spec{Name: "a", Terms: []Term{{Name: "a0", Match: Match{DstPort: ports(1)}}, {Name: "a1", Action: Action{Kind: NextFilter, NextFilter: "b"}}}},
		&Spec{Name: "b", Terms: []Term{{Name: "b0", Match: Match{DstPort: ports(22)}}, {Name: "b1", Action: Action{Kind: NextFilter, NextFilter: "c"}}}},
		&Spec{Name: "c", Terms: []Term{{Name: "c0"}}})
	b := mustBind(t, x, "a", Place{})
	for port, want := range map[uint16]string{1: "a a0", 22: "b b0", 5: "c c0"} {
		v := b.Run(x.Worker(0), 0, tcp4(port, 0), &Meta{})
		filter, term := b.Term(v.Term)
		if got := filter + " " + term; got != want {
			t.Errorf("port %d: %s, want %s", port, got, want)
		}
	}
	if filter, term := b.Term(NoTerm); filter != "a" || term != "" {
		t.Errorf("the end is %s %s", filter, term)
	}
}

func TestWhatIsNoPacketIsDiscarded(t *testing.T) {
	for _, f := range intf.Families {
		x := table(t, nil, &Spec{Name: "f", Family: f, Terms: []Term{{Name: "all"}}})
		b := mustBind(t, x, "f", Place{})
		if v := b.Run(x.Worker(0), 0, make([]byte, 19), &Meta{}); v.Kind != Discard {
			t.Errorf("%v: 19 octets: %+v", f, v)
		}
	}
}

func TestLogSamples(t *testing.T) {
	x := table(t, nil, &Spec{Name: "f", Terms: []Term{{Name: "t", Action: Action{LogEvery: 4}}}})
	b, w := mustBind(t, x, "f", Place{}), x.Worker(0)
	var logged []int
	for i := range 10 {
		if b.Run(w, 0, tcp4(1, 0), &Meta{}).Log {
			logged = append(logged, i)
		}
	}
	if want := []int{0, 4, 8}; !reflect.DeepEqual(logged, want) {
		t.Errorf("packets %v are logged, want %v", logged, want)
	}
	// A lower rate takes effect at once.
	x.SetFilter(mustCompile(t, &Spec{Name: "f", Terms: []Term{{Name: "t", Action: Action{LogEvery: 2}}}}))
	b = mustBind(t, x, "f", Place{})
	if !b.Run(w, 0, tcp4(1, 0), &Meta{}).Log {
		t.Error("the first packet after a change to 1 in 2 is not logged")
	}
}

func counts(c []TermCount) string {
	var out []string
	for _, t := range c {
		out = append(out, fmt.Sprintf("%s=%d/%d", t.Term, t.Packets, t.Octets))
	}
	return strings.Join(out, " ")
}

func TestCountersOutliveChanges(t *testing.T) {
	web, ssh := Term{Name: "web", Match: Match{DstPort: ports(80)}}, Term{Name: "ssh", Match: Match{DstPort: ports(22)}}
	x := table(t, nil, &Spec{Name: "f", Terms: []Term{web, ssh}})
	w0, w1 := x.Worker(0), x.Worker(1)
	b := mustBind(t, x, "f", Place{Input, 1})
	if mustBind(t, x, "f", Place{Output, 2}) != b {
		t.Error("a filter without anything of a place's own is bound twice")
	}
	send := func(b *Bound, w *Worker, ports ...uint16) {
		for _, p := range ports {
			b.Run(w, 0, tcp4(p, 0), &Meta{})
		}
		w.Flush()
	}
	send(b, w0, 80, 80, 22, 5)
	send(b, w1, 80)
	if got, want := counts(x.Counts("f")), "web=3/120 ssh=1/40 =1/40"; got != want {
		t.Errorf("counts %s, want %s", got, want)
	}
	// Order changed, one term renamed, one changed.
	ssh.Match.DstPort = ports(5, 22)
	web.Name = "http"
	x.SetFilter(mustCompile(t, &Spec{Name: "f", Terms: []Term{ssh, web}}))
	c := mustBind(t, x, "f", Place{Input, 1})
	if c == b {
		t.Fatal("a changed filter is bound as before")
	}
	send(b, w1, 22) // still under way by the old one
	send(c, w0, 5, 80)
	if got, want := counts(x.Counts("f")), "ssh=3/120 http=1/40 =1/40"; got != want {
		t.Errorf("after the change: %s, want %s", got, want)
	}
	x.DeleteFilter("f")
	x.DeleteFilter("f")
	if x.Counts("f") != nil || x.Filter("f") != nil {
		t.Error("a deleted filter counts")
	}
	x.SetFilter(mustCompile(t, &Spec{Name: "f", Terms: []Term{ssh, web}}))
	send(mustBind(t, x, "f", Place{Input, 1}), w0, 5)
	if got, want := counts(x.Counts("f")), "ssh=1/40 http=0/0 =0/0"; got != want {
		t.Errorf("made anew: %s, want %s", got, want)
	}
}

func TestPlacesHaveTheirOwn(t *testing.T) {
	police := PolicerSpec{Name: "p", Packets: true, Rate: 1, Burst: 2, Red: ColourAction{Drop: true}}
	in1, in2 := Place{Input, 1}, Place{Input, 2}
	run := func(x *Table, w *Worker, at Place, n int) (passed int) {
		b := mustBind(t, x, "f", at)
		for range n {
			if b.Run(w, 0, tcp4(22, 0), &Meta{}).Kind == Accept {
				passed++
			}
		}
		w.Flush()
		return passed
	}
	terms := []Term{
		{Name: "a", Action: Action{Kind: NextTerm, CountPerInterface: true}},
		{Name: "b", Action: Action{Police: "p"}},
	}

	x := table(t, []PolicerSpec{police}, &Spec{Name: "f", Terms: terms})
	w := x.Worker(0)
	if got := []int{run(x, w, in1, 3), run(x, w, in2, 3)}; !reflect.DeepEqual(got, []int{2, 0}) {
		t.Errorf("a shared policer passes %v", got)
	}
	if got, want := counts(x.PlaceCounts("f", in1))+" | "+counts(x.PlaceCounts("f", in2))+" | "+counts(x.Counts("f")),
		"a=3/120 | a=3/120 | a=6/240 b=6/240 =0/0"; got != want {
		t.Errorf("counts %s, want %s", got, want)
	}

	// A change keeps the places' counts; now all is the places' own.
	x.SetFilter(mustCompile(t, &Spec{Name: "f", InterfaceSpecific: true, Terms: terms}))
	if got := []int{run(x, w, in1, 3), run(x, w, in2, 3)}; !reflect.DeepEqual(got, []int{2, 2}) {
		t.Errorf("policers of each place pass %v", got)
	}
	if got, want := counts(x.PlaceCounts("f", in1))+" | "+counts(x.Counts("f")), "a=6/240 b=3/120 =0/0 | a=12/480 b=12/480 =0/0"; got != want {
		t.Errorf("counts %s, want %s", got, want)
	}
	x.Unbind("f", in1)
	if got := counts(x.PlaceCounts("f", in1)); got != "" {
		t.Errorf("an unbound place counts %s", got)
	}
	// What is bound elsewhere goes on.
	if got := run(x, w, in2, 1); got != 0 {
		t.Errorf("the other place's policer passes %d", got)
	}
	// Totals don't go back, and the policer's instance starts anew.
	if got := run(x, w, in1, 3); got != 2 {
		t.Errorf("bound again, the policer passes %d", got)
	}
	c, ok := x.PolicerCounts("p")
	want := [NumColours]Count{Green: {8, 320}, Red: {8, 320}}
	if !ok || c != want {
		t.Errorf("policer counts %v, want %v", c, want)
	}
	x.DeleteFilter("f")
	x.Unbind("f", in1)
	if c, _ = x.PolicerCounts("p"); c != want || len(x.policers["p"].own) != 0 {
		t.Errorf("without the filter, policer counts %v in %d instances of places, want %v in none", c, len(x.policers["p"].own), want)
	}
}

func TestPolicerKeepsItsFillOverChanges(t *testing.T) {
	spec := PolicerSpec{Name: "p", Packets: true, Rate: 1, Burst: 2, Red: ColourAction{Drop: true}}
	x := table(t, []PolicerSpec{spec}, &Spec{Name: "f", Terms: []Term{{Name: "t", Action: Action{Police: "p"}}}})
	w := x.Worker(0)
	b := mustBind(t, x, "f", Place{})
	for range 2 {
		b.Run(w, 0, tcp4(22, 0), &Meta{})
	}
	spec.Burst = 3
	if err := x.SetPolicer(&spec); err != nil {
		t.Fatal(err)
	}
	c := mustBind(t, x, "f", Place{})
	if c == b {
		t.Fatal("the changed policer is not bound")
	}
	var got []Kind
	for range 2 {
		got = append(got, c.Run(w, 0, tcp4(22, 0), &Meta{}).Kind)
	}
	if want := []Kind{Accept, Discard}; !reflect.DeepEqual(got, want) {
		t.Errorf("verdicts %v, want %v", got, want)
	}
	spec.Rate = 0
	if err := x.SetPolicer(&spec); err == nil {
		t.Error("a rate of 0 is taken")
	}
}

func TestBindErrors(t *testing.T) {
	to := func(name string, next ...string) *Spec {
		s := &Spec{Name: name}
		for i, n := range next {
			s.Terms = append(s.Terms, Term{Name: fmt.Sprint(i), Action: Action{Kind: NextFilter, NextFilter: n}})
		}
		return s
	}
	six := to("six")
	six.Family = intf.Inet6
	policed := &Spec{Name: "policed", Terms: []Term{{Name: "t", Action: Action{Police: "gone"}}}}
	for _, c := range []struct {
		filters []*Spec
		want    string
	}{
		{nil, "filter a does not exist"},
		{[]*Spec{to("a", "b")}, "filter a: next-filter b does not exist"},
		{[]*Spec{to("a", "a")}, "filter a: next-filter leads back to it"},
		{[]*Spec{to("a", "b", "c"), to("b", "d"), to("c", "d"), to("d", "c")}, "next-filter leads back to it"},
		{[]*Spec{to("a", "six"), six}, "next-filter six is of family inet6"},
		{[]*Spec{to("a", "policed"), policed}, "filter policed: policer gone does not exist"},
		{[]*Spec{to("a", "b", "c"), to("b", "d"), to("c", "d"), to("d")}, ""},
	} {
		_, err := table(t, nil, c.filters...).Bind("a", Place{})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	prefix := netip.MustParsePrefix
	number := func(lo, hi uint32) Numbers { return Numbers{Ranges: []Range{{lo, hi}}} }
	for _, c := range []struct {
		match  Match
		action Action
		want   string
	}{
		{Match{Src: Addresses{Prefixes: []netip.Prefix{prefix("2001:db8::/32")}}}, Action{}, "source prefix 2001:db8::/32 is not of family inet"},
		{Match{Dst: Addresses{Except: []netip.Prefix{{}}}}, Action{}, "destination prefix"},
		{Match{Dst: Addresses{Lists: []*PrefixList{{Name: "l", Prefixes: []netip.Prefix{{}}}}}}, Action{}, "prefix list l holds"},
		{Match{DstPort: number(80, 22)}, Action{}, "destination port range 80-22 is reversed: write 22-80"},
		{Match{SrcPort: number(0, 65536)}, Action{}, "source port 65536 is above 65535"},
		{Match{DSCP: number(64, 64)}, Action{}, "dscp 64 is above 63"},
		{Match{VLAN: number(4096, 4096)}, Action{}, "vlan id 4096 is above 4095"},
		{Match{ICMPType: number(256, 256)}, Action{}, "icmp type 256 is above 255"},
		{Match{ICMPCode: number(2, 1)}, Action{}, "icmp code range 2-1"},
		{Match{TCPFlags: []FlagMatch{{Mask: 1, Value: 2}}}, Action{}, "tcp flags 0x02"},
		{Match{Fragment: 9}, Action{}, "fragment condition 9"},
		{Match{Options: OptionMatch{Any: true, Numbers: []uint8{7}}}, Action{}, "choose one"},
		{Match{Options: OptionMatch{Numbers: []uint8{32}}}, Action{}, "32 is no IPv4 option number"},
		{Match{Mark: Marks{Entries: []MaskedMark{{2, 1}}}}, Action{}, "mark 0x2 has bits outside"},
		{Match{}, Action{Kind: 99}, "action 99"},
		{Match{}, Action{Kind: Reject, Reject: 99}, "reject message 99"},
		{Match{}, Action{Kind: NextFilter}, "names no filter"},
		{Match{}, Action{DSCP: Some[uint8](64)}, "dscp 64 is above 63"},
		{Match{}, Action{ForwardingClass: Some[uint8](8)}, "forwarding class 8 is above 7"},
	} {
		_, err := Compile(&Spec{Name: "f", Terms: []Term{{Name: "t", Match: c.match, Action: c.action}}})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "filter f term t: ") {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	_, err := Compile(&Spec{Name: "f", Terms: []Term{{Name: "t"}, {Name: "t"}, {}}})
	if err == nil || !strings.Contains(err.Error(), "term t: the name is used twice") || !strings.Contains(err.Error(), "has no name") {
		t.Errorf("error %v, want both faults of the names", err)
	}
	if _, err := Compile(&Spec{Name: "f", Family: 9}); err == nil {
		t.Error("a filter of no family is compiled")
	}
	if _, err := Compile(&Spec{Name: "f", Terms: make([]Term, MaxTerms+1)}); err == nil || !strings.Contains(err.Error(), "split it") {
		t.Errorf("too many terms: %v", err)
	}
}

// Workers filter while filters and policers change under them.
func TestChangesUnderTraffic(t *testing.T) {
	police := PolicerSpec{Name: "p", Packets: true, Rate: 1000, Burst: 10, Red: ColourAction{Drop: true}}
	spec := func(n int) *Spec {
		s := &Spec{Name: "f", InterfaceSpecific: n%2 == 0}
		for i := range 3 + n%5 {
			s.Terms = append(s.Terms, Term{Name: fmt.Sprint("t", i), Action: Action{Kind: NextTerm, Police: "p"}})
		}
		return s
	}
	x := table(t, []PolicerSpec{police}, spec(0))
	var mu sync.Mutex
	bound := mustBind(t, x, "f", Place{Input, 1})
	const packets = 20000
	var wg sync.WaitGroup
	for id := range 2 {
		wg.Go(func() {
			w := x.Worker(id)
			for i := range packets {
				mu.Lock()
				b := bound
				mu.Unlock()
				b.Run(w, int64(i)*1e9, tcp4(1, 0), &Meta{})
				if i%64 == 0 {
					w.Flush()
				}
			}
			w.Flush()
		})
	}
	for n := range 200 {
		police.Rate = uint64(1000 + n)
		if err := x.SetPolicer(&police); err != nil {
			t.Error(err)
		}
		x.SetFilter(mustCompile(t, spec(n)))
		b := mustBind(t, x, "f", Place{Input, 1})
		mu.Lock()
		bound = b
		mu.Unlock()
		x.Counts("f")
		x.PolicerCounts("p")
	}
	wg.Wait()
	if got := x.Counts("f")[0].Packets; got != 2*packets {
		t.Errorf("the first term counts %d packets, want %d", got, 2*packets)
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	x := table(t, []PolicerSpec{{Name: "p", Kind: TwoRate, Rate: 1000, Burst: 1000, PeakRate: 2000, ExtraBurst: 2000}},
		&Spec{Name: "f", InterfaceSpecific: true, Terms: []Term{
			{Name: "a", Match: Match{SrcMAC: MACs{Entries: []MaskedMAC{{}}}}, Action: Action{Kind: NextTerm, LogEvery: 2, Police: "p", DSCP: Some[uint8](3)}},
			{Name: "b", Action: Action{Kind: NextFilter, NextFilter: "g"}},
		}}, &Spec{Name: "g", Terms: []Term{{Name: "c"}}})
	b, w := mustBind(t, x, "f", Place{Input, 1}), x.Worker(0)
	l3, m := tcp4(1, 0), &Meta{Frame: make([]byte, 64), In: 1}
	if n := testing.AllocsPerRun(1000, func() {
		b.Run(w, 1, l3, m)
		w.Flush()
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}
