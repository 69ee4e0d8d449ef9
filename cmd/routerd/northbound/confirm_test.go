package northbound

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	"router/cmd/routerd/datastore/tree"
)

// A commitAsk makes the extension of one action.
func commitAsk(id string, wait time.Duration) *gnmi_ext.Commit {
	r := &gnmi_ext.CommitRequest{}
	if wait != 0 {
		r.RollbackDuration = durationpb.New(wait)
	}
	return &gnmi_ext.Commit{Id: id, Action: &gnmi_ext.Commit_Commit{Commit: r}}
}

func confirmAsk(id string) *gnmi_ext.Commit {
	return &gnmi_ext.Commit{Id: id, Action: &gnmi_ext.Commit_Confirm{Confirm: &gnmi_ext.CommitConfirm{}}}
}

func cancelAsk(id string) *gnmi_ext.Commit {
	return &gnmi_ext.Commit{Id: id, Action: &gnmi_ext.Commit_Cancel{Cancel: &gnmi_ext.CommitCancel{}}}
}

func durationAsk(id string, wait *durationpb.Duration) *gnmi_ext.Commit {
	return &gnmi_ext.Commit{Id: id, Action: &gnmi_ext.Commit_SetRollbackDuration{SetRollbackDuration: &gnmi_ext.CommitSetRollbackDuration{RollbackDuration: wait}}}
}

// ask sends a Set with the extension; pathsAndValues are updates, as of set.
func (b *bed) ask(c *gnmi_ext.Commit, pathsAndValues ...string) error {
	b.t.Helper()
	req := &gnmi.SetRequest{}
	if c != nil {
		req.Extension = []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_Commit{Commit: c}}}
	}
	for i := 0; i < len(pathsAndValues); i += 2 {
		req.Update = append(req.Update, &gnmi.Update{Path: p(b.t, pathsAndValues[i]), Val: ietf(pathsAndValues[i+1])})
	}
	_, err := b.client.Set(b.ctx(), req)
	return err
}

func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// becomes waits for the description of ge0.
func (b *bed) becomes(want string, within time.Duration) {
	b.t.Helper()
	got := ""
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		r, err := b.get(&gnmi.GetRequest{Encoding: gnmi.Encoding_PROTO}, desc)
		b.must(err)
		if got = values(r.GetNotification()...)[desc]; got == want {
			return
		}
	}
	b.t.Fatalf("the description is %q, want %q within %v", got, want, within)
}

func testConfirm(t *checklist) {
	t.row("43/reverts by itself", func(t *testing.T) {
		b := furnished(t)
		start := time.Now()
		b.must(b.ask(commitAsk("x", 300*time.Millisecond), desc, `"tried"`))
		b.becomes("tried", time.Second)
		b.becomes("one", 5*time.Second)
		if took := time.Since(start); took < 300*time.Millisecond || took > 1300*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
	t.row("43/10 minutes by default", func(t *testing.T) {
		b := furnished(t)
		b.must(b.ask(commitAsk("x", 0), desc, `"tried"`))
		p, ok := b.store.Pending()
		if left := time.Until(p.Deadline); !ok || p.ID != "x" || left < 590*time.Second || left > 600*time.Second {
			t.Errorf("%v, %v", p, ok)
		}
	})
	t.row("43/no id, no action, nothing to do", func(t *testing.T) {
		b := furnished(t)
		wantCode(t, b.ask(commitAsk("", time.Second), desc, `"tried"`), codes.InvalidArgument, "needs its id")
		wantCode(t, b.ask(&gnmi_ext.Commit{Id: "x"}, desc, `"tried"`), codes.InvalidArgument, "amended")
		wantCode(t, b.ask(&gnmi_ext.Commit{Id: "x"}), codes.InvalidArgument, "needs an action")
		wantCode(t, b.ask(commitAsk("x", time.Second)), codes.InvalidArgument, "no operations")
		wantCode(t, b.ask(commitAsk("x", -time.Second), desc, `"tried"`), codes.InvalidArgument, "negative")
		b.becomes("one", time.Second)
	})
	t.row("44", func(t *testing.T) {
		b := furnished(t)
		b.must(b.ask(commitAsk("x", time.Minute), desc, `"tried"`))
		wantCode(t, b.ask(nil, desc, `"plain"`), codes.FailedPrecondition, `"x"`)
		wantCode(t, b.ask(commitAsk("y", time.Minute), desc, `"another"`), codes.FailedPrecondition, `"x"`)
		wantCode(t, b.ask(commitAsk("x", time.Minute), desc, `"again"`), codes.FailedPrecondition, `"x"`)
		b.must(b.ask(nil)) // changes nothing
		b.must(b.ask(confirmAsk("x")))
		b.must(b.ask(nil, desc, `"plain"`))
	})
	t.row("45", func(t *testing.T) {
		b := furnished(t)
		second := durationpb.New(time.Second)
		for _, c := range []*gnmi_ext.Commit{confirmAsk("x"), cancelAsk("x"), durationAsk("x", second)} {
			wantCode(t, b.ask(c), codes.FailedPrecondition, "no confirmed commit is pending")
		}
		b.must(b.ask(commitAsk("x", time.Minute), desc, `"tried"`))
		for _, c := range []*gnmi_ext.Commit{confirmAsk("y"), cancelAsk("y"), durationAsk("y", second)} {
			wantCode(t, b.ask(c), codes.InvalidArgument, "another id")
		}
		for _, c := range []*gnmi_ext.Commit{confirmAsk(""), cancelAsk(""), durationAsk("", second)} {
			wantCode(t, b.ask(c), codes.InvalidArgument, "needs its id")
		}
		wantCode(t, b.ask(confirmAsk("x"), desc, `"amended"`), codes.InvalidArgument, "amended")
		b.must(b.ask(cancelAsk("x")))
		b.becomes("one", time.Second)
		b.must(b.ask(commitAsk("y", 400*time.Millisecond), desc, `"confirmed"`))
		b.must(b.ask(confirmAsk("y")))
		time.Sleep(600 * time.Millisecond)
		b.becomes("confirmed", time.Second)
	})
	t.row("45/set-duration", func(t *testing.T) {
		b := furnished(t)
		b.must(b.ask(commitAsk("x", time.Hour), desc, `"tried"`))
		b.must(b.ask(durationAsk("x", durationpb.New(200*time.Millisecond))))
		b.becomes("one", 5*time.Second)
	})
	t.row("46", func(t *testing.T) {
		b := furnished(t)
		b.must(b.ask(commitAsk("x", time.Minute), desc, `"tried"`))
		for _, d := range []*durationpb.Duration{nil, durationpb.New(0), durationpb.New(-time.Second)} {
			wantCode(t, b.ask(durationAsk("x", d)), codes.InvalidArgument, "rollback_duration")
		}
		if p, _ := b.store.Pending(); time.Until(p.Deadline) < 50*time.Second {
			t.Errorf("the deadline moved to %v", p.Deadline)
		}
	})
	t.row("47/it fails", func(t *testing.T) {
		b := furnished(t)
		wantCode(t, b.ask(commitAsk("x", 50*time.Millisecond), desc, `"tried"`, "/interface[name=ge0]/config/mru", `1`), codes.InvalidArgument, "range")
		b.applier.fail = errors.New("the device is on fire")
		wantCode(t, b.ask(commitAsk("x", 50*time.Millisecond), desc, `"tried"`), codes.Aborted, "on fire")
		b.applier.fail = nil
		if _, ok := b.store.Pending(); ok {
			t.Error("a failed commit waits to be confirmed")
		}
		before := b.store.Last().Number
		b.must(b.ask(nil, desc, `"plain"`))
		time.Sleep(100 * time.Millisecond)
		b.becomes("plain", time.Second)
		if n := b.store.Last().Number; n != before+1 {
			t.Errorf("commit %d, want %d", n, before+1)
		}
	})
	t.row("47/a restart inside the window", func(t *testing.T) {
		b := furnished(t)
		start := time.Now()
		b.must(b.ask(commitAsk("x", 1500*time.Millisecond), desc, `"tried"`))
		b = b.restarted()
		b.becomes("tried", time.Second)
		wantCode(t, b.ask(nil, desc, `"plain"`), codes.FailedPrecondition, `"x"`)
		b.becomes("one", 5*time.Second)
		if took := time.Since(start); took < 1500*time.Millisecond || took > 2500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// syncDone is the next response, which must be the end of a commit.
func (c *call) syncDone() *gnmi_ext.ConfigSubscriptionSyncDone {
	c.t.Helper()
	r, err := c.stream.Recv()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range r.GetExtension() {
		if d := e.GetConfigSubscription().GetSyncDone(); d != nil && r.GetResponse() == nil {
			return d
		}
	}
	c.t.Fatalf("got %v, want sync_done", r)
	return nil
}

// subscribeWith is subscribe with an extension.
func (b *bed) subscribeWith(list *gnmi.SubscriptionList, e *gnmi_ext.Extension) *call {
	b.t.Helper()
	c := b.subscribe(nil)
	c.send(&gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Subscribe{Subscribe: list}, Extension: []*gnmi_ext.Extension{e}})
	return c
}

func testConfigSubscription(t *checklist) {
	start := &gnmi_ext.Extension{Ext: &gnmi_ext.Extension_ConfigSubscription{ConfigSubscription: &gnmi_ext.ConfigSubscription{
		Action: &gnmi_ext.ConfigSubscription_Start{Start: &gnmi_ext.ConfigSubscriptionStart{}}}}}
	onChange := &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}
	changed := func(t *testing.T, c *call, want string) {
		t.Helper()
		if n := c.next(); values(n)[desc] != want {
			t.Errorf("%v, want %q", n, want)
		}
	}
	done := func(t *testing.T, b *bed, c *call, id string) {
		t.Helper()
		if d := c.syncDone(); !d.GetDone() || d.GetCommitConfirmId() != id || d.GetServerCommitId() != fmt.Sprint(b.store.Last().Number) {
			t.Errorf("%v, want id %q of commit %d", d, id, b.store.Last().Number)
		}
	}
	t.row("49/each commit", func(t *testing.T) {
		b := furnished(t)
		c := b.subscribeWith(subs(t, live, onChange, "/interface[name=ge0]"), start)
		m := values(c.toSync()...)
		if m[desc] != "one" || m["/interface[name=ge0]/config/mru"] != "1518" {
			t.Errorf("%v", m)
		}
		for path := range m {
			if strings.Contains(path, "/state/") || strings.Contains(path, "neighbor") {
				t.Errorf("%s is no configuration", path)
			}
		}
		b.set(desc, `"two"`)
		changed(t, c, "two")
		done(t, b, c, "")
		b.set("/interface[name=ge1]/config/description", `"elsewhere"`)
		done(t, b, c, "")
	})
	t.row("49/confirmed commits", func(t *testing.T) {
		b := furnished(t)
		c := b.subscribeWith(subs(t, live, onChange, desc), start)
		c.toSync()
		b.must(b.ask(commitAsk("x", time.Minute), desc, `"x"`))
		changed(t, c, "x")
		done(t, b, c, "x")
		b.must(b.ask(confirmAsk("x"))) // says nothing
		b.must(b.ask(commitAsk("y", 100*time.Millisecond), desc, `"y"`))
		changed(t, c, "y")
		if d := c.syncDone(); d.GetCommitConfirmId() != "y" {
			t.Errorf("%v", d)
		}
		changed(t, c, "x") // its time is over
		done(t, b, c, "y")
		b.must(b.ask(commitAsk("z", time.Minute), desc, `"z"`))
		changed(t, c, "z")
		done(t, b, c, "z")
		b.must(b.ask(cancelAsk("z")))
		changed(t, c, "x")
		done(t, b, c, "z")
	})
	t.row("49/updates_only, ONCE, SAMPLE", func(t *testing.T) {
		b := furnished(t)
		list := subs(t, live, onChange, desc)
		list.UpdatesOnly = true
		c := b.subscribeWith(list, start)
		if ns := c.toSync(); len(ns) > 0 {
			t.Errorf("%v", ns)
		}
		b.set(desc, `"two"`)
		changed(t, c, "two")
		done(t, b, c, "")
		for path := range values(b.subscribeWith(subs(t, once, onChange, "/interface"), start).toSync()...) {
			if strings.Contains(path, "/state/") {
				t.Errorf("%s is no configuration", path)
			}
		}
		c = b.subscribeWith(subs(t, live, &gnmi.Subscription{Mode: gnmi.SubscriptionMode_SAMPLE, SampleInterval: ms(30)}, desc), start)
		c.toSync()
		b.set(desc, `"three"`)
		changed(t, c, "three")
		changed(t, c, "three")
	})
	t.row("49/without its action", func(t *testing.T) {
		none := &gnmi_ext.Extension{Ext: &gnmi_ext.Extension_ConfigSubscription{ConfigSubscription: &gnmi_ext.ConfigSubscription{}}}
		furnished(t).subscribeWith(subs(t, live, onChange, desc), none).wantClosed(codes.InvalidArgument, "start")
	})
}

func testHistory(t *checklist) {
	snapshot := func(at time.Time) *gnmi_ext.Extension {
		return &gnmi_ext.Extension{Ext: &gnmi_ext.Extension_History{History: &gnmi_ext.History{Request: &gnmi_ext.History_SnapshotTime{SnapshotTime: at.UnixNano()}}}}
	}
	span := func(start, end time.Time) *gnmi_ext.Extension {
		return &gnmi_ext.Extension{Ext: &gnmi_ext.Extension_History{History: &gnmi_ext.History{Request: &gnmi_ext.History_Range{
			Range: &gnmi_ext.TimeRange{Start: start.UnixNano(), End: end.UnixNano()}}}}}
	}
	each := &gnmi.Subscription{}
	// past has four commits: the furnishing, two descriptions, and ge1 gone.
	past := func(t *testing.T) (*bed, []time.Time) {
		b := furnished(t)
		b.set(desc, `"two"`)
		b.set(desc, `"three"`)
		b.delete("/interface[name=ge1]", desc)
		log := b.store.Log()
		slices.Reverse(log)
		var times []time.Time
		for _, c := range log {
			times = append(times, c.Time)
		}
		return b, times
	}
	t.row("50/snapshots", func(t *testing.T) {
		b, times := past(t)
		const other = "/interface[name=ge1]/config/description"
		for i, want := range []string{"one two", "two two", "three two", " "} {
			for _, at := range []time.Time{times[i], times[i].Add(1)} {
				c := b.subscribeWith(subs(t, once, each, "/interface/config"), snapshot(at))
				ns := c.toSync()
				m := values(ns...)
				if got := m[desc] + " " + m[other]; got != want {
					t.Errorf("commit %d: %q, want %q", i+1, got, want)
				}
				if ns[0].GetTimestamp() != times[i].UnixNano() {
					t.Errorf("commit %d: timestamp %d, want %d", i+1, ns[0].GetTimestamp(), times[i].UnixNano())
				}
				if m["/interface[name=ge0]/config/mru"] != "1518" {
					t.Errorf("commit %d: no default in %v", i+1, m)
				}
				c.wantClosed(codes.OK)
			}
		}
		if m := values(b.subscribeWith(subs(t, once, each, "/interface"), snapshot(times[0].Add(-time.Hour))).toSync()...); len(m) != 0 {
			t.Errorf("before the first commit: %v", m)
		}
	})
	t.row("50/a range", func(t *testing.T) {
		b, times := past(t)
		c := b.subscribeWith(subs(t, live, each, "/interface/config/description", "/interface[name=ge1]/config/mru"), span(times[1], time.Now()))
		if m := values(c.toSync()...); m[desc] != "one" || len(m) != 3 {
			t.Errorf("at the start: %v", m)
		}
		for i, want := range []string{"two", "three"} {
			if n := c.next(); values(n)[desc] != want || len(n.GetUpdate()) != 1 || n.GetTimestamp() != times[i+1].UnixNano() {
				t.Errorf("commit %d: %v", i+2, n)
			}
		}
		gone := map[string]bool{}
		for {
			r, err := c.stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			b.must(err)
			for _, p := range r.GetUpdate().GetDelete() {
				gone[tree.Path(p.GetElem()).String()] = true
			}
			if n := len(r.GetUpdate().GetUpdate()); n > 0 {
				t.Errorf("%d updates: %v", n, r)
			}
		}
		if !gone[desc] || !gone["/interface[name=ge1]/config/description"] || !gone["/interface[name=ge1]/config/mru"] || len(gone) != 3 {
			t.Errorf("deleted %v", gone)
		}
	})
	t.row("50/the end doesn't belong to it", func(t *testing.T) {
		b, times := past(t)
		list := subs(t, live, each, desc)
		list.UpdatesOnly = true
		c := b.subscribeWith(list, span(times[1], times[2]))
		if ns := c.toSync(); len(ns) > 0 {
			t.Errorf("updates_only: %v", ns)
		}
		if m := values(c.next()); m[desc] != "two" {
			t.Errorf("%v", m)
		}
		c.wantClosed(codes.OK)
	})
	t.row("50/a new entry has its defaults", func(t *testing.T) {
		b, _ := past(t)
		b.set("/interface[name=ge5]/unit[id=0]", `{}`)
		at := b.store.Last().Time
		list := subs(t, live, each, "/interface[name=ge5]")
		c := b.subscribeWith(list, span(at, at.Add(1)))
		c.toSync()
		if m := values(c.next()); m["/interface[name=ge5]/config/mru"] != "1518" || m["/interface[name=ge5]/unit[id=0]/config/enabled"] != "true" {
			t.Errorf("%v", m)
		}
	})
	t.row("50/refused", func(t *testing.T) {
		b, times := past(t)
		now := time.Now()
		for name, tc := range map[string]struct {
			list  *gnmi.SubscriptionList
			e     *gnmi_ext.Extension
			code  codes.Code
			parts string
		}{
			"a snapshot with STREAM": {subs(t, live, each, desc), snapshot(now), codes.InvalidArgument, "ONCE"},
			"a snapshot with POLL":   {subs(t, poll, each, desc), snapshot(now), codes.InvalidArgument, "ONCE"},
			"a range with ONCE":      {subs(t, once, each, desc), span(times[0], now), codes.InvalidArgument, "STREAM"},
			"a range with POLL":      {subs(t, poll, each, desc), span(times[0], now), codes.InvalidArgument, "STREAM"},
			"start after end":        {subs(t, live, each, desc), span(now, times[0]), codes.InvalidArgument, "after its end"},
			"a future snapshot":      {subs(t, once, each, desc), snapshot(now.Add(time.Hour)), codes.Unimplemented, "future"},
			"a future end":           {subs(t, live, each, desc), span(times[0], now.Add(time.Hour)), codes.Unimplemented, "future"},
			"neither":                {subs(t, once, each, desc), &gnmi_ext.Extension{Ext: &gnmi_ext.Extension_History{History: &gnmi_ext.History{}}}, codes.InvalidArgument, "needs"},
			"state":                  {subs(t, once, each, "/interface/state"), snapshot(now), codes.Unimplemented, "no history of state"},
		} {
			t.Run(name, func(t *testing.T) {
				b.subscribeWith(tc.list, tc.e).wantClosed(tc.code, tc.parts)
			})
		}
	})
}
