package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"router/cmd/rcli/command"
	"router/cmd/rcli/output"
	"router/cmd/rcli/render"
	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

// pendingRow is the command that lists what is declared and not in place.
func pendingRow() *command.Command {
	return &command.Command{Words: "show pending", Modes: command.Operational, Help: "what is declared and not in place: why, since when, how often it was tried",
		Args: []command.Arg{nodeArg(schema.Config)},
		Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
			return o.showPending(ctx, c, in.Path("path").String())
		})}
}

// showPending prints each object as it comes: there may be many.
func (o *options) showPending(ctx context.Context, c *client, path string) error {
	stream, err := configpb.NewStateClient(c.conn).Unapplied(c.context(ctx), &configpb.UnappliedRequest{Path: path})
	if err != nil {
		return err
	}
	var s output.Sink
	if o.wantsData() {
		if s, err = o.sink(); err != nil {
			return err
		}
	}
	none := true
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && s != nil:
			return s.Close()
		case errors.Is(err, io.EOF) && none:
			return o.say(render.Good, "all that is declared is in place")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		for _, u := range m.GetObject() {
			if s != nil {
				if err := pendingValue(s, u); err != nil {
					return err
				}
				continue
			}
			none = false
			if err := o.sayPending(u); err != nil {
				return err
			}
		}
	}
}

// sayPending prints an object, and below it why: names and reasons are too long for
// columns.
func (o *options) sayPending(u *configpb.Unapplied) error {
	style := render.Notice
	if u.GetStatus() == "error" {
		style = render.Bad
	}
	if err := o.say(style, "%s  %s", u.GetPath(), u.GetStatus()); err != nil {
		return err
	}
	if err := o.say(render.Plain, "    %s", u.GetReason()); err != nil {
		return err
	}
	var course []string
	if n := u.GetSince(); n != 0 {
		course = append(course, "since "+sinceText(strconv.FormatInt(n, 10)))
	}
	if n := u.GetRetries(); n != 0 {
		course = append(course, fmt.Sprintf("tried %d times", n))
	}
	if len(course) == 0 {
		return nil
	}
	return o.say(render.Plain, "    %s", strings.Join(course, ", "))
}

// pendingValue hands an object on as data.
func pendingValue(s output.Sink, u *configpb.Unapplied) error {
	row := struct {
		Path    string     `json:"path"`
		Status  string     `json:"status"`
		Reason  string     `json:"reason"`
		Retries uint32     `json:"retries"`
		Since   *time.Time `json:"since,omitempty"`
	}{u.GetPath(), u.GetStatus(), u.GetReason(), u.GetRetries(), nil}
	if n := u.GetSince(); n != 0 {
		at := time.Unix(0, n).UTC()
		row.Since = &at
	}
	raw, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return s.Value(output.Value{JSON: raw})
}
