package differential

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"router/internal/frames"
	"router/internal/testnet"
	"router/intf"
)

// batchLen is how many packets are under way at once: with their marks, and all
// that comes of them, they fit the kernel's queue.
const batchLen = 64

// amount is how many packets to send, of each family half.
func amount(t *testing.T) int {
	t.Helper()
	text := os.Getenv("DIFFERENTIAL_PACKETS")
	switch {
	case text != "":
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("DIFFERENTIAL_PACKETS=%q: want a number of packets", text)
		}
		return n
	case testing.Short():
		return 10_000
	}
	return 100_000
}

// seed names the packets: the same ones every time, unless DIFFERENTIAL_SEED
// names others.
func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("DIFFERENTIAL_SEED")
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("DIFFERENTIAL_SEED=%q: want a number", text)
	}
	return n
}

var families = []struct {
	name string
	next func(*frames.Generator, []byte) []byte
}{{"IPv4", (*frames.Generator).Next4}, {"IPv6", (*frames.Generator).Next6}}

// TestForwardsAsLinuxDoes sends generated packets through our pipeline and
// through Linux.
func TestForwardsAsLinuxDoes(t *testing.T) {
	testnet.Require(t)
	ours, theirs := newPipeline(t, intf.RPFNone), newKernel(t, "0")
	defer pin(t)()
	for _, f := range families {
		// No subtest: another goroutine would not be pinned.
		compare(t, ours, theirs, f.name, frames.New(seed(t), world()), f.next, amount(t)/2, differences)
	}
}

// TestChecksSourcesAsLinuxDoes does so with the checks of sources that Linux has,
// for IPv4 only (rp_filter).
func TestChecksSourcesAsLinuxDoes(t *testing.T) {
	testnet.Require(t)
	for _, c := range []struct {
		check    intf.RPFCheck
		rpFilter string
	}{{intf.RPFStrict, "1"}, {intf.RPFLoose, "2"}} {
		t.Run(c.check.String(), func(t *testing.T) {
			ours, theirs := newPipeline(t, c.check), newKernel(t, c.rpFilter)
			defer pin(t)()
			w := world()
			// Sources from everywhere.
			w.Sources = append(append(w.Sources, w.Targets...), w.Targets...)
			compare(t, ours, theirs, "IPv4", frames.New(seed(t), w), (*frames.Generator).Next4, amount(t)/10, append(slices.Clone(differences), unchecked))
		})
	}
}

// compare sends n frames, and a few to fill the last batch, through both.
func compare(t *testing.T, ours *pipeline, theirs *kernel, family string, g *frames.Generator, next func(*frames.Generator, []byte) []byte, n int, allowed []difference) {
	t.Helper()
	s := score{allowed: allowed}
	start := time.Now()
	var batch [batchLen][]byte
	for done := 0; done < n; done += batchLen {
		for i := range batch {
			batch[i] = next(g, batch[i][:0])
		}
		wait := ours.start(batch[:])
		them := theirs.forward(t, batch[:])
		us := wait(t)
		for i, f := range batch {
			s.add(&trial{f, them[i], us[i]})
		}
	}
	s.report(t, family, time.Since(start))
}

// A score sums up trials.
type score struct {
	allowed     []difference
	sent, equal int
	silent      int // of the equal ones: nothing came out
	errors      int // of the equal ones: an ICMP error
	named       map[string]int
	unnamed     map[string]int
	examples    map[string][]string
}

func (s *score) add(c *trial) {
	s.sent++
	if c.equal() {
		s.equal++
		switch {
		case len(c.ours) == 0:
			s.silent++
		case reports(c.ours) != nil:
			s.errors++
		}
		return
	}
	if s.named == nil {
		s.named, s.unnamed, s.examples = map[string]int{}, map[string]int{}, map[string][]string{}
	}
	for _, d := range s.allowed {
		if d.is(c) {
			s.named[d.name]++
			return
		}
	}
	what := fmt.Sprintf("Linux: %s; ours: %s", kind(c.theirs), kind(c.ours))
	s.unnamed[what]++
	if len(s.examples[what]) < 3 {
		s.examples[what] = append(s.examples[what], c.String())
	}
}

func (s *score) report(t *testing.T, family string, took time.Duration) {
	t.Helper()
	t.Logf("%s: %d packets in %.1f s: %d equal (%d forwarded, %d ICMP errors, %d silently dropped)", family, s.sent,
		took.Seconds(), s.equal, s.equal-s.errors-s.silent, s.errors, s.silent)
	for _, name := range slices.Sorted(maps.Keys(s.named)) {
		t.Logf("%s: %7d differ by %q", family, s.named[name], name)
	}
	byCount := func(a, b string) int { return cmp.Or(cmp.Compare(s.unnamed[b], s.unnamed[a]), cmp.Compare(a, b)) }
	for _, what := range slices.SortedFunc(maps.Keys(s.unnamed), byCount) {
		t.Errorf("%s: %d differ without a name: %s", family, s.unnamed[what], what)
		for _, example := range s.examples[what] {
			t.Log(example)
		}
	}
}
