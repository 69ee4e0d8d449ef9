package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"
)

// patience is how long a screen is waited for: far longer than it takes, for the
// machine may be busy.
const patience = 30 * time.Second

// A screen is a program in a pseudo-terminal: keys in, screen out. It ends with the
// test.
type screen struct {
	t    *testing.T
	cmd  *exec.Cmd
	pty  *os.File
	vt   vt10x.Terminal
	done chan error

	mu  sync.Mutex
	raw strings.Builder // all that came
}

// Keys that Key takes.
const (
	keyTab       = "\t"
	keyEnter     = "\r"
	keyBackspace = "\x7f"
	keyEscape    = "\x1b"
	keyUp        = "\x1b[A"
	keyDown      = "\x1b[B"
	keyRight     = "\x1b[C"
	keyLeft      = "\x1b[D"
	keyHome      = "\x1b[H"
	keyEnd       = "\x1b[F"
	keyPageDown  = "\x1b[6~"
	keyPageUp    = "\x1b[5~"
)

// ctrl is Ctrl with a letter.
func ctrl(letter byte) string { return string(rune(letter & 0x1f)) }

// newScreen starts a program, of bin where its path is not absolute, in a terminal of 80 columns and 24 rows, with
// variables of its environment, "TERM=dumb", changed.
func newScreen(t *testing.T, env []string, program string, args ...string) *screen {
	t.Helper()
	return newScreenBy(t, (*exec.Cmd).Start, env, program, args...)
}

// newScreenBy is newScreen with what starts the program: in a network namespace, say.
func newScreenBy(t *testing.T, start func(*exec.Cmd) error, env []string, program string, args ...string) *screen {
	t.Helper()
	s := &screen{t: t, vt: vt10x.New(vt10x.WithSize(80, 24)), done: make(chan error, 1)}
	if !filepath.IsAbs(program) {
		program = filepath.Join(bin, program)
	}
	s.cmd = exec.Command(program, args...)
	s.cmd.Env = append(append(os.Environ(), "TERM=xterm-256color"), env...)
	near, far, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	s.pty = near
	if err := pty.Setsize(far, &pty.Winsize{Cols: 80, Rows: 24}); err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = far, far, far
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = start(s.cmd)
	far.Close()
	if err != nil {
		t.Fatal(err)
	}
	go s.read()
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the screen:\n%s", s.Text())
		}
		_ = s.cmd.Process.Kill()
		_ = s.pty.Close()
	})
	return s
}

func (s *screen) read() {
	buf := make([]byte, 4096)
	for {
		n, err := s.pty.Read(buf)
		s.mu.Lock()
		s.raw.Write(buf[:n])
		_, _ = s.vt.Write(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Type types text. An Enter is a key of its own.
func (s *screen) Type(text string) {
	s.t.Helper()
	if _, err := s.pty.WriteString(text); err != nil {
		s.t.Fatalf("typing %q: %v", text, err)
	}
}

// Key presses keys one after the other.
func (s *screen) Key(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		s.Type(k)
	}
}

// Line types a line and Enter.
func (s *screen) Line(text string) {
	s.t.Helper()
	s.Type(text + keyEnter)
}

// Text is the screen as a person sees it, without the blanks at the ends of lines and
// the empty lines at the end.
func (s *screen) Text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vt.Lock()
	defer s.vt.Unlock()
	cols, rows := s.vt.Size()
	var b strings.Builder
	for y := range rows {
		var line strings.Builder
		for x := range cols {
			if c := s.vt.Cell(x, y).Char; c != 0 {
				line.WriteRune(c)
			} else {
				line.WriteByte(' ')
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// Row is the line of the screen in which the cursor is, and the cursor's column.
func (s *screen) Row() (line string, column int) {
	s.mu.Lock()
	c := s.vt.Cursor()
	s.mu.Unlock()
	lines := strings.Split(s.Text(), "\n")
	if c.Y >= len(lines) {
		return "", c.X
	}
	return lines[c.Y], c.X
}

// Raw is all that the program has written so far, escapes included.
func (s *screen) Raw() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raw.String()
}

// Until waits until what it asks for is true.
func (s *screen) Until(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %v; the screen is\n%s", what, patience, s.Text())
		}
	}
}

// Expect waits until the screen matches a pattern, in which ^ and $ are the ends of
// lines, and returns the screen.
func (s *screen) Expect(pattern string) string {
	s.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	var text string
	s.Until("expecting "+pattern, func() bool {
		text = s.Text()
		return re.MatchString(text)
	})
	return text
}

// ExpectRow waits until the line with the cursor matches a pattern.
func (s *screen) ExpectRow(pattern string) {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	s.Until("expecting the cursor's line to match "+pattern, func() bool {
		line, _ := s.Row()
		return re.MatchString(line)
	})
}

// Never fails if the screen matches a pattern now.
func (s *screen) Never(pattern string) {
	s.t.Helper()
	if regexp.MustCompile("(?m)" + pattern).MatchString(s.Text()) {
		s.t.Fatalf("%s is on the screen:\n%s", pattern, s.Text())
	}
}

// Do types a command, waits for the next prompt and returns the screen.
func (s *screen) Do(line string) string {
	s.t.Helper()
	s.Clear()
	s.Line(line)
	return s.Expect(`^\S+@\S+[>#]$`)
}

// Clear clears the screen, as Ctrl-L does, and waits until a prompt without text is
// alone on it.
func (s *screen) Clear() {
	s.t.Helper()
	s.Type(ctrl('L'))
	s.Expect(`\A(\n*\[edit.*\n)?\S+@\S+[>#]\z`)
}

// Resize changes the terminal's size.
func (s *screen) Resize(cols, rows uint16) {
	s.t.Helper()
	s.mu.Lock()
	s.vt.Resize(int(cols), int(rows))
	s.mu.Unlock()
	if err := pty.Setsize(s.pty, &pty.Winsize{Cols: cols, Rows: rows}); err != nil {
		s.t.Fatal(err)
	}
}

// Cooked reports whether the terminal edits lines and echoes them itself.
func (s *screen) Cooked() bool {
	s.t.Helper()
	m, err := unix.IoctlGetTermios(int(s.pty.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return m.Lflag&unix.ECHO != 0 && m.Lflag&unix.ICANON != 0
}

// Signal sends the program a signal.
func (s *screen) Signal(sig syscall.Signal) { _ = s.cmd.Process.Signal(sig) }

// Exit waits until the program has ended, and returns its exit code.
func (s *screen) Exit() int {
	s.t.Helper()
	select {
	case err := <-s.done:
		s.done <- err
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		s.t.Fatalf("the program has not ended within %v; the screen is\n%s", patience, s.Text())
		return -1
	}
}

// Fresh drops the line and clears the screen.
func (s *screen) Fresh() {
	s.t.Helper()
	s.Type(ctrl('G') + ctrl('E') + ctrl('U'))
	s.Clear()
}
