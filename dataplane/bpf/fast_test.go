package bpf

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/cilium/ebpf"

	"router/internal/testnet"
	"router/intf"
)

func newTestFast(t *testing.T) *Fast {
	t.Helper()
	testnet.Require(t)
	f, err := NewFast(FastConfig{Space: 1 << 30, FlowSeed: 1, Log: slog.New(slog.DiscardHandler)})
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
	for _, name := range []string{"take"} {
		for _, frags := range buffers() {
			s, err := Load(Config{Attach: intf.Exclusive, Queues: 1, MaxFrame: 2000})
			if err != nil {
				t.Fatal(err)
			}
			s.fast = &fastPort{fast: f, record: 64, complete: true}
			prog, err := s.program(name, frags, nil)
			if err != nil {
				var v *ebpf.VerifierError
				if errors.As(err, &v) {
					t.Fatalf("%s: %+v", name, v)
				}
				t.Fatal(err)
			}
			info, _ := prog.Info()
			n, _ := info.VerifiedInstructions()
			sz, _ := info.JitedSize()
			t.Logf("%s frags %v: %d instructions verified, %d octets jited", name, frags, n, sz)
			_ = prog.Close()
			_ = s.Close()
		}
	}
}
