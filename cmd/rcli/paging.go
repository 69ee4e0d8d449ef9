package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/command"
	"router/cmd/rcli/pager"
	"router/cmd/rcli/tty"
)

// innermost is the command that does the work: of run, the one behind it.
func innermost(in *command.Input) *command.Command {
	for in.Nested != nil {
		in = in.Nested
	}
	return in.Command
}

// attended makes the output of a command fit for the person at the terminal: who reads
// it gets a pager, who waits for it is told that it works. leave ends that: it waits
// until all is read, and says what of err remains to be told.
func attended(ctx context.Context, env *command.Env, in *command.Input) (_ context.Context, leave func(error) error) {
	cmd := innermost(in)
	o, ok := env.Client.(*options)
	if !ok {
		return ctx, func(err error) error { return err }
	}
	t, ok := tty.Open(o.in, env.Out)
	if !ok || env.Basic || cmd.Live || env.Session == nil || !env.Session.Interactive {
		return ctx, func(err error) error { return err }
	}
	waiting := newProgress(t, env.Session)
	if env.NoPager || cmd.Effect != command.Reads {
		env.Out = speaker{t, waiting.end}
		return ctx, func(err error) error {
			waiting.close()
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	p := pager.New(speakingTerminal{t, waiting.end}, cancel)
	env.Out = p
	return ctx, func(err error) error {
		perr := p.Close()
		waiting.close()
		cancel()
		if errors.Is(err, pager.ErrQuit) || p.Left() && (errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled) {
			err = nil
		}
		if err == nil {
			err = perr
		}
		return err
	}
}

// patience is how long a command may be silent before the person is told that it
// works.
const patience = time.Second

// A progress tells a person that a command works, until it says or asks something
// itself. It is safe for concurrent use.
type progress struct {
	mu    sync.Mutex
	term  io.Writer
	shown bool
	over  bool
	stop  chan struct{}
	done  sync.WaitGroup
	undo  func()
}

func newProgress(t io.Writer, s *command.Session) *progress {
	p := &progress{term: t, stop: make(chan struct{})}
	ask, read, secret := s.Ask, s.ReadLine, s.Secret
	p.undo = func() { s.Ask, s.ReadLine, s.Secret = ask, read, secret }
	if ask != nil {
		s.Ask = func(question string) bool { p.end(); return ask(question) }
	}
	if read != nil {
		s.ReadLine = func(prompt string) (string, error) { p.end(); return read(prompt) }
	}
	if secret != nil {
		s.Secret = func(prompt string) (string, error) { p.end(); return secret(prompt) }
	}
	p.done.Go(p.run)
	return p
}

// close ends it when the command has.
func (p *progress) close() {
	p.end()
	close(p.stop)
	p.done.Wait()
	p.undo()
}

func (p *progress) run() {
	start := time.Now()
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		if p.over {
			p.mu.Unlock()
			return
		}
		p.shown = true
		fmt.Fprintf(p.term, "\r\x1b[K\x1b[2mworking for %d s, Ctrl-C stops it\x1b[0m", int(time.Since(start).Seconds()))
		p.mu.Unlock()
	}
}

// end takes the line away for good.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.shown {
		p.shown = false
		fmt.Fprint(p.term, "\r\x1b[K")
	}
}

// A speaker tells when something is written.
type speaker struct {
	io.Writer
	spoken func()
}

// Write implements io.Writer.
func (s speaker) Write(b []byte) (int, error) {
	s.spoken()
	return s.Writer.Write(b)
}

// A speakingTerminal is a terminal that does so.
type speakingTerminal struct {
	*tty.Terminal
	spoken func()
}

// Write implements io.Writer.
func (t speakingTerminal) Write(b []byte) (int, error) {
	t.spoken()
	return t.Terminal.Write(b)
}
