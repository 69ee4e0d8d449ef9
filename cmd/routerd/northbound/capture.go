package northbound

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	captures "router/dataplane/capture"
	"router/gen/configpb"
)

// A CaptureSpec says what is to be captured.
type CaptureSpec struct {
	Name     string // of a device or a unit
	Pick     captures.Pick
	FastPath bool // take what the fast path forwards out of it meanwhile
}

// A Capturer captures frames. Its methods are safe for concurrent use.
type Capturer interface {
	// StartCapture begins a capture, which Stop of the result ends. The error matches
	// ErrNoCapture when there is nothing to capture on.
	StartCapture(s CaptureSpec) (Captured, error)
	// CreateCapture makes a file for a capture; path is its path for clients. The error matches
	// [fs.ErrExist] when there is one of that name, [fs.ErrInvalid] when it is no good name, and
	// ErrNoSpace when there is no room for another.
	CreateCapture(name string) (f io.WriteCloser, path string, err error)
	// SpaceLeft says why no capture may grow any more; nil when it may.
	SpaceLeft() error
}

// Errors of a Capturer; what is returned matches one and says more.
var (
	ErrNoCapture = errors.New("nothing can be captured there")
	ErrNoSpace   = errors.New("there is no room for captures")
)

// A Captured is a capture that runs. Its methods are for one goroutine.
type Captured interface {
	Read() []captures.Packet // what came since; valid until the next call
	Dropped() uint64         // frames that were lost, because Read was too slow
	Notes() []string         // what it doesn't see
	Ended() <-chan struct{}  // closed when nothing comes any more
	Stop()
}

// Bounds of captures.
const (
	maxSnap         = 16 << 10
	maxCaptureTime  = time.Hour
	usualTime       = 10 * time.Minute
	maxCaptureFile  = 1 << 30
	usualFile       = 64 << 20
	captureInterval = 50 * time.Millisecond
	progressEvery   = time.Second
	packetsAtOnce   = 128
)

// Capture captures until a bound is reached or the caller goes.
func (o *operations) Capture(req *configpb.CaptureRequest, stream grpc.ServerStreamingServer[configpb.CaptureResponse]) error {
	if o.s.opt.Capturer == nil {
		return failf(codes.Unimplemented, "this router captures nothing")
	}
	spec, err := captureSpec(req)
	if err != nil {
		return err
	}
	run := &capturing{stream: stream, most: req.GetPackets(), octets: req.GetOctets(), capturer: o.s.opt.Capturer}
	length := cmp.Or(time.Duration(req.GetSeconds())*time.Second, usualTime)
	if length > maxCaptureTime {
		return failf(codes.InvalidArgument, "seconds %d: %d are the most", req.GetSeconds(), int(maxCaptureTime.Seconds()))
	}
	if req.GetStore() {
		run.octets = cmp.Or(run.octets, usualFile)
		if run.octets > maxCaptureFile {
			return failf(codes.InvalidArgument, "octets %d: %d are the most of a file", run.octets, maxCaptureFile)
		}
	}
	c, err := o.s.opt.Capturer.StartCapture(spec)
	switch {
	case errors.Is(err, ErrNoCapture):
		return failf(codes.FailedPrecondition, "%v", err)
	case err != nil:
		return failf(codes.ResourceExhausted, "%v", err)
	}
	defer c.Stop()
	user, _ := Caller(stream.Context())
	if req.GetStore() {
		name := cmp.Or(req.GetFile(), fmt.Sprintf("%s-%s.pcapng", req.GetInterface(), o.s.now().UTC().Format("20060102T150405.000Z")))
		f, path, err := o.s.opt.Capturer.CreateCapture(name)
		if err != nil {
			return captureFileError(err)
		}
		defer func() {
			if err := f.Close(); err != nil {
				o.s.log.Error("a capture's file did not close cleanly", "file", path, "err", err)
			}
		}()
		run.path = path
		comment := ""
		for _, n := range c.Notes() {
			comment += n + "\n"
		}
		if run.file, err = captures.NewWriter(f, req.GetInterface(), req.GetFilter(), comment, spec.Pick.Snap); err != nil {
			return failf(codes.Unavailable, "%s can't be written: %v", path, err)
		}
	}
	o.s.log.Info("capture", "user", user, "interface", req.GetInterface(), "filter", req.GetFilter(), "file", run.path)
	begun := &configpb.CaptureBegun{File: run.path, Note: c.Notes()}
	if err := stream.Send(&configpb.CaptureResponse{Event: &configpb.CaptureResponse_Begun{Begun: begun}}); err != nil {
		return err
	}
	reason, err := run.loop(stream.Context(), c, o.s.done, length)
	if run.file != nil {
		// Whatever ends it, the file is whole.
		err = errors.Join(err, run.file.Close(o.s.now().UnixNano(), run.packets+c.Dropped(), c.Dropped()))
	}
	if err != nil {
		return err
	}
	ended := &configpb.CaptureEnded{Total: run.progress(c), Reason: reason, File: run.path}
	return stream.Send(&configpb.CaptureResponse{Event: &configpb.CaptureResponse_Ended{Ended: ended}})
}

func captureSpec(req *configpb.CaptureRequest) (s CaptureSpec, err error) {
	s = CaptureSpec{Name: req.GetInterface(), FastPath: !req.GetLeaveFastPath()}
	if s.Name == "" {
		return s, failf(codes.InvalidArgument, "interface is missing: name a device or a unit")
	}
	if s.Pick.Filter, err = captures.Parse(req.GetFilter()); err != nil {
		return s, failf(codes.InvalidArgument, "%v", err)
	}
	switch req.GetDirection() {
	case configpb.CaptureRequest_BOTH:
		s.Pick.In, s.Pick.Out = true, true
	case configpb.CaptureRequest_IN:
		s.Pick.In = true
	case configpb.CaptureRequest_OUT:
		s.Pick.Out = true
	default:
		return s, failf(codes.InvalidArgument, "direction %d is unknown", req.GetDirection())
	}
	s.Pick.Snap = int(cmp.Or(req.GetSnap(), maxSnap))
	if s.Pick.Snap > maxSnap {
		return s, failf(codes.InvalidArgument, "snap %d: %d are the most", req.GetSnap(), maxSnap)
	}
	return s, nil
}

func captureFileError(err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return failf(codes.AlreadyExists, "%v", err)
	case errors.Is(err, fs.ErrInvalid):
		return failf(codes.InvalidArgument, "%v", err)
	case errors.Is(err, ErrNoSpace):
		return failf(codes.ResourceExhausted, "%v", err)
	}
	return failf(codes.Unavailable, "%v", err)
}

// A capturing is one call of Capture.
type capturing struct {
	stream   grpc.ServerStreamingServer[configpb.CaptureResponse]
	capturer Capturer
	file     *captures.Writer // nil: the packets go to the caller
	path     string
	most     uint64 // packets; 0 for any number
	octets   uint64 // of the file or the packets; 0 for any number

	packets uint64
	sent    uint64 // octets of packets
}

func (r *capturing) progress(c Captured) *configpb.CaptureProgress {
	p := &configpb.CaptureProgress{Packets: r.packets, Octets: r.sent, Lost: c.Dropped()}
	if r.file != nil {
		p.Octets = uint64(r.file.Size())
	}
	return p
}

// loop carries packets until a bound, and says which.
func (r *capturing) loop(ctx context.Context, c Captured, done <-chan struct{}, length time.Duration) (reason string, err error) {
	over := time.NewTimer(length)
	defer over.Stop()
	tick := time.NewTicker(captureInterval)
	defer tick.Stop()
	told := time.Now()
	for {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-done:
			return "", errStopping
		case <-c.Ended():
			return "the interface was closed", nil
		case <-over.C:
			if reason, err := r.carry(c.Read()); reason != "" || err != nil {
				return reason, err
			}
			return "its time is over", nil
		case <-tick.C:
		}
		if reason, err := r.carry(c.Read()); reason != "" || err != nil {
			return reason, err
		}
		if r.file == nil || time.Since(told) < progressEvery {
			continue
		}
		told = time.Now()
		if err := r.capturer.SpaceLeft(); err != nil {
			return err.Error(), nil
		}
		if err := r.stream.Send(&configpb.CaptureResponse{Event: &configpb.CaptureResponse_Progress{Progress: r.progress(c)}}); err != nil {
			return "", err
		}
	}
}

// carry writes or sends packets; reason is the bound that it comes to, "" for none.
func (r *capturing) carry(list []captures.Packet) (reason string, err error) {
	var out []*configpb.CapturedPacket
	flush := func() error {
		if len(out) == 0 {
			return nil
		}
		m := &configpb.CaptureResponse{Event: &configpb.CaptureResponse_Packets{Packets: &configpb.CapturedPackets{Packet: out}}}
		out = nil
		return r.stream.Send(m)
	}
	for _, p := range list {
		r.packets++
		if r.file != nil {
			if err := r.file.Packet(p); err != nil {
				return "", failf(codes.Unavailable, "%s can't be written: %v", r.path, err)
			}
		} else {
			r.sent += uint64(len(p.Data))
			out = append(out, &configpb.CapturedPacket{Time: p.At, Out: p.Out, Length: uint32(p.Length), Data: p.Data})
			if len(out) == packetsAtOnce {
				if err := flush(); err != nil {
					return "", err
				}
			}
		}
		switch {
		case r.most > 0 && r.packets >= r.most:
			return fmt.Sprintf("%d packets were captured", r.packets), flush()
		case r.octets > 0 && r.file != nil && uint64(r.file.Size()) >= r.octets, r.octets > 0 && r.sent >= r.octets:
			return fmt.Sprintf("%d octets were captured", r.octets), flush()
		}
	}
	return "", flush()
}
