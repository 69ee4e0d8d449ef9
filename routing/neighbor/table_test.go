package neighbor

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"router/intf"
)

const ge0 = intf.Index(7)

var (
	ours   = intf.MAC{2, 0, 0, 0, 0, 1}
	theirs = intf.MAC{2, 0, 0, 0, 0, 2}
	others = intf.MAC{2, 0, 0, 0, 0, 3}
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func key(s string) Key { return Key{ge0, addr(s)} }

// A world is a table with a clock that the test turns. The expiry of REACHABLE
// is 30 s, without spread.
type world struct {
	*testing.T
	*Table
	now time.Duration
}

func newWorld(t *testing.T, limits Limits) *world {
	w := &world{T: t, Table: New(Options{Limits: limits, Random: func() float64 { return 0.5 }}), now: time.Hour}
	w.SetInterface(w.now, ge0, Interface{MAC: ours, Inet: true, Inet6: true})
	for _, p := range []string{"192.0.2.1/24", "fe80::1/64", "2001:db8::1/64"} {
		w.AddAddress(w.now, ge0, netip.MustParsePrefix(p))
	}
	w.pass(10 * time.Second) // DAD and announcements
	return w
}

// pass lets time go by and returns what the timers did, with the time since.
func (w *world) pass(d time.Duration) []string {
	var got []string
	end, start := w.now+d, w.now
	for {
		due, ok := w.Next()
		if !ok || due > end {
			w.now = end
			return got
		}
		w.now = max(due, w.now)
		for _, a := range w.Tick(w.now) {
			got = append(got, fmt.Sprintf("%v %s", w.now-start, describe(a)))
		}
	}
}

// describe writes an action in one line.
func describe(a Action) string {
	switch a.Kind {
	case Send:
		m := a.Message
		s := fmt.Sprintf("send %v %v asks %v of %v", m.Kind, m.Src, m.Target, m.To)
		if m.Kind == ARPReply || m.Kind == NeighborAdvert {
			s = fmt.Sprintf("send %v %v is %v to %v", m.Kind, m.Src, m.MAC, m.To)
		}
		if m.Kind == NeighborAdvert {
			s += map[bool]string{true: " solicited"}[m.Solicited]
		}
		return s
	case Changed:
		if a.State.Usable() {
			return fmt.Sprintf("%v %v %v", a.Key.Addr, a.State, a.MAC)
		}
		return fmt.Sprintf("%v %v", a.Key.Addr, a.State)
	case Removed:
		return fmt.Sprintf("%v removed", a.Key.Addr)
	case Deliver:
		return fmt.Sprintf("deliver %d to %v", a.Packet.Token, a.MAC)
	case Reject:
		return fmt.Sprintf("reject %d", a.Packet.Token)
	case Drop:
		return fmt.Sprintf("drop %d %v", a.Packet.Token, a.Reason)
	case AddressOK:
		return fmt.Sprintf("%v ok", a.Key.Addr)
	case AddressDuplicate:
		return fmt.Sprintf("%v duplicate at %v", a.Key.Addr, a.MAC)
	case Conflict:
		return fmt.Sprintf("%v conflict with %v", a.Key.Addr, a.MAC)
	}
	return "?"
}

func lines(actions []Action) []string {
	var s []string
	for _, a := range actions {
		s = append(s, describe(a))
	}
	return s
}

// want compares a list of actions.
func (w *world) want(got []string, want ...string) {
	w.Helper()
	if !reflect.DeepEqual(got, want) {
		w.Fatalf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func (w *world) state(s string, want State) {
	w.Helper()
	e, ok := w.Lookup(key(s))
	if !ok || e.State != want {
		w.Fatalf("%s is %v (%v), want %v", s, e.State, ok, want)
	}
}

func (w *world) none(s string) {
	w.Helper()
	if e, ok := w.Lookup(key(s)); ok {
		w.Fatalf("there is an entry %+v", e)
	}
}

func arpReply(src, target string, mac intf.MAC) Message {
	return Message{IfIndex: ge0, Kind: ARPReply, From: mac, To: ours, Src: addr(src), Target: addr(target), MAC: mac}
}

func arpRequest(src, target string, mac intf.MAC) Message {
	return Message{IfIndex: ge0, Kind: ARPRequest, From: mac, To: intf.Broadcast, Src: addr(src), Target: addr(target), MAC: mac}
}

// advert is a neighbor advertisement; flags are letters of S, O and R.
func advert(target string, mac intf.MAC, flags string) Message {
	m := Message{IfIndex: ge0, Kind: NeighborAdvert, From: theirs, To: ours, Src: addr(target), Dst: addr("2001:db8::1"), Target: addr(target), MAC: mac}
	m.Solicited, m.Override, m.Router = strings.Contains(flags, "S"), strings.Contains(flags, "O"), strings.Contains(flags, "R")
	return m
}

func solicit(src, target string, mac intf.MAC) Message {
	group := solicitedNode(addr(target))
	return Message{IfIndex: ge0, Kind: NeighborSolicit, From: theirs, To: groupMAC(group), Src: addr(src), Dst: group, Target: addr(target), MAC: mac}
}

// reach makes an entry REACHABLE at the MAC theirs.
func (w *world) reach(s string) {
	w.Helper()
	w.Resolve(w.now, key(s), Packet{})
	m := advert(s, theirs, "SO")
	if addr(s).Is4() {
		m = arpReply(s, "192.0.2.1", theirs)
	}
	w.Input(w.now, m)
	w.state(s, Reachable)
}

func TestARPResolution(t *testing.T) {
	w := newWorld(t, Limits{})
	w.want(lines(w.Resolve(w.now, key("192.0.2.9"), Packet{Token: 1})),
		"192.0.2.9 incomplete",
		"send arp-request 192.0.2.1 asks 192.0.2.9 of ff:ff:ff:ff:ff:ff")
	w.want(lines(w.Resolve(w.now, key("192.0.2.9"), Packet{Token: 2})))
	w.want(lines(w.Input(w.now, arpReply("192.0.2.9", "192.0.2.1", theirs))),
		"192.0.2.9 reachable 02:00:00:00:00:02",
		"deliver 1 to 02:00:00:00:00:02",
		"deliver 2 to 02:00:00:00:00:02")
	w.want(lines(w.Resolve(w.now, key("192.0.2.9"), Packet{Token: 3})), "deliver 3 to 02:00:00:00:00:02")
}

func TestNDResolutionUsesSolicitedNodeGroup(t *testing.T) {
	w := newWorld(t, Limits{})
	w.want(lines(w.Resolve(w.now, key("2001:db8::1:9"), Packet{Token: 1})),
		"2001:db8::1:9 incomplete",
		"send neighbor-solicit 2001:db8::1 asks 2001:db8::1:9 of 33:33:ff:01:00:09")
	w.want(lines(w.Resolve(w.now, key("fe80::9"), Packet{Token: 2})),
		"fe80::9 incomplete",
		"send neighbor-solicit fe80::1 asks fe80::9 of 33:33:ff:00:00:09")
	w.want(lines(w.Input(w.now, advert("2001:db8::1:9", theirs, "SO"))),
		"2001:db8::1:9 reachable 02:00:00:00:00:02", "deliver 1 to 02:00:00:00:00:02")
}

func TestNobodyAnswers(t *testing.T) {
	for _, tt := range []struct{ addr, ask string }{
		{"192.0.2.9", "send arp-request 192.0.2.1 asks 192.0.2.9 of ff:ff:ff:ff:ff:ff"},
		{"2001:db8::9", "send neighbor-solicit 2001:db8::1 asks 2001:db8::9 of 33:33:ff:00:00:09"},
	} {
		t.Run(tt.addr, func(t *testing.T) {
			w := newWorld(t, Limits{})
			w.Resolve(w.now, key(tt.addr), Packet{Token: 1})
			w.want(w.pass(3*time.Second), "1s "+tt.ask, "2s "+tt.ask, "3s "+tt.addr+" failed", "3s reject 1")
			w.want(lines(w.Resolve(w.now, key(tt.addr), Packet{Token: 2})), "reject 2")
			w.want(w.pass(FailedTime), "3s "+tt.addr+" removed")
			w.want(lines(w.Resolve(w.now, key(tt.addr), Packet{Token: 3})), tt.addr+" incomplete", tt.ask)
		})
	}
}

func TestLifeOfAnEntry(t *testing.T) {
	w := newWorld(t, Limits{})
	w.reach("2001:db8::9")
	w.want(w.pass(30*time.Second), "30s 2001:db8::9 stale 02:00:00:00:00:02")
	w.want(w.pass(time.Minute)) // a stale entry waits for traffic
	w.want(lines(w.Use(w.now, key("2001:db8::9"))), "2001:db8::9 delay 02:00:00:00:00:02")
	w.want(lines(w.Use(w.now, key("2001:db8::9"))))
	const ask = "send neighbor-solicit 2001:db8::1 asks 2001:db8::9 of 02:00:00:00:00:02"
	w.want(w.pass(6*time.Second), "5s 2001:db8::9 probe 02:00:00:00:00:02", "5s "+ask, "6s "+ask)
	w.want(lines(w.Input(w.now, advert("2001:db8::9", theirs, "S"))), "2001:db8::9 reachable 02:00:00:00:00:02")
	// Silence: three unicast solicitations, then the entry goes.
	w.pass(30 * time.Second)
	w.Use(w.now, key("2001:db8::9"))
	w.want(w.pass(8*time.Second), "5s 2001:db8::9 probe 02:00:00:00:00:02", "5s "+ask, "6s "+ask, "7s "+ask, "8s 2001:db8::9 removed")
}

func TestStaleUnusedIsRemoved(t *testing.T) {
	w := newWorld(t, Limits{})
	w.reach("192.0.2.9")
	w.pass(30 * time.Second)
	w.want(w.pass(StaleTime-1), []string(nil)...)
	w.want(w.pass(1), "1ns 192.0.2.9 removed")
}

func TestReachableTimeIsSpread(t *testing.T) {
	for _, tt := range []struct {
		random float64
		want   time.Duration
	}{{0, 15 * time.Second}, {0.5, 30 * time.Second}, {0.999, 44970 * time.Millisecond}} {
		w := newWorld(t, Limits{})
		w.random = func() float64 { return tt.random }
		w.reach("192.0.2.9")
		if due, _ := w.Next(); due-w.now != tt.want {
			t.Errorf("random %v: %v, want %v", tt.random, due-w.now, tt.want)
		}
	}
}

func TestConfirmFromUpperLayer(t *testing.T) {
	w := newWorld(t, Limits{})
	w.reach("192.0.2.9")
	w.pass(20 * time.Second)
	w.want(lines(w.Confirm(w.now, key("192.0.2.9"))))
	w.want(w.pass(29 * time.Second))
	w.want(w.pass(time.Second), "1s 192.0.2.9 stale 02:00:00:00:00:02")
	w.want(lines(w.Confirm(w.now, key("192.0.2.9"))), "192.0.2.9 reachable 02:00:00:00:00:02")
	w.Resolve(w.now, key("192.0.2.10"), Packet{})
	w.want(lines(w.Confirm(w.now, key("192.0.2.10")))) // not known where it is
}

// RFC 4861, 7.2.5, and the state table of its appendix C.
func TestNeighborAdvertisements(t *testing.T) {
	const a = "2001:db8::9"
	const same, moved = " 02:00:00:00:00:02", " 02:00:00:00:00:03"
	incomplete := func(w *world) { w.Resolve(w.now, key(a), Packet{Token: 1}) }
	reachable := func(w *world) { w.reach(a) }
	stale := func(w *world) { w.reach(a); w.pass(30 * time.Second) }
	probe := func(w *world) { stale(w); w.Use(w.now, key(a)); w.pass(DelayTime) }
	failed := func(w *world) { w.Resolve(w.now, key(a), Packet{Token: 1}); w.pass(3 * time.Second) }
	none := func(*world) {}
	tests := []struct {
		name   string
		before func(*world)
		m      Message
		want   []string
	}{
		{"unsolicited creates no entry", none, advert(a, theirs, "O"), nil},
		{"solicited creates no entry either", none, advert(a, theirs, "SO"), nil},
		{"incomplete, without link-layer address", incomplete, advert(a, intf.MAC{}, "S"), nil},
		{"incomplete, solicited", incomplete, advert(a, theirs, "S"), []string{a + " reachable" + same, "deliver 1 to" + same}},
		{"incomplete, unsolicited: stale, and in use", incomplete, advert(a, theirs, "O"), []string{a + " stale" + same, "deliver 1 to" + same, a + " delay" + same}},
		{"reachable, other address without override", reachable, advert(a, others, "S"), []string{a + " stale" + same}},
		{"stale, other address without override", stale, advert(a, others, "S"), nil},
		{"probe, other address without override", probe, advert(a, others, ""), nil},
		{"reachable, other address with override, unsolicited", reachable, advert(a, others, "O"), []string{a + " stale" + moved}},
		{"reachable, other address with override, solicited", reachable, advert(a, others, "SO"), []string{a + " reachable" + moved}},
		{"stale, other address with override, solicited", stale, advert(a, others, "SO"), []string{a + " reachable" + moved}},
		{"stale, same address, unsolicited", stale, advert(a, theirs, "O"), nil},
		{"stale, same address, solicited", stale, advert(a, theirs, "S"), []string{a + " reachable" + same}},
		{"probe, solicited, without link-layer address", probe, advert(a, intf.MAC{}, "S"), []string{a + " reachable" + same}},
		{"probe, unsolicited, without link-layer address", probe, advert(a, intf.MAC{}, ""), nil},
		{"failed: the host is back", failed, advert(a, theirs, "O"), []string{a + " stale" + same}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Limits{})
			tt.before(w)
			_, had := w.Lookup(key(a))
			w.want(lines(w.Input(w.now, tt.m)), tt.want...)
			if _, has := w.Lookup(key(a)); has != had {
				t.Fatalf("entry there: before %v, after %v", had, has)
			}
		})
	}
	t.Run("router flag", func(t *testing.T) {
		w := newWorld(t, Limits{})
		reachable(w)
		for _, flags := range []string{"SR", "S"} {
			w.Input(w.now, advert(a, theirs, flags))
			if e, _ := w.Lookup(key(a)); e.Router != (flags == "SR") {
				t.Fatalf("after %s router is %v", flags, e.Router)
			}
		}
	})
}

func TestNeighborSolicitations(t *testing.T) {
	const a = "2001:db8::9"
	answer := "send neighbor-advert 2001:db8::1 is 02:00:00:00:00:01 to 02:00:00:00:00:02 solicited"
	tests := []struct {
		name   string
		before func(*world)
		m      Message
		want   []string
	}{
		{"for our address: entry and answer", nil, solicit(a, "2001:db8::1", theirs), []string{a + " stale 02:00:00:00:00:02", answer}},
		{"again: no change", func(w *world) { w.reach(a) }, solicit(a, "2001:db8::1", theirs), []string{answer}},
		{"sender has moved", func(w *world) { w.reach(a) }, solicit(a, "2001:db8::1", others), []string{a + " stale 02:00:00:00:00:03", strings.Replace(answer, "02 solicited", "03 solicited", 1)}},
		{"without option: answer, no entry", nil, solicit(a, "2001:db8::1", intf.MAC{}), []string{answer}},
		{"releases what waits for the sender", func(w *world) { w.Resolve(w.now, key(a), Packet{Token: 4}) }, solicit(a, "2001:db8::1", theirs),
			[]string{a + " stale 02:00:00:00:00:02", "deliver 4 to 02:00:00:00:00:02", a + " delay 02:00:00:00:00:02", answer}},
		{"for another host: nothing, not even an entry", nil, solicit(a, "2001:db8::2", theirs), nil},
		{"DAD for our address: everybody is told", nil, solicit("::", "2001:db8::1", intf.MAC{}),
			[]string{"send neighbor-advert 2001:db8::1 is 02:00:00:00:00:01 to 33:33:00:00:00:01"}},
		{"from our own address", nil, solicit("fe80::1", "2001:db8::1", theirs), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Limits{})
			if tt.before != nil {
				tt.before(w)
			}
			w.want(lines(w.Input(w.now, tt.m)), tt.want...)
		})
	}
}

func TestRouterMessages(t *testing.T) {
	w := newWorld(t, Limits{})
	rs := Message{IfIndex: ge0, Kind: RouterSolicit, From: theirs, Src: addr("fe80::9"), Dst: addr("ff02::2"), MAC: theirs}
	w.want(lines(w.Input(w.now, rs)), "fe80::9 stale 02:00:00:00:00:02")
	rs.Src, rs.MAC = addr("::"), intf.MAC{}
	w.want(lines(w.Input(w.now, rs)))
	ra := Message{IfIndex: ge0, Kind: RouterAdvert, From: theirs, Src: addr("fe80::9"), Dst: allNodes, MAC: theirs}
	w.want(lines(w.Input(w.now, ra)))
	if e, _ := w.Lookup(key("fe80::9")); !e.Router {
		t.Fatal("who advertises is a router")
	}
	ra.Src = addr("fe80::a")
	w.want(lines(w.Input(w.now, ra))) // unknown: no entry
	w.none("fe80::a")
}

// RFC 826, "Packet Reception".
func TestARPReception(t *testing.T) {
	const a = "192.0.2.9"
	answer := "send arp-reply 192.0.2.1 is 02:00:00:00:00:01 to 02:00:00:00:00:02"
	broadcast := arpReply(a, a, others)
	broadcast.To = intf.Broadcast
	tests := []struct {
		name   string
		before func(*world)
		m      Message
		want   []string
	}{
		{"request for us: entry and answer", nil, arpRequest(a, "192.0.2.1", theirs), []string{a + " stale 02:00:00:00:00:02", answer}},
		{"request for us from another subnet: answer, no entry", nil, arpRequest("198.51.100.9", "192.0.2.1", theirs), []string{answer}},
		{"probe for our address is answered", nil, arpRequest("0.0.0.0", "192.0.2.1", theirs), []string{answer}},
		{"merge before reply", func(w *world) { w.Resolve(w.now, key(a), Packet{Token: 1}) }, arpRequest(a, "192.0.2.1", theirs),
			[]string{a + " stale 02:00:00:00:00:02", "deliver 1 to 02:00:00:00:00:02", a + " delay 02:00:00:00:00:02", answer}},
		{"request for another host creates nothing", nil, arpRequest(a, "192.0.2.8", theirs), nil},
		{"request for another host merges", func(w *world) { w.reach(a) }, arpRequest(a, "192.0.2.8", others), []string{a + " stale 02:00:00:00:00:03"}},
		{"gratuitous request creates nothing", nil, arpRequest(a, a, theirs), nil},
		{"gratuitous request updates", func(w *world) { w.reach(a) }, arpRequest(a, a, others), []string{a + " stale 02:00:00:00:00:03"}},
		{"gratuitous request says nothing new", func(w *world) { w.reach(a) }, arpRequest(a, a, theirs), nil},
		{"gratuitous reply updates", func(w *world) { w.reach(a) }, broadcast, []string{a + " stale 02:00:00:00:00:03"}},
		{"reply nobody asked for creates nothing", nil, arpReply(a, "192.0.2.1", theirs), nil},
		{"reply confirms", func(w *world) { w.reach(a); w.pass(30 * time.Second) }, arpReply(a, "192.0.2.1", theirs), []string{a + " reachable 02:00:00:00:00:02"}},
		{"our own frame come back", nil, arpRequest(a, "192.0.2.1", ours), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, Limits{})
			if tt.before != nil {
				tt.before(w)
			}
			w.want(lines(w.Input(w.now, tt.m)), tt.want...)
		})
	}
}

func TestUnnumberedUnitAsksByProbe(t *testing.T) {
	w := newWorld(t, Limits{})
	w.RemoveAddress(w.now, ge0, addr("192.0.2.1"))
	w.want(lines(w.Resolve(w.now, key("192.0.2.9"), Packet{})),
		"192.0.2.9 incomplete", "send arp-request 0.0.0.0 asks 192.0.2.9 of ff:ff:ff:ff:ff:ff")
	reply := arpReply("192.0.2.9", "0.0.0.0", theirs)
	w.Input(w.now, reply)
	w.state("192.0.2.9", Reachable)
}
