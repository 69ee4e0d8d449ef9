// Package pager shows a text a page at a time while it is still being written.
//
// Text comes in by Write, which waits once the reader is some pages ahead of what is
// shown: whoever writes, the router at the other end of a stream included, goes no
// faster than the person reads. What was shown can be scrolled back to: it lies in a
// file beyond the first megabyte, so that a million routes take no memory.
//
// Invariant: a text that fits on the screen is printed as if there were no pager, and
// whatever happens the terminal is given back as it was.
package pager

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// A Terminal is what a pager is shown on.
type Terminal interface {
	io.Writer
	// Size is the screen's columns and rows.
	Size() (columns, rows int)
	// Raw hands over each key as it is pressed until restore is called.
	Raw() (restore func() error, err error)
	// Key waits for a key; it fails with io.EOF once stop is closed. Resized is what
	// comes when the size has changed.
	Key(stop <-chan struct{}) (Key, error)
}

// A Key is a key that was pressed.
type Key string

// The keys that are no character.
const (
	Up       Key = "up"
	Down     Key = "down"
	PageUp   Key = "page-up"
	PageDown Key = "page-down"
	Home     Key = "home"
	End      Key = "end"
	Enter    Key = "enter"
	Back     Key = "backspace"
	Escape   Key = "escape"
	Break    Key = "ctrl-c"
	Resized  Key = "resized"
)

// ErrQuit says that the person has seen enough: whoever writes may stop.
var ErrQuit = errors.New("the pager was left")

// A Pager is an io.WriteCloser for one command. Write and Close are for one
// goroutine.
type Pager struct {
	term   Terminal
	cancel func() // the command; may be nil

	mu      sync.Mutex
	more    sync.Cond // text came, was wanted, or the end
	text    *spool
	partial []byte // the last line, while it has no end
	wanted  int    // lines that the writer may go up to without waiting
	ended   bool   // nothing more comes
	quit    bool
	left    bool // before the end

	keys    chan Key
	waits   bool          // the conversation waits for text
	stop    chan struct{} // closed when the conversation ends
	done    chan struct{} // closed when it has ended; nil before it began
	err     error         // of the interaction
	columns int
	rows    int

	top    int            // first line shown
	find   *regexp.Regexp // what n looks for
	back   bool           // the search went backwards
	notice string         // shown once instead of the prompt
}

// ahead is how many screens the writer may be ahead.
const ahead = 4

// New makes a pager on t. cancel is called when the person leaves before the end.
func New(t Terminal, cancel func()) *Pager {
	p := &Pager{term: t, cancel: cancel, text: &spool{}, stop: make(chan struct{}), keys: make(chan Key)}
	p.more.L = &p.mu
	p.columns, p.rows = t.Size()
	return p
}

// Write implements io.Writer. It fails with ErrQuit once the pager was left.
func (p *Pager) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(b)
	for len(b) > 0 {
		if p.quit {
			return 0, ErrQuit
		}
		line, rest, ok := strings.Cut(string(b), "\n")
		p.partial = append(p.partial, line...)
		b = b[len(b)-len(rest):]
		if !ok {
			break
		}
		if err := p.add(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// add takes the line that is whole, with the lock held.
func (p *Pager) add() error {
	for _, l := range fold(string(p.partial), p.columns) {
		if err := p.text.add(l); err != nil {
			return err
		}
	}
	p.partial = p.partial[:0]
	if p.done == nil {
		if p.text.len() <= p.page() {
			return nil
		}
		if err := p.begin(); err != nil {
			return err
		}
	}
	p.more.Broadcast()
	for !p.quit && p.text.len() > p.wanted {
		p.more.Wait()
	}
	return nil
}

// Left reports whether the person left before the end had come.
func (p *Pager) Left() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left
}

// page is how many lines are shown: the last row is the prompt's.
func (p *Pager) page() int { return max(1, p.rows-1) }

// begin shows the first page and starts to listen to keys.
func (p *Pager) begin() error {
	restore, err := p.term.Raw()
	if err != nil {
		return err
	}
	p.want(0)
	p.done = make(chan struct{})
	go p.interact(restore)
	return nil
}

// want lets the writer go on for some screens behind the line.
func (p *Pager) want(line int) {
	p.wanted = max(p.wanted, line+ahead*p.page())
	p.more.Broadcast()
}

// Close implements io.Closer: it waits until the person has seen the end or has
// left.
func (p *Pager) Close() error {
	p.mu.Lock()
	if len(p.partial) > 0 && !p.quit {
		for _, l := range fold(string(p.partial), p.columns) {
			if err := p.text.add(l); err != nil {
				p.mu.Unlock()
				return err
			}
		}
		p.partial = nil
	}
	p.ended = true
	p.more.Broadcast()
	done := p.done
	p.mu.Unlock()
	if done != nil {
		<-done
		return errors.Join(p.err, p.text.close())
	}
	// It fits: as if there were no pager.
	var b strings.Builder
	for i := range p.text.len() {
		l, err := p.text.line(i)
		if err != nil {
			return err
		}
		b.WriteString(l + "\n")
	}
	_, err := io.WriteString(p.term, b.String())
	return errors.Join(err, p.text.close())
}

// interact is the conversation, from the first page to the end.
func (p *Pager) interact(restore func() error) {
	defer close(p.done)
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.listen()
	}()
	p.mu.Lock()
	err := p.show(0, true)
	for err == nil {
		var k Key
		if k, err = p.key(); err == nil {
			err = p.press(k)
		}
	}
	p.quit = true
	early := !p.ended
	p.left = early
	p.more.Broadcast()
	p.mu.Unlock()
	close(p.stop)
	<-read
	if early && p.cancel != nil {
		p.cancel()
	}
	if errors.Is(err, ErrQuit) || errors.Is(err, io.EOF) {
		err = nil
	}
	_, werr := io.WriteString(p.term, "\r\x1b[K")
	p.err = errors.Join(err, werr, restore())
}

// listen reads keys. While text is waited for, the keys that leave end the wait.
func (p *Pager) listen() {
	for {
		k, err := p.term.Key(p.stop)
		if err != nil {
			close(p.keys)
			return
		}
		p.mu.Lock()
		waits := p.waits && (k == Break || k == Escape || k == "q")
		if waits {
			p.waits = false
			p.more.Broadcast()
		}
		p.mu.Unlock()
		if waits {
			continue
		}
		select {
		case p.keys <- k:
		case <-p.stop:
			close(p.keys)
			return
		}
	}
}

// key waits for a key, with the lock let go: text may go on coming.
func (p *Pager) key() (Key, error) {
	p.mu.Unlock()
	k, ok := <-p.keys
	p.mu.Lock()
	if !ok {
		return "", io.EOF
	}
	return k, nil
}

// press does what a key asks for; ErrQuit ends the conversation.
func (p *Pager) press(k Key) error {
	last := p.notice
	p.notice = ""
	page := p.page()
	switch k {
	case "q", "Q", Break, Escape:
		return ErrQuit
	case " ", "f", PageDown:
		if p.atEnd() {
			return ErrQuit
		}
		return p.forward(page)
	case "d":
		return p.forward(page / 2)
	case "j", Down, Enter:
		if p.atEnd() && k == Enter {
			return ErrQuit
		}
		return p.forward(1)
	case "b", PageUp:
		return p.show(p.top-page, false)
	case "u":
		return p.show(p.top-page/2, false)
	case "k", Up:
		return p.show(p.top-1, false)
	case "g", "<", Home:
		return p.show(0, false)
	case "G", ">", End:
		p.wait(everything)
		return p.show(p.text.len()-page, false)
	case "/", "?":
		return p.search(k == "?")
	case "n", "N":
		if p.find == nil {
			p.notice = "nothing was searched for yet: /"
			return p.prompt()
		}
		return p.again(p.back != (k == "N"))
	case "h":
		p.notice = "space b: page   enter k: line   g G: ends   / ? n N: search   q: leave"
		return p.prompt()
	case Resized:
		p.columns, p.rows = p.term.Size()
		return p.show(p.top, false)
	case Back:
	}
	p.notice = last
	return nil
}

// everything is a line behind all that may come.
const everything = 1 << 40

// searched is how many lines a search lets the writer go on at a time.
const searched = 4096

// wait lets the writer go on up to a line and waits until it is there, or all that
// there is, or somebody has enough of waiting; it reports whether that was so.
func (p *Pager) wait(line int) (enough bool) {
	p.wanted = max(p.wanted, line)
	p.more.Broadcast()
	p.waits = true
	for p.waits && !p.ended && p.text.len() < line {
		p.more.Wait()
	}
	enough, p.waits = !p.waits, false
	if p.wanted >= everything {
		p.wanted = p.text.len()
	}
	return enough
}

// atEnd reports whether the last line is on the screen.
func (p *Pager) atEnd() bool { return p.ended && p.top+p.page() >= p.text.len() }

// forward goes on by lines, which are written below those that are there: so they
// stay in the terminal's own memory.
func (p *Pager) forward(lines int) error {
	from := p.top + p.page()
	p.want(from + lines)
	p.wait(from + lines)
	lines = min(lines, p.text.len()-from)
	if lines <= 0 {
		return p.prompt()
	}
	var b strings.Builder
	b.WriteString("\r\x1b[K")
	for i := from; i < from+lines; i++ {
		l, err := p.text.line(i)
		if err != nil {
			return err
		}
		b.WriteString(p.marked(l) + "\r\n")
	}
	p.top += lines
	if _, err := io.WriteString(p.term, b.String()); err != nil {
		return err
	}
	return p.prompt()
}

// show draws the screen from a line on; the first time below what is there.
func (p *Pager) show(top int, first bool) error {
	p.wait(top + p.page())
	p.top = max(0, min(top, p.text.len()-p.page()))
	p.want(p.top + p.page())
	var b strings.Builder
	if first {
		b.WriteString("\r")
	} else {
		b.WriteString("\x1b[H\x1b[2J")
	}
	for i := p.top; i < min(p.top+p.page(), p.text.len()); i++ {
		l, err := p.text.line(i)
		if err != nil {
			return err
		}
		b.WriteString(p.marked(l) + "\r\n")
	}
	if _, err := io.WriteString(p.term, b.String()); err != nil {
		return err
	}
	return p.prompt()
}

// prompt writes the last row.
func (p *Pager) prompt() error {
	text := p.notice
	switch {
	case text != "":
	case p.atEnd():
		text = "(END)"
	case p.ended:
		text = fmt.Sprintf("---(more %d%%)---", (p.top+p.page())*100/p.text.len())
	default:
		text = "---(more)---"
	}
	if r := []rune(text); len(r) > p.columns-1 && p.columns > 1 {
		text = string(r[:p.columns-1])
	}
	_, err := io.WriteString(p.term, "\r\x1b[K\x1b[7m"+text+"\x1b[0m")
	return err
}

// search asks for a pattern and goes to it.
func (p *Pager) search(back bool) error {
	sign := "/"
	if back {
		sign = "?"
	}
	var text []rune
	for {
		if _, err := io.WriteString(p.term, "\r\x1b[K"+sign+string(text)); err != nil {
			return err
		}
		k, err := p.key()
		if err != nil {
			return err
		}
		switch k {
		case Enter:
			if len(text) > 0 {
				re, err := regexp.Compile(smart(string(text)))
				if err != nil {
					p.notice = "no regular expression: " + string(text)
					return p.prompt()
				}
				p.find = re
			}
			if p.find == nil {
				return p.prompt()
			}
			p.back = back
			return p.again(back)
		case Escape, Break:
			return p.prompt()
		case Back:
			if len(text) == 0 {
				return p.prompt()
			}
			text = text[:len(text)-1]
		case Up, Down, PageUp, PageDown, Home, End, Resized:
		default:
			if r, _ := utf8.DecodeRuneInString(string(k)); unicode.IsPrint(r) {
				text = append(text, r)
			}
		}
	}
}

// smart matches both cases unless the pattern has an upper-case letter.
func smart(text string) string {
	if strings.IndexFunc(text, unicode.IsUpper) < 0 {
		return "(?i)" + text
	}
	return text
}

// again goes to the next line that matches.
func (p *Pager) again(back bool) error {
	step, from := 1, p.top+1
	if back {
		step, from = -1, p.top-1
	}
	for i := from; i >= 0; i += step {
		// Line by line the writer and the search would wait for each other a million times.
		if i >= p.text.len() && (p.wait(i+searched) || i >= p.text.len()) {
			break
		}
		l, err := p.text.line(i)
		if err != nil {
			return err
		}
		if p.find.MatchString(bare(l)) {
			return p.show(i, false)
		}
	}
	p.notice = "not found"
	return p.prompt()
}

// marked is a line with what was searched for in reverse.
func (p *Pager) marked(l string) string {
	if p.find == nil || strings.Contains(l, "\x1b") {
		return l
	}
	return p.find.ReplaceAllStringFunc(l, func(m string) string {
		if m == "" {
			return m
		}
		return "\x1b[7m" + m + "\x1b[0m"
	})
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// bare is a line without colours.
func bare(l string) string { return escapes.ReplaceAllString(l, "") }

// fold cuts a line into rows of the screen, colours aside.
func fold(l string, columns int) []string {
	l = strings.TrimSuffix(l, "\r")
	if columns <= 0 || len(l) <= columns {
		return []string{l}
	}
	var rows []string
	start, n := 0, 0
	for i := 0; i < len(l); {
		if m := escapes.FindStringIndex(l[i:]); m != nil && m[0] == 0 {
			i += m[1]
			continue
		}
		char, wide := l[i:i+1], 1
		if l[i] >= utf8.RuneSelf || i+1 < len(l) && l[i+1] >= utf8.RuneSelf {
			char, _, wide, _ = uniseg.FirstGraphemeClusterInString(l[i:], -1)
		}
		if n+wide > columns && n > 0 {
			rows = append(rows, l[start:i])
			start, n = i, 0
		}
		i += len(char)
		n += wide
	}
	return append(rows, l[start:])
}
