package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// watch prints the stream's notifications until ctx ends.
func watch(ctx context.Context, o *options, c *client, list *gpb.SubscriptionList) error {
	stream, err := c.gnmi.Subscribe(c.context(ctx))
	if err != nil {
		return err
	}
	err = stream.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}})
	if err != nil && !errors.Is(err, io.EOF) {
		return err // on EOF Recv tells the reason
	}
	for {
		resp, err := stream.Recv()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if n := resp.GetUpdate(); n != nil {
			if err := printChange(o, n); err != nil {
				return err
			}
		}
	}
}

// printChange prints a line for each leaf of a notification.
func printChange(o *options, n *gpb.Notification) error {
	at := time.Unix(0, n.GetTimestamp())
	prefix := n.GetPrefix().GetElem()
	line := func(op string, p *gpb.Path, raw json.RawMessage) error {
		path := pathText(&gpb.Path{Elem: append(prefix[:len(prefix):len(prefix)], p.GetElem()...)})
		var err error
		switch {
		case o.json:
			var b []byte
			b, err = json.Marshal(struct {
				Time  time.Time       `json:"time"`
				Op    string          `json:"op"`
				Path  string          `json:"path"`
				Value json.RawMessage `json:"value,omitempty"`
			}{at, op, path, raw})
			if err == nil {
				_, err = fmt.Fprintf(o.out, "%s\n", b)
			}
		case op == "delete":
			_, err = fmt.Fprintf(o.out, "%s delete %s\n", at.Format("15:04:05.000"), path)
		default:
			_, err = fmt.Fprintf(o.out, "%s %s %s\n", at.Format("15:04:05.000"), path, raw)
		}
		return err
	}
	for _, p := range n.GetDelete() {
		if err := line("delete", p, nil); err != nil {
			return err
		}
	}
	for _, u := range n.GetUpdate() {
		if err := line("update", u.GetPath(), rawValue(u.GetVal())); err != nil {
			return err
		}
	}
	return nil
}
