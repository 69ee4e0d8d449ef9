package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/render"
	"router/gen/configpb"
)

// An applyTree is what state says of whether an object is in place.
type applyTree struct {
	Apply  string `json:"apply-status"`
	Why    string `json:"apply-reason"`
	Failed int    `json:"apply-retries"`
	Since  string `json:"apply-since"`
}

// applied reports whether the object is in place, or says nothing of that.
func (a applyTree) applied() bool { return a.Apply == "" || a.Apply == "applied" }

// mark is the name of an object in a table, with what is the matter with it if it isn't in place.
func (a applyTree) mark(name string) string { return a.markBeside(name, "") }

// markBeside is mark beside a column that shows status, which may say as much.
func (a applyTree) markBeside(name, status string) string {
	if a.applied() || a.Apply == status {
		return name
	}
	return name + " (" + a.Apply + ")"
}

// text says what is the matter with an object that isn't in place, "" for one that is.
func (a applyTree) text() string {
	switch {
	case a.applied():
		return ""
	case a.Failed > 0:
		return fmt.Sprintf("%s, tried %d times: %s", a.Apply, a.Failed, a.Why)
	}
	return a.Apply + ": " + a.Why
}

// detail is text with since when that is.
func (a applyTree) detail() string {
	if since := sinceWords(a.Since); since != "" && !a.applied() {
		return a.text() + " (since " + since + ")"
	}
	return a.text()
}

// beside is why an object isn't in place, "" if it is or if another reason that is shown
// says it.
func (a applyTree) beside(shown string) string {
	if a.Why == shown {
		return ""
	}
	return a.text()
}

// sayWhy prints below a table why an object isn't in place.
func (o *options) sayWhy(name string, a applyTree) error {
	if a.applied() {
		return nil
	}
	style := render.Notice
	if a.Apply == "error" {
		style = render.Bad
	}
	return o.say(style, "%s: %s", name, a.text())
}

// failuresShown bounds how many objects a view names that it would have shown, had they been
// put in place.
const failuresShown = 20

// sayFailures prints what at or below a path could not be put in place, and so may not stand
// in what was shown.
func (o *options) sayFailures(ctx context.Context, c *client, path string) error {
	stream, err := configpb.NewStateClient(c.conn).Unapplied(c.context(ctx), &configpb.UnappliedRequest{Path: path, Status: "error", Limit: failuresShown + 1})
	if err != nil {
		return err
	}
	for n := 0; ; {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) || status.Code(err) == codes.Unimplemented {
			return nil // an older router doesn't say
		}
		if err != nil {
			return err
		}
		for _, u := range m.GetObject() {
			if n++; n > failuresShown {
				return o.say(render.Bad, "and more: show pending %s lists them", path)
			}
			if err := o.say(render.Bad, "not in place: %s: %s", u.GetPath(), u.GetReason()); err != nil {
				return err
			}
		}
	}
}
