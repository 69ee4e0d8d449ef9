package judge

import (
	"testing"

	"router/dataplane/bpf/filters"
	"router/internal/testnet"
	"router/vrf/epoch"
)

// The kernel's verifier gives up at a million instructions, and the fast path has others
// besides.
func TestVerifierHasLittleToDo(t *testing.T) {
	testnet.Require(t)
	s, err := filters.New(epoch.New(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	j, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	if n := j.Verified(); n > 400_000 {
		t.Errorf("%d instructions were verified: want at most 400,000", n)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
