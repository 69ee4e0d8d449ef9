// Package editor reads lines from a person at a terminal: emacs and vi keys, a menu
// of completions with their help, help at '?', a history that is searched.
//
// Nobody else may read the terminal while ReadLine runs, and the editor reads nothing
// between calls: no goroutine waits on the terminal. The terminal is raw only inside
// ReadLine and is as before when it returns, however it returns.
//
// Source of the keys: the GNU Readline manual, sections 8.2 and 8.4, and POSIX's vi.
package editor

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/term"
)

// ErrInterrupt is Ctrl-C: the line was dropped.
var ErrInterrupt = errors.New("interrupted")

// A Candidate is something that may be put in place of the word at the cursor.
type Candidate struct {
	Text  string
	Help  string
	Mark  string // one column in front of the text in the menu
	Place bool   // stands for a value: shown, never put in
	Live  bool   // a value of the moment: Space puts in no such
	Part  bool   // no blank behind it
}

// A Completion is what may come at the cursor.
type Completion struct {
	From       int // octet of the text before the cursor where the word begins
	Candidates []Candidate
	Insert     string // what Tab may put there
	Finished   bool   // the word is whole with it
	Can        bool   // Insert is worth it
	More       bool   // there are more candidates
	Message    string // why there is nothing
}

// Options are what an editor is made with.
type Options struct {
	In  *os.File
	Out *os.File
	// Complete is asked what may come behind the text.
	Complete func(ctx context.Context, text string) Completion
	// Help is what '?' prints behind the text; again is its second time.
	Help    func(ctx context.Context, text string, again bool) string
	History *History
	Vi      bool
	Space   bool // Space completes
	Color   bool
}

// An Editor edits lines. ReadLine is for one goroutine; Wake is for any.
type Editor struct {
	opt  Options
	tty  *tty
	mu   sync.Mutex
	quit bool

	pending []Key // typed or pasted ahead
	screen  screen

	// Of the line that is being edited.
	ctx    context.Context
	prompt func() string
	line   buffer
	kill   ring
	hist   walk
	menu   menu
	search *search
	vi     viState
	helped bool // the last key was '?'
	hidden bool // nothing of it is shown
	last   action
}

// action is what the last key did, for keys that go on with it.
type action uint8

const (
	other action = iota
	killed
	yanked
	argument
)

// New makes an editor of a terminal.
func New(opt Options) (*Editor, error) {
	if opt.History == nil {
		opt.History = &History{}
	}
	t, err := newTTY(opt.In)
	if err != nil {
		return nil, err
	}
	return &Editor{opt: opt, tty: t}, nil
}

// Close gives up what the editor holds. The terminal is not closed.
func (e *Editor) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.quit {
		return nil
	}
	e.quit = true
	return e.tty.close()
}

// Wake makes ReadLine show the prompt anew. It does nothing between calls.
func (e *Editor) Wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.quit {
		e.tty.wake()
	}
}

// SetVi chooses the keys of vi, or of emacs.
func (e *Editor) SetVi(on bool) { e.opt.Vi = on }

// SetSpace chooses whether Space completes.
func (e *Editor) SetSpace(on bool) { e.opt.Space = on }

// History are the lines so far, the newest last.
func (e *Editor) History() []string { return slices.Clone(e.opt.History.lines) }

// ReadLine reads a line. prompt is asked for the prompt, which may have several lines,
// whenever it is drawn. It fails with ErrInterrupt at Ctrl-C, with io.EOF at Ctrl-D in
// an empty line, at the terminal's end and when ctx ends.
func (e *Editor) ReadLine(ctx context.Context, prompt func() string) (string, error) {
	return e.read(ctx, prompt, asCommand)
}

// Ask is ReadLine for an answer: neither completion nor history.
func (e *Editor) Ask(ctx context.Context, prompt func() string) (string, error) {
	return e.read(ctx, prompt, asAnswer)
}

// Secret is Ask without showing what is typed.
func (e *Editor) Secret(ctx context.Context, prompt func() string) (string, error) {
	return e.read(ctx, prompt, asSecret)
}

// purpose is what a line is read for.
type purpose uint8

const (
	asCommand purpose = iota
	asAnswer
	asSecret
)

func (e *Editor) read(ctx context.Context, prompt func() string, what purpose) (_ string, err error) {
	command := what == asCommand
	old, err := term.MakeRaw(int(e.opt.In.Fd()))
	if err != nil {
		return "", err
	}
	defer func() {
		if rerr := term.Restore(int(e.opt.In.Fd()), old); err == nil {
			err = rerr
		}
	}()
	stop := e.tty.watch(ctx)
	defer stop()
	complete, help := e.opt.Complete, e.opt.Help
	if !command {
		e.opt.Complete, e.opt.Help = nil, nil
		defer func() { e.opt.Complete, e.opt.Help = complete, help }()
	}
	e.begin(ctx, prompt, command)
	if e.hidden = what == asSecret; e.hidden {
		// What is cut out of a secret can't be yanked into a line that is shown.
		kept := e.kill
		e.kill = ring{}
		defer func() { e.kill, e.line = kept, buffer{} }()
	}
	e.write(pasteOn)
	defer e.write(pasteOff)
	e.draw()
	for {
		key, err := e.nextKey(ctx)
		if err != nil {
			e.finish("")
			return "", err
		}
		done, err := e.press(key)
		if done || err != nil {
			text := e.line.String()
			if err != nil {
				text = ""
			}
			if err == nil && command {
				e.opt.History.add(text)
			}
			return text, err
		}
		if len(e.pending) == 0 {
			e.draw()
		}
	}
}

func (e *Editor) begin(ctx context.Context, prompt func() string, command bool) {
	e.ctx, e.prompt = ctx, prompt
	e.line = buffer{}
	e.menu, e.search, e.vi, e.helped, e.last = menu{}, nil, viState{}, false, other
	e.screen = screen{}
	e.hist = walk{}
	if command {
		e.hist = newWalk(e.opt.History)
	}
}

// nextKey is the next key that was typed. Meanwhile the terminal may change its size
// and the prompt its text.
func (e *Editor) nextKey(ctx context.Context) (Key, error) {
	for len(e.pending) == 0 {
		ev, err := e.tty.next(ctx)
		if err != nil {
			return Key{}, err
		}
		switch {
		case ev.redraw:
			e.draw()
		default:
			e.pending = append(e.pending, ev.keys...)
		}
	}
	k := e.pending[0]
	e.pending = e.pending[1:]
	return k, nil
}

// press does what a key means; done when the line is entered.
func (e *Editor) press(k Key) (done bool, err error) {
	last := e.last
	e.last = other
	again := e.helped
	e.helped = false
	switch {
	case e.search != nil:
		if used, done := e.searchKey(k); used {
			return done, nil
		}
	case e.menu.open:
		if used := e.menuKey(k); used {
			return false, nil
		}
	}
	if k.Paste {
		return e.pasted(k)
	}
	switch k {
	case Key{Code: 'c', Ctrl: true}:
		e.finish("^C")
		return true, ErrInterrupt
	case Key{Code: Enter}, Key{Code: 'j', Ctrl: true}:
		e.finish("")
		return true, nil
	case Key{Code: 'l', Ctrl: true}:
		e.write(clearScreen)
		e.screen = screen{}
		return false, nil
	}
	if e.opt.Vi && k.Alt {
		// An escape and, before the delay was over, the next key.
		if !e.vi.normal {
			e.vi.enter(&e.line)
		}
		k.Alt = false
	}
	if e.opt.Vi && e.vi.normal {
		return e.viNormal(k)
	}
	switch k {
	case Key{Code: 'd', Ctrl: true}:
		if e.line.Len() == 0 {
			e.finish("")
			return true, io.EOF
		}
	case Key{Code: Tab}:
		e.complete()
		return false, nil
	case Key{Code: '?'}:
		if e.opt.Help != nil && !inQuotes(e.line.Before()) {
			e.help(again)
			return false, nil
		}
	case Key{Code: ' '}:
		if e.opt.Space && e.opt.Complete != nil {
			e.spaceCompletes()
		}
		e.line.Insert(" ")
		return false, nil
	case Key{Code: 'r', Ctrl: true}:
		if !e.hidden {
			e.beginSearch()
		}
		return false, nil
	case Key{Code: Escape}:
		if e.opt.Vi {
			e.vi.enter(&e.line)
			return false, nil
		}
	}
	e.emacs(k, last)
	return false, nil
}

// pasted takes a key of a paste: nothing completes, and a line break enters the line.
func (e *Editor) pasted(k Key) (done bool, err error) {
	switch {
	case k.Code == Enter:
		e.finish("")
		return true, nil
	case k.Code == Tab:
		e.line.Insert(" ")
	case k.Code >= ' ' && k.Code < special:
		e.line.Insert(string(k.Code))
	}
	return false, nil
}

// inQuotes reports whether the end of text is inside quotes, where '?' is a letter.
func inQuotes(text string) bool {
	var quote rune
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			escaped = false
		case r == '\\' && quote == '"':
			escaped = true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote = r
		}
	}
	return quote != 0
}

// help prints what may come, and shows the line again below.
func (e *Editor) help(again bool) {
	e.helped = true
	before := e.line.Before()
	text := e.opt.Help(e.ctx, before, again)
	e.below("?", text)
}

// below prints text below the line, and draws the line again behind it.
func (e *Editor) below(typed, text string) {
	line := e.line
	e.line.Insert(typed)
	e.draw()
	e.finish("")
	e.write(strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\r\n") + "\r\n")
	e.line = line
	e.screen = screen{}
}

// finish leaves the line as it stands and goes below it.
func (e *Editor) finish(tail string) {
	e.menu = menu{}
	e.search = nil
	e.line.End()
	e.draw()
	e.write(tail + "\r\n")
	e.screen = screen{}
}

func (e *Editor) write(s string) {
	// A terminal that takes nothing is told by the next read.
	_, _ = e.opt.Out.WriteString(s)
}
