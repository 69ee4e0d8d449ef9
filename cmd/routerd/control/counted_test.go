package control

import (
	"slices"
	"testing"

	"router/dataplane/bpf"
	"router/dataplane/layout"
	"router/models"
)

// book is a Ledger.
type book struct {
	page  []string // put since Written
	whole []string // what was, the last time
}

func (b *book) Put(c bpf.Counted) error {
	b.page = append(b.page, c.Name)
	return nil
}

func (b *book) Written() error {
	slices.Sort(b.page)
	b.page, b.whole = nil, b.page
	return nil
}

func (b *book) Take(func(bpf.Counted, [layout.TallyWords]uint64, func(string) bool)) error {
	return nil
}

// TestCountersOfWhatIsThere: all that is there is written down at once, and what has
// gone no more.
func TestCountersOfWhatIsThere(t *testing.T) {
	l := newLab(t)
	b := &book{}
	l.router.ledger = b
	l.plug("ge0", 1)
	l.plug("ge1", 2)
	l.mustCommit(func(in *models.Intent) {
		unitOf(in, "ge0", "default", "192.0.2.1/24")
		unitOf(in, "ge1", "default", "198.51.100.1/24")
	})
	written := func(want ...string) {
		t.Helper()
		l.router.mu.Lock()
		defer l.router.mu.Unlock()
		l.router.keepCounts(false)
		if !slices.Equal(b.whole, want) {
			t.Errorf("written %v, want %v", b.whole, want)
		}
	}
	written("ge0", "ge0.0", "ge1", "ge1.0")
	l.mustCommit(func(in *models.Intent) {
		for k := range in.Units {
			if k.Device == "ge1" {
				delete(in.Units, k)
			}
		}
	})
	written("ge0", "ge0.0", "ge1")
	l.mustCommit(func(in *models.Intent) { delete(in.Devices, "ge1") })
	written("ge0", "ge0.0")
}
