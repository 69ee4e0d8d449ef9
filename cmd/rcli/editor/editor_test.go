package editor

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// typing is an editor without a terminal.
func typing(vi bool, lines ...string) *Editor {
	h := &History{lines: lines}
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	e := &Editor{opt: Options{History: h, Vi: vi, Out: out}}
	e.begin(context.Background(), func() string { return "> " }, true)
	return e
}

func (e *Editor) feed(t *testing.T, text string) {
	t.Helper()
	var d decoder
	for _, k := range append(d.feed([]byte(text)), d.flush()...) {
		if _, err := e.press(k); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEmacs(t *testing.T) {
	for _, c := range []struct{ name, keys, want string }{
		{"insert in the middle", "ac\x02b", "ab|c"},
		{"ends of the line", "bc\x01a\x05d", "abcd|"},
		{"words", "one two\x1bb\x1bbx\x1bfy", "xoney| two"},
		{"delete", "abc\x01\x04\x1b[3~", "|c"},
		{"kill and yank", "one two\x17\x19\x19", "one twotwo|"},
		{"kills in a row are one", "one two\x17\x17x\x19", "xone two|"},
		{"yank-pop", "one\x15two\x15\x19\x1by", "one|"},
		{"kill to the end", "one two\x01\x1bf\x0b", "one|"},
		{"swap", "ab\x14", "ba|"},
		{"case", "one two\x01\x1bu\x1bc", "ONE Two|"},
		{"undo", "abc\x17\x1f", "abc|"},
		{"history", "x\x10", "second|"},
		{"back in the history keeps the line", "x\x10\x10\x0e\x0e", "x|"},
		{"arrows", "ac\x1b[Db\x1b[C\x1bOD", "ab|c"},
		{"last word", "x \x1b.\x1b.", "x one|"},
		{"wide characters", "日本\x02語", "日語|本"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := typing(false, "first one", "second")
			e.feed(t, c.keys)
			if got := e.line.Before() + "|" + e.line.After(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestVi(t *testing.T) {
	for _, c := range []struct{ name, keys, want string }{
		{"escape goes left", "abc\x1b", "ab|c"},
		{"append and insert", "ac\x1b0ab\x1b$ad", "abcd|"},
		{"words", "one two three\x1b0wwi-", "one two -|three"},
		{"back and end", "one two\x1bbea!", "one two!|"},
		{"delete word", "one two three\x1b0dw", "|two three"},
		{"delete with a count", "one two three\x1b02dw", "|three"},
		{"delete the line", "one two\x1bddix", "x|"},
		{"change word", "one two\x1b0cwsix", "six| two"},
		{"change to the end", "one two\x1b0wCx", "one x|"},
		{"find", "a/b/c\x1b0f/D", "|a"},
		{"till, and again", "a/b/c/d\x1b0t/;x", "a/|/c/d"},
		{"delete till", "a/b/c\x1b0dt/", "|/b/c"},
		{"replace", "abc\x1b0rx", "|xbc"},
		{"yank and put", "ab\x1b0ylp", "aa|b"},
		{"tilde", "abc\x1b02~", "AB|c"},
		{"undo", "abc\x1bddu", "ab|c"},
		{"history", "x\x1bk", "secon|d"},
		{"backwards", "one two\x1bXX", "one |o"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := typing(true, "first one", "second")
			e.feed(t, c.keys)
			if got := e.line.Before() + "|" + e.line.After(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestSearch(t *testing.T) {
	for _, c := range []struct{ name, keys, want string }{
		{"found", "\x12one", "show one"},
		{"the one before", "\x12show\x12", "show one"},
		{"given up", "x\x12one\x07", "x"},
		{"not found", "\x12zzz", ""},
		{"goes on by editing", "\x12one\x05s", "show ones"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := typing(false, "show one", "show two")
			e.feed(t, c.keys)
			if got := e.line.String(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestDecoder(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		want []Key
	}{
		{"torn sequence", []string{"\x1b", "[", "A"}, []Key{{Code: Up}}},
		{"torn character", []string{"\xe6", "\x97\xa5"}, []Key{{Code: '日'}}},
		{"control", []string{"\x01\x7f\t\r"}, []Key{{Code: 'a', Ctrl: true}, {Code: Backspace}, {Code: Tab}, {Code: Enter}}},
		{"alt", []string{"\x1bf"}, []Key{{Code: 'f', Alt: true}}},
		{"unknown", []string{"\x1b[99;1Z!"}, []Key{{Code: unknownKey}, {Code: '!'}}},
		{"report of the cursor", []string{"\x1b[12;40Rx"}, []Key{{Code: 'x'}}},
		{"paste", []string{"\x1b[200~a\r\nb\x03\x1b[201~\x03"}, []Key{{Code: 'a', Paste: true}, {Code: Enter, Paste: true}, {Code: 'b', Paste: true}, {Code: 'c', Ctrl: true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d decoder
			var got []Key
			for _, s := range c.in {
				got = append(got, d.feed([]byte(s))...)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	var d decoder
	if got := append(d.feed([]byte("\x1b")), d.flush()...); !slices.Equal(got, []Key{{Code: Escape}}) {
		t.Errorf("a lone escape: %v", got)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("abc\x1b0dwi\x12x\x1b[200~y\x1b[201~"), true)
	f.Add([]byte("\x1b[1;5C\xe6\x97\x1b\x1b[D\x19\x1by"), false)
	f.Fuzz(func(t *testing.T, b []byte, vi bool) {
		e := typing(vi, "one two", "three")
		e.opt.Complete = nil
		var d decoder
		for _, k := range append(d.feed(b), d.flush()...) {
			if done, err := e.press(k); done || err != nil {
				break
			}
			if e.line.at < 0 || e.line.at > e.line.Len() {
				t.Fatalf("the cursor is at %d of %d", e.line.at, e.line.Len())
			}
		}
	})
}

func TestHistoryFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deep", "history")
	h, err := OpenHistory(file)
	if err != nil {
		t.Fatal(err)
	}
	h.Skip = func(line string) bool { return strings.Contains(line, "secret") }
	for _, line := range []string{"a", "a", " hidden", "", "my secret", "b"} {
		h.add(line)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	other, err := OpenHistory(file)
	if err != nil || !slices.Equal(other.lines, []string{"a", "b"}) {
		t.Errorf("%q %v", other.lines, err)
	}
	var many strings.Builder
	for range 3 * historyMost {
		many.WriteString("line\nother\n")
	}
	if err := os.WriteFile(file, []byte(many.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if other, err = OpenHistory(file); err != nil || len(other.lines) != historyMost {
		t.Errorf("%d lines, %v", len(other.lines), err)
	}
	if text, err := os.ReadFile(file); err != nil || strings.Count(string(text), "\n") != historyMost {
		t.Errorf("the file was not shortened: %v", err)
	}
}

func TestInQuotes(t *testing.T) {
	for text, want := range map[string]bool{`set x "a`: true, `set x "a"`: false, `'a"`: true, `"a\"`: true, `"a\\"`: false} {
		if inQuotes(text) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}
