package bpf

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"router/internal/testnet"
	"router/intf"
	"router/vrf/epoch"
)

func newTestFast(t testing.TB) *Fast {
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
		for _, frags := range buffers() {
			s, err := Load(Config{Attach: intf.Exclusive, Queues: 1, MaxFrame: 2000})
			if err != nil {
				t.Fatal(err)
			}
			s.fast = &fastPort{fast: f, record: 64, complete: true}
			prog, err := s.program("take", frags, nil)
			if err != nil {
				var v *ebpf.VerifierError
				if errors.As(err, &v) {
					t.Fatalf("filters %v: %+v", filtering, v)
				}
				t.Fatal(err)
			}
			info, err := prog.Info()
			if err != nil {
				t.Fatal(err)
			}
			limit := uint32(most)
			if filtering {
				limit = mostFiltering
			}
			n, ok := info.VerifiedInstructions()
			t.Logf("filters %v, several buffers %v: %d instructions", filtering, frags, n)
			if ok && n > limit {
				t.Errorf("several buffers %v, filters %v: the verifier looks at %d instructions, more than %d", frags, filtering, n, limit)
			}
			if err := errors.Join(prog.Close(), s.Close()); err != nil {
				t.Error(err)
			}
		}
	}
}

// most is how many instructions the verifier may look at: some 70 milliseconds
// for each device, whenever the tables grow.
const most = 140_000

// mostFiltering is how many with filters; the verifier gives up at a million.
const mostFiltering = 500_000

// TestGrowExchangesPrograms: when tables or counters need more memory, what stands
// in them stays, and the device's program is exchanged for one that reads the new.
func TestGrowExchangesPrograms(t *testing.T) {
	f := newTestFast(t)
	ns, peer := testnet.New(t, "fast"), testnet.New(t, "peer")
	testnet.Pair(t, testnet.End{In: ns, Name: "ge0"}, testnet.End{In: peer, Name: "eth0"})
	s, err := Load(Config{Attach: intf.Exclusive, Queues: 1, MaxFrame: 2000})
	if err != nil {
		t.Fatal(err)
	}
	attached := func() (id uint32) {
		return uint32(ns.Link(t, "ge0").Attrs().Xdp.ProgId)
	}
	ifindex := ns.Link(t, "ge0").Attrs().Index
	err = ns.Do(func() error {
		if err := s.Forward(f, 64, false); !errors.Is(err, ErrNoTaker) {
			t.Errorf("without a program it forwards: %v", err)
		}
		if err := s.AttachTake(ifindex, Native, false); err != nil {
			return err
		}
		plain := attached()
		if err := s.Forward(f, 64, false); err != nil {
			return err
		}
		last := attached()
		if last == plain || !f.Active(s) {
			t.Error("the program was not exchanged")
		}
		f.words[5000] = 77
		if err := f.Grow(4 * f.First()); err != nil {
			return err
		}
		if id := attached(); id == last {
			t.Error("the program reads the old tables")
		} else {
			last = id
		}
		f.words[4*f.First()-1] = 78 // the new end
		if f.words[5000] != 77 || f.size != 32*f.First() {
			t.Errorf("word 5000 is %d after growing to %d octets", f.words[5000], f.size)
		}
		place, err := f.NewTally()
		if err != nil {
			return err
		}
		f.tallies.mem[int(place)*tallyOctets/8] = 5
		for range firstTallies {
			if _, err := f.NewTally(); err != nil {
				return err
			}
		}
		if id := attached(); id == last {
			t.Error("the program counts in the old memory")
		}
		f.tallies.mem[int(place)*tallyOctets/8] += 2
		if sum := f.Tally(place); sum[0] != 7 {
			t.Errorf("5 and 2 packets are counted as %d", sum[0])
		}
		f.FreeTally(place)
		if again, err := f.NewTally(); err != nil || again != place || f.Tally(again) != ([16]uint64{}) {
			t.Errorf("place %d is given out again as %d with %v: %v", place, again, f.Tally(again), err)
		}
		// More than any program can address: the router works on without.
		if err := f.Grow(maxTables/8 + 1); err != nil {
			return err
		}
		if f.Active(s) || f.Off() == nil || attached() != plain {
			t.Errorf("tables of more than %d octets: forwards %v, because %v", maxTables, f.Active(s), f.Off())
		}
		if err := s.Forward(f, 64, false); err == nil {
			t.Error("it forwards by tables that no program can address")
		}
		return s.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFollow: what is retired comes back, but only after a grace period.
func TestFollow(t *testing.T) {
	f := newTestFast(t)
	f.active.Add(1)
	domain := epoch.New()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	started := domain.Readers()
	go func() { ended <- f.Follow(ctx, domain) }()
	for domain.Readers() == started {
		time.Sleep(time.Millisecond)
	}
	limbo := epoch.NewLimbo[int](domain)
	for i := range 3 {
		limbo.Retire(i)
		freed := 0
		for start := time.Now(); freed == 0; time.Sleep(time.Millisecond) {
			freed = limbo.Reclaim(func(int) {})
			if time.Since(start) > 10*time.Second {
				t.Fatal("nothing comes back")
			}
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if domain.Readers() != started {
		t.Error("the programs are still a reader")
	}
}

// TestGraceWithoutMembarrier: the other way to wait works as well.
func TestGraceWithoutMembarrier(t *testing.T) {
	testnet.Require(t)
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	g, err := graceByMap(inner)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.wait(); err != nil {
		t.Error(err)
	}
	if err := g.close(); err != nil {
		t.Error(err)
	}
}
