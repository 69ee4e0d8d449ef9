package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/output"
	"router/cmd/rcli/render"
)

// A view is how results are shown. The zero view is text for a pipe.
type view struct {
	screen render.Screen
	form   string   // of output's forms; "" is text, or JSON with --json
	fields []string // only these leaves
	basic  bool     // the terminal has no escapes
}

// wantsData reports whether the result is wanted as data instead of text.
func (o *options) wantsData() bool { return o.json || o.view.form != "" || len(o.view.fields) > 0 }

// asText is o with text as the form: for what a command reads besides its result.
func (o *options) asText() *options {
	own := *o
	own.json, own.view.form, own.view.fields = false, "", nil
	return &own
}

// sink takes the result as data.
func (o *options) sink() (output.Sink, error) {
	form := o.view.form
	if form == "" && o.json {
		form = output.JSON
	}
	s, err := output.NewSink(o.out, o.view.screen, form, o.view.fields)
	if err != nil {
		return nil, &usageError{err}
	}
	return s, nil
}

// printData prints a result that came as JSON: the elements of an array, or one value.
func (o *options) printData(raw []byte) error {
	s, err := o.sink()
	if err != nil {
		return err
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		if err := s.Value(output.Value{JSON: raw, Alone: true}); err != nil {
			return err
		}
		return s.Close()
	}
	for _, v := range list {
		if err := s.Value(output.Value{JSON: v}); err != nil {
			return err
		}
	}
	return s.Close()
}

// printNodes prints what stands at paths as data. alone says that the paths name one
// node each.
func (o *options) printNodes(ctx context.Context, c *client, kind gpb.GetRequest_DataType, alone bool, paths ...*gpb.Path) (absent bool, err error) {
	s, err := o.sink()
	if err != nil {
		return false, err
	}
	if o.view.form == output.Set || o.view.form == output.XPath {
		for _, p := range paths {
			path := pathText(p)
			err := s.Value(output.Value{Path: path, Commands: func() (string, error) { return c.commands(ctx, kind, p) }})
			if status.Code(err) == codes.NotFound {
				absent = true
				continue
			}
			if err != nil {
				return false, err
			}
		}
		return absent, s.Close()
	}
	notes, err := c.get(ctx, kind, paths...)
	absent = status.Code(err) == codes.NotFound
	if err != nil && !absent {
		return false, err
	}
	some := false
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			some = true
			v := output.Value{Path: pathText(u.GetPath()), JSON: rawValue(u.GetVal()), Alone: alone}
			if err := s.Value(v); err != nil {
				return false, err
			}
		}
	}
	return absent || !some, s.Close()
}

// commands is what stands at a path as set-commands, with state as comments. A leaf
// comes from the router as its bare value: so what it stands in is asked for.
func (c *client) commands(ctx context.Context, kind gpb.GetRequest_DataType, path *gpb.Path) (string, error) {
	e, err := schemaOf(path)
	if err != nil {
		return "", err
	}
	if e == nil || e.IsDir() || len(path.GetElem()) == 0 {
		return c.commandsBelow(ctx, kind, path)
	}
	all, err := c.commandsBelow(ctx, kind, &gpb.Path{Elem: path.GetElem()[:len(path.GetElem())-1]})
	if err != nil {
		return "", err
	}
	own := pathText(path)
	text := ""
	for l := range strings.Lines(all) {
		if _, rest, _ := strings.Cut(l, " "); strings.HasPrefix(rest, own+" ") || rest == own+"\n" {
			text += l
		}
	}
	if text == "" {
		return "", status.Errorf(codes.NotFound, "nothing stands at %s", own)
	}
	return text, nil
}

func (c *client) commandsBelow(ctx context.Context, kind gpb.GetRequest_DataType, path *gpb.Path) (string, error) {
	ctx, cancel := context.WithTimeout(c.context(ctx), time.Minute)
	defer cancel()
	resp, err := c.gnmi.Get(ctx, &gpb.GetRequest{Path: []*gpb.Path{path}, Type: kind, Encoding: gpb.Encoding_ASCII})
	if err != nil {
		return "", err
	}
	text := ""
	for _, n := range resp.GetNotification() {
		for _, u := range n.GetUpdate() {
			text += u.GetVal().GetAsciiVal()
		}
	}
	return text, nil
}

// table prints rows under a heading, in columns.
func (o *options) table(columns []render.Column, rows [][]render.Cell) error {
	t := render.NewTable(o.out, o.view.screen, columns)
	for _, r := range rows {
		if err := t.Add(r); err != nil {
			return err
		}
	}
	return t.Close()
}

// say prints a line of text, without control characters of the router's.
func (o *options) say(style render.Style, format string, args ...any) error {
	_, err := io.WriteString(o.out, o.view.screen.Paint(style, render.Clean(fmt.Sprintf(format, args...)))+"\n")
	return err
}
