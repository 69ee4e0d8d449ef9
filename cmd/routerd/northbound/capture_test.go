package northbound

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	captures "router/dataplane/capture"
	"router/gen/configpb"
	"router/models"
)

// A fakeCapturer captures ten packets at a time.
type fakeCapturer struct {
	mu      sync.Mutex
	spec    CaptureSpec
	running int
	rounds  int // after which the interface is closed; 0 for never
	file    bytes.Buffer
	closed  bool
	full    error
}

func (f *fakeCapturer) StartCapture(s CaptureSpec) (Captured, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch s.Name {
	case "none":
		return nil, fmt.Errorf("interface none: %w", ErrNoCapture)
	case "many":
		return nil, errors.New("4 captures run there")
	}
	f.spec = s
	f.running++
	return &fakeCaptured{f: f, ended: make(chan struct{})}, nil
}

func (f *fakeCapturer) CreateCapture(name string) (io.WriteCloser, string, error) {
	switch name {
	case "there":
		return nil, "", fs.ErrExist
	case "..":
		return nil, "", fs.ErrInvalid
	case "full":
		return nil, "", ErrNoSpace
	}
	f.closed = false
	f.file.Reset()
	return f, "/capture/" + name, nil
}

func (f *fakeCapturer) SpaceLeft() error { return f.full }

func (f *fakeCapturer) Write(b []byte) (int, error) { return f.file.Write(b) }

func (f *fakeCapturer) Close() error {
	f.closed = true
	return nil
}

type fakeCaptured struct {
	f     *fakeCapturer
	round int
	ended chan struct{}
}

func (c *fakeCaptured) Read() []captures.Packet {
	c.round++
	if c.f.rounds > 0 && c.round == c.f.rounds {
		close(c.ended)
	}
	var list []captures.Packet
	for i := range 10 {
		list = append(list, captures.Packet{At: int64(c.round*10 + i), Length: 60, Data: make([]byte, 50), Out: i%2 == 1})
	}
	return list
}

func (c *fakeCaptured) Dropped() uint64        { return 7 }
func (c *fakeCaptured) Notes() []string        { return []string{"not all is seen"} }
func (c *fakeCaptured) Ended() <-chan struct{} { return c.ended }

func (c *fakeCaptured) Stop() {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	c.f.running--
}

func TestCapture(t *testing.T) {
	f := &fakeCapturer{}
	b := newBed(t, func(o *Options) { o.Capturer = f })
	client := configpb.NewOperationsClient(b.conn)
	run := func(req *configpb.CaptureRequest) (packets []*configpb.CapturedPacket, begun *configpb.CaptureBegun, ended *configpb.CaptureEnded, err error) {
		stream, err := client.Capture(b.ctx(), req)
		for err == nil {
			var m *configpb.CaptureResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			switch e := m.GetEvent().(type) {
			case *configpb.CaptureResponse_Begun:
				begun = e.Begun
			case *configpb.CaptureResponse_Packets:
				packets = append(packets, e.Packets.GetPacket()...)
			case *configpb.CaptureResponse_Ended:
				ended = e.Ended
			case *configpb.CaptureResponse_Progress:
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return packets, begun, ended, err
	}
	packets, begun, ended, err := run(&configpb.CaptureRequest{Interface: "ge0", Filter: "tcp", Packets: 25, Snap: 50, Direction: configpb.CaptureRequest_IN, LeaveFastPath: true})
	if err != nil || len(packets) != 25 || !packets[1].GetOut() || packets[24].GetTime() != 34 || len(begun.GetNote()) != 1 || begun.GetFile() != "" {
		t.Errorf("%v: %d packets, begun %v", err, len(packets), begun)
	}
	if ended.GetTotal().GetPackets() != 25 || ended.GetTotal().GetOctets() != 25*50 || ended.GetTotal().GetLost() != 7 || !strings.Contains(ended.GetReason(), "25 packets") {
		t.Errorf("ended %v", ended)
	}
	if s := f.spec; s.Pick.Out || !s.Pick.In || s.FastPath || s.Pick.Snap != 50 || s.Pick.Filter.String() != "tcp" {
		t.Errorf("asked for %+v", s)
	}

	packets, begun, ended, err = run(&configpb.CaptureRequest{Interface: "ge0.7", Store: true, File: "x", Octets: 2000})
	if err != nil || len(packets) != 0 || begun.GetFile() != "/capture/x" || ended.GetFile() != "/capture/x" || !strings.Contains(ended.GetReason(), "2000 octets") {
		t.Errorf("%v: %d packets, begun %v, ended %v", err, len(packets), begun, ended)
	}
	if n := f.file.Len(); !f.closed || n < 2000 || n > 2300 || ended.GetTotal().GetOctets() > uint64(n) {
		t.Errorf("the file has %d octets, closed %t, ended %v", n, f.closed, ended)
	}
	f.rounds = 3
	if _, begun, ended, err = run(&configpb.CaptureRequest{Interface: "ge0", Store: true}); err != nil || !strings.Contains(ended.GetReason(), "closed") || !strings.HasPrefix(begun.GetFile(), "/capture/ge0-") {
		t.Errorf("%v: begun %v, ended %v", err, begun, ended)
	}
	f.rounds = 0
	start := time.Now()
	if packets, _, ended, err = run(&configpb.CaptureRequest{Interface: "ge0", Seconds: 1}); err != nil || !strings.Contains(ended.GetReason(), "time is over") || time.Since(start) < time.Second || len(packets) == 0 {
		t.Errorf("%v after %v: %d packets, ended %v", err, time.Since(start), len(packets), ended)
	}

	for _, c := range []struct {
		req  *configpb.CaptureRequest
		code codes.Code
	}{
		{&configpb.CaptureRequest{}, codes.InvalidArgument},
		{&configpb.CaptureRequest{Interface: "ge0", Filter: "("}, codes.InvalidArgument},
		{&configpb.CaptureRequest{Interface: "ge0", Direction: 9}, codes.InvalidArgument},
		{&configpb.CaptureRequest{Interface: "ge0", Snap: 1 << 20}, codes.InvalidArgument},
		{&configpb.CaptureRequest{Interface: "ge0", Seconds: 3601}, codes.InvalidArgument},
		{&configpb.CaptureRequest{Interface: "ge0", Store: true, Octets: 1 << 40}, codes.InvalidArgument},
		{&configpb.CaptureRequest{Interface: "none"}, codes.FailedPrecondition},
		{&configpb.CaptureRequest{Interface: "many"}, codes.ResourceExhausted},
		{&configpb.CaptureRequest{Interface: "ge0", Store: true, File: "there"}, codes.AlreadyExists},
		{&configpb.CaptureRequest{Interface: "ge0", Store: true, File: ".."}, codes.InvalidArgument},
		{&configpb.CaptureRequest{Interface: "ge0", Store: true, File: "full"}, codes.ResourceExhausted},
	} {
		if _, _, _, err := run(c.req); status.Code(err) != c.code {
			t.Errorf("%v: %v, want %v", c.req, err, c.code)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != 0 {
		t.Errorf("%d captures still run", f.running)
	}
	none := newBed(t, nil)
	stream, err := configpb.NewOperationsClient(none.conn).Capture(none.ctx(), &configpb.CaptureRequest{Interface: "ge0"})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("a router without: %v", err)
	}
}

func TestListOfWhatIsNotInPlace(t *testing.T) {
	b := newBed(t, nil)
	since := time.Unix(1_700_000_000, 5)
	b.state.mu.Lock()
	b.state.unapplied = map[models.Object][]models.Unapplied{}
	for i := range 300 {
		o := models.Object{Kind: models.Static, Instance: "red", Prefix: fmt.Sprintf("10.%d.%d.0/24", i/256, i%256)}
		b.state.unapplied[o] = []models.Unapplied{{Path: o.Path(), ApplyState: models.ApplyState{Status: models.ApplyPending, Reason: "no gateway"}}}
	}
	ge0 := models.Object{Kind: models.Device, Device: "ge0"}
	b.state.unapplied[ge0] = []models.Unapplied{{Path: ge0.Path(), ApplyState: models.ApplyState{Status: models.ApplyError, Reason: "busy", Retries: 3, Since: since}}}
	b.state.mu.Unlock()
	list := func(path string, limit uint32) (all []*configpb.Unapplied, err error) {
		stream, err := configpb.NewStateClient(b.conn).Unapplied(b.ctx(), &configpb.UnappliedRequest{Path: path, Limit: limit})
		for err == nil {
			var m *configpb.UnappliedResponse
			if m, err = stream.Recv(); err == nil {
				all = append(all, m.GetObject()...)
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return all, err
	}
	if all, err := list("", 0); err != nil || len(all) != 301 {
		t.Errorf("%v: %d objects", err, len(all))
	}
	if all, err := list("/interface", 0); err != nil || len(all) != 1 || all[0].GetStatus() != "error" || all[0].GetRetries() != 3 || all[0].GetSince() != since.UnixNano() {
		t.Errorf("%v: %v", err, all)
	}
	if all, err := list("/instance[name=red]", 0); err != nil || len(all) != 300 || all[0].GetSince() != 0 {
		t.Errorf("%v: %d objects", err, len(all))
	}
	if all, err := list("/instance[name=red]", 7); err != nil || len(all) != 7 {
		t.Errorf("%v: %d objects with a limit", err, len(all))
	}
	for _, path := range []string{"/nothing", "interface[", "/instance[name=blue]x"} {
		if _, err := list(path, 0); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", path, err)
		}
	}
}
