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

// TestForwardsAsLinuxDoes sends generated packets through our pipeline and
// through Linux. The seed is the same every time; DIFFERENTIAL_SEED names
// another one.
func TestForwardsAsLinuxDoes(t *testing.T) {
	testnet.Require(t)
	seed := uint64(1)
	if text := os.Getenv("DIFFERENTIAL_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	ours, theirs := newPipeline(t), newKernel(t)
	defer pin(t)()
	n := amount(t) / 2
	for _, family := range []struct {
		name string
		next func(*frames.Generator, []byte) []byte
	}{{"IPv4", (*frames.Generator).Next4}, {"IPv6", (*frames.Generator).Next6}} {
		// No subtest: another goroutine would not be pinned.
		g := frames.New(seed, world())
		var s score
		start := time.Now()
		var batch [batchLen][]byte
		for done := 0; done < n; done += batchLen {
			for i := range batch {
				batch[i] = family.next(g, batch[i][:0])
			}
			wait := ours.start(batch[:])
			them := theirs.forward(t, batch[:])
			us := wait(t)
			for i, f := range batch {
				s.add(&trial{f, them[i], us[i]})
			}
		}
		s.report(t, family.name, time.Since(start))
	}
}

// A score sums up trials.
type score struct {
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
	for _, d := range differences {
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
