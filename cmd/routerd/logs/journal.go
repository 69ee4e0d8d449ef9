package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// A journal writes records as lines that begin with their priority, as
// sd-daemon(3) has it: the journal takes that for its own field.
type journal struct {
	to *journalLine
	in slog.Handler // writes to to.line
}

type journalLine struct {
	mu   sync.Mutex
	out  io.Writer
	line bytes.Buffer
}

func newJournal(out io.Writer, level slog.Level, format Format) *journal {
	to := &journalLine{out: out}
	return &journal{to: to, in: newHandler(&to.line, level, format, func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	})}
}

// Enabled implements slog.Handler.
func (j *journal) Enabled(ctx context.Context, level slog.Level) bool {
	return j.in.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	j.to.mu.Lock()
	defer j.to.mu.Unlock()
	j.to.line.Reset()
	fmt.Fprintf(&j.to.line, "<%d>", severityOf(r.Level))
	if err := j.in.Handle(ctx, r); err != nil {
		return err
	}
	_, err := j.to.out.Write(j.to.line.Bytes())
	return err
}

// WithAttrs implements slog.Handler.
func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journal{to: j.to, in: j.in.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (j *journal) WithGroup(name string) slog.Handler {
	return &journal{to: j.to, in: j.in.WithGroup(name)}
}
