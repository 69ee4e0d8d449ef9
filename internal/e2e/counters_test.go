package e2e

import (
	"syscall"
	"testing"
)

// TestCountersGoOn restarts routerd under load in order, and kills it: counters go on
// from where they were, with what was forwarded meanwhile.
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
	before := read()
	n := s.under(func() {
		for _, how := range []syscall.Signal{syscall.SIGUSR2, syscall.SIGKILL, syscall.SIGUSR2} {
			_ = s.end(how)
			s.restarted()
			s.wait("msg=ready")
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
	_ = s.end(syscall.SIGUSR2)
	s.restarted()
	s.wait("msg=ready")
	if got := s.number(t, leaves[0]); got > slack {
		t.Errorf("%s is %d after it was cleared", leaves[0], got)
	}
	if s.number(t, "/interface[name=ge0]/state/counters/last-clear") == 0 {
		t.Error("it is not known that ge0 was cleared")
	}
}
