package e2e

import (
	"syscall"
	"testing"
)

// TestCountersGoOn restarts routerd under load in order, and kills it: counters go on
// from where they were, with what was forwarded meanwhile. Only the kill is a
// discontinuity, and drops begin anew with each.
func TestCountersGoOn(t *testing.T) {
	s := newStretch(t)
	leaves := []string{
		"/interface[name=ge0]/state/counters/in-unicast-pkts", "/interface[name=ge0]/unit[id=0]/state/counters/in-unicast-pkts",
		"/interface[name=ge1]/state/counters/out-unicast-pkts", "/interface[name=ge1]/unit[id=0]/state/counters/out-unicast-pkts",
	}
	read := func() (n []uint64) {
		for _, leaf := range leaves {
			n = append(n, s.number(t, leaf))
		}
		return n
	}
	const device, unit, drops = "/interface[name=ge0]/state/counters/discontinuity-time",
		"/interface[name=ge0]/unit[id=0]/state/counters/discontinuity-time", "/interface[name=ge0]/state/drops-discontinuity-time"
	anew := []string{device, unit, drops, "/interface[name=ge0]/unit[id=0]/family[type=inet]/state/counters/discontinuity-time", "/interface[name=ge0]/state/fast-path/discontinuity-time"}
	moments := func() map[string]uint64 {
		m := make(map[string]uint64)
		for _, leaf := range anew {
			m[leaf] = s.number(t, leaf)
		}
		return m
	}
	before := read()
	n := s.under(func() {
		was := moments()
		for _, how := range []syscall.Signal{syscall.SIGUSR2, syscall.SIGKILL, syscall.SIGUSR2} {
			_ = s.end(how)
			s.restarted()
			s.wait("msg=ready")
			now := moments()
			for _, leaf := range anew {
				goesOn := how == syscall.SIGUSR2 && (leaf == device || leaf == unit)
				if goesOn != (now[leaf] == was[leaf]) || now[leaf] < was[leaf] || was[leaf] == 0 {
					t.Errorf("%v: %s went from %d to %d", how, leaf, was[leaf], now[leaf])
				}
			}
			was = now
		}
	})
	after := read()
	// One packet in 100 ms reports the use of a neighbour, by the user path, whose last
	// counts a kill loses; pings and neighbours count as well.
	const slack = 500
	t.Log(n)
	for i, leaf := range leaves {
		if got := after[i] - before[i]; got+slack < n.sent || got > n.sent+slack {
			t.Errorf("%s went from %d to %d, by %d: %d packets passed", leaf, before[i], after[i], got, n.sent)
		}
	}

	// Cleared counters stay so.
	if out, code := s.rcli("clear", "counters", "interface", "ge0"); code != 0 {
		t.Fatal(out)
	}
	cleared := s.number(t, "/interface[name=ge0]/state/counters/last-clear")
	if got := moments(); got[device] != cleared || got[unit] != cleared || got[drops] != cleared {
		t.Errorf("cleared at %d: %v", cleared, got)
	}
	_ = s.end(syscall.SIGUSR2)
	s.restarted()
	s.wait("msg=ready")
	if got := s.number(t, device); got != cleared {
		t.Errorf("counters that were cleared at %d began at %d after a restart", cleared, got)
	}
	if got := s.number(t, leaves[0]); got > slack {
		t.Errorf("%s is %d after it was cleared", leaves[0], got)
	}
	if s.number(t, "/interface[name=ge0]/state/counters/last-clear") == 0 {
		t.Error("it is not known that ge0 was cleared")
	}
}
