package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"slices"
	"strings"
	"sync"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/command"
	"router/cmd/rcli/editor"
	"router/gen/configpb"
)

// A shell is a session with a router: one connection, one place in the configuration,
// one candidate at most. It is used by one goroutine; what the router tells meanwhile
// waits in news.
type shell struct {
	o       *options
	env     *command.Env
	session *command.Session
	client  *client
	input   lineReader // nil where nobody types
	keys    *keyCache
	aliases *aliases
	last    error           // of the command before
	ctx     context.Context // of the shell, for what is asked inside a command

	user, host string
	outside    command.Mode // where configuration mode leads back to

	editing func() // ends the candidate's session; nil for none
	news    *news
}

// A lineReader reads the lines that somebody types. ReadLine fails with io.EOF at the
// end of the input or Ctrl-D, and with editor.ErrInterrupt at Ctrl-C. Ask reads what is
// no command: it has no completion and is not remembered. Secret is Ask without showing
// what is typed.
type lineReader interface {
	ReadLine(ctx context.Context, prompt func() string) (string, error)
	Ask(ctx context.Context, prompt func() string) (string, error)
	Secret(ctx context.Context, prompt func() string) (string, error)
}

// news is what the router has told of the candidate. It is safe for concurrent use.
type news struct {
	mu        sync.Mutex
	candidate *configpb.Candidate
	pending   bool
	lost      error // the candidate's session ended by itself
}

// open begins a session.
func (o *options) open(mode command.Mode) (*shell, error) {
	c, err := dial(o.target)
	if err != nil {
		return nil, err
	}
	own := *o
	own.shared = c
	own.target = c.target // with the password, which is asked for once
	s := &shell{o: &own, client: c, session: &command.Session{Mode: mode}, news: &news{}, ctx: context.Background(), outside: mode}
	s.env = own.environment(s.session)
	s.env.Client = &own
	s.keys = newKeyCache(s)
	s.env.Keys, s.env.Present = s.keys.find, s.keys.present
	s.env.Shell = s
	s.aliases = loadAliases()
	return s, nil
}

func (s *shell) close() error {
	s.leave()
	return s.client.close()
}

// leave ends the candidate's session: a private or exclusive candidate is gone.
func (s *shell) leave() {
	if s.editing != nil {
		s.editing()
		s.editing = nil
	}
	s.session.Candidate, s.session.Status, s.session.Edit = "", command.Status{}, noPath
	if s.session.Mode == command.Configuration {
		s.session.Mode = s.outside
	}
}

// enter opens a candidate and goes to configuration mode.
func (s *shell) enter(ctx context.Context, kind configpb.Kind, name string) error {
	streamCtx, cancel := context.WithCancel(s.client.context(context.WithoutCancel(ctx)))
	stop := context.AfterFunc(ctx, cancel) // until it is open
	stream, err := s.client.configuration().Open(streamCtx, &configpb.OpenRequest{Kind: kind, Name: name})
	if err != nil {
		cancel()
		return err
	}
	first, err := stream.Recv()
	stop()
	if err != nil {
		cancel()
		return err
	}
	n := &news{candidate: first}
	s.news = n
	s.editing = cancel
	s.session.Mode, s.session.Candidate, s.session.Edit = command.Configuration, first.GetId(), noPath
	wake := func() {}
	if w, ok := s.input.(interface{ Wake() }); ok {
		wake = w.Wake
	}
	go func() {
		for {
			m, err := stream.Recv()
			waits := s.waiting(streamCtx)
			n.mu.Lock()
			if err == nil {
				n.candidate, n.pending = m, waits
			} else if streamCtx.Err() == nil {
				n.lost = err
			}
			n.mu.Unlock()
			if err != nil {
				return
			}
			wake()
		}
	}()
	return nil
}

// Note takes what an edit answered of the candidate.
func (s *shell) Note(c *configpb.Candidate) {
	s.news.mu.Lock()
	s.news.candidate = c
	s.news.mu.Unlock()
	s.session.Status.Changed = c.GetChanges() > 0
}

// waiting reports whether a confirmed commit waits.
func (s *shell) waiting(ctx context.Context) bool {
	ctx, done := context.WithTimeout(ctx, refreshBound)
	defer done()
	log, err := s.client.configuration().Log(ctx, &configpb.LogRequest{Limit: 1})
	return err == nil && log.GetPending() != nil
}

// refreshBound is how long a prompt waits for the router to say how the candidate
// stands: what it does not say in time stays as it was.
const refreshBound = 300 * time.Millisecond

// refresh asks how the candidate and the commits stand.
func (s *shell) refresh(ctx context.Context) {
	if s.session.Mode != command.Configuration {
		return
	}
	ctx, done := context.WithTimeout(s.client.context(ctx), refreshBound)
	defer done()
	waits := s.waiting(ctx)
	list, err := s.client.configuration().List(ctx, &configpb.ListRequest{})
	s.news.mu.Lock()
	s.news.pending = waits
	if err == nil {
		for _, c := range list.GetCandidate() {
			if c.GetId() == s.session.Candidate {
				s.news.candidate = c
			}
		}
	}
	s.news.mu.Unlock()
	s.learn()
}

// learn takes over what the router has told.
func (s *shell) learn() {
	if s.session.Mode != command.Configuration {
		return
	}
	s.news.mu.Lock()
	defer s.news.mu.Unlock()
	c := s.news.candidate
	s.session.Status = command.Status{Changed: c.GetChanges() > 0, Waiting: s.news.pending}
}

// gone reports, once, that the candidate's session has ended by itself.
func (s *shell) gone() error {
	s.news.mu.Lock()
	defer s.news.mu.Unlock()
	err := s.news.lost
	s.news.lost = nil
	return err
}

// run runs one line. Without a line editor, which takes it at once, a '?' at the end
// asks for help.
func (s *shell) run(ctx context.Context, line string) error {
	if text, asks := strings.CutSuffix(strings.TrimRight(line, " "), "?"); asks {
		if _, err := command.Split(text); err == nil {
			_, err := io.WriteString(s.env.Out, s.explain(ctx, text, strings.HasSuffix(text, "?")))
			return err
		}
	}
	line = s.aliases.expand(line, s.session.Mode)
	in, err := commandTable().Parse(line, s.session.Mode, s.session.Edit)
	if err != nil || in == nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	err = execute(ctx, s.env, in)
	if in.Command.Effect != command.Reads {
		s.keys.forget()
	}
	if in.Command.Effect == command.Commits {
		named, done := context.WithTimeout(ctx, refreshBound)
		defer done()
		// A name that does not come in time stays as it was.
		_ = s.rename(named)
	}
	return err
}

// mostEnds is how often in a row the input may end: a terminal that is gone never
// answers whether changes may be lost.
const mostEnds = 3

// shellIn reads commands until the input ends, or somebody leaves; first is its
// first line, "" for none.
func (o *options) shellIn(ctx context.Context, first string) error {
	s, err := o.open(command.Operational)
	if err != nil {
		return err
	}
	defer s.close()
	s.ctx = ctx
	if err := s.identify(ctx); err != nil {
		return err
	}
	interactive := isTerminal(o.in) && isTerminal(o.out)
	s.session.Interactive = interactive
	end, err := s.attach()
	if err != nil {
		return err
	}
	defer end()
	if err := s.run(ctx, first); err != nil {
		return err
	}
	for ends := 0; !s.session.Quit && ends < mostEnds; {
		s.refresh(ctx)
		if err := s.gone(); err != nil {
			s.leave()
			s.complain(fmt.Errorf("the candidate is gone, with the changes in it: %s", dialed(status.Convert(err).Message())), "")
		}
		line, err := s.input.ReadLine(ctx, s.prompt)
		switch {
		case errors.Is(err, editor.ErrInterrupt):
			continue
		case errors.Is(err, io.EOF):
			ends++
			if line, err = "exit", nil; s.session.Interactive {
				fmt.Fprintln(o.out)
			} else {
				line = "quit"
			}
		case err != nil:
			return err
		default:
			ends = 0
		}
		before := lastLine(s.prompt())
		s.last = s.run(ctx, line)
		if s.last != nil {
			s.complain(s.last, before)
		}
		if ctx.Err() != nil {
			return &exitError{exitRefused}
		}
	}
	if !interactive && s.last != nil {
		_, code := s.judge(s.last)
		return &exitError{code}
	}
	return nil
}

// judge turns an error into lines and an exit code.
func (s *shell) judge(err error) ([]string, int) {
	if isUsage(err) {
		return []string{err.Error()}, exitUsage
	}
	return explain(s.o.target, err)
}

// complain says what went wrong. Where the line is still on the screen, the caret
// stands under it.
func (s *shell) complain(err error, prompt string) {
	if errors.Is(err, context.Canceled) && !isUsage(err) {
		fmt.Fprintln(s.o.errOut, "interrupted")
		return
	}
	if e, ok := command.AsError(err); ok {
		if s.session.Interactive && prompt != "" {
			fmt.Fprint(s.o.errOut, e.Mark(len([]rune(prompt))))
		} else {
			fmt.Fprint(s.o.errOut, e.Caret("  "))
		}
	}
	lines, _ := s.judge(err)
	fmt.Fprintf(s.o.errOut, "error: %s\n", strings.Join(lines, "\n"))
}

// identify finds the names for the prompt. It fails where no command could do better:
// there is no router, or it doesn't know the user.
func (s *shell) identify(ctx context.Context) error {
	s.user, s.host = s.o.target.user, "router"
	if s.user == "" {
		if u, err := user.Current(); err == nil {
			s.user = u.Username
		}
	}
	if s.o.target.address != "" {
		s.host = s.o.target.address
	}
	ctx, done := context.WithTimeout(ctx, 2*time.Second)
	defer done()
	err := s.rename(ctx)
	if _, code := explain(s.o.target, err); err != nil && (code == exitNoConnection || status.Code(err) == codes.Unauthenticated) {
		return err
	}
	return nil
}

// rename has the prompt show the router's host name, if the router tells it and it can
// be shown.
func (s *shell) rename(ctx context.Context) error {
	notes, err := s.client.get(ctx, gpb.GetRequest_STATE, &gpb.Path{Elem: []*gpb.PathElem{{Name: "system"}, {Name: "state"}, {Name: "hostname"}}})
	if err != nil || len(notes) == 0 || len(notes[0].GetUpdate()) == 0 {
		return err
	}
	if name := strings.Trim(string(rawValue(notes[0].GetUpdate()[0].GetVal())), `"`); name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r < '!' || r > '~' }) {
		s.host = name
	}
	return nil
}

// prompt is user@host> or, below a line that says where configuration mode stands,
// user@host# : '*' where the candidate differs from running, '!' while a confirmed
// commit waits.
func (s *shell) prompt() string {
	name := s.user + "@" + s.host
	if s.session.Mode != command.Configuration {
		return name + "> "
	}
	s.learn()
	parts := []string{"edit", s.session.Edit.Words()}
	text := "\n[" + strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), " ") + "]"
	if s.session.Status.Changed {
		text += "*"
	}
	if s.session.Status.Waiting {
		text += "!"
	}
	return text + "\n" + name + "# "
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }
