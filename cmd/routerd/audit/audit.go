// Package audit keeps the record of calls of the management plane: the newest in
// memory, more in files of a bounded size.
//
// Invariant: [Log.Add] never waits. What can't be written is counted; secrets
// don't get here, since callers pass names of paths and no values.
//
// A record is a line of JSON. The newest file is audit.log, older ones are
// audit.log.1 to audit.log.4. Records are in the kernel's hands within moments,
// and on the disk within a second.
package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"router/cmd/routerd/watchers"
	"router/models"
)

const (
	fileName  = "audit.log"
	fileSize  = 8 << 20 // octets, from which on a file is set aside
	fileCount = 4       // files set aside that are kept
	queueSize = 1024    // records that wait to be written
	syncEvery = time.Second
	// gather is how long the writer waits for more records after one, unless half the queue is
	// full: a thousand calls a second need not wake it as often.
	gather = 10 * time.Millisecond
)

// Options say how a log is opened.
type Options struct {
	Dir string       // made if it isn't there
	Log *slog.Logger // nil for none

	fileSize int64 // 0: the constant
}

// A Log is an open audit log. Its methods are safe for concurrent use.
type Log struct {
	opt   Options
	log   *slog.Logger
	queue chan models.AuditRecord
	hurry chan struct{} // has room for one: the queue is half full
	done  chan struct{} // closed when the writer has ended
	lost  atomic.Uint64

	mu     sync.Mutex
	number uint64
	recent [models.AuditSize]models.AuditRecord // by number
	closed bool

	watchers watchers.List[uint64]

	// The writer's own.
	file  *os.File
	out   *bufio.Writer
	size  int64
	dirty bool // written since the last sync
	sick  bool // the last write failed, and was logged
}

// Open opens the log of a directory.
func Open(opt Options) (*Log, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.fileSize == 0 {
		opt.fileSize = fileSize
	}
	if err := os.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	l := &Log{opt: opt, log: opt.Log, queue: make(chan models.AuditRecord, queueSize), hurry: make(chan struct{}, 1), done: make(chan struct{})}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	go l.write()
	return l, nil
}

// Add takes a record down and returns its number, which it gives.
func (l *Log) Add(r models.AuditRecord) uint64 {
	l.mu.Lock()
	l.number++
	r.Number = l.number
	l.recent[r.Number%models.AuditSize] = r
	l.enqueue(r)
	l.mu.Unlock()
	l.tell(r.Number)
	return r.Number
}

// Finish says how a call, whose record r.Number Add gave, has ended.
func (l *Log) Finish(r models.AuditRecord) {
	l.mu.Lock()
	if at := &l.recent[r.Number%models.AuditSize]; at.Number == r.Number {
		*at = r
	}
	l.enqueue(r)
	l.mu.Unlock()
	l.tell(r.Number)
}

// enqueue passes a record to the writer, if there is room. l.mu is held.
func (l *Log) enqueue(r models.AuditRecord) {
	if l.closed {
		l.lost.Add(1)
		return
	}
	select {
	case l.queue <- r:
	default:
		l.lost.Add(1)
	}
	if len(l.queue) == queueSize/2 {
		l.wakeUp()
	}
}

// wakeUp has the writer wait for no more records.
func (l *Log) wakeUp() {
	select {
	case l.hurry <- struct{}{}:
	default:
	}
}

// Lost is how many records are not in the files.
func (l *Log) Lost() uint64 { return l.lost.Load() }

// Numbers lists the records that are in memory, the oldest first.
func (l *Log) Numbers() []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := uint64(1)
	if l.number > models.AuditSize {
		first = l.number - models.AuditSize + 1
	}
	list := make([]uint64, 0, models.AuditSize)
	for n := first; n <= l.number; n++ {
		list = append(list, n)
	}
	return list
}

// Record is a record in memory; ok is false for one that isn't there.
func (l *Log) Record(number uint64) (r models.AuditRecord, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r = l.recent[number%models.AuditSize]
	return r, number > 0 && r.Number == number
}

// Watch calls fn with the number of each record that is new or has changed, and
// of each that went out of memory, until stop is called. fn must not wait.
func (l *Log) Watch(fn func(number uint64)) (stop func()) { return l.watchers.Add(fn) }

func (l *Log) tell(number uint64) {
	l.watchers.Tell(number)
	if number > models.AuditSize {
		l.watchers.Tell(number - models.AuditSize)
	}
}

// Close writes what waits, and ends the log.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.queue)
	l.wakeUp()
	l.mu.Unlock()
	<-l.done
	if l.file == nil {
		return nil
	}
	return errors.Join(l.flush(), l.file.Sync(), l.file.Close())
}

func (l *Log) path(i int) string {
	name := filepath.Join(l.opt.Dir, fileName)
	if i > 0 {
		name += fmt.Sprintf(".%d", i)
	}
	return name
}

func (l *Log) open() error {
	f, err := os.OpenFile(l.path(0), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size, l.out = f, st.Size(), bufio.NewWriter(f)
	return nil
}

// write is the writer: it takes records until the queue is closed.
func (l *Log) write() {
	defer close(l.done)
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case r, ok := <-l.queue:
			if !ok {
				return
			}
			select {
			case <-l.hurry:
			case <-time.After(gather):
			}
			l.note(l.line(r))
			for range len(l.queue) {
				l.note(l.line(<-l.queue))
			}
			l.note(l.flush())
		case <-tick.C:
			if l.dirty && l.file != nil {
				l.dirty = false
				l.note(l.file.Sync())
			}
		}
	}
}

// note logs the first error of several in a row.
func (l *Log) note(err error) {
	if err != nil && !l.sick {
		l.log.Error("audit log can't be written; calls go on, and are counted in audit-lost", "err", err)
	}
	if err != nil {
		l.lost.Add(1)
	}
	l.sick = err != nil
}

// An entry is a record as it stands in the file.
type entry struct {
	Number   uint64   `json:"number"`
	Time     string   `json:"time"`
	User     string   `json:"user,omitempty"`
	Auth     string   `json:"authentication"`
	Source   string   `json:"source"`
	Method   string   `json:"method"`
	Paths    []string `json:"paths,omitempty"`
	Status   string   `json:"status"`
	Duration string   `json:"duration"`
}

func (l *Log) line(r models.AuditRecord) error {
	if l.file == nil || l.size > l.opt.fileSize {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	b, err := json.Marshal(entry{
		Number: r.Number, Time: r.Time.UTC().Format(time.RFC3339Nano), User: r.User, Auth: r.Auth.String(), Source: r.Source,
		Method: r.Method, Paths: r.Paths, Status: r.Status, Duration: r.Duration.String(),
	})
	if err != nil {
		return err
	}
	n, err := l.out.Write(append(b, '\n'))
	l.size += int64(n)
	l.dirty = true
	if err != nil {
		// A writer that failed stays failed: open the file anew for the next.
		l.abandon()
	}
	return err
}

func (l *Log) flush() error {
	if l.file == nil {
		return nil
	}
	err := l.out.Flush()
	if err != nil {
		l.abandon()
	}
	return err
}

func (l *Log) abandon() {
	// What it says now is no news.
	_ = l.file.Close()
	l.file = nil
	// When that fails too, the next record tries again.
	_ = l.open()
}

// rotate sets the file aside and begins another.
func (l *Log) rotate() error {
	if l.file == nil {
		return l.open()
	}
	if err := errors.Join(l.out.Flush(), l.file.Sync(), l.file.Close()); err != nil {
		l.file = nil
		return errors.Join(err, l.open())
	}
	l.file = nil
	for i := fileCount; i > 0; i-- {
		if err := os.Rename(l.path(i-1), l.path(i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return errors.Join(err, l.open())
		}
	}
	return l.open()
}
