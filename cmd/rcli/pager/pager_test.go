package pager

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hinshun/vt10x"
)

// A fake is a terminal of 40 columns and 6 rows that understands escapes.
type fake struct {
	screen   vt10x.Terminal
	keys     chan Key
	raw      atomic.Int32
	mu       sync.Mutex
	columns  int
	rows     int
	received strings.Builder
}

func newFake() *fake {
	return &fake{screen: vt10x.New(vt10x.WithSize(40, 6)), keys: make(chan Key, 64), columns: 40, rows: 6}
}

func (f *fake) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.received.Write(b)
	text := string(b)
	if f.raw.Load() == 0 {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	_, err := f.screen.Write([]byte(text))
	return len(b), err
}

func (f *fake) Size() (int, int) { return f.columns, f.rows }

func (f *fake) Raw() (func() error, error) {
	f.raw.Add(1)
	return func() error { f.raw.Add(-1); return nil }, nil
}

func (f *fake) Key(stop <-chan struct{}) (Key, error) {
	select {
	case k := <-f.keys:
		return k, nil
	case <-stop:
		return "", io.EOF
	}
}

// expect waits until the screen has the text.
func (f *fake) expect(t *testing.T, text string) {
	t.Helper()
	var got string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		f.mu.Lock()
		got = f.screen.String()
		f.mu.Unlock()
		if strings.Contains(got, text) {
			return
		}
	}
	t.Fatalf("no %q on the screen:\n%s", text, got)
}

// feed writes lines to a pager, as a command does, and closes it.
func feed(p *Pager, lines int) (wrote *atomic.Int32, done chan error) {
	wrote, done = new(atomic.Int32), make(chan error, 1)
	go func() {
		var err error
		for i := range lines {
			if _, err = fmt.Fprintf(p, "line %d\n", i); err != nil {
				break
			}
			wrote.Add(1)
		}
		done <- errors.Join(err, p.Close())
	}()
	return wrote, done
}

func TestWhatFitsIsPrinted(t *testing.T) {
	f := newFake()
	p := New(f, nil)
	_, done := feed(p, 5)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := f.received.String(); got != "line 0\nline 1\nline 2\nline 3\nline 4\n" || f.raw.Load() != 0 {
		t.Errorf("%q", got)
	}
}

func TestPaging(t *testing.T) {
	f := newFake()
	p := New(f, nil)
	_, done := feed(p, 100)
	f.expect(t, "---(more")
	for _, c := range []struct {
		key  Key
		want string
	}{
		{" ", "line 9"}, {"j", "line 10"}, {"b", "line 1\n"}, {"G", "(END)"}, {"g", "line 0"},
		{"h", "space b: page"}, {Down, "line 5"}, {PageDown, "line 10"}, {Up, "line 5"}, {"x", "line 5"},
	} {
		f.keys <- c.key
		f.expect(t, strings.TrimSuffix(c.want, "\n"))
	}
	for _, k := range []Key{"/", "l", "I", "n", "e", " ", "7", Back, "8", "7", Enter} {
		f.keys <- k
	}
	f.expect(t, "not found") // it has an upper-case letter
	for _, k := range []Key{"/", "l", "i", "n", "e", " ", "8", "7", "$", Enter} {
		f.keys <- k
	}
	f.expect(t, "line 87")
	f.keys <- "?"
	f.keys <- "1"
	f.keys <- "2"
	f.keys <- Enter
	f.expect(t, "line 12")
	f.keys <- "n"
	f.expect(t, "not found")
	f.keys <- "q"
	if err := <-done; err != nil {
		t.Error(err)
	}
	if f.raw.Load() != 0 {
		t.Error("the terminal was not given back")
	}
}

func TestTheEndLeaves(t *testing.T) {
	f := newFake()
	p := New(f, nil)
	_, done := feed(p, 12)
	f.expect(t, "---(more")
	f.keys <- " "
	f.expect(t, "line 9")
	f.keys <- " "
	f.expect(t, "(END)")
	f.keys <- " "
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTheWriterWaits(t *testing.T) {
	f := newFake()
	canceled := make(chan struct{})
	p := New(f, func() { close(canceled) })
	wrote, done := feed(p, 1_000_000)
	f.expect(t, "---(more")
	time.Sleep(50 * time.Millisecond)
	if n := wrote.Load(); n > 100 {
		t.Errorf("%d lines were taken, and nobody has seen the second page", n)
	}
	f.keys <- "q"
	if err := <-done; !errors.Is(err, ErrQuit) {
		t.Errorf("the writer was told %v", err)
	}
	<-canceled
}

func TestAWaitCanBeEnded(t *testing.T) {
	f := newFake()
	p := New(f, nil)
	go func() {
		for i := range 10 {
			_, _ = fmt.Fprintf(p, "line %d\n", i)
		}
		// And then nothing more for a long time, as a log that is followed.
	}()
	f.expect(t, "---(more")
	f.keys <- "G"
	time.Sleep(20 * time.Millisecond)
	f.keys <- Break
	f.expect(t, "line 9")
	f.keys <- "q"
	for end := time.Now().Add(20 * time.Second); f.raw.Load() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the pager was not left")
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestSpool(t *testing.T) {
	s := &spool{}
	const n = 300_000
	for i := range n {
		if err := s.add(fmt.Sprint("line number ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.lines) == n || s.file == nil {
		t.Fatal("all of it is in memory")
	}
	for _, i := range []int{0, len(s.lines) - 1, len(s.lines), len(s.lines) + every, n - 1, n - every, 77_777, n / 2} {
		if l, err := s.line(i); err != nil || l != fmt.Sprint("line number ", i) {
			t.Errorf("line %d: %q %v", i, l, err)
		}
	}
	if _, err := s.line(n); !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %v", err)
	}
	if err := s.add("one more"); err != nil {
		t.Fatal(err)
	}
	if l, err := s.line(n); err != nil || l != "one more" {
		t.Errorf("%q %v", l, err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"", []string{""}},
		{"abcd", []string{"abcd"}},
		{"abcdefghi", []string{"abcd", "efgh", "i"}},
		{"日本語テ", []string{"日本", "語テ"}},
		{"a日本", []string{"a日", "本"}},
		{"e\u0301e\u0301e\u0301e\u0301e", []string{"e\u0301e\u0301e\u0301e\u0301", "e"}},
		{"\x1b[31mabcdé\x1b[0mf", []string{"\x1b[31mabcd", "é\x1b[0mf"}},
	} {
		if got := fold(c.line, 4); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%q: %q", c.line, got)
		}
	}
}
