package bpf

import (
	"os"
	"regexp"
	"strconv"
	"testing"

	"router/dataplane/layout"
	"router/vrf/fib"
)

// TestConstants: what layout.h calls by a number, Go calls by the same.
func TestConstants(t *testing.T) {
	text, err := os.ReadFile("layout.h")
	if err != nil {
		t.Fatal(err)
	}
	c := map[string]int{}
	for _, list := range regexp.MustCompile(`(?s)enum[^{]*\{(.*?)\}`).FindAllSubmatch(text, -1) {
		next := 0
		for _, m := range regexp.MustCompile(`([A-Z][A-Z0-9_]+)(?: = ([0-9]+))?`).FindAllSubmatch(regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAll(list[1], nil), -1) {
			if len(m[2]) > 0 {
				next, _ = strconv.Atoi(string(m[2]))
			}
			c[string(m[1])] = next
			next++
		}
	}
	for _, m := range regexp.MustCompile(`#define ([A-Z_]+) ([0-9]+)`).FindAllSubmatch(text, -1) {
		c[string(m[1])], _ = strconv.Atoi(string(m[2]))
	}
	for name, want := range map[string]int{
		"ENTRY_NEXT_HOPS": int(fib.EntryAt(layout.EntryNextHops)),
		"ENTRY_INSTANCES": int(fib.EntryAt(layout.EntryInstances)),
		"NEXT_HOP_UP":     layout.NextHopUp, "NEXT_HOP_FORWARD": layout.NextHopForward, "NEXT_HOP_DISCARD": layout.NextHopDiscard,
		"NEXT_HOP_LOOKUP": layout.NextHopLookup, "NEXT_HOP_INDIRECT": layout.NextHopIndirect, "NEXT_HOP_GROUP": layout.NextHopGroup,
		"EGRESS_NONE": layout.EgressNone, "EGRESS_ONE": layout.EgressOne, "EGRESS_MANY": layout.EgressMany,
		"FAMILY_UP": layout.FamilyUp, "FAMILY_REDIRECTS": layout.FamilyRedirects, "FAMILY_ASK_IN": layout.FamilyAskIn,
		"FAMILY_RPF_STRICT": layout.FamilyRPFStrict, "FAMILY_RPF_LOOSE": layout.FamilyRPFLoose,
		"NEIGHBOR_STALE": layout.NeighborStale, "OWN_MOST": layout.OwnMost,
	} {
		got, ok := c[name]
		if !ok || got != want {
			t.Errorf("%s is %d in C, %d in Go", name, got, want)
		}
		delete(c, name)
	}
	for name := range c {
		t.Errorf("%s stands in layout.h alone", name)
	}
}
