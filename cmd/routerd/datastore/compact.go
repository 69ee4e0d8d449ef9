package datastore

import (
	"router/cmd/routerd/datastore/journal"
	"router/gen"
)

// compactIfLarge folds the journal into a snapshot when it has grown. Commits
// go on into a new journal while the snapshot is written in the background.
// Until it is durable, the old files stay: a start reads all journals in order and passes over
// what the snapshot has. The caller holds s.mu.
func (s *Store) compactIfLarge() {
	size := s.journal.Size()
	// A pending commit is taken back by its own record: it stays with what is replayed.
	if size < max(s.compactAt, 2*s.snapshot) || s.broken != nil || s.pending != nil {
		return
	}
	c := s.Last()
	if err := s.journal.Rotate(c.Number); err != nil {
		// Not at each commit, lest a full disk makes them slow.
		s.compactAt = size + s.opt.CompactAt/4
		s.log.Error("journal is not compacted", "commit", c.Number, "err", err)
		return
	}
	s.compactAt = s.opt.CompactAt
	r := &journal.Record{Kind: journal.Snapshot, Commit: c, Delta: s.schema.Compare(&gen.Device{}, s.candidate)}
	// Guesses the new snapshot's size until it is known, so that the next
	// compaction doesn't start before this one ends.
	s.snapshot = max(s.snapshot, size)
	s.compacting.Add(1)
	go func() {
		defer s.compacting.Done()
		size, err := s.journal.WriteSnapshot(r)
		if err != nil {
			s.log.Error("journal is not compacted", "commit", c.Number, "err", err)
		}
		if size == 0 {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.snapshot = size
	}()
}
