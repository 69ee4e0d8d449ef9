package gribi

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	spb "github.com/openconfig/gribi/v1/proto/service"
	"github.com/openconfig/ygot/proto/ywrapper"

	"router/cmd/routerd/datastore/journal/faultfs"
)

// A life is a router with a gRIBI server from start to end, on a disk that outlives it.
type life struct {
	*testing.T
	fs     *faultfs.FS
	now    time.Time
	router *fakeRouter
	server *Server
	log    bytes.Buffer
	last   uint64
}

// begin starts the server, as routerd does.
func (l *life) begin() {
	l.router = newFakeRouter()
	l.log.Reset()
	l.server = New(Options{Router: l.router, Dir: "/state", FS: l.fs, Now: func() time.Time { return l.now }, Log: slog.New(slog.NewTextHandler(&l.log, nil))})
	l.server.Restore(false)
}

// connect makes a client that has told params and, if it is not 0, an election id.
func (l *life) connect(p *spb.SessionParameters, election uint64) *client {
	l.Helper()
	c, err := l.server.connect(context.Background(), func() {})
	if err == nil {
		_, err = l.server.negotiate(c, p)
	}
	if err == nil && election != 0 {
		_, err = l.server.elect(c, uint128{low: election})
	}
	if err != nil {
		l.Fatal(err)
	}
	return c
}

// do carries out operations of c, and fails unless each is answered with want.
func (l *life) do(c *client, want spb.AFTResult_Status, ops ...*spb.AFTOperation) {
	l.Helper()
	for _, o := range ops {
		l.last++
		o.Id = l.last
		if c.params.single {
			o.ElectionId = c.election.message()
		}
		if o.GetNetworkInstance() == "" {
			o.NetworkInstance = "default"
		}
	}
	results, err := l.server.program(c, ops)
	if err != nil {
		l.Fatal(err)
	}
	for i, r := range results {
		if r.GetStatus() != want {
			l.Errorf("%v is answered %v", ops[i], r)
		}
	}
}

// kill ends the life and begins the next: what was written is there.
func (l *life) kill() {
	l.fs = l.fs.Restart(faultfs.KeepAll, rand.New(rand.NewPCG(1, 1)))
	l.begin()
}

// all is everything that the server has, as text.
func (s *Server) all() map[string]string {
	m := map[string]string{}
	if s.roll.highest != (uint128{}) {
		m["election"] = fmt.Sprint(s.roll.highest, s.roll.single)
	}
	for name, in := range s.table.instances {
		for i, n := range in.nexthops {
			m[fmt.Sprint("n ", name, i)] = fmt.Sprint(n.via)
		}
		for i, g := range in.groups {
			o := g.operation()
			color := uint64(0)
			if o.color != nil {
				color = *o.color
			}
			m[fmt.Sprint("g ", name, i)] = fmt.Sprint(o.members, o.backup, o.hasBackup, color)
		}
		for f := range in.routes {
			for p, r := range in.routes[f] {
				m[fmt.Sprint("r ", name, p)] = fmt.Sprint(r.group.in.name, r.group.id, r.metadata)
			}
		}
	}
	return m
}

// same wants what is there to be what there was.
func (l *life) same(when string, want map[string]string) {
	l.Helper()
	if got := l.server.all(); !maps.Equal(got, want) {
		l.Errorf("%s: %v\nwant %v\n%s", when, got, want, l.log.String())
	}
}

// TestEntriesOutliveTheProcess programs all kinds of entries, changes and deletes some, and is
// killed again and again.
func TestEntriesOutliveTheProcess(t *testing.T) {
	l := &life{T: t, fs: &faultfs.FS{}, now: time.Unix(1e9, 0)}
	l.begin()
	if names := l.fs.Names("/state"); len(names) != 0 {
		t.Errorf("without a client there are the files %v", names)
	}
	c := l.connect(single, 7)
	withMeta := entry(add, "10.3.0.0/16", 1)
	withMeta.GetIpv4().GetIpv4Entry().EntryMetadata = bytesValue("abc")
	l.do(c, fib, hop(add, 1, address("192.0.2.9")), hop(add, 2, address("198.51.100.9")), in("red", hop(add, 1, lookIn("default"))),
		grp(add, 2, 0, map[uint64]uint64{2: 1}), grp(add, 1, 2, map[uint64]uint64{1: 3}), in("red", grp(add, 9, 0, map[uint64]uint64{1: 1})),
		entry(add, "10.0.0.0/8", 1), entry(add, "2001:db8:9::/48", 1), in("red", entry(add, "10.0.0.0/8", 9)), entry(add, "10.1.0.0/16", 1), withMeta)
	l.do(c, fib, entry(del, "10.1.0.0/16", 0), entry(replace, "10.0.0.0/8", 2))
	want := l.server.all()
	l.kill()
	l.same("killed", want)
	if got := l.router.programmed("default")["10.0.0.0/8"]; !slices.Equal(got, []string{"indirect 198.51.100.9 in instance 0"}) {
		t.Errorf("the route goes by %v", got)
	}
	if st := l.server.State(); int(st.Stale) != l.server.table.count || !st.StaleUntil.Equal(l.now.Add(5*time.Minute)) || !st.Known || !st.Single || st.KeepReason != "" {
		t.Errorf("state is %+v", st)
	}
	l.kill()
	l.same("killed again, without a client in between", want)

	// A client takes over, sends a part again, and is told that it has to be the newest.
	old := l.connect(single, 6)
	l.do(old, failed, entry(add, "10.0.0.0/8", 1))
	c = l.connect(single, 7)
	stale := l.server.State().Stale
	l.do(c, fib, entry(add, "10.0.0.0/8", 2))
	if st := l.server.State(); st.Stale != stale-1 || !st.StaleUntil.IsZero() {
		t.Errorf("with a primary and an entry sent again, of %d there are %d stale until %v", stale, st.Stale, st.StaleUntil)
	}
	l.now = l.now.Add(time.Hour)
	l.server.expire()
	l.same("an hour later, with a primary", want)
	l.do(c, fib, entry(del, "2001:db8:9::/48", 0))
	want = l.server.all()
	l.kill()
	l.same("killed with a primary", want)

	// Nobody comes.
	l.now = l.now.Add(299 * time.Second)
	if wait := l.server.expire(); wait != time.Second {
		t.Errorf("a second too early it wants to wait %v", wait)
	}
	l.same("a second before their time is over", want)
	l.now = l.now.Add(time.Second)
	l.server.expire()
	if l.server.table.count != 0 || len(l.router.programmed("default")) != 0 || l.server.State().Stale != 0 {
		t.Errorf("after their time there is %v", l.server.all())
	}
	l.kill()
	l.same("killed after that", map[string]string{"election": "0:7 true"})
}

// TestRunEndsWhatNobodyTakesOver has the server find out by itself when the time is over, and when
// the setting changes.
func TestRunEndsWhatNobodyTakesOver(t *testing.T) {
	l := &life{T: t, fs: &faultfs.FS{}, now: time.Unix(1e9, 0)}
	l.begin()
	l.do(l.connect(single, 1), fib, hop(add, 1, address("192.0.2.9")))
	l.fs = l.fs.Restart(faultfs.KeepAll, rand.New(rand.NewPCG(1, 1)))
	l.router = newFakeRouter()
	s := New(Options{Router: l.router, Dir: "/state", FS: l.fs})
	go s.Run(t.Context())
	s.Restore(false)
	if n := s.State().Stale; n != 1 {
		t.Fatalf("%d entries are restored", n)
	}
	l.router.mu.Lock()
	l.router.settings.RestartTime = 1
	l.router.mu.Unlock()
	s.Look()
	for deadline := time.Now().Add(10 * time.Second); s.State().Stale != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the entries stay")
		}
	}
}

// TestEntriesOfOthersDoNotOutlive has clients that ask for DELETE, a flush, an instance that goes and a
// service that is disabled.
func TestEntriesOfOthersDoNotOutlive(t *testing.T) {
	few := func(l *life, c *client) {
		l.do(c, fib, hop(add, 1, address("192.0.2.9")), grp(add, 1, 0, map[uint64]uint64{1: 1}), entry(add, "10.0.0.0/8", 1), in("red", entryIn(add, "10.0.0.0/8", 1, "default")))
	}
	for _, tc := range []struct {
		name string
		do   func(l *life)
		want []string
	}{
		{"all-primary", func(l *life) { few(l, l.connect(all, 0)) }, nil},
		{"single-primary with delete", func(l *life) { few(l, l.connect(singleGo, 3)) }, []string{"election"}},
		{"taken over by one with delete", func(l *life) {
			c := l.connect(single, 3)
			few(l, c)
			l.server.disconnect(c)
			l.do(l.connect(singleGo, 4), fib, entry(add, "10.0.0.0/8", 1))
		}, []string{"election", "g default1", "n default1", "r red10.0.0.0/8"}},
		{"flushed", func(l *life) {
			few(l, l.connect(single, 3))
			if _, err := l.server.Flush(l.Context(), &spb.FlushRequest{Election: &spb.FlushRequest_Override{}, NetworkInstance: &spb.FlushRequest_All{}}); err != nil {
				l.Error(err)
			}
		}, []string{"election"}},
		{"an instance goes", func(l *life) {
			few(l, l.connect(single, 3))
			l.router.remove("red")
			l.server.look()
		}, []string{"election", "g default1", "n default1", "r default10.0.0.0/8"}},
		{"disabled", func(l *life) {
			few(l, l.connect(single, 3))
			l.router.settings.Enabled = false
			l.server.look()
		}, []string{"election"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := &life{T: t, fs: &faultfs.FS{}, now: time.Unix(1e9, 0)}
			l.begin()
			tc.do(l)
			l.kill()
			if got := slices.Sorted(maps.Keys(l.server.all())); !slices.Equal(got, tc.want) {
				t.Errorf("%v outlives, want %v\n%s", got, tc.want, l.log.String())
			}
		})
	}
}

// TestWhatCanNotBeRestored starts without a unit and an instance that entries need, and with a
// service that is disabled.
func TestWhatCanNotBeRestored(t *testing.T) {
	l := &life{T: t, fs: &faultfs.FS{}, now: time.Unix(1e9, 0)}
	l.begin()
	c := l.connect(single, 1)
	l.do(c, fib, hop(add, 1, address("192.0.2.9")), grp(add, 1, 0, map[uint64]uint64{1: 1}), entry(add, "10.0.0.0/8", 1), in("red", entryIn(add, "10.0.0.0/8", 1, "default")))
	fs := l.fs.Restart(faultfs.KeepAll, rand.New(rand.NewPCG(1, 1)))
	l.fs = fs
	l.router = newFakeRouter()
	l.router.remove("red")
	l.server = New(Options{Router: l.router, Dir: "/state", FS: fs, Now: func() time.Time { return l.now }, Log: slog.New(slog.NewTextHandler(&l.log, nil))})
	l.server.Restore(false)
	if l.server.table.count != 3 || !strings.Contains(l.log.String(), "network instance red does not exist") || !strings.Contains(l.log.String(), "refused=1") {
		t.Errorf("%d entries: %s", l.server.table.count, l.log.String())
	}
	l.server.lookAfter()
	l.kill()
	if l.server.table.count != 3 || strings.Contains(l.log.String(), "refused=1") {
		t.Errorf("what was refused is tried again: %s", l.log.String())
	}
	l.router = newFakeRouter()
	l.router.settings.Enabled = false
	l.server = New(Options{Router: l.router, Dir: "/state", FS: l.fs, Now: func() time.Time { return l.now }})
	l.server.Restore(false)
	if l.server.table.count != 0 || l.server.roll.highest != (uint128{low: 1}) {
		t.Errorf("of a disabled service there is %v", l.server.all())
	}
	l.server.Restore(true)
	if names := l.fs.Names("/state"); len(names) != 1 || !strings.HasPrefix(names[0], "flushed-gribi-") {
		t.Errorf("flushed, there are %v", names)
	}
}

// TestDamagedFile damages each octet of a file in turn, and cuts it off anywhere: nothing is ever
// read but what a prefix of the frames says.
func TestDamagedFile(t *testing.T) {
	l := &life{T: t, fs: &faultfs.FS{}, now: time.Unix(1e9, 0)}
	l.begin()
	c := l.connect(single, 1)
	states := []map[string]string{{}, l.server.all()}
	for _, o := range []*spb.AFTOperation{hop(add, 1, address("192.0.2.9")), grp(add, 1, 0, map[uint64]uint64{1: 1}), entry(add, "10.0.0.0/8", 1), entry(del, "10.0.0.0/8", 1)} {
		l.do(c, fib, o)
		states = append(states, l.server.all())
	}
	whole, err := l.fs.ReadFile("/state/" + keepName)
	if err != nil {
		t.Fatal(err)
	}
	for at := range len(whole) {
		for _, b := range [][]byte{whole[:at], slices.Concat(whole[:at], []byte{whole[at] ^ 0x40}, whole[at+1:]), slices.Concat(whole[:at], make([]byte, len(whole)-at))} {
			l.fs = &faultfs.FS{}
			f, err := l.fs.OpenFile("/state/"+keepName, 0x42)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(b, 0); err != nil {
				t.Fatal(err)
			}
			l.begin()
			got := l.server.all()
			if i := slices.IndexFunc(states, func(s map[string]string) bool { return maps.Equal(s, got) }); i < 0 {
				t.Fatalf("damaged at %d it is read as %v", at, got)
			}
			aside := slices.ContainsFunc(l.fs.Names("/state"), func(n string) bool { return strings.HasPrefix(n, "damaged-gribi-") })
			if aside && len(got) > 0 {
				t.Fatalf("damaged at %d it is put aside, and half read: %v", at, got)
			}
			if said := strings.Contains(l.log.String(), "level=ERROR") || strings.Contains(l.log.String(), "level=WARN"); !said && !slices.ContainsFunc(frameEnds(whole), func(end int) bool { return end == len(b) }) {
				t.Fatalf("damaged at %d nothing is said: %s", at, l.log.String())
			}
			// It is kept from there on.
			d := l.connect(single, 9)
			l.do(d, fib, hop(add, 5, address("192.0.2.9")))
			want := l.server.all()
			l.kill()
			if !maps.Equal(l.server.all(), want) {
				t.Fatalf("damaged at %d, and written on: %v, want %v", at, l.server.all(), want)
			}
		}
	}
}

// frameEnds are the places at which a file ends in order.
func frameEnds(b []byte) (ends []int) {
	for at := 0; ; {
		ends = append(ends, at)
		payload, _, ok := parseFrame(b[at:])
		if !ok {
			return ends
		}
		at += frameHeader + len(payload)
	}
}

// TestFaultsOfTheDisk has each call go wrong in each way, with what a crash of the machine may lose.
// Nobody's operation fails for it, and what is found is what there was at some time.
func TestFaultsOfTheDisk(t *testing.T) {
	run := func(l *life, note func()) {
		c := l.connect(single, 1)
		note()
		for i := range uint64(6) {
			l.do(c, fib, hop(add, i, address("192.0.2.9")))
			note()
			if i%2 == 1 {
				l.server.lookAfter() // flushes
				l.now = l.now.Add(2 * time.Second)
				l.server.table.keep.anew()
				l.server.lookAfter() // writes anew
			}
		}
		l.do(c, fib, hop(del, 3, nil))
		note()
	}
	count := &life{T: t, fs: &faultfs.FS{}, now: time.Unix(1e9, 0)}
	count.begin()
	count.fs.Arm(1<<30, faultfs.Failed)
	run(count, func() {})
	calls := count.fs.Calls()
	if calls < 20 {
		t.Fatalf("%d calls only", calls)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, fault := range faultfs.Faults {
		for n := 1; n <= calls; n++ {
			for _, loss := range faultfs.Losses {
				l := &life{T: t, fs: &faultfs.FS{}, now: time.Unix(1e9, 0)}
				l.begin()
				l.fs.Arm(n, fault)
				states := []map[string]string{{}}
				run(l, func() { states = append(states, l.server.all()) })
				before := l.log.String()
				l.fs = l.fs.Restart(loss, rnd)
				l.begin()
				got := l.server.all()
				i := slices.IndexFunc(states, func(s map[string]string) bool { return maps.Equal(s, got) })
				if i < 0 {
					t.Fatalf("%v of call %d, %v: %v was never there\n%s", fault, n, loss, got, l.log.String())
				}
				// A process that is killed loses nothing, unless the disk said so.
				if loss == faultfs.KeepAll && !fault.Crashes() && i != len(states)-1 && !strings.Contains(before, "would not outlive") {
					t.Fatalf("%v of call %d: the last that is there is %d of %d, and nothing was said\n%s", fault, n, i, len(states), before)
				}
			}
		}
	}
}

// TestDiskIsFullForAWhile goes on without keeping, says so, and keeps again.
func TestDiskIsFullForAWhile(t *testing.T) {
	l := &life{T: t, fs: &faultfs.FS{}, now: time.Unix(1e9, 0)}
	l.begin()
	c := l.connect(single, 1)
	l.do(c, fib, hop(add, 1, address("192.0.2.9")))
	l.fs.Arm(1, faultfs.Full)
	l.do(c, fib, hop(add, 2, address("192.0.2.9")))
	if st := l.server.State(); !strings.Contains(st.KeepReason, "no space left") {
		t.Errorf("with a full disk the state is %+v", st)
	}
	l.server.lookAfter()
	if wait := l.server.lookAfter(); wait <= 0 || wait > keepRetry {
		t.Errorf("it is looked after again after %v", wait)
	}
	l.now = l.now.Add(keepRetry)
	l.server.lookAfter()
	if l.server.State().KeepReason == "" {
		t.Error("it is kept on a disk that is full")
	}
	l.fs.Heal()
	l.now = l.now.Add(keepRetry)
	l.server.lookAfter()
	if why := l.server.State().KeepReason; why != "" {
		t.Errorf("with room again: %s", why)
	}
	l.do(c, fib, hop(add, 3, address("192.0.2.9")))
	want := l.server.all()
	l.kill()
	l.same("killed with room again", want)
}

// TestFileStaysSmall writes one entry over and over.
func TestFileStaysSmall(t *testing.T) {
	l := &life{T: t, fs: &faultfs.FS{}, now: time.Unix(1e9, 0)}
	l.begin()
	c := l.connect(single, 1)
	l.do(c, fib, hop(add, 1, address("192.0.2.9")), grp(add, 1, 0, map[uint64]uint64{1: 1}))
	for range 400 {
		var ops []*spb.AFTOperation
		for i := range 256 {
			ops = append(ops, entry(add, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24).String(), 1))
		}
		l.do(c, fib, ops...)
		l.now = l.now.Add(time.Second)
		l.server.lookAfter()
	}
	b, err := l.fs.ReadFile("/state/" + keepName)
	if err != nil || len(b) > compactFrom+64<<10 {
		t.Errorf("the file of 258 entries has %d octets, %v", len(b), err)
	}
	want := l.server.all()
	l.kill()
	l.same("killed", want)
}

// TestRecords writes and reads operations.
func TestRecords(t *testing.T) {
	color := uint64(1 << 60)
	for _, o := range []operation{
		{kind: routeEntry, instance: "red", prefix: netip.MustParsePrefix("10.0.0.0/8"), group: 1 << 63, groupInstance: "default", metadata: "\x00a"},
		{kind: routeEntry, instance: "red", prefix: netip.MustParsePrefix("::/0"), groupInstance: "red"},
		{kind: groupEntry, instance: "x", index: 3, members: []share{{1, 1 << 40}, {0, 1}}, backup: 0, hasBackup: true, color: &color},
		{kind: groupEntry, instance: "x", index: 3, members: []share{{1, 1}}},
		{kind: nexthopEntry, instance: "x", index: 7, via: via{address: netip.MustParseAddr("fe80::1"), device: "ge0", subinterface: 100, hasSub: true}},
		{kind: nexthopEntry, instance: "x", via: via{instance: "red"}},
	} {
		o.verb = add
		r := reader{b: appendSet(nil, &o)}
		got, e, err := r.next()
		if err != nil || e != nil || len(r.b) != 0 || !reflect.DeepEqual(got, o) {
			t.Errorf("%+v is read as %+v, %v", o, got, err)
		}
	}
}

// FuzzFile reads anything as a file: it must not fall over, and what is read is read again when it is
// written.
func FuzzFile(f *testing.F) {
	frame := func(records ...[]byte) []byte {
		return seal(slices.Concat(append([][]byte{newFrame()}, records...)...), 1)
	}
	f.Add(frame(appendElection(nil, true, uint128{1, 2})), false)
	f.Add(appendSet(nil, &operation{kind: routeEntry, instance: "red", prefix: netip.MustParsePrefix("10.0.0.0/8"), group: 1, groupInstance: "default"}), true)
	f.Add(appendSet(nil, &operation{kind: groupEntry, instance: "x", index: 3, members: []share{{1, 1}}, hasBackup: true}), true)
	f.Add(appendSet(nil, &operation{kind: nexthopEntry, instance: "x", via: via{device: "ge0", hasSub: true}}), true)
	f.Fuzz(func(t *testing.T, b []byte, payload bool) {
		if payload {
			b = frame(b)
		}
		var again []byte
		var ops []operation
		_, _, err := scanFile(b, func(o *operation, e *elected) {
			switch {
			case e != nil:
			case o.verb == add:
				ops = append(ops, *o)
				again = appendSet(again, o)
			case o.instance == "":
				t.Error("an operation without an instance")
			}
		})
		if err != nil || len(ops) == 0 {
			return
		}
		var back []operation
		if _, torn, err := scanFile(frame(again), func(o *operation, _ *elected) { back = append(back, *o) }); err != nil || torn != 0 || !reflect.DeepEqual(back, ops) {
			t.Errorf("%+v is read again as %+v, %v", ops, back, err)
		}
	})
}

func bytesValue(s string) *ywrapper.BytesValue { return &ywrapper.BytesValue{Value: []byte(s)} }

// entryIn is entry with a group of another instance.
func entryIn(verb spb.AFTOperation_Operation, prefix string, group uint64, instance string) *spb.AFTOperation {
	o := entry(verb, prefix, group)
	o.GetIpv4().GetIpv4Entry().NextHopGroupNetworkInstance = stringValue(instance)
	return o
}

// BenchmarkProgram adds and replaces entries of a group, 256 at a time, by a client whose entries
// outlive the process and by one whose don't, and restores them.
func BenchmarkProgram(b *testing.B) {
	for name, p := range map[string]*spb.SessionParameters{"preserve": single, "delete": singleGo} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			s := New(Options{Router: newFakeRouter(), Dir: dir})
			s.Restore(false)
			go s.Run(b.Context())
			c, err := s.connect(b.Context(), func() {})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.negotiate(c, p); err != nil {
				b.Fatal(err)
			}
			if _, err := s.elect(c, uint128{low: 1}); err != nil {
				b.Fatal(err)
			}
			send := func(ops ...*spb.AFTOperation) {
				for i, o := range ops {
					o.Id, o.ElectionId, o.NetworkInstance = uint64(i+1), c.election.message(), "default"
				}
				if r, err := s.program(c, ops); err != nil || r[0].GetStatus() != fib {
					b.Fatal(r, err)
				}
			}
			send(hop(add, 1, address("192.0.2.9")), grp(add, 1, 0, map[uint64]uint64{1: 1}))
			batches := make([][]*spb.AFTOperation, 400)
			for i := range batches {
				for n := range 256 {
					batches[i] = append(batches[i], entry(add, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), byte(n)}), 32).String(), 1))
				}
			}
			b.ResetTimer()
			for i := range b.N {
				send(batches[i%len(batches)]...)
			}
			b.ReportMetric(float64(b.N)*256/b.Elapsed().Seconds(), "entries/s")
			b.StopTimer()
			if err := s.Close(); err != nil {
				b.Error(err)
			}
			next := New(Options{Router: newFakeRouter(), Dir: dir})
			begin := time.Now()
			next.Restore(false)
			if n := next.table.count; n > 0 {
				b.ReportMetric(float64(n)/time.Since(begin).Seconds(), "restored/s")
			}
		})
	}
}
