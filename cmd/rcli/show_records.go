package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"router/cmd/rcli/output"
	"router/cmd/rcli/render"
	"router/gen/configpb"
)

// showLog prints the newest records of the router's log, and with follow those that
// come, until ctx ends.
func (o *options) showLog(ctx context.Context, c *client, req *configpb.LogRecordsRequest) error {
	stream, err := configpb.NewStateClient(c.conn).Log(c.context(ctx), req)
	if err != nil {
		return err
	}
	var s output.Sink
	if o.wantsData() && !req.GetFollow() {
		if s, err = o.sink(); err != nil {
			return err
		}
	}
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && s != nil:
			return s.Close()
		case errors.Is(err, io.EOF), ctx.Err() != nil && req.GetFollow():
			return nil
		case err != nil:
			return err
		}
		if m.GetLost() > 0 && s == nil && !o.wantsData() {
			if err := o.say(render.Notice, "(%d records were gone before they could be read)", m.GetLost()); err != nil {
				return err
			}
		}
		for _, r := range m.GetRecord() {
			if err := o.printRecord(s, r); err != nil {
				return err
			}
		}
	}
}

// levelStyles are how records look by their level.
var levelStyles = map[string]render.Style{"debug": render.Faint, "warning": render.Notice, "error": render.Bad}

// printRecord prints a record as a line, hands it to s, or, of a log that is followed,
// prints it as a line of JSON.
func (o *options) printRecord(s output.Sink, r *configpb.LogRecord) error {
	at := time.Unix(0, r.GetTime())
	if o.wantsData() {
		attrs := map[string]string{}
		for _, a := range r.GetAttribute() {
			attrs[a.GetKey()] = a.GetValue()
		}
		raw, err := json.Marshal(struct {
			Time    time.Time         `json:"time"`
			Level   string            `json:"level"`
			Message string            `json:"message"`
			Attrs   map[string]string `json:"attributes,omitempty"`
		}{at, r.GetLevel(), r.GetMessage(), attrs})
		if err != nil {
			return err
		}
		if s != nil {
			return s.Value(output.Value{JSON: raw})
		}
		_, err = fmt.Fprintf(o.out, "%s\n", raw)
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-7s %s", at.Format("2006-01-02 15:04:05.000"), r.GetLevel(), r.GetMessage())
	for _, a := range r.GetAttribute() {
		fmt.Fprintf(&b, " %s=%s", a.GetKey(), quoteValue(a.GetValue()))
	}
	return o.say(levelStyles[r.GetLevel()], "%s", b.String())
}

// quoteValue puts quotes around what would not be one word.
func quoteValue(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\n\"=") {
		return fmt.Sprintf("%q", s)
	}
	return s
}
