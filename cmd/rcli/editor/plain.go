package editor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// A Plain reads lines of a terminal that edits them itself, or of a pipe. It prints
// prompts and no escapes. Between calls it reads nothing of a terminal; of a pipe it
// may have read ahead.
type Plain struct {
	tty  *tty
	out  io.Writer
	rest []byte
	end  bool
	// again is set when the input goes on behind its end: at a terminal, Ctrl-D ends
	// what is typed at present.
	again bool
}

// NewPlain makes a reader of in that prints its prompts to out.
func NewPlain(in *os.File, out io.Writer) (*Plain, error) {
	t, err := newTTY(in)
	if err != nil {
		return nil, err
	}
	return &Plain{tty: t, out: out}, nil
}

// Close gives up what the reader holds. The input is not closed.
func (p *Plain) Close() error { return p.tty.close() }

// ReadLine reads a line. It fails with ErrInterrupt at Ctrl-C, and with io.EOF at the
// end of the input and when ctx ends.
func (p *Plain) ReadLine(ctx context.Context, prompt func() string) (string, error) {
	if _, err := io.WriteString(p.out, prompt()); err != nil {
		return "", err
	}
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	defer signal.Stop(interrupt)
	stop := p.tty.watch(ctx)
	defer stop()
	done := make(chan struct{})
	defer close(done)
	interrupted := make(chan struct{}, 1)
	go func() {
		select {
		case <-interrupt:
			interrupted <- struct{}{}
			p.tty.wake()
		case <-done:
		}
	}()
	for {
		if i := bytes.IndexByte(p.rest, '\n'); i >= 0 {
			line := string(p.rest[:i])
			p.rest = p.rest[i+1:]
			return strings.TrimSuffix(line, "\r"), nil
		}
		if p.end {
			line := string(p.rest)
			p.rest, p.end = nil, !p.again
			if line == "" {
				return "", io.EOF
			}
			return line, nil
		}
		if err := p.more(ctx); err != nil {
			return "", err
		}
		select {
		case <-interrupted:
			// The terminal has dropped the line itself.
			_, err := fmt.Fprintln(p.out)
			return "", errors.Join(ErrInterrupt, err)
		default:
		}
	}
}

// Ask is ReadLine.
func (p *Plain) Ask(ctx context.Context, prompt func() string) (string, error) {
	return p.ReadLine(ctx, prompt)
}

// Secret is ReadLine without showing what is typed, as far as the terminal does that.
func (p *Plain) Secret(ctx context.Context, prompt func() string) (_ string, err error) {
	show, err := silence(p.tty.fd)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, show()) }()
	line, err := p.ReadLine(ctx, prompt)
	if err == nil && term.IsTerminal(p.tty.fd) {
		_, err = io.WriteString(p.out, "\n") // in place of the one that was typed
	}
	return line, err
}

// silence has a terminal show nothing of what is typed, until show is called. Of what
// is no terminal nothing is shown anyway.
func silence(fd int) (show func() error, err error) {
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() error { return nil }, nil //nolint:nilerr // it is no terminal
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return func() error { return unix.IoctlSetTermios(fd, unix.TCSETS, old) }, nil
}

// more waits for input, or to be woken.
func (p *Plain) more(ctx context.Context) error {
	if p.tty.ended.Load() || ctx.Err() != nil {
		return io.EOF
	}
	fds := []unix.PollFd{{Fd: int32(p.tty.fd), Events: unix.POLLIN}, {Fd: int32(p.tty.r.Fd()), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, -1); err != nil {
		if errors.Is(err, unix.EINTR) {
			return nil
		}
		return fmt.Errorf("input: %w", err)
	}
	var b [65536]byte
	if fds[1].Revents != 0 {
		_, _ = unix.Read(int(p.tty.r.Fd()), b[:64])
		return nil
	}
	if fds[0].Revents == 0 {
		return nil
	}
	n, err := unix.Read(p.tty.fd, b[:])
	switch {
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
	case err != nil || n <= 0:
		p.end, p.again = true, err == nil && fds[0].Revents&unix.POLLHUP == 0 && term.IsTerminal(p.tty.fd)
	default:
		p.rest = append(p.rest, b[:n]...)
	}
	return nil
}
