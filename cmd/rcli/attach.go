package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"

	"router/cmd/rcli/command"
	"router/cmd/rcli/editor"
	"router/cmd/rcli/schema"
)

// attach finds what the lines are typed at: a line editor at a terminal, else a plain
// reader. end gives the terminal back.
func (s *shell) attach() (end func(), err error) {
	// Between commands Ctrl-C is nobody's: it must not end the shell.
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	file, isFile := s.o.in.(*os.File)
	closer := func() error { return nil }
	switch {
	case s.session.Interactive && !s.env.Basic:
		e, err := s.newEditor(file)
		if err != nil {
			return nil, err
		}
		s.input, closer = e, e.Close
	case isFile:
		p, err := editor.NewPlain(file, s.o.out)
		if err != nil {
			return nil, err
		}
		s.input, closer = p, p.Close
	default:
		s.input = &streamReader{in: bufio.NewReader(s.o.in), out: s.o.out}
	}
	if s.session.Interactive {
		s.session.Ask = s.ask
		s.session.Secret = s.secret
	}
	s.session.ReadLine = s.answer
	s.env.In = &typed{s: s}
	return func() {
		signal.Stop(interrupt)
		_ = closer()
	}, nil
}

// answer reads a line that is no command.
func (s *shell) answer(prompt string) (string, error) {
	line, err := s.input.Ask(s.ctx, func() string { return prompt })
	if errors.Is(err, editor.ErrInterrupt) {
		err = io.ErrUnexpectedEOF
	}
	return line, err
}

// secret reads a line that is not shown.
func (s *shell) secret(prompt string) (string, error) {
	line, err := s.input.Secret(s.ctx, func() string { return prompt })
	if errors.Is(err, editor.ErrInterrupt) || errors.Is(err, io.EOF) {
		err = context.Canceled
	}
	return line, err
}

// ask asks for yes or no. What is neither is no.
func (s *shell) ask(question string) bool {
	line, err := s.answer(question + " [yes,no] (no) ")
	line = strings.ToLower(strings.TrimSpace(line))
	return err == nil && line != "" && strings.HasPrefix("yes", line)
}

// typed is the input of commands in a session: what is typed at it, up to Ctrl-D.
type typed struct {
	s    *shell
	rest string
}

func (t *typed) Read(p []byte) (int, error) {
	if t.rest == "" {
		line, err := t.s.answer("")
		if err != nil {
			return 0, err
		}
		t.rest = line + "\n"
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	return n, nil
}

// secretWords are in lines that the history does not keep, beside the model's own words
// for secrets.
var secretWords = []string{"password", "secret"}

// newEditor makes the line editor, as the user likes it.
func (s *shell) newEditor(in *os.File) (*editor.Editor, error) {
	out, ok := s.o.out.(*os.File)
	if !ok {
		return nil, errors.New("line editor: the output is no terminal")
	}
	h := &editor.History{}
	if file := configFile("history"); file != "" {
		var err error
		if h, err = editor.OpenHistory(file); err != nil {
			fmt.Fprintf(s.o.errOut, "%v\n", err)
		}
	}
	words := append(schema.Secrets(), secretWords...)
	h.Skip = func(line string) bool {
		for _, w := range words {
			if strings.Contains(line, w) {
				return true
			}
		}
		return false
	}
	p := loadPreferences()
	return editor.New(editor.Options{In: in, Out: out, Complete: s.complete, Help: s.explain, History: h, Vi: p["keys"] == "vi", Space: p["space-completion"] != "off"})
}

// offers is what may come behind text.
func (s *shell) offers(ctx context.Context, text string) *command.Completion {
	long := s.aliases.expand(text, s.session.Mode)
	c := commandTable().Complete(ctx, s.env, long, s.session.Mode, s.session.Edit)
	// What an alias has put in front is not in the line.
	c.From = max(0, c.From-len(long)+len(text))
	if word := strings.TrimLeft(text, " \t"); !strings.ContainsAny(word, " \t|") {
		c.Candidates = append(c.Candidates, s.aliases.candidates(word)...)
	}
	return c
}

// complete is what Tab asks.
func (s *shell) complete(ctx context.Context, text string) editor.Completion {
	c := s.offers(ctx, text)
	e := editor.Completion{From: c.From, More: c.More}
	e.Insert, e.Finished, e.Can = c.Insert()
	for _, x := range c.Candidates {
		e.Candidates = append(e.Candidates, editor.Candidate{Text: x.Text, Help: x.Help, Mark: x.Mark.String(), Place: x.Place, Live: x.Live, Part: x.Part})
	}
	switch {
	case c.Err != nil:
		e.Message = c.Err.Error()
	case len(e.Candidates) == 0:
		e.Message = "nothing may follow here"
	}
	return e
}

// enterPlace stands for the end of the line in help.
const enterPlace = "<Enter>"

// explain is what '?' prints.
func (s *shell) explain(ctx context.Context, text string, again bool) string {
	if again {
		return globalHelp
	}
	c := s.offers(ctx, text)
	var b strings.Builder
	if c.Err != nil {
		b.WriteString(c.Err.Error() + "\n")
		return b.String()
	}
	b.WriteString("Possible completions:\n")
	var lines [][]string
	if c.Complete && !slices.ContainsFunc(c.Candidates, func(x command.Candidate) bool { return x.Text == enterPlace }) {
		lines = append(lines, []string{"  " + enterPlace, "run this command"})
	}
	wide := 0
	for _, x := range c.Candidates {
		wide = max(wide, len([]rune(x.Text)))
	}
	width := s.env.Width()
	for _, x := range c.Candidates {
		help := []string{x.Help}
		// What a value may be is said whole, though it takes more lines.
		if room := width - wide - 4; x.Place && room > 20 {
			help = wrap(x.Help, room)
		}
		lines = append(lines, []string{x.Mark.String() + " " + x.Text, help[0]})
		for _, more := range help[1:] {
			lines = append(lines, []string{"", more})
		}
	}
	if len(lines) == 0 {
		return "Nothing may follow here.\n"
	}
	printColumns(&b, lines)
	if c.More {
		b.WriteString("  and more: type a letter\n")
	}
	return fitted(b.String(), s.env.Width())
}

// wrap breaks text at blanks into lines of a width.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, w := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = w
		case len([]rune(*last))+1+len([]rune(w)) > width:
			lines = append(lines, w)
		default:
			*last += " " + w
		}
	}
	return lines
}

// fitted cuts lines to a terminal's width.
func fitted(text string, width int) string {
	if width < 20 {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		r := []rune(strings.TrimRight(line, " \n"))
		if len(r) > width {
			r = append(r[:width-1], '…')
		}
		b.WriteString(string(r) + "\n")
	}
	return b.String()
}

// printColumns prints lines of cells, aligned.
func printColumns(w io.Writer, lines [][]string) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, l := range lines {
		fmt.Fprintln(t, strings.TrimRight(strings.Join(l, "\t"), "\t"))
	}
	_ = t.Flush() // what w refuses, the next write tells
}
