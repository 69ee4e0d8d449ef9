package datastore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// NewSchema ties the model's schema to the generated structs.
func NewSchema() (*tree.Schema, error) {
	return tree.NewSchema(gen.SchemaTree["Device"], &gen.Device{})
}

// Open takes the state directory, loads the stored configuration, checks all
// of it, and gives it to the applier. A torn end of the journal, left by a
// commit that was never acknowledged, is put aside and logged; other damage is
// an error that names the file and the cure.
func Open(ctx context.Context, opt Options) (_ *Store, err error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.now == nil {
		opt.now = time.Now
	}
	if opt.CompactAt == 0 {
		opt.CompactAt = 16 << 20
	}
	schema, err := NewSchema()
	if err != nil {
		return nil, fmt.Errorf("datastore: %w", err)
	}
	lock := opt.Lock
	if lock == nil {
		if lock, err = Lock(opt.Dir); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	s := &Store{opt: opt, log: opt.Log, schema: schema, lock: lock, candidate: &gen.Device{}, watchers: make(map[int]func(Event))}
	if opt.Flush {
		aside, err := flushDir(opt.Dir, opt.now())
		if err != nil {
			return nil, err
		}
		if aside != "" {
			s.log.Warn("configuration flushed, the old one is kept", "dir", aside)
		}
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.journal.close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.compactIfLarge()
	return s, nil
}

// load fills the candidate from the newest snapshot and the journals after it,
// and opens the newest journal.
func (s *Store) load() error {
	leftover, err := filepath.Glob(filepath.Join(s.opt.Dir, snapshotPrefix+"*.tmp"))
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	for _, f := range leftover {
		if err := removeIfThere(f); err != nil {
			return fmt.Errorf("state directory: unfinished snapshot: %w", err)
		}
	}
	snapshots, err := numbered(s.opt.Dir, snapshotPrefix)
	if err != nil {
		return err
	}
	if len(snapshots) > 0 {
		n := snapshots[len(snapshots)-1]
		c, config, err := readSnapshot(s.opt.Dir, n)
		if err != nil {
			return err
		}
		s.last, s.snapshot = c, int64(len(config))
		op := tree.Op{Kind: tree.Replace, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: config}}}
		if err := s.replay([]tree.Op{op}); err != nil {
			return fmt.Errorf("snapshot %s: %w", numberedPath(s.opt.Dir, snapshotPrefix, n), err)
		}
	}
	journals, err := numbered(s.opt.Dir, journalPrefix)
	if err != nil {
		return err
	}
	for i, n := range journals {
		if err := s.loadJournal(n, i == len(journals)-1); err != nil {
			return err
		}
	}
	if s.journal != nil {
		return nil
	}
	s.journal, err = createJournal(numberedPath(s.opt.Dir, journalPrefix, s.last.Number))
	return err
}

// loadJournal replays one journal; the newest is opened for appending.
func (s *Store) loadJournal(n uint64, newest bool) error {
	path := numberedPath(s.opt.Dir, journalPrefix, n)
	good, torn, err := scan(path, func(r *record) error {
		switch {
		case r.Number <= s.last.Number:
			return nil // the snapshot has it
		case r.Number != s.last.Number+1:
			return fmt.Errorf("commit %d follows commit %d: a file is missing: restore the state directory from a backup, "+
				"or start with --flush, which keeps it aside", r.Number, s.last.Number)
		}
		if err := s.replay(r.ops); err != nil {
			return fmt.Errorf("commit %d: %w", r.Number, err)
		}
		s.last = r.Commit
		return nil
	})
	if err != nil {
		return err
	}
	if len(torn) > 0 {
		if !newest {
			return fmt.Errorf("journal %s: damaged from offset %d on, with newer journals behind it: restore the file from a backup, "+
				"or start with --flush, which keeps it aside", path, good)
		}
		if err := s.keepTorn(path, torn, good); err != nil {
			return err
		}
	}
	if !newest {
		return nil
	}
	s.journal, err = openJournal(path, good)
	return err
}

// keepTorn puts the torn end of a journal aside before it is cut off.
func (s *Store) keepTorn(path string, torn []byte, offset int64) error {
	aside := filepath.Join(s.opt.Dir, fmt.Sprintf("torn-%d-%s", s.last.Number, s.opt.now().UTC().Format("20060102T150405.000000000Z")))
	if err := os.WriteFile(aside, torn, 0o600); err != nil {
		return fmt.Errorf("journal %s: keep its torn end: %w", path, err)
	}
	s.log.Warn("journal ends in an unfinished commit, cut off and kept", "file", path, "offset", offset, "octets", len(torn), "kept", aside, "commit", s.last.Number)
	return nil
}

// replay edits the candidate as a commit did that was once accepted.
func (s *Store) replay(ops []tree.Op) error {
	e := s.schema.Editor(s.candidate, func(tree.Path) {})
	for _, op := range ops {
		if errs := e.Apply(op); len(errs) > 0 {
			return fmt.Errorf("this version of the model refuses it: start the version that wrote it, or --flush: %w", errs[0])
		}
	}
	return nil
}

// start compiles the loaded configuration and puts it in place.
func (s *Store) start(ctx context.Context) error {
	s.compiled = models.NewCompiled()
	change, broken := s.compiled.Update(s.candidate, models.AllObjects(s.candidate))
	if len(broken) > 0 {
		return fmt.Errorf("stored configuration, commit %d: this version of the model refuses it (%d violations): "+
			"start the version that wrote it, or --flush: %w", s.last.Number, len(broken), broken[0])
	}
	if err := s.compiled.Commit(change); err != nil {
		return fmt.Errorf("stored configuration, commit %d: %w", s.last.Number, err)
	}
	s.running = &gen.Device{}
	s.schema.Copy(s.running, s.candidate, nil)
	if err := s.opt.Applier.Start(ctx, s.compiled.Intent()); err != nil {
		return fmt.Errorf("stored configuration, commit %d: %w", s.last.Number, err)
	}
	return nil
}
