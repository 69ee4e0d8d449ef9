package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"router/cmd/rcli/command"
	"router/cmd/rcli/render"
	"router/dataplane/capture"
	"router/gen/configpb"
)

// captureArgs are what both commands of captures take.
func captureArgs() []command.Arg {
	where := interfaceArg("interface", "a device, or a unit: then only frames with its tags")
	where.Kind, where.Optional, where.Required, where.Place = command.Keyword, false, true, "NAME"
	return []command.Arg{
		where,
		{Name: "direction", Kind: command.Keyword, Help: "which frames", Default: "both", Type: command.Enum(
			command.Candidate{Text: "in", Help: "received"}, command.Candidate{Text: "out", Help: "sent"}, command.Candidate{Text: "both", Help: "received and sent"})},
		{Name: "filter", Kind: command.Keyword, Help: "in tcpdump's words, in quotes: 'tcp port 22 and net 192.0.2.0/24'", Place: "EXPRESSION"},
		{Name: "count", Kind: command.Keyword, Help: "ends after so many packets", Default: "any number", Type: command.Integer(1, 1<<31-1, "packets"), Place: "N"},
		{Name: "seconds", Kind: command.Keyword, Help: "ends after so long", Default: "600", Type: command.Integer(1, 3600, "seconds"), Place: "N"},
		{Name: "snap", Kind: command.Keyword, Help: "keeps the first octets of each frame only", Default: "all", Type: command.Integer(14, 16384, "octets"), Place: "N"},
		{Name: "leave-fast-path", Kind: command.Switch, Help: "leaves the fast path alone: what it forwards is not seen"},
	}
}

// captureRows are the commands that look at packets.
func captureRows() []*command.Command {
	const long = "What the fast path forwards of the interface takes the user path while it is looked at, which is slower; leave-fast-path leaves that alone. " +
		"A capture ends at its bounds, when the interface is closed, or with Ctrl-C."
	return []*command.Command{
		{Words: "monitor traffic", Modes: command.Operational, Live: true, Help: "packets of an interface as they come and go, a line each", Long: long, Args: captureArgs(),
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				return o.capture(ctx, c, captureRequest(in))
			})},
		{Words: "request capture", Modes: command.Operational, Live: true, Help: "write packets of an interface into a file of the router: file get /capture/NAME fetches it, for Wireshark and tcpdump", Long: long,
			Args: append(captureArgs(),
				command.Arg{Name: "file", Kind: command.Keyword, Help: "the file's name", Default: "made of interface and time", Place: "NAME"},
				command.Arg{Name: "octets", Kind: command.Keyword, Help: "ends when the file has so many", Default: "67108864", Type: command.Integer(1000, 1<<30, "octets"), Place: "N"}),
			Run: online(func(ctx context.Context, o *options, c *client, in *command.Input) error {
				req := captureRequest(in)
				req.Store, req.File, req.Octets = true, in.Value("file"), uint64(numberOf(in, "octets", 0))
				return o.capture(ctx, c, req)
			})},
	}
}

func captureRequest(in *command.Input) *configpb.CaptureRequest {
	return &configpb.CaptureRequest{
		Interface: in.Value("interface"), Filter: in.Value("filter"), Packets: uint64(numberOf(in, "count", 0)),
		Seconds: uint32(numberOf(in, "seconds", 0)), Snap: uint32(numberOf(in, "snap", 0)), LeaveFastPath: in.Has("leave-fast-path"),
		Direction: map[string]configpb.CaptureRequest_Direction{"in": configpb.CaptureRequest_IN, "out": configpb.CaptureRequest_OUT}[in.Value("direction")],
	}
}

// capture prints packets, or how a file grows, until the capture or ctx ends.
func (o *options) capture(ctx context.Context, c *client, req *configpb.CaptureRequest) error {
	stream, err := configpb.NewOperationsClient(c.conn).Capture(c.context(ctx), req)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		if err := o.captureEvent(m); err != nil {
			return err
		}
	}
}

func (o *options) captureEvent(m *configpb.CaptureResponse) error {
	switch e := m.GetEvent().(type) {
	case *configpb.CaptureResponse_Begun:
		if o.wantsData() {
			return nil
		}
		for _, n := range e.Begun.GetNote() {
			if err := o.say(render.Notice, "%s", n); err != nil {
				return err
			}
		}
		if f := e.Begun.GetFile(); f != "" {
			return o.say(render.Plain, "captures into %s", f)
		}
	case *configpb.CaptureResponse_Packets:
		for _, p := range e.Packets.GetPacket() {
			if err := o.printPacket(p); err != nil {
				return err
			}
		}
	case *configpb.CaptureResponse_Progress:
	case *configpb.CaptureResponse_Ended:
		t := e.Ended.GetTotal()
		if o.wantsData() {
			raw, err := json.Marshal(struct {
				File    string `json:"file,omitempty"`
				Packets uint64 `json:"packets"`
				Octets  uint64 `json:"octets"`
				Lost    uint64 `json:"lost"`
				Reason  string `json:"reason"`
			}{e.Ended.GetFile(), t.GetPackets(), t.GetOctets(), t.GetLost(), e.Ended.GetReason()})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(o.out, "%s\n", raw)
			return err
		}
		line := fmt.Sprintf("%s: %d packets, %d octets", e.Ended.GetReason(), t.GetPackets(), t.GetOctets())
		if f := e.Ended.GetFile(); f != "" {
			line += " in " + f
		}
		style := render.Faint
		if n := t.GetLost(); n > 0 {
			line, style = line+fmt.Sprintf("; %d were lost, as they came too fast", n), render.Notice
		}
		return o.say(style, "%s", line)
	}
	return nil
}

// printPacket prints a packet as a line, of text or of JSON.
func (o *options) printPacket(p *configpb.CapturedPacket) error {
	at := time.Unix(0, p.GetTime())
	direction := "in "
	if p.GetOut() {
		direction = "out"
	}
	text := capture.Summary(p.GetData(), int(p.GetLength()))
	if !o.wantsData() {
		return o.say(render.Plain, "%s %s %s", at.Format("15:04:05.000000"), direction, text)
	}
	raw, err := json.Marshal(struct {
		Time      time.Time `json:"time"`
		Direction string    `json:"direction"`
		Length    uint32    `json:"length"`
		Summary   string    `json:"summary"`
		Data      []byte    `json:"data"`
	}{at.UTC(), strings.TrimSpace(direction), p.GetLength(), text, p.GetData()})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.out, "%s\n", raw)
	return err
}
