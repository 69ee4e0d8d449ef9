// Package tty is the terminal in front of the person: its size, and its keys one by
// one while something else than the line editor wants them.
//
// Invariant: a key that nobody has taken stays for the next reader: nothing reads
// ahead.
package tty

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"router/cmd/rcli/pager"
)

// A Terminal is one, for one user at a time. It implements pager.Terminal.
type Terminal struct {
	in, out *os.File
	resized chan os.Signal // nil while nobody is told
}

// Open is the terminal of two files, usually standard input and output; ok is false
// when one of them is none.
func Open(in, out any) (t *Terminal, ok bool) {
	i, okIn := in.(*os.File)
	o, okOut := out.(*os.File)
	if !okIn || !okOut || !term.IsTerminal(int(i.Fd())) || !term.IsTerminal(int(o.Fd())) {
		return nil, false
	}
	return &Terminal{in: i, out: o}, true
}

// Write implements io.Writer.
func (t *Terminal) Write(b []byte) (int, error) { return t.out.Write(b) }

// Size implements pager.Terminal: 80 columns and 24 rows where the terminal doesn't
// know.
func (t *Terminal) Size() (columns, rows int) {
	columns, rows, err := term.GetSize(int(t.out.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		return 80, 24
	}
	return columns, rows
}

// Raw implements pager.Terminal.
func (t *Terminal) Raw() (restore func() error, err error) {
	state, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return nil, err
	}
	t.resized = make(chan os.Signal, 1)
	signal.Notify(t.resized, unix.SIGWINCH)
	return func() error {
		signal.Stop(t.resized)
		t.resized = nil
		return term.Restore(int(t.in.Fd()), state)
	}, nil
}

// tick is how long a look at the terminal waits before it looks whether to stop.
const tick = 50 * time.Millisecond

// ready reports whether a key is there, after waiting at most that long.
func (t *Terminal) ready(wait time.Duration) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(t.in.Fd()), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, int(wait/time.Millisecond))
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return n > 0, err
}

func (t *Terminal) octet() (byte, error) {
	var b [1]byte
	for {
		n, err := unix.Read(int(t.in.Fd()), b[:])
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return b[0], nil
		}
	}
}

// Key implements pager.Terminal.
func (t *Terminal) Key(stop <-chan struct{}) (pager.Key, error) {
	for {
		select {
		case <-stop:
			return "", io.EOF
		case <-t.resized:
			return pager.Resized, nil
		default:
		}
		ok, err := t.ready(tick)
		if err != nil {
			return "", err
		}
		if !ok {
			continue
		}
		b, err := t.octet()
		if err != nil {
			return "", err
		}
		return t.key(b)
	}
}

// key is the key whose first octet is b (ECMA-48 for the sequences).
func (t *Terminal) key(b byte) (pager.Key, error) {
	switch {
	case b == 3:
		return pager.Break, nil
	case b == '\r' || b == '\n':
		return pager.Enter, nil
	case b == 8 || b == 0x7f:
		return pager.Back, nil
	case b == 6: // Ctrl-F and Ctrl-B, as in emacs and vi
		return pager.PageDown, nil
	case b == 2:
		return pager.PageUp, nil
	case b == 0x1b:
		return t.sequence()
	case b < utf8.RuneSelf:
		return pager.Key(rune(b)), nil
	}
	text := []byte{b}
	for !utf8.FullRune(text) && len(text) < utf8.UTFMax {
		next, err := t.octet()
		if err != nil {
			return "", err
		}
		text = append(text, next)
	}
	return pager.Key(text), nil
}

// sequence is the key of an escape sequence whose first octet has been read; alone it
// is the escape key.
func (t *Terminal) sequence() (pager.Key, error) {
	if ok, err := t.ready(tick); err != nil || !ok {
		return pager.Escape, err
	}
	if b, err := t.octet(); err != nil || b != '[' && b != 'O' {
		return pager.Escape, err
	}
	code := ""
	for len(code) < 16 {
		b, err := t.octet()
		if err != nil {
			return "", err
		}
		code += string(rune(b))
		if b >= 0x40 && b <= 0x7e {
			break
		}
	}
	if k, ok := sequences[code]; ok {
		return k, nil
	}
	return pager.Key("\x00"), nil // one that means nothing here
}

var sequences = map[string]pager.Key{
	"A": pager.Up, "B": pager.Down, "H": pager.Home, "F": pager.End,
	"5~": pager.PageUp, "6~": pager.PageDown, "1~": pager.Home, "4~": pager.End, "7~": pager.Home, "8~": pager.End,
}
