package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Collectors are many subscribers of everything, in a process of their own: as many on one
// machine are a load that is not the router's, and whoever makes commits beside them, as an
// orchestrator does, is none of them. The process is this program, which the environment
// tells to be that.
type collectors struct {
	cmd   *exec.Cmd
	says  *bufio.Scanner
	input io.Closer
}

// The environment of a process of collectors.
const (
	collectSocket = "E2E_COLLECT_SOCKET" // of the router
	collectCount  = "E2E_COLLECT_COUNT"  // streams, of which one reads nothing
	collectLast   = "E2E_COLLECT_LAST"   // the value that ends the reading
)

// collect starts collectors of the router, and returns when all have what there is.
func (l *lab) collect(t *testing.T, count int, last string) *collectors {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &collectors{cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), collectSocket+"="+l.socket(), collectCount+"="+strconv.Itoa(count), collectLast+"="+last)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.input.Close()
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("the collectors: %v", err)
		}
	})
	c.says = bufio.NewScanner(out)
	c.hear(t, "ready")
	return c
}

// hear waits for a line that begins with word, and returns the rest of it.
func (c *collectors) hear(t *testing.T, word string) string {
	t.Helper()
	line := make(chan string, 1)
	go func() {
		c.says.Scan()
		line <- c.says.Text()
	}()
	select {
	case text := <-line:
		rest, ok := strings.CutPrefix(text, word)
		if !ok {
			t.Fatalf("the collectors say %q instead of %q", text, word)
		}
		return strings.TrimSpace(rest)
	case <-time.After(time.Minute):
		t.Fatalf("the collectors have not said %q within a minute", word)
		return ""
	}
}

// beCollectors is what a process of collectors does: it says "ready", reads until all streams but
// one have the last value, says "done" and how many updates came, and reads no more, but
// keeps its streams until its input ends.
func beCollectors() error {
	count, err := strconv.Atoi(os.Getenv(collectCount))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var streams []gpb.GNMI_SubscribeClient
	for range count {
		conn, err := dial(os.Getenv(collectSocket))
		if err != nil {
			return err
		}
		defer conn.Close()
		c, err := subscribeAll(ctx, gpb.NewGNMIClient(conn))
		if err != nil {
			return err
		}
		streams = append(streams, c)
	}
	fmt.Println("ready")
	var updates atomic.Int64
	var wg sync.WaitGroup
	failed := make([]error, count)
	for i, c := range streams[1:] {
		wg.Go(func() { failed[i] = readUntil(c, os.Getenv(collectLast), &updates) })
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	fmt.Println("done", updates.Load())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// dial connects a client of its own, whose flow-control windows are small, to a socket.
func dial(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)), grpc.WithInitialWindowSize(64<<10), grpc.WithInitialConnWindowSize(64<<10))
}

// subscribeAll subscribes to everything on change, and returns when what there is has come.
func subscribeAll(ctx context.Context, client gpb.GNMIClient) (gpb.GNMI_SubscribeClient, error) {
	c, err := client.Subscribe(ctx)
	if err != nil {
		return nil, err
	}
	list := &gpb.SubscriptionList{Mode: gpb.SubscriptionList_STREAM, Encoding: gpb.Encoding_PROTO,
		Subscription: []*gpb.Subscription{{Path: path("/"), Mode: gpb.SubscriptionMode_ON_CHANGE}}}
	if err := c.Send(&gpb.SubscribeRequest{Request: &gpb.SubscribeRequest_Subscribe{Subscribe: list}}); err != nil {
		return nil, err
	}
	for {
		if r, err := c.Recv(); err != nil || r.GetSyncResponse() {
			return c, err
		}
	}
}

// readUntil reads and counts updates until a leaf of config has the value.
func readUntil(c gpb.GNMI_SubscribeClient, value string, updates *atomic.Int64) error {
	for {
		r, err := c.Recv()
		if err != nil {
			return err
		}
		for _, u := range r.GetUpdate().GetUpdate() {
			updates.Add(1)
			elems := u.GetPath().GetElem()
			if n := len(elems); n > 1 && elems[n-2].GetName() == "config" && u.GetVal().GetStringVal() == value {
				return nil
			}
		}
	}
}
