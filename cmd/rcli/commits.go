package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"router/cmd/rcli/command"
	"router/cmd/rcli/conf"
	"router/gen/configpb"
)

// This file has what rcli does with commits beyond gNMI's Set, over routerd's
// configuration service.

func (c *client) configuration() configpb.ConfigurationClient {
	return configpb.NewConfigurationClient(c.conn)
}

// commitOptions are the flags that everything takes that makes a commit.
type commitOptions struct {
	check     bool
	comment   string
	confirmed int // minutes; 0 for an ordinary commit
	id        string
	force     bool // though it may cut the connection
}

// given reports whether any of the flags asks for something.
func (f *commitOptions) given() bool { return *f != commitOptions{} }

// confirm is the id and the wait in seconds for the request; "" for an ordinary commit.
func (f *commitOptions) confirm() (id string, seconds uint32, err error) {
	switch {
	case f.confirmed < 0 || f.confirmed > 60*24*7:
		return "", 0, usagef("--confirmed %d: want 1 to %d minutes", f.confirmed, 60*24*7)
	case f.confirmed == 0 && f.id != "":
		return "", 0, usagef("--id %s names a confirmed commit: give --confirmed MINUTES too", f.id)
	case f.confirmed == 0:
		return "", 0, nil
	case f.check:
		return "", 0, usagef("--check changes nothing: there is nothing to be confirmed")
	case f.id == "":
		return "rcli-" + strconv.FormatInt(time.Now().UnixNano(), 36), uint32(f.confirmed) * 60, nil
	}
	return f.id, uint32(f.confirmed) * 60, nil
}

// text reads a file, or standard input for "-", without the byte order mark that some editors begin
// a file with.
func (o *options) text(file string) (string, error) {
	var b []byte
	var err error
	if file == "-" {
		b, err = io.ReadAll(o.in)
	} else {
		b, err = os.ReadFile(file)
	}
	return strings.TrimPrefix(string(b), "\ufeff"), err
}

// isJSON reports whether a text begins as JSON does, rather than as the form with
// braces or a command.
func isJSON(text string) bool {
	text = strings.TrimSpace(text)
	return text == "" || strings.ContainsAny(text[:1], `{["0123456789-`) || slices.Contains([]string{"null", "true", "false"}, text)
}

// isRouters reports whether a text is of commands as the router itself writes them,
// each with a path.
func isRouters(text string) bool {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 1 && !strings.HasPrefix(words[0], "#") && !strings.HasPrefix(words[1], "/") {
			return false
		}
	}
	return true
}

// oneShotEdits are the edits that load a text into the whole configuration: RFC 7951
// JSON, commands with paths or words, or the form with braces.
func oneShotEdits(mode, text string) ([]*configpb.Edit, error) {
	replace := mode == "replace"
	if !replace && mode != "merge" {
		return nil, usagef("load %s: want merge or replace", mode)
	}
	switch {
	case isJSON(text):
		return []*configpb.Edit{{Edit: &configpb.Edit_Load_{Load: &configpb.Edit_Load{Replace: replace, Text: text}}}}, nil
	case conf.IsBraces(text):
		commands, err := conf.Parse(text, noPath)
		if err != nil {
			return nil, usagef("load %s: %w", mode, err)
		}
		return []*configpb.Edit{conf.CommandsEdit(commands, replace)}, nil
	case isRouters(text):
		return []*configpb.Edit{conf.CommandsEdit(text, replace)}, nil
	}
	edits, err := conf.Edits(text, noPath)
	if err != nil {
		return nil, usagef("load %s: %w", mode, err)
	}
	if replace {
		if l := edits[0].GetLoad(); l != nil {
			l.Replace = true
		} else {
			edits = slices.Insert(edits, 0, conf.CommandsEdit("delete /\n", false))
		}
	}
	return edits, nil
}

// commitFile loads a file as one commit.
func (o *options) commitFile(ctx context.Context, mode, file string, f *commitOptions) error {
	text, err := o.text(file)
	if err != nil {
		return usagef("load: %w", err)
	}
	return o.commitText(ctx, mode, text, f)
}

func (o *options) commitText(ctx context.Context, mode, text string, f *commitOptions) error {
	edits, err := oneShotEdits(mode, text)
	if err != nil {
		return err
	}
	return o.commitEdits(ctx, edits, f)
}

// commitEdits makes one commit of edits of what runs.
func (o *options) commitEdits(ctx context.Context, edits []*configpb.Edit, f *commitOptions) error {
	id, seconds, err := f.confirm()
	if err != nil {
		return err
	}
	return o.with(func(c *client) error {
		err := o.uncut(ctx, f, func(ctx context.Context) (*configpb.Plan, error) {
			resp, err := c.configuration().Commit(c.context(ctx), &configpb.CommitRequest{Edit: edits, Check: true})
			return resp.GetPlan(), err
		})
		if err != nil {
			return err
		}
		resp, err := c.configuration().Commit(c.context(ctx), &configpb.CommitRequest{
			Edit: edits, Comment: f.comment, Check: f.check, ConfirmId: id, ConfirmSeconds: seconds})
		if err != nil {
			return err
		}
		return o.printCommit(resp, id, f.confirmed)
	})
}

// printCommit says what a commit, or its plan, came to.
func (o *options) printCommit(resp *configpb.CommitResponse, id string, minutes int) error {
	if o.json {
		return o.printAnswer(resp)
	}
	if resp.GetPlan() != nil {
		return o.printPlan(resp.GetPlan())
	}
	_, err := fmt.Fprintf(o.out, "commit %d\n", resp.GetCommit().GetNumber())
	if id != "" {
		fmt.Fprintf(o.out, "it is taken back in %d min unless you say: rcli commit confirm %s\n", minutes, id)
	}
	printUnapplied(o.out, resp.GetUnapplied())
	return err
}

// quiet is where notes for people go: nowhere when programs read.
func (o *options) quiet() io.Writer {
	if o.json {
		return nil
	}
	return o.out
}

// resultOf finds what a Set says beside gNMI's own answer.
func resultOf(resp *gpb.SetResponse) *configpb.SetResult {
	for _, e := range resp.GetExtension() {
		r := &configpb.SetResult{}
		if x := e.GetRegisteredExt(); x.GetId() == gnmi_ext.ExtensionID_EID_EXPERIMENTAL && proto.Unmarshal(x.GetMsg(), r) == nil {
			return r
		}
	}
	return nil
}

func printUnapplied(w io.Writer, list []*configpb.Unapplied) {
	for _, u := range list {
		fmt.Fprintf(w, "%s: %s: %s\n", u.GetStatus(), u.GetPath(), u.GetReason())
	}
}

// printAnswer prints an answer as JSON.
func (o *options) printAnswer(m proto.Message) error {
	b, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return err
	}
	// protojson puts blanks at random; printJSON doesn't.
	return printJSON(o.out, b)
}

func (o *options) printPlan(p *configpb.Plan) error {
	var b bytes.Buffer
	if len(p.GetDifference()) == 0 {
		b.WriteString("nothing would change\n")
	}
	section := func(heading string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "%s:\n", heading)
		for _, l := range lines {
			fmt.Fprintf(&b, "  %s\n", l)
		}
	}
	section("changes", differenceLines(p.GetDifference()))
	section("steps", p.GetStep())
	section("disturbs", p.GetDisturbs())
	section("may cut this connection", p.GetCuts())
	_, err := o.out.Write(b.Bytes())
	return err
}

// differenceLines are differences as lines, what goes with a minus and what
// comes with a plus.
func differenceLines(list []*configpb.Difference) []string {
	var lines []string
	for _, d := range list {
		if d.GetOld() != "" {
			lines = append(lines, "- "+d.GetPath()+" "+d.GetOld())
		}
		if d.GetNew() != "" {
			lines = append(lines, "+ "+d.GetPath()+" "+d.GetNew())
		}
	}
	return lines
}

// clock is a time in nanoseconds since 1970, a dash for none.
func clock(ns int64) string {
	if ns == 0 {
		return "-"
	}
	return time.Unix(0, ns).Format(time.DateTime)
}

// rollback makes the commit that call asks for with the options of f.
func (o *options) rollback(ctx context.Context, c *client, f *commitOptions, call func(context.Context, *configpb.RollbackRequest) (*configpb.CommitResponse, error)) error {
	id, seconds, err := f.confirm()
	if err != nil {
		return err
	}
	err = o.uncut(ctx, f, func(ctx context.Context) (*configpb.Plan, error) {
		resp, err := call(c.context(ctx), &configpb.RollbackRequest{Check: true})
		return resp.GetPlan(), err
	})
	if err != nil {
		return err
	}
	resp, err := call(c.context(ctx), &configpb.RollbackRequest{Comment: f.comment, Check: f.check, ConfirmId: id, ConfirmSeconds: seconds})
	if err != nil {
		return err
	}
	return o.printCommit(resp, id, f.confirmed)
}

// compareCommits prints what turns one commit's configuration into another's.
func compareCommits(ctx context.Context, o *options, c *client, in *command.Input) error {
	req := &configpb.DiffRequest{}
	ctx = c.context(ctx)
	for name, to := range map[string]*uint64{"from": &req.From, "to": &req.To} {
		if !in.Has(name) {
			continue
		}
		n, err := strconv.ParseUint(in.Value(name), 10, 64)
		if err != nil {
			return usagef("compare %s: want the number of a commit", in.Value(name))
		}
		*to = n
	}
	if !in.Has("to") {
		log, err := c.configuration().Log(ctx, &configpb.LogRequest{Limit: 1})
		if err != nil {
			return err
		}
		if len(log.GetCommit()) > 0 {
			req.To = log.GetCommit()[0].GetNumber()
		}
	}
	resp, err := c.configuration().Diff(ctx, req)
	if err != nil {
		return err
	}
	if o.json {
		return o.printAnswer(resp)
	}
	for _, l := range differenceLines(resp.GetDifference()) {
		if _, err := fmt.Fprintln(o.out, l); err != nil {
			return err
		}
	}
	return nil
}

// showCandidates prints the open candidates: who edits what since when.
func showCandidates(ctx context.Context, o *options, c *client, _ *command.Input) error {
	resp, err := c.configuration().List(c.context(ctx), &configpb.ListRequest{})
	if err != nil {
		return err
	}
	if o.json {
		return o.printAnswer(resp)
	}
	var rows [][]string
	for _, m := range resp.GetCandidate() {
		var editors []string
		for _, e := range m.GetEditors() {
			editors = append(editors, e.GetUser())
		}
		rows = append(rows, []string{m.GetId(), dash(m.GetName()), dash(m.GetOwner().GetUser()), clock(m.GetOwner().GetSince()), dash(strings.Join(editors, ",")),
			clock(m.GetEdited()), strconv.FormatUint(m.GetBase(), 10), strconv.FormatUint(m.GetBehind(), 10),
			strconv.FormatUint(m.GetChanges(), 10), strconv.FormatUint(m.GetConflicts(), 10)})
	}
	return table(o.out, "Candidate Name Owner Since Editors Edited Base Behind Changes Conflicts", rows)
}
