package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore/jsonerr"
)

// parsePath reads a path such as /interface[name=ge0]/unit[id=0].
func parsePath(text string) (*gpb.Path, error) {
	if !strings.HasPrefix(text, "/") {
		text = "/" + text
	}
	p, err := ygot.StringToStructuredPath(text)
	if err != nil {
		return nil, usagef("path %s: %w; want a form such as /interface[name=ge0]/unit[id=0]", text, err)
	}
	return p, nil
}

// pathText is the reverse of parsePath.
func pathText(p *gpb.Path) string {
	s, err := ygot.PathToString(p)
	if err != nil {
		return p.String()
	}
	return s
}

// with runs do on the session's connection, or on one that it makes and closes.
func (o *options) with(do func(*client) error) error {
	if o.shared != nil {
		return do(o.shared)
	}
	c, err := dial(o.target)
	if err != nil {
		return err
	}
	err = do(c)
	if cerr := c.close(); err == nil {
		err = cerr
	}
	return err
}

// printCommands prints what stands at the paths as set-commands, a leaf as its
// value.
func printCommands(ctx context.Context, o *options, c *client, kind gpb.GetRequest_DataType, paths []*gpb.Path) error {
	ctx, cancel := context.WithTimeout(c.context(ctx), time.Minute)
	defer cancel()
	resp, err := c.gnmi.Get(ctx, &gpb.GetRequest{Path: paths, Type: kind, Encoding: gpb.Encoding_ASCII})
	if err != nil {
		return err
	}
	for _, n := range resp.GetNotification() {
		for _, u := range n.GetUpdate() {
			text := u.GetVal().GetAsciiVal()
			if text != "" && !strings.HasSuffix(text, "\n") {
				text += "\n"
			}
			if _, err := io.WriteString(o.out, text); err != nil {
				return err
			}
		}
	}
	return nil
}

// printNotifications prints a single value bare, several behind their paths.
func printNotifications(o *options, notes []*gpb.Notification) error {
	var updates []*gpb.Update
	for _, n := range notes {
		updates = append(updates, n.GetUpdate()...)
	}
	if len(updates) == 1 {
		return printJSON(o.out, rawValue(updates[0].GetVal()))
	}
	for _, u := range updates {
		raw := rawValue(u.GetVal())
		if o.json {
			line, err := json.Marshal(map[string]json.RawMessage{pathText(u.GetPath()): raw})
			if err != nil {
				return err
			}
			fmt.Fprintf(o.out, "%s\n", line)
			continue
		}
		fmt.Fprintf(o.out, "%s ", pathText(u.GetPath()))
		if err := printJSON(o.out, raw); err != nil {
			return err
		}
	}
	return nil
}

func printJSON(w io.Writer, raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("the router's answer is no JSON: %w", err)
	}
	_, err := fmt.Fprintf(w, "%s\n", b.Bytes())
	return err
}

// rawValue is a value as JSON, whatever form it came in.
func rawValue(v *gpb.TypedValue) json.RawMessage {
	switch x := v.GetValue().(type) {
	case *gpb.TypedValue_JsonIetfVal:
		return x.JsonIetfVal
	case *gpb.TypedValue_JsonVal:
		return x.JsonVal
	case *gpb.TypedValue_StringVal:
		return mustJSON(x.StringVal)
	case *gpb.TypedValue_UintVal:
		return mustJSON(x.UintVal)
	case *gpb.TypedValue_IntVal:
		return mustJSON(x.IntVal)
	case *gpb.TypedValue_BoolVal:
		return mustJSON(x.BoolVal)
	case *gpb.TypedValue_DoubleVal:
		return mustJSON(x.DoubleVal)
	}
	return mustJSON(v.String())
}

// mustJSON marshals a scalar, which can't fail.
func mustJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

func load(ctx context.Context, o *options, mode, file string) error {
	text, err := o.text(file)
	if err != nil {
		return usagef("load: %w", err)
	}
	if !isJSON(text) {
		return o.commitText(ctx, mode, text, &commitOptions{})
	}
	if file == "-" {
		file = "standard input"
	}
	data := []byte(text)
	var tree map[string]json.RawMessage
	if err := json.Unmarshal(data, &tree); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return usagef("load: %s is JSON, but no object (%s): want one of the whole tree", file, wrong.Value)
		}
		return usagef("load: %s is not JSON: %w", file, jsonerr.InLine(data, err))
	}
	u := &gpb.Update{Path: &gpb.Path{}, Val: &gpb.TypedValue{Value: &gpb.TypedValue_JsonIetfVal{JsonIetfVal: data}}}
	req := &gpb.SetRequest{}
	if mode == "replace" {
		req.Replace = []*gpb.Update{u}
	} else {
		req.Update = []*gpb.Update{u}
	}
	return o.set(ctx, req, false)
}
