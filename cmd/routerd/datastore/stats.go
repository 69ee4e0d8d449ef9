package datastore

import (
	"errors"
	"sync"
	"time"
)

// Buckets are the upper bounds of the classes that Stats counts commits by.
var Buckets = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 10 * time.Second,
}

// Stats count what became of requests to commit since the start.
type Stats struct {
	Committed uint64 // those that changed nothing included
	Rejected  uint64 // that break the model
	Failed    uint64 // that could not be put in place, or not be made durable
	Took      time.Duration
	Within    [len(Buckets)]uint64 // of all of these, those that took no longer than each of Buckets
}

// stats gathers Stats.
type stats struct {
	mu sync.Mutex
	Stats
}

func (s *stats) note(took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rejected *Rejected
	switch {
	case err == nil:
		s.Committed++
	case errors.As(err, &rejected):
		s.Rejected++
	default:
		s.Failed++
	}
	s.Took += took
	for i, most := range Buckets {
		if took <= most {
			s.Within[i]++
		}
	}
}

// Stats counts the requests to commit so far.
func (s *Store) Stats() Stats {
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	return s.stats.Stats
}
