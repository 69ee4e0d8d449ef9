package dataplane

import (
	"testing"

	"router/intf"
	"router/routing"
)

// TestIPv4OptionsOnTheWay: what options ask of a router is done on the way out,
// and what is wrong with them is told before anything else, but only for packets
// that would have gone on.
func TestIPv4OptionsOnTheWay(t *testing.T) {
	with := func(dst string, ttl int, options ...byte) ip4 {
		return ip4{src: "192.0.2.10", dst: dst, ttl: ttl, options: options, payload: data(40)}
	}
	problem := func(p ip4, pointer uint32) []string {
		return []string{frameOut("a", eth4(hostA, routerA, ip4{
			src: "192.0.2.1", dst: "192.0.2.10", proto: 1, tos: 0xc0, id: 1, payload: icmp4(12, 0, pointer<<24, p.bytes()),
		}))}
	}
	const b = "198.51.100.10"
	for _, s := range []struct {
		name string
		in   ip4
		out  []string
		host []string
		drop string
	}{
		{
			name: "record route", in: with(b, 64, 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0),
			out: []string{frameOut("b", eth4(hostB, routerB, with(b, 63, 7, 11, 8, 198, 51, 100, 1, 0, 0, 0, 0, 0)))},
		},
		{
			// The clock of the tests reads one hour after its base, whatever that is.
			name: "timestamp that waits for another", in: with(b, 64, 68, 12, 5, 3, 192, 0, 2, 99, 0, 0, 0, 0),
			out: []string{frameOut("b", eth4(hostB, routerB, with(b, 63, 68, 12, 5, 3, 192, 0, 2, 99, 0, 0, 0, 0)))},
		},
		{name: "source route", in: with(b, 64, 131, 7, 4, 10, 9, 8, 7, 0), drop: "source-route"},
		{name: "malformed", in: with(b, 64, 1, 7, 11, 4), out: problem(with(b, 64, 1, 7, 11, 4), 21), drop: "bad-option"},
		{name: "malformed and too old", in: with(b, 1, 1, 7, 11, 4), out: problem(with(b, 1, 1, 7, 11, 4), 21), drop: "bad-option"},
		{name: "malformed, to where nothing leads", in: with("8.8.8.8", 64, 68, 4, 4, 0), out: problem(with("8.8.8.8", 64, 68, 4, 4, 0), 22), drop: "bad-option"},
		{name: "malformed, to a discard route", in: with("240.0.0.1", 64, 1, 7, 11, 4), drop: "discard-route"},
		{
			name: "malformed, for the host to judge", in: with("192.0.2.1", 64, 1, 7, 11, 4),
			host: toHost(unitA, 0, with("192.0.2.1", 64, 1, 7, 11, 4).bytes()),
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			x.check(step{in: "a", frame: eth4(routerA, hostA, s.in), out: s.out, host: s.host, drop: s.drop})
		})
	}
}

// TestTimestampOfOurs: a timestamp option that waits for one of our addresses,
// also on another unit, gets the time of day.
func TestTimestampOfOurs(t *testing.T) {
	x := newWorld(t, worldConfig())
	w := x.e.workers[0]
	ms := w.base.Add(x.now).UnixMilli() % 86_400_000
	in := ip4{src: "192.0.2.10", dst: "198.51.100.10", options: []byte{68, 12, 5, 3, 203, 0, 113, 1, 0, 0, 0, 0}}
	out := in
	out.ttl = 63
	out.options = cat([]byte{68, 12, 13, 3, 203, 0, 113, 1}, be32(uint32(ms)))
	x.now-- // the worker's clock reads a nanosecond more
	x.check(step{in: "a", frame: eth4(routerA, hostA, in), out: []string{frameOut("b", eth4(hostB, routerB, out))}})
}

// TestHopByHopOnTheWay: hop-by-hop options that a router does not know do what
// their types say, wherever the packet is to go.
func TestHopByHopOnTheWay(t *testing.T) {
	with := func(dst string, option byte) ip6 {
		return ip6{src: "2001:db8:a::10", dst: dst, payload: cat([]byte{59, 0, option, 4, 0, 0, 0, 0})}
	}
	packet := func(dst string, option byte, hops int) []byte {
		p := with(dst, option)
		p.hops = hops
		b := p.bytes()
		b[6] = 0 // hop-by-hop options, which ip6 takes for "plain"
		return b
	}
	const b = "2001:db8:b::10"
	for _, s := range []struct {
		name   string
		dst    string
		option byte
		out    string
		answer bool
		drop   string
	}{
		{name: "to be skipped", dst: b, option: 0x3e, out: "b"},
		{name: "to be dropped", dst: b, option: 0x7e, drop: "unknown-option"},
		{name: "to be reported", dst: b, option: 0xbe, answer: true, drop: "unknown-option"},
		{name: "to be reported unless to a group", dst: b, option: 0xfe, answer: true, drop: "unknown-option"},
		{name: "to be reported, to a group", dst: "ff0e::1", option: 0xbe, answer: true, drop: "unknown-option"},
		{name: "to be reported unless to a group, to one", dst: "ff0e::1", option: 0xfe, drop: "unknown-option"},
		{name: "to be reported, to nowhere", dst: "2620::1", option: 0xbe, answer: true, drop: "unknown-option"},
		{name: "jumbo payload beside a length", dst: b, option: 0xc2, answer: true, drop: "bad-option"},
		{name: "to a destination that is never on a link", dst: "ff01::1", option: 0xbe, drop: "discard-route"},
	} {
		t.Run(s.name, func(t *testing.T) {
			x := newWorld(t, worldConfig())
			in := packet(s.dst, s.option, 64)
			var out []string
			if s.out != "" {
				out = []string{frameOut("b", eth(hostB, routerB, nil, 0x86dd, packet(s.dst, s.option, 63)))}
			}
			if s.answer {
				code, at := 2, uint32(42)
				if s.option == 0xc2 {
					code, at = 0, 44
				}
				out = []string{frameOut("a", eth6(hostA, routerA, ip6{
					src: "2001:db8:a::1", dst: "2001:db8:a::10", next: 58,
					payload: icmp6("2001:db8:a::1", "2001:db8:a::10", 4, code, at, in),
				}))}
			}
			x.check(step{in: "a", frame: eth(routerA, hostA, nil, 0x86dd, in), out: out, drop: s.drop})
		})
	}
}

// TestStampFragments: options are written to once, before a packet is cut.
func TestStampFragments(t *testing.T) {
	x := newWorld(t, worldConfig())
	x.route(0, "100.64.0.0/10", routing.NextHop{Kind: routing.Forward, IfIndex: unitB, Gateway: ip("198.51.100.10")})
	in := ip4{src: "192.0.2.10", dst: "100.64.0.1", options: []byte{7, 7, 4, 0, 0, 0, 0, 0}, payload: data(1400)}
	first := ip4{src: in.src, dst: in.dst, ttl: 63, mf: true, options: []byte{7, 7, 8, 198, 51, 100, 1, 0}, payload: data(1400)[:1248]}
	second := ip4{src: in.src, dst: in.dst, ttl: 63, offset: 1248, payload: data(1400)[1248:]}
	x.check(step{in: "a", frame: eth4(routerA, hostA, in), out: []string{
		frameOut("b", eth4(hostB, routerB, first)), frameOut("b", eth4(hostB, routerB, second)),
	}})
}

// TestSourceIsCheckedBeforeOptions: who pretends to be another does not make us
// send that one errors about options.
func TestSourceIsCheckedBeforeOptions(t *testing.T) {
	x := newWorld(t, worldConfig())
	u := x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1", "2001:db8:a::1", "fe80::a")
	u.Families[intf.Inet].RPF, u.Families[intf.Inet6].RPF = intf.RPFStrict, intf.RPFStrict
	tx := x.e.Edit()
	tx.SetUnit(u)
	tx.Commit()
	six := ip6{src: "2001:db8:b::10", dst: "2001:db8:c::10", payload: []byte{59, 0, 0xbe, 4, 0, 0, 0, 0}}.bytes()
	six[6] = 0
	x.check(step{in: "a", frame: eth(routerA, hostA, nil, 0x86dd, six), drop: "rpf-failed"})
	four := ip4{src: "198.51.100.10", dst: "203.0.113.10", options: []byte{1, 7, 11, 4}}
	x.check(step{in: "a", frame: eth4(routerA, hostA, four), drop: "rpf-failed"})
}
