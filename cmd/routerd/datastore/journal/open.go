package journal

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"
)

// A Loader takes over what Open reads.
type Loader interface {
	// Base begins with a snapshot's configuration, or the empty one for nil. It
	// is called once.
	Base(*Record) error
	// Replay goes on with a record that follows. An error ends Open.
	Replay(*Record) error
}

// Found is what Open read.
type Found struct {
	Last     Commit // the newest good commit
	Snapshot int64  // octets of the newest good snapshot, 0 for none
	// Damage says, in a sentence each, what could not be read and where it was
	// put aside. What a crash leaves at the end of a journal is no damage.
	Damage []string
}

// Open reads the directory into l: the newest good snapshot, and the records
// behind it as far as they are whole and follow each other. What comes behind is put aside. A
// directory that can't be written is read all the same; then Append fails until it can.
func Open(opt Options, l Loader) (*Journal, *Found, error) {
	if opt.FS == nil {
		opt.FS = OS{}
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Keep == 0 {
		opt.Keep = 200
	}
	o := opener{Journal: &Journal{opt: opt}, load: l, found: &Found{}}
	if err := o.snapshot(); err != nil {
		return nil, nil, err
	}
	if err := o.journals(); err != nil {
		return nil, nil, err
	}
	return o.Journal, o.found, nil
}

// An opener is one run of Open.
type opener struct {
	*Journal
	load  Loader
	found *Found
}

func (o *opener) damage(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	o.found.Damage = append(o.found.Damage, text)
	o.opt.Log.Error("the state directory is damaged", "damage", text)
}

// aside has a file renamed out of the way before anything is written, and says
// where it is then.
func (o *opener) aside(path string) string {
	dir, name := filepath.Split(path)
	to := filepath.Join(dir, "damaged-"+name+"-"+o.opt.Now().UTC().Format(timeFormat))
	o.repairs = append(o.repairs, func() error {
		if err := o.opt.FS.Rename(path, to); err != nil && !isAbsent(err) {
			return err
		}
		return o.opt.FS.SyncDir(o.opt.Dir)
	})
	return "kept as " + to
}

// snapshot loads the newest snapshot that can be read.
func (o *opener) snapshot() error {
	fsys, dir := o.opt.FS, o.opt.Dir
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, tmpSuffix) && (strings.HasPrefix(name, snapshotPrefix) || name == rescueName+tmpSuffix) {
			if err := removeIfThere(fsys, filepath.Join(dir, name)); err != nil {
				o.opt.Log.Warn("an unfinished file remains", "file", name, "err", err)
			}
		}
	}
	snapshots, err := numbered(fsys, dir, snapshotPrefix)
	if err != nil {
		return err
	}
	for i := len(snapshots) - 1; i >= 0; i-- {
		path := numberedPath(dir, snapshotPrefix, snapshots[i])
		r, err := readWhole(fsys, path)
		if err == nil && r.Number != snapshots[i] {
			err = fmt.Errorf("holds commit %d", r.Number)
		}
		if err != nil {
			o.damage("snapshot %s can't be read (%v): an older one is used; %s", path, err, o.aside(path))
			continue
		}
		o.found.Last = r.Commit
		o.found.Snapshot = int64(len(r.Delta.Bytes()))
		if err := o.load.Base(r); err != nil {
			return fmt.Errorf("snapshot %s: %w", path, err)
		}
		return nil
	}
	return o.noSnapshot()
}

// noSnapshot begins where there is no snapshot: at the very first journal, or
// if that is gone with the rescue configuration.
func (o *opener) noSnapshot() error {
	journals, err := numbered(o.opt.FS, o.opt.Dir, journalPrefix)
	if err != nil {
		return err
	}
	fresh := len(journals) == 0 && len(o.found.Damage) == 0
	if fresh || len(journals) > 0 && journals[0] == 0 {
		return o.load.Base(nil)
	}
	r, err := o.ReadRescue()
	if err != nil {
		o.damage("no snapshot is left: the router starts with an empty configuration, because no rescue configuration can be read either (%v)", err)
		return o.load.Base(nil)
	}
	o.damage("no snapshot is left: the router starts with the rescue configuration, which was saved after commit %d", r.Number)
	o.found.Last = r.Commit
	if err := o.load.Base(r); err != nil {
		return fmt.Errorf("rescue configuration: %w", err)
	}
	return nil
}

// journals replays all journals, and opens the newest for appending.
func (o *opener) journals() error {
	list, err := numbered(o.opt.FS, o.opt.Dir, journalPrefix)
	if err != nil {
		return err
	}
	o.start = o.found.Last.Number
	for i, n := range list {
		whole, err := o.journal(n, i == len(list)-1)
		if err != nil {
			return err
		}
		o.start = n
		if whole {
			continue
		}
		for _, later := range list[i+1:] {
			path := numberedPath(o.opt.Dir, journalPrefix, later)
			o.damage("journal %s follows a damaged one and is not read: commits behind %d are lost; %s", path, o.found.Last.Number, o.aside(path))
		}
		break
	}
	if n := o.found.Last.Number; len(o.history) > 0 && o.history[len(o.history)-1].Number != n {
		o.history = nil // it ends before what a snapshot goes on from
	}
	o.path = numberedPath(o.opt.Dir, journalPrefix, o.start)
	o.doubt = errors.New("not opened yet")
	if err := o.settle(); err != nil {
		o.opt.Log.Error("commits are refused until the state directory can be written", "err", err)
	}
	return nil
}

// journal replays one journal and reports whether all of it was good; what
// was not is put aside. o.size is the size of its good part.
func (o *opener) journal(n uint64, newest bool) (whole bool, err error) {
	path := numberedPath(o.opt.Dir, journalPrefix, n)
	data, err := o.opt.FS.ReadFile(path)
	if err != nil {
		if isAbsent(err) {
			return true, nil
		}
		o.size = 0
		o.damage("journal %s can't be read (%v): the router starts with commit %d, the newest good one; %s", path, err, o.found.Last.Number, o.aside(path))
		return false, nil
	}
	off := 0
	for off < len(data) {
		// What the snapshot has needs no replay, but its place is noted.
		old := false
		if _, number, ok := goodHeader(data[off:]); ok {
			old = number <= o.found.Last.Number
		}
		r, size, bad := readFrame(data[off:], !old)
		if bad == nil && !old && (r.Kind != Committed || r.Number != o.found.Last.Number+1) {
			bad = fmt.Errorf("commit %d follows commit %d", r.Number, o.found.Last.Number)
		}
		if bad != nil {
			if next, ok := o.resume(data[off+1:]); ok {
				o.damage("journal %s is damaged from offset %d to %d (%v): the configuration is not concerned, but the log begins behind", path, off, off+1+next, bad)
				o.history = nil
				off += 1 + next
				continue
			}
			o.size = int64(off)
			o.cutOff(path, data[off:], int64(off), bad, newest)
			return false, nil
		}
		if err := o.take(r, entry{Commit: r.Commit, file: n, off: int64(off), size: size}, old); err != nil {
			return false, fmt.Errorf("journal %s, offset %d: %w", path, off, err)
		}
		off += size
	}
	o.size = int64(off)
	return true, nil
}

// take hands a good record on.
func (o *opener) take(r *Record, e entry, old bool) error {
	if r.Kind == Committed && r.Ops == nil {
		o.note(e)
	}
	switch {
	case old && (r.Kind == Committed || r.Number < o.found.Last.Number):
		return nil // the snapshot has it
	case r.Kind == Committed:
		o.found.Last = r.Commit
	}
	if err := o.load.Replay(r); err != nil {
		return fmt.Errorf("commit %d: %w", r.Number, err)
	}
	return nil
}

// resume finds, behind damage, a frame from which on the journal can be read
// without a loss: one that the snapshot has, or the very next.
func (o *opener) resume(b []byte) (offset int, ok bool) {
	for off := 0; ; {
		next := nextFrame(b[off:])
		if next < 0 {
			return 0, false
		}
		off += next
		r, _, err := readFrame(b[off:], true)
		if err == nil {
			last := o.found.Last.Number
			return off, r.Number <= last || r.Number == last+1 && r.Kind == Committed
		}
		off++
	}
}

// cutOff has the end of a journal put aside before it is cut off. The end that a
// crash leaves is told from damage: it is the newest journal's, and it is short.
func (o *opener) cutOff(path string, rest []byte, off int64, bad error, newest bool) {
	torn := newest && errors.Is(bad, errShortFrame)
	name := "damaged-" + filepath.Base(path)
	if torn {
		name = "torn"
	}
	aside := filepath.Join(o.opt.Dir, fmt.Sprintf("%s-%d-%s", name, o.found.Last.Number, o.opt.Now().UTC().Format(timeFormat)))
	o.repairs = append(o.repairs, func() error { return writeWhole(o.opt.FS, o.opt.Dir, aside, rest) })
	if torn {
		o.opt.Log.Warn("journal ends in an unfinished commit, cut off and kept", "file", path, "offset", off, "octets", len(rest), "commit", o.found.Last.Number, "kept", aside)
		return
	}
	lost := "what came behind is lost"
	if newest && nextFrame(rest[1:]) < 0 {
		lost = "the one commit behind is damaged, or was under way when the machine crashed"
	}
	o.damage("journal %s can't be read from offset %d on (%v): the router starts with commit %d, the newest good one; %s; kept as %s",
		path, off, bad, o.found.Last.Number, lost, aside)
}
