package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"sync"

	gpb "github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/rcli/pager"
	"router/cmd/rcli/tty"
	"router/gen/configpb"
)

// crlf writes to a terminal that is raw.
type crlf struct{ w io.Writer }

// Write implements io.Writer.
func (c crlf) Write(b []byte) (int, error) {
	_, err := c.w.Write(bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")))
	return len(b), err
}

// terminal is the one that the command is shown on; ok is false for pipes and for
// terminals without escapes.
func (o *options) terminal() (*tty.Terminal, bool) {
	if o.view.basic {
		return nil, false
	}
	return tty.Open(o.keyboard, o.out)
}

// live runs a command that goes on until it is stopped: by Ctrl-C, or on a terminal by
// the key q. That is no error.
func (o *options) live(ctx context.Context, do func(ctx context.Context, own *options) error) error {
	t, ok := o.terminal()
	if !ok {
		err := do(ctx, o)
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	restore, err := t.Raw()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := make(chan struct{})
	var keys sync.WaitGroup
	keys.Go(func() {
		for {
			k, err := t.Key(stop)
			if err != nil {
				return
			}
			if k == "q" || k == pager.Break || k == pager.Escape {
				cancel()
				return
			}
		}
	})
	own := *o
	own.out = crlf{o.out}
	err = do(ctx, &own)
	if ctx.Err() != nil {
		err = nil
	}
	cancel()
	close(stop)
	keys.Wait()
	return cmp.Or(err, restore()) // joined, a status would lose its message
}

// follow calls take with each notification of a subscription until ctx ends; synced is
// called once the first values are there.
func (c *client) follow(ctx context.Context, list *gpb.SubscriptionList, take func(*gpb.Notification) error, synced func() error) error {
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
		switch {
		case ctx.Err() != nil, errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if n := resp.GetUpdate(); n != nil {
			if err := take(n); err != nil {
				return err
			}
		}
		if resp.GetSyncResponse() {
			if err := synced(); err != nil {
				return err
			}
		}
	}
}

// monitorLog prints the log's records as they come, after some of the last.
func (o *options) monitorLog(ctx context.Context, c *client, level string) error {
	return o.live(ctx, func(ctx context.Context, own *options) error {
		return own.showLog(ctx, c, &configpb.LogRecordsRequest{Lines: 10, Level: level, Follow: true})
	})
}
