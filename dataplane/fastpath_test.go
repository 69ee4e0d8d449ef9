package dataplane

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"router/dataplane/filter"
	"router/dataplane/layout"
	"router/intf"
	"router/vrf/fib"
)

// judge is FastFilters that have no room, and hold something until they are asked
// to let it go.
type judge struct{ held int }

func (*judge) HoldFilter(*filter.Bound) uint32  { return layout.AskFilter }
func (j *judge) ReleaseFilter(*filter.Bound)    { j.held++ }
func (*judge) FilterReason(*filter.Bound) error { return errors.New("no room") }
func (*judge) FilterWord() *filter.Word         { return nil }
func (j *judge) ReclaimFilters() (more bool) {
	j.held = max(0, j.held-1)
	return j.held > 0
}

// TestFastReason: what the fast path has no room for is told, is the user path's, and is
// written down when there is room.
func TestFastReason(t *testing.T) {
	c := worldConfig()
	arena, err := fib.NewHeapArena(64<<10, c.Domain)
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{}
	c.Arena, c.Tallies, c.Filters = arena, &places{}, j
	x := newWorld(t, c)
	reason := func(i intf.Index, f intf.Family) string { return x.e.FastReason(i, f) }
	if why := reason(unitA, intf.Inet) + reason(unitA, intf.Inet6); why != "" || x.e.FastCrowded() {
		t.Fatalf("a plain unit: %q, no room %v", why, x.e.FastCrowded())
	}

	// More addresses than are compared.
	var many []string
	for i := range layout.OwnMost + 1 {
		many = append(many, fmt.Sprintf("192.0.2.%d", 1+i))
	}
	set := func(u Unit) {
		tx := x.e.Edit()
		tx.SetUnit(u)
		tx.Commit()
	}
	set(x.unit(unitA, "a", nil, routerA, 0, 1500, many...))
	if why := reason(unitA, intf.Inet); !strings.Contains(why, "more than 32 addresses") || reason(unitA, intf.Inet6) != "" {
		t.Errorf("with 33 addresses: %q, %q", why, reason(unitA, intf.Inet6))
	}

	// A filter.
	u := x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1")
	u.Families[intf.Inet6].Filters[filter.Output] = &filter.Bound{}
	set(u)
	if why := reason(unitA, intf.Inet6); why != "filter at output: no room" || reason(unitA, intf.Inet) != "" {
		t.Errorf("with a filter: %q, %q", why, reason(unitA, intf.Inet))
	}
	set(x.unit(unitA, "a", nil, routerA, 0, 1500, "192.0.2.1"))
	if j.held == 0 || x.e.ReclaimFast() {
		t.Errorf("%d filters are held back still", j.held)
	}

	// No room at all, and room again.
	var hold []uint32
	for _, n := range []int{64, 8} {
		for at, err := arena.Alloc(n); err == nil; at, err = arena.Alloc(n) {
			if n == 64 {
				hold = append(hold, at)
			}
		}
	}
	for i := range 64 {
		set(x.numberedUnit(i))
	}
	last := intf.Index(1063)
	if why := reason(last, intf.Inet); !strings.Contains(why, "no room") || !x.e.FastCrowded() {
		t.Fatalf("with full tables: %q, no room %v", why, !x.e.FastCrowded())
	}
	for _, at := range hold {
		arena.Retire(at, 64)
	}
	arena.Reclaim()
	x.e.RetryFast()
	if why := reason(last, intf.Inet); why != "" || x.e.FastCrowded() {
		t.Errorf("with room again: %q, no room %v", why, x.e.FastCrowded())
	}
	(&edits{world: x}).compare()
}
