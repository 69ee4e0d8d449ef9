package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type commitTree struct {
	Number    string   `json:"number"`
	Time      string   `json:"time"`
	User      string   `json:"user"`
	Source    string   `json:"source"`
	Comment   string   `json:"comment"`
	ConfirmID string   `json:"confirm-id"`
	RevertsTo string   `json:"reverts-to"`
	Changes   string   `json:"changes"`
	Paths     []string `json:"changed-path"`
}

// A datastoreTree is /system/state/datastore.
type datastoreTree struct {
	Pending struct {
		ID       string `json:"id"`
		Commit   string `json:"commit-number"`
		Base     string `json:"base-commit-number"`
		Deadline string `json:"deadline"`
		User     string `json:"user"`
		Late     string `json:"late-reason"`
	} `json:"pending-commit"`
	Rescue struct {
		Commit string `json:"commit-number"`
		Time   string `json:"save-time"`
		User   string `json:"user"`
	} `json:"rescue"`
	Damage  []string `json:"damage"`
	LeftOut []string `json:"left-out"`
}

func commitPath(number string) *gpb.Path {
	return &gpb.Path{Elem: []*gpb.PathElem{{Name: "system"}, {Name: "commit", Key: map[string]string{"number": number}}}}
}

func showCommits(ctx context.Context, o *options, c *client) error {
	var list []commitTree
	if done, _, err := o.fetch(ctx, c, gpb.GetRequest_STATE, commitPath("*"), collect(&list)); err != nil || done {
		return err
	}
	slices.SortFunc(list, func(a, b commitTree) int { return number(b.Number).Cmp(number(a.Number)) })
	var rows [][]string
	for _, e := range list {
		rows = append(rows, []string{e.Number, momentText(e.Time), dash(e.User), dash(e.Source), dash(e.Changes), dash(e.remark())})
	}
	if err := o.rows("Commit Time User Source Changes Comment", rows); err != nil {
		return err
	}
	return showDatastore(ctx, o, c)
}

// remark is what the log says of a commit in words.
func (e commitTree) remark() string {
	words := []string{}
	if e.Comment != "" {
		words = append(words, e.Comment)
	}
	if e.RevertsTo != "" {
		words = append(words, "[back to "+e.RevertsTo+"]")
	}
	if e.ConfirmID != "" {
		words = append(words, "[confirmed commit "+e.ConfirmID+"]")
	}
	return strings.Join(words, " ")
}

// showDatastore says what an operator must know of the configuration's store.
func showDatastore(ctx context.Context, o *options, c *client) error {
	var list []datastoreTree
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "system"}, {Name: "state"}, {Name: "datastore"}}}
	if _, _, err := o.fetch(ctx, c, gpb.GetRequest_STATE, path, collect(&list)); err != nil {
		return err
	}
	for _, d := range list {
		if p := d.Pending; p.ID != "" {
			fmt.Fprintf(o.out, "\nCommit %s waits to be confirmed as %s until %s; else commit %s comes back.\n", p.Commit, p.ID, momentText(p.Deadline), p.Base)
			if p.Late != "" {
				fmt.Fprintf(o.out, "It could not be taken back in time: %s\n", p.Late)
			}
		}
		if r := d.Rescue; r.Time != "" {
			fmt.Fprintf(o.out, "\nRescue configuration: saved at %s by %s, after commit %s.\n", momentText(r.Time), cmp.Or(r.User, "-"), r.Commit)
		}
		for _, text := range d.Damage {
			fmt.Fprintf(o.out, "\nDamage found at start: %s\n", text)
		}
		for _, text := range d.LeftOut {
			fmt.Fprintf(o.out, "\nRefused by this version at start: %s\n", text)
		}
	}
	return nil
}

func showCommit(ctx context.Context, o *options, c *client, n string) error {
	if _, err := strconv.ParseUint(n, 10, 64); err != nil {
		return usagef("show commit %s: want a commit's number; show commits lists them", n)
	}
	var list []commitTree
	done, absent, err := o.fetch(ctx, c, gpb.GetRequest_STATE, commitPath(n), collect(&list))
	if err == nil && !done && absent {
		err = status.Errorf(codes.NotFound, "the log has no commit %s; show commits lists them", n)
	}
	if err != nil || done {
		return err
	}
	for _, e := range list {
		for _, line := range [][2]string{
			{"Commit", e.Number}, {"Time", momentText(e.Time)}, {"User", e.User}, {"Source", e.Source}, {"Comment", e.Comment},
			{"Confirmed commit", e.ConfirmID}, {"Brings back", e.RevertsTo}, {"Changed leaves", e.Changes},
		} {
			if line[1] != "" {
				fmt.Fprintf(o.out, "%-18s%s\n", line[0]+":", line[1])
			}
		}
		for _, p := range e.Paths {
			fmt.Fprintf(o.out, "  %s\n", p)
		}
	}
	return nil
}

// momentText is a time of the model as people write it.
func momentText(nanoseconds string) string {
	ns, err := strconv.ParseInt(nanoseconds, 10, 64)
	if err != nil {
		return "-"
	}
	return time.Unix(0, ns).Format("2006-01-02 15:04:05")
}
