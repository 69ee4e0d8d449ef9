package datastore

import (
	"errors"

	"router/gen"
)

// compactIfLarge folds the journal into a snapshot when it has grown. Commits
// go on into a new journal while a copy of the configuration is written in the
// background. Until the snapshot is durable, the old files stay: a start reads
// all journals in order and passes over what the snapshot has. The caller holds s.mu.
func (s *Store) compactIfLarge() {
	if s.journal.size < max(s.opt.CompactAt, 2*s.snapshot) || s.broken != nil {
		return
	}
	c := s.Last()
	next, err := createJournal(numberedPath(s.opt.Dir, journalPrefix, c.Number))
	if err != nil {
		s.log.Error("journal is not compacted", "commit", c.Number, "err", err)
		return
	}
	old := s.journal
	s.journal = next
	if err := old.close(); err != nil {
		s.log.Warn("old journal not closed cleanly", "commit", c.Number, "err", err)
	}
	config := &gen.Device{}
	s.schema.Copy(config, s.candidate, nil)
	// Guesses the new snapshot's size until it is known, so that the next
	// compaction doesn't start before this one ends.
	s.snapshot = max(s.snapshot, old.size)
	s.compacting.Add(1)
	go func() {
		defer s.compacting.Done()
		size, err := s.compact(config, c)
		if err != nil {
			s.log.Error("journal is not compacted", "commit", c.Number, "err", err)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.snapshot = size
	}()
}

// compact writes the snapshot after commit c and removes what it replaces.
func (s *Store) compact(config *gen.Device, c Commit) (size int64, err error) {
	data, err := s.schema.Marshal(config)
	if err != nil {
		return 0, err
	}
	if err := writeSnapshot(s.opt.Dir, c, data); err != nil {
		return 0, err
	}
	var errs []error
	for _, prefix := range []string{snapshotPrefix, journalPrefix} {
		list, err := numbered(s.opt.Dir, prefix)
		errs = append(errs, err)
		for _, n := range list {
			if n < c.Number {
				errs = append(errs, removeIfThere(numberedPath(s.opt.Dir, prefix, n)))
			}
		}
	}
	return int64(len(data)), errors.Join(append(errs, syncDir(s.opt.Dir))...)
}
