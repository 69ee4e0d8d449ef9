// Package logs says where the router's log goes: to standard error or a file,
// as text or JSON, and to syslog servers.
//
// Invariant: writing a record never waits for a server or a network. What a
// server doesn't take in time waits in a queue of bounded length, and what has
// no room there is dropped and counted.
//
// Source: RFC 5424 (the message), RFC 5425 (TLS), RFC 5426 (UDP), RFC 6587
// (octet counting on TCP); sd-daemon(3) for the prefixes that systemd reads.
package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
)

// A Format is how a record is written to standard error or the file.
type Format string

// The formats.
const (
	Text Format = "text" // key=value, as slog.TextHandler has it
	JSON Format = "json" // an object a line
)

// Options say where the log goes on this machine.
type Options struct {
	Level  slog.Level
	Format Format
	// File is the path of the log file; empty for Stderr. It is opened to append,
	// with mode 0640.
	File   string
	Stderr io.Writer
	// Journal says that Stderr leads to systemd's journal: each line gets its
	// priority in front, <3> to <7>, and no time, which the journal has.
	Journal bool
}

// A Log is a router's log. Its methods are safe for concurrent use.
type Log struct {
	*Remotes
	local slog.Handler
	ring  *ring
	file  *file // nil for standard error
}

// New opens the log. The error says what is wrong with the file.
func New(opt Options) (*Log, error) {
	l := &Log{ring: &ring{}}
	out := opt.Stderr
	if opt.File != "" {
		f, err := openFile(opt.File)
		if err != nil {
			return nil, err
		}
		l.file, out = f, f
	}
	if opt.Journal && opt.File == "" {
		l.local = newJournal(out, opt.Level, opt.Format)
	} else {
		l.local = newHandler(out, opt.Level, opt.Format, nil)
	}
	l.Remotes = newRemotes(slog.New(l.local))
	return l, nil
}

func newHandler(out io.Writer, level slog.Level, format Format, replace func([]string, slog.Attr) slog.Attr) slog.Handler {
	opt := &slog.HandlerOptions{Level: level, ReplaceAttr: replace}
	switch format {
	case JSON:
		return slog.NewJSONHandler(out, opt)
	case Text:
	}
	return slog.NewTextHandler(out, opt)
}

// Handler is where records go in: here and to all syslog servers.
func (l *Log) Handler() slog.Handler {
	return &fanout{local: l.local, ring: l.ring, remotes: l.Remotes}
}

// Reopen opens the log file anew under its name, after another program has
// renamed it (logrotate). When that fails, the old one goes on. Without a file it
// does nothing.
func (l *Log) Reopen() error {
	if l.file == nil {
		return nil
	}
	return l.file.reopen()
}

// Close gives servers a moment to take what is queued, and closes the file.
func (l *Log) Close() error {
	l.Remotes.close()
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// A file is a log file that can be opened anew.
type file struct {
	path string
	mu   sync.Mutex
	f    *os.File
}

func openFile(path string) (*file, error) {
	f, err := openAppend(path)
	if err != nil {
		return nil, err
	}
	return &file{path: path, f: f}, nil
}

func openAppend(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("log file: %w (log-file names another; without it the log goes to standard error)", err)
	}
	return f, nil
}

// Write implements io.Writer.
func (f *file) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Write(b)
}

func (f *file) reopen() error {
	fresh, err := openAppend(f.path)
	if err != nil {
		return err
	}
	f.mu.Lock()
	old := f.f
	f.f = fresh
	f.mu.Unlock()
	return old.Close()
}

// Close implements io.Closer.
func (f *file) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.f.Close()
}

// A fanout hands records to the local handler, to the ring and to the servers. It keeps the
// attributes that it was made with in the form that syslog wants: flat, the names
// of groups in front.
type fanout struct {
	local   slog.Handler
	ring    *ring
	remotes *Remotes
	attrs   []pair
	group   string
}

// A pair is an attribute as structured data has it.
type pair struct{ key, value string }

// Enabled implements slog.Handler.
func (f *fanout) Enabled(ctx context.Context, level slog.Level) bool {
	return f.local.Enabled(ctx, level) || f.remotes.wants(level)
}

// Handle implements slog.Handler.
func (f *fanout) Handle(ctx context.Context, r slog.Record) error {
	attrs := slices.Clip(f.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = flatten(attrs, f.group, a)
		return true
	})
	if f.remotes.wants(r.Level) {
		f.remotes.send(r, attrs)
	}
	if !f.local.Enabled(ctx, r.Level) {
		return nil
	}
	f.ring.add(r, attrs)
	return f.local.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (f *fanout) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *f
	with.local = f.local.WithAttrs(attrs)
	with.attrs = slices.Clip(f.attrs)
	for _, a := range attrs {
		with.attrs = flatten(with.attrs, f.group, a)
	}
	return &with
}

// WithGroup implements slog.Handler.
func (f *fanout) WithGroup(name string) slog.Handler {
	if name == "" {
		return f
	}
	with := *f
	with.local = f.local.WithGroup(name)
	with.group = f.group + name + "."
	return &with
}

func flatten(to []pair, group string, a slog.Attr) []pair {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		if a.Equal(slog.Attr{}) {
			return to
		}
		return append(to, pair{group + a.Key, v.String()})
	}
	if a.Key != "" {
		group += a.Key + "."
	}
	for _, sub := range v.Group() {
		to = flatten(to, group, sub)
	}
	return to
}

// OnJournal reports whether standard error leads to systemd's journal, by the
// variable that systemd sets for that (systemd.exec(5), JOURNAL_STREAM): device
// and inode, so that a redirection is noticed. id is those of standard error.
func OnJournal(env string, id func() (dev, inode uint64, err error)) bool {
	dev, inode, ok := strings.Cut(env, ":")
	if !ok {
		return false
	}
	d, i, err := id()
	return err == nil && dev == fmt.Sprint(d) && inode == fmt.Sprint(i)
}

var errClosed = errors.New("the router is stopping")
