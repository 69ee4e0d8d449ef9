package datastore

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// Readers see a commit whole or not at all, whatever the tree for edits, which
// shares most with what they read, is going through.
func TestReadersBesideCommits(t *testing.T) {
	s := open(t, t.TempDir(), &fakeApplier{})
	unit := func(id int, format string, args ...any) tree.Op {
		return update(t, fmt.Sprintf("/interface[name=ge0]/unit[id=%d]", id), format, args...)
	}
	both := func(n int) []tree.Op {
		return []tree.Op{unit(1, `{"config":{"description":"%d"},"vlan":{"config":{"outer-vlan-id":1}}}`, n), unit(2, `{"config":{"description":"%d"},"vlan":{"config":{"outer-vlan-id":2}}}`, n)}
	}
	mustCommit(t, s, both(0)...)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				s.View(func(d *gen.Device, c Commit) {
					said := func(id string) string { return *d.GetInterface("ge0").GetUnit(id).GetConfig().Description }
					one, two := said("1"), said("2")
					if one != two {
						t.Errorf("commit %d: one unit says %q, the other %q", c.Number, one, two)
					}
					if _, err := s.schema.Marshal(d); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
	ctx := context.Background()
	for n := range 200 {
		switch n % 4 {
		case 0: // refused: both have one VLAN
			if _, err := s.Commit(ctx, Request{Ops: append(both(-n), unit(2, `{"vlan":{"config":{"outer-vlan-id":1}}}`))}); err == nil {
				t.Fatal("two units have one VLAN")
			}
		case 1: // the list anew
			list := update(t, "/interface[name=ge0]/unit", `[{"id":"1","config":{"description":"%d"},"vlan":{"config":{"outer-vlan-id":1}}},{"id":"2","config":{"description":"%[1]d"},"vlan":{"config":{"outer-vlan-id":2}}}]`, n)
			list.Kind = tree.Replace
			mustCommit(t, s, list)
		case 2: // tried only
			if _, err := s.Commit(ctx, Request{DryRun: true, Ops: both(-n)}); err != nil {
				t.Fatal(err)
			}
		case 3:
			mustCommit(t, s, both(n)...)
		}
	}
	close(done)
	readers.Wait()
}
