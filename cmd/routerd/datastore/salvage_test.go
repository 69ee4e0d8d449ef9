package datastore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"router/cmd/routerd/datastore/journal"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// asIs takes nothing over.
type asIs struct{}

func (asIs) Base(*journal.Record) error   { return nil }
func (asIs) Replay(*journal.Record) error { return nil }

// storedBy makes a state directory as a version with another model has left it: each
// commit is made by this one, and stored with edits, pairs of equally long texts.
func storedBy(t *testing.T, edits []string, commits ...[]tree.Op) string {
	t.Helper()
	s := open(t, t.TempDir(), &fakeApplier{})
	dir := t.TempDir()
	j, _, err := journal.Open(journal.Options{Dir: dir}, asIs{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, ops := range commits {
		c, err := s.Commit(context.Background(), Request{User: "ann", Source: "gnmi", Ops: ops})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.journal.Read(c.Number)
		if err != nil {
			t.Fatal(err)
		}
		data := r.Delta.Bytes()
		for i := 0; i < len(edits); i += 2 {
			data = bytes.ReplaceAll(data, []byte(edits[i]), []byte(edits[i+1]))
		}
		if r.Delta, err = tree.ParseDelta(data); err != nil {
			t.Fatal(err)
		}
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// edge is a router with what protects it, and what refers to what.
func edge(t *testing.T) []tree.Op {
	return []tree.Op{
		update(t, "/system/config/hostname", `"edge"`),
		update(t, "/filter[name=guard]", `{"config":{"family":"inet"}, "term":[{"name":"ssh","config":{"name":"ssh"},
			"match":{"config":{"protocol":["tcp"],"destination-port":["33333"]}},"action":{"config":{"disposition":"discard"}}},
			{"name":"rest","config":{"name":"rest"},"action":{"config":{"disposition":"accept"}}}]}`),
		update(t, "/interface[name=ge0]", `{"config":{"description":"uplink","mru":7000},
			"unit":[{"id":"0","config":{"id":"0"},"vlan":{"config":{"outer-vlan-id":4001}},"family":[{"type":"inet","config":{"type":"inet"},
				"address":[{"prefix":"192.0.2.1/24","config":{"prefix":"192.0.2.1/24"}}],"filter":{"config":{"input":"guard"}}}]},
			{"id":"1","config":{"id":"1","description":"other"},"vlan":{"config":{"outer-vlan-id":4002}},"family":[{"type":"inet","config":{"type":"inet"},
				"address":[{"prefix":"198.51.100.1/24","config":{"prefix":"198.51.100.1/24"}}]}]}]}`),
		update(t, "/instance[name=default]/static-route[prefix=10.0.0.0/8]", `{"config":{"prefix":"10.0.0.0/8"},"next-hop":[{"index":0,"config":{"index":0,"interface":"ge0.0","gateway":"192.0.2.2"}}]}`),
		update(t, "/instance[name=default]/static-route[prefix=10.1.0.0/16]", `{"config":{"prefix":"10.1.0.0/16"},"next-hop":[{"index":0,"config":{"index":0,"gateway":"198.51.100.2"}}]}`),
	}
}

var salvages = []struct {
	name    string
	edits   []string
	leftOut []string // what is named
	gone    []string // texts of the configuration that are not in it any more
	kept    []string
}{
	{"a leaf that the model doesn't have", []string{"\x03mru", "\x03mrx"},
		[]string{"/interface[name=ge0]/config/mrx"}, []string{`"mru"`}, []string{`"uplink"`, "4001", `"guard"`, "10.0.0.0/8"}},
	{"a leaf of an interface out of its range", []string{"\x047000", "\x040007"},
		[]string{"/interface[name=ge0]/config/mru"}, []string{`"mru"`}, []string{`"uplink"`, `"guard"`, "10.0.0.0/8"}},
	{"a unit's VLAN out of range: the unit goes, and the route by it", []string{"4001", "5001"},
		[]string{"/interface[name=ge0]/unit[id=0]", "/instance[name=default]/static-route[prefix=10.0.0.0/8]"},
		[]string{"192.0.2.1/24", "10.0.0.0/8"}, []string{"198.51.100.1/24", "10.1.0.0/16", `"guard"`}},
	{"a filter's match: the filter goes, and the unit that it protects", []string{"33333", "99999"},
		[]string{"/filter[name=guard]", "/interface[name=ge0]/unit[id=0]", "/instance[name=default]/static-route[prefix=10.0.0.0/8]"},
		[]string{`"guard"`, "192.0.2.1/24", "10.0.0.0/8"}, []string{"198.51.100.1/24", "10.1.0.0/16", `"mru"`}},
	{"a rule that two units break", []string{"4002", "4001"},
		[]string{"/interface[name=ge0]/unit[id="}, nil, []string{`"uplink"`, `"mru"`}},
	{"a list that the model doesn't have", []string{"\x0cstatic-route", "\x0cstatik-route"},
		[]string{"/instance[name=default]/statik-route[prefix=10.0.0.0/8]"}, []string{"10.0.0.0/8"}, []string{"192.0.2.1/24", `"guard"`}},
}

// guards are sessions that keep packets away from the router, and one that doesn't, with their
// class.
const guards = `{"local-class":[{"name":"slow","config":{"name":"slow","rate":4321,"burst":77}}],"session":[
	{"name":"no-snmp","config":{"name":"no-snmp","consumer":"discard","protocol":"udp","local-port":16161,"remote-prefix":"10.99.0.0/16"}},
	{"name":"no-web","config":{"name":"no-web","consumer":"reject","protocol":"tcp","local-port":8080,"class":"slow"}},
	{"name":"ssh","config":{"name":"ssh","consumer":"host","protocol":"tcp","local-port":2222,"remote-prefix":"10.98.0.0/16"}}]}`

// TestSessionsFailClosed leaves out parts of sessions: what kept packets away still does, of more
// packets if need be, and what let them in lets no more in.
func TestSessionsFailClosed(t *testing.T) {
	for _, c := range []struct {
		name  string
		edits []string
		want  string // of the sessions, and the class
		named string
	}{
		{"a match leaf that the model doesn't have", []string{"\x0dremote-prefix", "\x0dremote-prefiy"},
			"no-snmp discard udp 16161 any; no-web reject tcp 8080 any slow; slow 4321 77", "/session[name=ssh] is left out"},
		{"a value of a match leaf of one that discards", []string{"10.99.0.0/16", "10.99.0.0/96"},
			"no-snmp discard udp 16161 any; no-web reject tcp 8080 any slow; ssh host tcp 2222 10.98.0.0/16; slow 4321 77", "/session[name=no-snmp]/config/remote-prefix is left out"},
		{"a match leaf of one that lets in takes it along", []string{"10.98.0.0/16", "10.98.0.0/96"},
			"no-snmp discard udp 16161 10.99.0.0/16; no-web reject tcp 8080 any slow; slow 4321 77", "/session[name=ssh] is left out"},
		{"a consumer that nobody knows discards", []string{"reject", "refuse"},
			"no-snmp discard udp 16161 10.99.0.0/16; no-web discard tcp 8080 any slow; ssh host tcp 2222 10.98.0.0/16; slow 4321 77", "/session[name=no-web]/config/consumer is left out"},
		{"a leaf of a class goes alone", []string{"\x04rate", "\x04rase"},
			"no-snmp discard udp 16161 10.99.0.0/16; no-web reject tcp 8080 any slow; ssh host tcp 2222 10.98.0.0/16; slow 0 77", "/local-class[name=slow]/config/rase is left out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := storedBy(t, c.edits, []tree.Op{update(t, "/system/config/hostname", `"first"`)}, []tree.Op{update(t, "/", guards)})
			s := open(t, dir, &fakeApplier{})
			if got := sessionsOf(s); got != c.want {
				t.Errorf("there is\n%s, want\n%s\nleft out: %q", got, c.want, s.Status().LeftOut)
			}
			if !strings.Contains(strings.Join(s.Status().LeftOut, " "), c.named) {
				t.Errorf("%s is not named: %q", c.named, s.Status().LeftOut)
			}
			s.Close()
			s = open(t, dir, &fakeApplier{})
			if got := sessionsOf(s); got != c.want || s.Status().LeftOut != nil {
				t.Errorf("after a restart there is\n%s, left out %q", got, s.Status().LeftOut)
			}
		})
	}
}

// sessionsOf are the sessions and classes of a store, in one line.
func sessionsOf(s *Store) string {
	var list []string
	s.View(func(d *gen.Device, _ Commit) {
		for _, name := range slices.Sorted(maps.Keys(d.Session)) {
			c := d.Session[name].Config
			text := func(p *string, none string) string {
				if p == nil {
					return none
				}
				return *p
			}
			consumer := map[gen.E_Routerd_SessionConsumer]string{gen.Routerd_SessionConsumer_discard: "discard", gen.Routerd_SessionConsumer_reject: "reject", gen.Routerd_SessionConsumer_host: "host"}[c.Consumer]
			list = append(list, strings.TrimSpace(fmt.Sprint(name, " ", consumer, " ", text(c.Protocol, ""), " ", *c.LocalPort, " ", text(c.RemotePrefix, "any"), " ", text(c.Class, ""))))
		}
		for _, name := range slices.Sorted(maps.Keys(d.LocalClass)) {
			c := d.LocalClass[name].Config
			rate := uint32(0)
			if c.Rate != nil {
				rate = *c.Rate
			}
			list = append(list, fmt.Sprint(name, " ", rate, " ", *c.Burst))
		}
	})
	return strings.Join(list, "; ")
}

func TestStartWithWhatTheModelRefuses(t *testing.T) {
	for _, c := range salvages {
		t.Run(c.name, func(t *testing.T) {
			first := []tree.Op{update(t, "/system/config/hostname", `"first"`)}
			dir := storedBy(t, c.edits, first, edge(t))
			s := open(t, dir, &fakeApplier{})
			told := strings.Join(s.Status().LeftOut, "\n")
			for _, want := range c.leftOut {
				if !strings.Contains(told, want) {
					t.Errorf("%s isn't named in\n%s", want, told)
				}
			}
			config := running(t, s)
			for _, text := range c.gone {
				if strings.Contains(config, text) {
					t.Errorf("%s is still in\n%s", text, config)
				}
			}
			for _, text := range append(c.kept, `"edge"`) {
				if !strings.Contains(config, text) {
					t.Errorf("%s is not in\n%s\nleft out:\n%s", text, config, told)
				}
			}
			if last := s.Last(); last.Number != 3 || last.Source != salvageSource {
				t.Errorf("the newest commit is %+v", last)
			}
			kept, err := filepath.Glob(filepath.Join(dir, "left-out-2-*"))
			if err != nil || len(kept) != 1 {
				t.Fatalf("what is left out is not kept: %v, %v", kept, err)
			}
			if text, err := os.ReadFile(kept[0]); err != nil || !strings.Contains(string(text), c.leftOut[0]) {
				t.Errorf("%v: kept is\n%s", err, text)
			}

			// Commits go on, a restart finds the same and has nothing to tell.
			hostname(t, s, 4)
			config = running(t, s)
			s.Close()
			s = open(t, dir, &fakeApplier{})
			if got := running(t, s); got != config || s.Status().LeftOut != nil || s.Last().Number != 4 {
				t.Errorf("after a restart: commit %d, left out %q, running\n%s\nwant\n%s", s.Last().Number, s.Status().LeftOut, got, config)
			}
			// To go back to what is refused is refused by name, to what was before isn't.
			var rejected *Rejected
			if _, err := s.Rollback(context.Background(), 2, Request{}); !errors.As(err, &rejected) {
				t.Errorf("rollback to what the model refuses: %v", err)
			}
			if _, err := s.Rollback(context.Background(), 1, Request{}); err != nil {
				t.Errorf("rollback to the commit before: %v", err)
			}
			if got := running(t, s); strings.Contains(got, "ge0") || !strings.Contains(got, "first") {
				t.Errorf("after the rollback, running is\n%s", got)
			}
			// A repaired object is not taken for the one that was refused.
			if _, err := s.Commit(context.Background(), Request{Ops: edge(t)}); err != nil {
				t.Fatal(err)
			}
			config = running(t, s)
			s.Close()
			if s = open(t, dir, &fakeApplier{}); running(t, s) != config || s.Status().LeftOut != nil {
				t.Errorf("after the repair and a restart: left out %q, running\n%s\nwant\n%s", s.Status().LeftOut, running(t, s), config)
			}
		})
	}
}

// A candidate is how an operator repairs: it can become the configuration before, too.
func TestCandidateBehindWhatTheModelRefuses(t *testing.T) {
	ctx := context.Background()
	dir := storedBy(t, []string{"\x03mru", "\x03mrx"}, []tree.Op{update(t, "/system/config/hostname", `"first"`)}, edge(t))
	s := open(t, dir, &fakeApplier{})
	c := openCandidate(t, s, Private, "ann")
	if err := c.Rollback(ctx, 1); err != nil {
		t.Errorf("rollback to the commit before: %v", err)
	}
	if err := c.Rollback(ctx, 2); err == nil {
		t.Error("rollback to what the model refuses is taken")
	}
}

func TestWhatALaterCommitMendsIsNotLeftOut(t *testing.T) {
	dir := storedBy(t, []string{"4001", "5001"}, edge(t),
		[]tree.Op{update(t, "/interface[name=ge0]/unit[id=0]/vlan/config/outer-vlan-id", `7`)})
	s := open(t, dir, &fakeApplier{})
	if s.Status().LeftOut != nil || s.Last().Number != 2 || !strings.Contains(running(t, s), `"192.0.2.1/24"`) {
		t.Errorf("commit %d, left out %q, running\n%s", s.Last().Number, s.Status().LeftOut, running(t, s))
	}
}

// TestSalvageOfAConfirmedCommit starts with a confirmed commit that waits and is refused in
// part: it still waits, and is taken back as a whole.
func TestSalvageOfAConfirmedCommit(t *testing.T) {
	ctx := context.Background()
	whole := open(t, t.TempDir(), &fakeApplier{})
	hostname(t, whole, 1)
	if _, err := whole.Commit(ctx, Request{Ops: edge(t), Confirm: &Confirm{ID: "trial"}}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	j, _, err := journal.Open(journal.Options{Dir: dir}, asIs{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(2) {
		r, err := whole.journal.Read(n + 1)
		if err != nil {
			t.Fatal(err)
		}
		if r.Delta, err = tree.ParseDelta(bytes.ReplaceAll(r.Delta.Bytes(), []byte("4001"), []byte("5001"))); err != nil {
			t.Fatal(err)
		}
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	for range 2 {
		s := open(t, dir, &fakeApplier{})
		if p, ok := s.Pending(); !ok || p.ID != "trial" {
			t.Fatalf("pending %+v, %t", p, ok)
		}
		if got := running(t, s); strings.Contains(got, "192.0.2.1/24") || !strings.Contains(got, "198.51.100.1/24") {
			t.Fatalf("running is\n%s", got)
		}
		s.Close()
	}
	s := open(t, dir, &fakeApplier{})
	if _, err := s.Cancel(ctx, "trial", "ann", "test"); err != nil {
		t.Fatal(err)
	}
	if got := running(t, s); got != hostnameConfig("h1") {
		t.Errorf("running is\n%s", got)
	}
}

// TestSalvageOnAFullDisk starts all the same, and makes the commit when there is room.
func TestSalvageOnAFullDisk(t *testing.T) {
	dir := storedBy(t, []string{"4001", "5001"}, edge(t))
	disk := &fullDisk{FS: journal.OS{}}
	disk.full = true
	s, err := Open(context.Background(), Options{Dir: dir, Applier: &fakeApplier{}, fs: disk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if len(s.Status().LeftOut) == 0 || s.Last().Number != 1 {
		t.Errorf("commit %d, left out %q", s.Last().Number, s.Status().LeftOut)
	}
	if _, err := s.Commit(context.Background(), Request{Ops: ops(t, 3)}); err == nil {
		t.Error("a commit is taken while the disk is full")
	}
	disk.full = false
	hostname(t, s, 3)
	config := running(t, s)
	s.Close()
	if s := open(t, dir, &fakeApplier{}); running(t, s) != config || s.Last().Number != 3 {
		t.Errorf("after a restart, commit %d:\n%s\nwant\n%s", s.Last().Number, running(t, s), config)
	}
}

// A fullDisk takes no more data while it is full.
type fullDisk struct {
	journal.FS
	full bool
}

type fullFile struct {
	journal.File
	disk *fullDisk
}

func (d *fullDisk) OpenFile(name string, flag int) (journal.File, error) {
	f, err := d.FS.OpenFile(name, flag)
	if err != nil {
		return nil, err
	}
	return &fullFile{f, d}, nil
}

func (f *fullFile) WriteAt(b []byte, off int64) (int, error) {
	if f.disk.full {
		return 0, errors.New("no space left on device")
	}
	return f.File.WriteAt(b, off)
}
