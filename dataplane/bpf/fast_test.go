package bpf

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"router/internal/testnet"
	"router/intf"
	"router/vrf/epoch"
)

func newTestFast(t *testing.T) *Fast {
	t.Helper()
	testnet.Require(t)
	f, err := NewFast(FastConfig{Space: 1 << 30, FlowSeed: 1, Domain: epoch.New(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestProgramLoads(t *testing.T) {
	f := newTestFast(t)
	for _, filtering := range []bool{false, true} {
		f.filtering = filtering
		for _, frags := range []bool{false, true} {
			s, err := Load(Config{Attach: intf.Exclusive, Queues: 1, MaxFrame: 2000})
			if err != nil {
				t.Fatal(err)
			}
			s.fast = &fastPort{fast: f, record: 64, complete: true}
			start := time.Now()
			prog, err := s.program("take", frags, nil)
			if err != nil {
				var v *ebpf.VerifierError
				if errors.As(err, &v) {
					t.Fatalf("filters %v: %+v", filtering, v)
				}
				t.Fatal(err)
			}
			info, _ := prog.Info()
			n, _ := info.VerifiedInstructions()
			sz, _ := info.JitedSize()
			t.Logf("frags %v, filters %v: %d instructions verified, %d octets jited, loaded in %v", frags, filtering, n, sz, time.Since(start))
			// The verifier gives up at a million.
			if n > 500_000 {
				t.Errorf("filters %v: %d instructions verified: want at most 500,000", filtering, n)
			}
			_ = prog.Close()
			_ = s.Close()
		}
	}
}
