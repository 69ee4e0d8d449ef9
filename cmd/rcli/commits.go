package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

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
}

func (f *commitOptions) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.check, "check", false, "validate and say what would be done; change nothing")
	cmd.Flags().StringVar(&f.comment, "comment", "", "words for the log of commits")
	cmd.Flags().IntVar(&f.confirmed, "confirmed", 0, "take the commit back after so many minutes unless it is confirmed")
	cmd.Flags().StringVar(&f.id, "id", "", "name of the confirmed commit (default: made up)")
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

// text reads a file, or standard input for "-".
func (o *options) text(file string) (string, error) {
	if file == "-" {
		b, err := io.ReadAll(o.in)
		return string(b), err
	}
	b, err := os.ReadFile(file)
	return string(b), err
}

// isCommands reports whether a file holds set-commands rather than JSON: its
// first word that is no comment's is a verb.
func isCommands(text string) bool {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		return words[0] == "set" || words[0] == "replace" || words[0] == "delete"
	}
	return false
}

// loadEdit is the edit that loads a text, of RFC 7951 JSON or set-commands.
func loadEdit(mode, text string) (*configpb.Edit, error) {
	if mode != "merge" && mode != "replace" {
		return nil, usagef("load %s: want merge or replace", mode)
	}
	l := &configpb.Edit_Load{Replace: mode == "replace", Text: text, Format: configpb.Edit_Load_JSON}
	if isCommands(text) {
		l.Format = configpb.Edit_Load_COMMANDS
	}
	return &configpb.Edit{Edit: &configpb.Edit_Load_{Load: l}}, nil
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
	edit, err := loadEdit(mode, text)
	if err != nil {
		return err
	}
	id, seconds, err := f.confirm()
	if err != nil {
		return err
	}
	return o.with(func(c *client) error {
		resp, err := c.configuration().Commit(c.context(ctx), &configpb.CommitRequest{
			Edit: []*configpb.Edit{edit}, Comment: f.comment, Check: f.check, ConfirmId: id, ConfirmSeconds: seconds})
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

// unappliedOf finds what a Set says of objects that are not in place.
func unappliedOf(resp *gpb.SetResponse) []*configpb.Unapplied {
	for _, e := range resp.GetExtension() {
		r := &configpb.SetResult{}
		if x := e.GetRegisteredExt(); x.GetId() == gnmi_ext.ExtensionID_EID_EXPERIMENTAL && proto.Unmarshal(x.GetMsg(), r) == nil {
			return r.GetUnapplied()
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

// oneID is the optional id of a confirmed commit.
func oneID(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return ""
}

func commitCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "commit confirm|cancel|wait|confirmed ...",
		Short: "confirm or cancel a confirmed commit, move its deadline, or make one",
		Args: func(_ *cobra.Command, args []string) error {
			return fmt.Errorf("unknown command %q: want confirm, cancel, wait or confirmed", strings.Join(args, " "))
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	end := func(use, short, done string, call func(context.Context, *client, string) error) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
			return o.with(func(c *client) error {
				if err := call(c.context(cmd.Context()), c, oneID(args)); err != nil {
					return err
				}
				_, err := fmt.Fprintln(o.out, done)
				return err
			})
		}}
	}
	var f commitOptions
	confirmed := &cobra.Command{
		Use:   "confirmed MINUTES [merge|replace] FILE",
		Short: "load a file as a commit that is taken back unless it is confirmed in time",
		Args:  cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			minutes, err := strconv.Atoi(args[0])
			if err != nil || minutes == 0 {
				return usagef("commit confirmed %s: want a number of minutes", args[0])
			}
			f.confirmed = minutes
			mode := "merge"
			if len(args) == 3 {
				mode = args[1]
			}
			return o.commitFile(cmd.Context(), mode, args[len(args)-1], &f)
		},
	}
	confirmed.Flags().StringVar(&f.comment, "comment", "", "words for the log of commits")
	confirmed.Flags().StringVar(&f.id, "id", "", "name of the confirmed commit (default: made up)")
	cmd.AddCommand(confirmed,
		end("confirm [ID]", "make the confirmed commit that waits last", "confirmed", func(ctx context.Context, c *client, id string) error {
			_, err := c.configuration().Confirm(ctx, &configpb.ConfirmRequest{Id: id})
			return err
		}),
		end("cancel [ID]", "take the confirmed commit that waits back now", "taken back", func(ctx context.Context, c *client, id string) error {
			_, err := c.configuration().Cancel(ctx, &configpb.ConfirmRequest{Id: id})
			return err
		}),
		&cobra.Command{Use: "wait MINUTES [ID]", Short: "move the deadline of the confirmed commit that waits", Args: cobra.RangeArgs(1, 2),
			RunE: func(cmd *cobra.Command, args []string) error {
				minutes, err := strconv.ParseUint(args[0], 10, 16)
				if err != nil {
					return usagef("commit wait %s: want a number of minutes", args[0])
				}
				return o.with(func(c *client) error {
					_, err = c.configuration().SetWait(c.context(cmd.Context()), &configpb.SetWaitRequest{Id: oneID(args[1:]), Seconds: uint32(minutes) * 60})
					return err
				})
			}})
	for _, c := range cmd.Commands() {
		usageArgs(c)
	}
	return cmd
}

func rollbackCommand(o *options) *cobra.Command {
	var f commitOptions
	cmd := &cobra.Command{
		Use:   "rollback N",
		Short: "make the configuration what it was after commit N, as a new commit (show commits lists them)",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return usagef("rollback %s: want the number of a commit", args[0])
			}
			id, seconds, err := f.confirm()
			if err != nil {
				return err
			}
			return o.with(func(c *client) error {
				resp, err := c.configuration().Rollback(c.context(cmd.Context()), &configpb.RollbackRequest{
					Number: n, Comment: f.comment, Check: f.check, ConfirmId: id, ConfirmSeconds: seconds})
				if err != nil {
					return err
				}
				return o.printCommit(resp, id, f.confirmed)
			})
		},
	}
	f.flags(cmd)
	return cmd
}

func rescueCommand(o *options) *cobra.Command {
	var f commitOptions
	cmd := &cobra.Command{
		Use:       "rescue save|load",
		Short:     "keep running as the configuration to go back to when all else fails, or go back to it",
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"save", "load"},
		RunE: func(cmd *cobra.Command, args []string) error {
			id, seconds, err := f.confirm()
			if err != nil {
				return err
			}
			if args[0] == "save" && f.given() {
				return usagef("rescue save takes no flags: it makes no commit")
			}
			return o.with(func(c *client) error {
				ctx := c.context(cmd.Context())
				if args[0] == "save" {
					_, err := c.configuration().SaveRescue(ctx, &configpb.SaveRescueRequest{})
					return err
				}
				resp, err := c.configuration().LoadRescue(ctx, &configpb.RollbackRequest{Comment: f.comment, Check: f.check, ConfirmId: id, ConfirmSeconds: seconds})
				if err != nil {
					return err
				}
				return o.printCommit(resp, id, f.confirmed)
			})
		},
	}
	f.flags(cmd)
	return cmd
}

func compareCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "compare FROM [TO]",
		Short: "what turns the configuration after commit FROM into that after TO (default: the newest)",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			req := &configpb.DiffRequest{}
			for i, to := range []*uint64{&req.From, &req.To}[:len(args)] {
				n, err := strconv.ParseUint(args[i], 10, 64)
				if err != nil {
					return usagef("compare %s: want the number of a commit", args[i])
				}
				*to = n
			}
			return o.with(func(c *client) error {
				ctx := c.context(cmd.Context())
				if len(args) == 1 {
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
			})
		},
	}
}

func planCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "plan [merge|replace] FILE",
		Short: "say what loading a file would do; change nothing",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			mode := "merge"
			if len(args) == 2 {
				mode = args[0]
			}
			return o.commitFile(cmd.Context(), mode, args[len(args)-1], &commitOptions{check: true})
		},
	}
}

func candidatesCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "candidates",
		Short: "list the open candidates: who edits what since when",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(func(c *client) error {
				resp, err := c.configuration().List(c.context(cmd.Context()), &configpb.ListRequest{})
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
			})
		},
	}
}

// clock is a time in nanoseconds since 1970, a dash for none.
func clock(ns int64) string {
	if ns == 0 {
		return "-"
	}
	return time.Unix(0, ns).Format(time.DateTime)
}
