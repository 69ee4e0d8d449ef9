package datastore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// discards is the operation that makes so many static routes, of three leaves each.
func discards(instance string, routes int) tree.Op {
	var s strings.Builder
	fmt.Fprintf(&s, `{"routerd:instance":[{"name":%q,"static-route":[`, instance)
	for r := range routes {
		if r > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, `{"prefix":"%d.%d.%d.0/24","config":{"action":"discard","tag":%d}}`, 20+r>>16, r>>8&255, r&255, r)
	}
	s.WriteString(`]}]}`)
	return tree.Op{Kind: tree.Update, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(s.String())}}}
}

// TestCandidateTooLarge fills a candidate to its bound: what goes beyond is refused and
// leaves what was there, memory stays bounded, and the candidate can be committed. CANDIDATE_FULL=1
// does so with the bound that routerd has.
func TestCandidateTooLarge(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	s.maxChanges, s.maxTogether, s.syncAt = 24_000, 40_000, syncAt/24
	if os.Getenv("CANDIDATE_FULL") != "" {
		s.maxChanges, s.maxTogether, s.syncAt = maxChanges, 900_000, syncAt
	}
	ctx := context.Background()
	candidate := func(user string) *Candidate {
		t.Helper()
		c, _, err := s.OpenCandidate(Private, "", user, "test")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	changes := func(c *Candidate) int {
		t.Helper()
		list, err := c.Compare()
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := liveHeap()
	ann, bob := candidate("ann"), candidate("bob")
	most := s.maxChanges / 3 * 9 / 10
	if err := ann.Edit(ctx, Ops(discards("default", most))); err != nil {
		t.Fatal(err)
	}
	held := changes(ann)
	if held < 3*most || held > s.maxChanges {
		t.Fatalf("%d routes are %d changes", most, held)
	}
	for range 2 { // once when ann's changes lie on the tree, once when they have to be laid
		if err := ann.Edit(ctx, Ops(discards("red", s.maxChanges/3))); !errors.Is(err, ErrCandidateTooLarge) {
			t.Fatalf("beyond the bound: %v", err)
		}
		if got := changes(ann); got != held {
			t.Fatalf("after what was refused, it holds %d changes, not %d", got, held)
		}
		if got := changes(bob); got != 0 {
			t.Fatalf("the other candidate holds %d changes", got)
		}
	}
	if err := bob.Edit(ctx, Ops(discards("default", most))); !errors.Is(err, ErrCandidatesTooLarge) && 2*held > s.maxTogether {
		t.Fatalf("beyond the bound of all: %v", err)
	}
	grown := liveHeap() - before
	t.Logf("%d changes take %d MB, %d octets each", held, grown>>20, grown/int64(held))
	if each := grown / int64(held); each > 2000 {
		t.Errorf("a changed leaf takes %d octets", each)
	}
	if _, err := ann.Commit(ctx, Request{User: "ann"}); err != nil {
		t.Fatal(err)
	}
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
