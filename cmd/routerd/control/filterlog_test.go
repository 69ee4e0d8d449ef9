package control

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"router/dataplane"
	"router/dataplane/filter"
	"router/models"
)

// The log keeps the newest entries, each in the slot of the oldest, and tells
// watchers of each slot.
func TestFilterLog(t *testing.T) {
	r := &Router{}
	var mu sync.Mutex
	told := map[string]struct{}{}
	done := make(chan struct{})
	r.Watch(func(e Event) {
		if e.Object.Kind != models.FilterLog {
			t.Errorf("told of %v", e.Object)
		}
		mu.Lock()
		defer mu.Unlock()
		before := len(told)
		told[e.Object.Name] = struct{}{}
		if before < len(told) && len(told) == models.FilterLogSize {
			close(done)
		}
	})
	if _, ok := r.FilterLogEntry("1"); ok || len(r.FilterLogSlots()) != 0 {
		t.Error("an empty log has entries")
	}
	const more = 10
	for i := range models.FilterLogSize + more {
		r.LogFiltered(dataplane.LogRecord{
			Filter: "f", Term: "t", Hook: filter.Output, Verdict: filter.Discard, Policed: i%2 == 0, Length: uint16(i),
			Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), Protocol: []uint8{1, 17}[i%2], SrcPort: 8, DstPort: 53,
		})
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("not told of all slots")
	}
	slots := r.FilterLogSlots()
	if len(slots) != models.FilterLogSize || slots[0] != "11" || slots[len(slots)-1] != "10" {
		t.Fatalf("%d slots, %v to %v", len(slots), slots[0], slots[len(slots)-1])
	}
	first, _ := r.FilterLogEntry(slots[0])
	last, _ := r.FilterLogEntry(slots[len(slots)-1])
	if first.Number != more+1 || last.Number != models.FilterLogSize+more {
		t.Errorf("entries %d to %d", first.Number, last.Number)
	}
	if first.Verdict != models.VerdictPoliced || first.Ports || last.Verdict != models.VerdictDiscard || !last.Ports || last.DstPort != 53 {
		t.Errorf("entries are\n%+v\n%+v", first, last)
	}
	for _, bad := range []string{"0", "1025", "x", "-1"} {
		if _, ok := r.FilterLogEntry(bad); ok {
			t.Errorf("slot %s has an entry", bad)
		}
	}
}
