package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/command"
	"router/cmd/rcli/conf"
	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

// This file has what stands behind the commands of configuration mode: the
// candidate as text, what it changes, loads and commits.

// read fetches what the candidate has at a path, as commands with inactive parts and
// comments.
func (s *shell) read(ctx context.Context, p schema.Path) (text string, err error) {
	return s.source().read(ctx, p)
}

// source is the candidate.
func (s *shell) source() source {
	return source{client: s.client, candidate: s.session.Candidate}
}

// showCandidate prints the candidate.
func showCandidate(ctx context.Context, s *shell, env *command.Env, in *command.Input) error {
	p := in.Path("path")
	if env.Compare {
		return s.compare(ctx, env, env.Rollback, p)
	}
	return s.source().show(ctx, env, p)
}

// stands reports whether the candidate has anything at one of the paths. Of an entry of
// a list its key is asked for.
func (s *shell) stands(ctx context.Context, paths []schema.Path) bool {
	for _, p := range paths {
		if n := p.Target(); n.Kind == schema.List && p.MissingKey() == nil {
			p = p.Child(n.Keys[0])
		}
		if text, err := s.read(ctx, p); err != nil || text != "" {
			return true
		}
	}
	return false
}

// compare prints what turns running, or the configuration after a commit, into the
// candidate.
func (s *shell) compare(ctx context.Context, env *command.Env, rollback string, base schema.Path) error {
	resp, err := s.client.configuration().Compare(s.client.context(ctx), &configpb.CandidateRequest{Id: s.session.Candidate})
	if err != nil {
		return inWords(err)
	}
	list := resp.GetDifference()
	if rollback != "" {
		n, err := strconv.ParseUint(rollback, 10, 64)
		if err != nil {
			return usagef("rollback %s: want the number of a commit", rollback)
		}
		log, err := s.client.configuration().Log(s.client.context(ctx), &configpb.LogRequest{Limit: 1})
		if err != nil {
			return err
		}
		newest := uint64(0)
		if len(log.GetCommit()) > 0 {
			newest = log.GetCommit()[0].GetNumber()
		}
		before, err := s.client.configuration().Diff(s.client.context(ctx), &configpb.DiffRequest{From: n, To: newest})
		if err != nil {
			return err
		}
		list = conf.Join(before.GetDifference(), list)
	}
	switch form := env.Form; {
	case len(env.Fields) > 0 || !slices.Contains([]string{"", "curly", "json", "set"}, form):
		return usagef("what a candidate changes has the forms curly, json and set")
	case env.JSON || form == "json":
		return of(env).printAnswer(&configpb.Differences{Difference: list})
	case form == "set":
		return conf.CompareCommands(env.Out, list, base)
	}
	return conf.Compare(env.Out, list, base)
}

// updateCandidate settles conflicts, or lists them.
func updateCandidate(ctx context.Context, s *shell, env *command.Env, in *command.Input) error {
	how := map[string]configpb.UpdateRequest_Resolution{"": configpb.UpdateRequest_REFUSE, "mine": configpb.UpdateRequest_MINE, "theirs": configpb.UpdateRequest_THEIRS}[in.Value("resolution")]
	resp, err := s.client.configuration().Update(s.client.context(ctx), &configpb.UpdateRequest{Id: s.session.Candidate, Resolution: how})
	if err != nil {
		return inWords(err)
	}
	s.Note(resp.GetCandidate())
	if n := len(resp.GetSettled()); n > 0 {
		_, err = fmt.Fprintf(env.Out, "%d conflicts are settled: %s changes stand\n", n, map[string]string{"mine": "your", "theirs": "their"}[in.Value("resolution")])
	}
	return err
}

// load changes the candidate by a text.
func (s *shell) load(ctx context.Context, env *command.Env, how, file string, relative bool) error {
	text, err := s.text(env, file)
	if err != nil {
		return err
	}
	base := noPath
	if relative {
		base = s.session.Edit
	}
	edits, err := loadEdits(how, text, base)
	if err != nil {
		return &usageError{fmt.Errorf("load %s: %w", how, err)}
	}
	if len(edits) == 0 {
		_, err := fmt.Fprintln(env.Out, "the text has nothing to load")
		return err
	}
	return s.loaded(ctx, env, edits...)
}

// text reads a file, or what is typed up to Ctrl-D.
func (s *shell) text(env *command.Env, file string) (string, error) {
	if file != "terminal" && file != "-" {
		text, err := s.o.text(file)
		if err != nil {
			return "", usagef("load: %w", err)
		}
		return text, nil
	}
	if s.session.ReadLine == nil {
		return "", usagef("load: there is no terminal to read from: name a file")
	}
	if s.session.Interactive {
		fmt.Fprintln(env.Out, "[Type or paste the text, and Ctrl-D at the end of it]")
	}
	var b strings.Builder
	for {
		line, err := s.session.ReadLine("")
		switch {
		case errors.Is(err, io.EOF):
			b.WriteString(line)
			return b.String(), nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return "", errors.New("load: interrupted: nothing is changed")
		case err != nil:
			return "", err
		}
		b.WriteString(line + "\n")
	}
}

// loadEdits reads a text below base, in the form that it has.
func loadEdits(how, text string, base schema.Path) ([]*configpb.Edit, error) {
	switch how {
	case "set":
		return conf.Edits(text, base)
	case "patch":
		return conf.Patch(text, base)
	}
	replace := how == "replace"
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "["):
		if base.IsRoot() {
			return []*configpb.Edit{{Edit: &configpb.Edit_Load_{Load: &configpb.Edit_Load{Replace: replace, Text: text}}}}, nil
		}
		if replace {
			return []*configpb.Edit{{Edit: &configpb.Edit_Replace_{Replace: &configpb.Edit_Replace{Path: base.String(), Json: text}}}}, nil
		}
		return []*configpb.Edit{{Edit: &configpb.Edit_Set_{Set: &configpb.Edit_Set{Path: base.String(), Json: text}}}}, nil
	case trimmed == "" && !replace:
		return nil, nil
	}
	var edits []*configpb.Edit
	if replace {
		edits = append(edits, conf.CommandsEdit("delete "+conf.PathWord(base)+"\n", false))
	}
	if conf.IsBraces(text) {
		commands, err := conf.Parse(text, base)
		if err != nil {
			return nil, err
		}
		if replace && !base.IsRoot() {
			commands = "set " + conf.PathWord(base) + "\n" + commands
		}
		return append(edits, conf.CommandsEdit(commands, false)), nil
	}
	more, err := conf.Edits(text, base)
	return append(edits, more...), err
}

// commitCandidate puts the candidate in force.
func commitCandidate(ctx context.Context, s *shell, env *command.Env, in *command.Input) error {
	c, o := s.client.configuration(), of(env)
	req := &configpb.CommitRequest{Id: s.session.Candidate, Comment: in.Value("comment"), Check: in.Has("check")}
	minutes := 0
	if in.Command.Words == "commit confirmed" {
		minutes = numberOf(in, "minutes", confirmMinutes)
		f := commitOptions{confirmed: minutes}
		var err error
		if req.ConfirmId, req.ConfirmSeconds, err = f.confirm(); err != nil {
			return err
		}
	}
	s.refresh(ctx)
	if st := s.session.Status; st.Waiting && !st.Changed && minutes == 0 && !req.Check {
		// Nothing else can be meant.
		if _, err := c.Confirm(s.client.context(ctx), &configpb.ConfirmRequest{}); err != nil {
			return inWords(err)
		}
		fmt.Fprintln(env.Out, "the commit that waited is confirmed")
		return s.afterCommit(in)
	}
	if s.o.target.address != "" && !req.Check {
		plan, err := c.Check(s.client.context(ctx), &configpb.CandidateRequest{Id: s.session.Candidate})
		if err != nil {
			return inWords(err)
		}
		if stop, err := o.mayCut(plan, minutes > 0, in.Has("force"), s.session.Ask); stop || err != nil {
			return err
		}
	}
	resp, err := c.Commit(s.client.context(ctx), req)
	if err != nil {
		return inWords(err)
	}
	s.warm(resp)
	if req.Check {
		if !env.JSON {
			fmt.Fprintln(env.Out, "the candidate is valid")
		}
		return o.printCommit(resp, "", 0)
	}
	if err := o.printCommit(resp, "", 0); err != nil {
		return err
	}
	if minutes > 0 && !env.JSON {
		fmt.Fprintf(env.Out, "it is taken back in %d min unless you say: commit confirm\n", minutes)
	}
	return s.afterCommit(in)
}

// warm notes that the candidate changes nothing any more after a commit.
func (s *shell) warm(resp *configpb.CommitResponse) {
	if resp.GetPlan() != nil {
		return
	}
	s.news.mu.Lock()
	defer s.news.mu.Unlock()
	if c := s.news.candidate; c != nil {
		c.Changes, c.Conflicts, c.Base, c.Behind = 0, 0, resp.GetCommit().GetNumber(), 0
	}
	s.session.Status.Changed = false
}

func (s *shell) afterCommit(in *command.Input) error {
	if in.Has("and-quit") {
		s.leave()
	}
	return nil
}

// pathIn finds paths of the model in a message.
var pathIn = regexp.MustCompile(`/[a-z][a-z0-9-]*(?:\[(?:[^\]\\]|\\.)*\]|/[a-z][a-z0-9-]*)*`)

// inWords is an error of the router with its paths as the shell has them, and its
// conflicts listed.
func inWords(err error) error {
	st, ok := status.FromError(err)
	if !ok || err == nil {
		return err
	}
	//exhaustive:ignore the other codes tell of no path
	switch st.Code() {
	case codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition, codes.Aborted, codes.Unimplemented:
	default:
		return err
	}
	var lines []string
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				lines = append(lines, wordsIn(v.GetField())+": "+wordsIn(v.GetDescription()))
			}
		case *configpb.Conflicts:
			lines = append(lines, "somebody has changed the same meanwhile; nothing is committed:")
			for _, c := range d.GetConflict() {
				lines = append(lines, fmt.Sprintf("  %s: you %s, %s in commit %d %s", wordsIn(c.GetPath()), did(c.GetMine()), cmp.Or(c.GetUser(), "somebody"), c.GetCommit(), did(c.GetTheirs())))
			}
			lines = append(lines, "update mine keeps your changes, update theirs drops them there")
		}
	}
	if len(lines) == 0 {
		lines = []string{wordsIn(st.Message())}
	}
	return errors.New(strings.Join(slices.Compact(lines), "\n"))
}

func did(d *configpb.Difference) string {
	switch {
	case d.GetNew() == "":
		return "delete " + wordsIn(d.GetPath())
	case d.GetAspect() == configpb.Difference_VALUE:
		return "set it to " + d.GetNew()
	}
	return "mark it"
}

// wordsIn puts the paths of a message into words.
func wordsIn(text string) string {
	return pathIn.ReplaceAllStringFunc(text, func(path string) string {
		p, err := schema.ParsePath(path)
		if err != nil || p.IsRoot() {
			return path
		}
		return p.Words()
	})
}
