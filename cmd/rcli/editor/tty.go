package editor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// escapeDelay is how long the rest of an escape sequence is waited for, in
// milliseconds: a terminal sends it at once, a person's next key comes later.
const escapeDelay = 40

// A tty reads keys of a terminal. A pipe wakes it: the terminal's size, a new prompt
// and the end of a context.
type tty struct {
	fd      int
	r, w    *os.File
	ended   atomic.Bool
	decoder decoder
}

// An event is keys, or the wish to be drawn anew.
type event struct {
	keys   []Key
	redraw bool
}

func newTTY(in *os.File) (*tty, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("line editor: %w", err)
	}
	// A full pipe has woken the reader already: nobody waits for it.
	for _, f := range []*os.File{r, w} {
		if err := unix.SetNonblock(int(f.Fd()), true); err != nil {
			return nil, errors.Join(fmt.Errorf("line editor: %w", err), r.Close(), w.Close())
		}
	}
	return &tty{fd: int(in.Fd()), r: r, w: w}, nil
}

func (t *tty) close() error { return errors.Join(t.r.Close(), t.w.Close()) }

func (t *tty) wake() { _, _ = unix.Write(int(t.w.Fd()), []byte{0}) }

// watch wakes the reader when the terminal's size changes and when ctx ends, until
// stop is called.
func (t *tty) watch(ctx context.Context) (stop func()) {
	sizes := make(chan os.Signal, 1)
	signal.Notify(sizes, syscall.SIGWINCH)
	ended, done := make(chan struct{}), make(chan struct{})
	t.ended.Store(false)
	go func() {
		defer close(done)
		for {
			select {
			case <-sizes:
				t.wake()
			case <-ctx.Done():
				t.ended.Store(true)
				t.wake()
				return
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(sizes)
		close(ended)
		<-done
	}
}

// next waits for the next event. It fails with io.EOF at the terminal's end.
func (t *tty) next(ctx context.Context) (event, error) {
	for {
		if t.ended.Load() || ctx.Err() != nil {
			return event{}, io.EOF
		}
		timeout := -1
		if t.decoder.waits() {
			timeout = escapeDelay
		}
		fds := []unix.PollFd{{Fd: int32(t.fd), Events: unix.POLLIN}, {Fd: int32(t.r.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, timeout)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return event{}, fmt.Errorf("terminal: %w", err)
		case n == 0:
			if keys := t.decoder.flush(); len(keys) > 0 {
				return event{keys: keys}, nil
			}
			continue
		}
		if fds[1].Revents != 0 {
			var b [64]byte
			_, _ = unix.Read(int(t.r.Fd()), b[:])
			if t.ended.Load() {
				return event{}, io.EOF
			}
			return event{redraw: true}, nil
		}
		if fds[0].Revents != 0 {
			keys, err := t.take()
			if err != nil || len(keys) > 0 {
				return event{keys: keys}, err
			}
		}
	}
}

// take reads what the terminal has.
func (t *tty) take() ([]Key, error) {
	var b [4096]byte
	n, err := unix.Read(t.fd, b[:])
	switch {
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		return nil, nil
	case err != nil || n <= 0:
		return nil, io.EOF // it has hung up
	}
	return t.decoder.feed(b[:n]), nil
}
