package dataplane

import "sync/atomic"

// A tally counts the packets of a route, whatever next hop records it has over
// time. Each worker has its share.
type tally struct {
	number uint32
	refs   int // records that count here; under Engine.mu
	shares []tallyShare
}

type tallyShare struct {
	packets, octets atomic.Uint64
	_               [48]byte // of a cache line
}

// count adds a packet of n octets to the share of a worker, which is the only
// one to write there. A nil tally counts nothing, and what is traced counts nowhere.
func (t *tally) count(worker int, n uint16) {
	if t == nil || worker == len(t.shares) { // a traced packet's
		return
	}
	s := &t.shares[worker]
	s.packets.Store(s.packets.Load() + 1)
	s.octets.Store(s.octets.Load() + uint64(n))
}

// holdTally finds or makes the tally of a number, nil for 0. The caller holds
// Engine.mu.
func (e *Engine) holdTally(number uint32) *tally {
	if number == 0 {
		return nil
	}
	t := e.tallies[number]
	if t == nil {
		t = &tally{number: number, shares: make([]tallyShare, len(e.workers))}
		e.tallies[number] = t
	}
	t.refs++
	return t
}

// dropTally gives back what holdTally returned. The caller holds Engine.mu.
func (e *Engine) dropTally(t *tally) {
	if t == nil {
		return
	}
	if t.refs--; t.refs == 0 {
		delete(e.tallies, t.number)
	}
}

// Tally is how many packets, and how many octets of them from the network-layer
// header on, went by next hops that count under a number
// ([routing.List]). It is zero when no next hop does.
func (e *Engine) Tally(number uint32) (packets, octets uint64) {
	e.mu.Lock()
	t := e.tallies[number]
	e.mu.Unlock()
	if t == nil {
		return 0, 0
	}
	for i := range t.shares {
		packets += t.shares[i].packets.Load()
		octets += t.shares[i].octets.Load()
	}
	return packets, octets
}
