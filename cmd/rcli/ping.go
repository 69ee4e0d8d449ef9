package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/openconfig/gnoi/system"
	"github.com/openconfig/gnoi/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/northbound/gnoi"
	"router/cmd/routerd/northbound/gnoi/note"
)

// A probeFlags are what ping and traceroute have in common.
type probeFlags struct {
	source, instance, unit string
	df, four, six          bool
	wait                   time.Duration
}

// place puts the flags into the words of gNOI.
func (f *probeFlags) place(destination string) (to, from string, protocol types.L3Protocol, err error) {
	to, from = destination, f.source
	switch {
	case f.four && f.six:
		return to, from, protocol, usagef("--ipv4 and --ipv6: give one of them")
	case f.four:
		protocol = types.L3Protocol_IPV4
	case f.six:
		protocol = types.L3Protocol_IPV6
	}
	if f.unit == "" {
		return to, from, protocol, nil
	}
	a, err := netip.ParseAddr(destination)
	if err == nil && a.Zone() == "" && (a.IsMulticast() || a.Is6() && a.IsLinkLocalUnicast()) {
		return destination + "%" + f.unit, from, protocol, nil
	}
	if from != "" {
		return to, from, protocol, usagef("--interface chooses the source address, and so does --source: give one of them")
	}
	return to, f.unit, protocol, nil
}

// errNoAnswer is how a ping ends that nobody has answered: like ping(8), with exit
// code 1.
var errNoAnswer = errors.New("no answer")

// ping prints as ping(8) does.
func (o *options) ping(ctx context.Context, c *client, req *system.PingRequest) error {
	// A client that is interrupted has no summary from the router: it makes its own.
	stream, err := system.NewSystemClient(c.conn).Ping(c.context(ctx), req)
	if err != nil {
		return err
	}
	var own pingTotals
	began := false
	for {
		r, err := stream.Recv()
		if !began && !o.json {
			// The headers come before anything else does.
			if md, herr := stream.Header(); herr == nil && len(md.Get(gnoi.HeaderSource)) > 0 {
				began = true
				fmt.Fprintf(o.out, "PING %s (%s) from %s: %d data bytes\n", req.GetDestination(), first(md.Get(gnoi.HeaderDestination)), first(md.Get(gnoi.HeaderSource)), req.GetSize())
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case status.Code(err) == codes.Canceled && ctx.Err() != nil:
			if !o.json {
				own.print(o.out, req.GetDestination())
			}
			return nil
		case err != nil:
			return err
		}
		if o.json {
			if err := o.printMessage(r); err != nil {
				return err
			}
		}
		if r.GetSent() > 0 {
			if !o.json {
				t := pingTotals{sent: r.GetSent(), received: r.GetReceived(), errors: own.errors, duplicates: own.duplicates,
					min: r.GetMinTime(), max: r.GetMaxTime(), mean: float64(r.GetAvgTime()), dev: float64(r.GetStdDev())}
				t.print(o.out, req.GetDestination())
			}
			if r.GetReceived() == 0 {
				return errNoAnswer
			}
			return nil
		}
		own.add(r)
		if !o.json {
			printPong(o.out, r)
		}
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func (o *options) printMessage(m proto.Message) error {
	b, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	text := note.Of(m)
	if text != "" {
		// The note is no field of the message, so protojson leaves it out.
		sep := ","
		if len(b) == 2 {
			sep = ""
		}
		b = fmt.Appendf(b[:len(b)-1], "%s\"note\":%q}", sep, text)
	}
	return printJSON(o.out, b)
}

// printPong prints the line of one answer.
func printPong(w io.Writer, r *system.PingResponse) {
	text := note.Of(r)
	if r.GetBytes() == 0 {
		fmt.Fprintf(w, "From %s: seq=%d %s\n", r.GetSource(), r.GetSequence(), text)
		return
	}
	if text != "" {
		text = " (" + text + ")"
	}
	fmt.Fprintf(w, "%d bytes from %s: seq=%d ttl=%d time=%s ms%s\n", r.GetBytes(), r.GetSource(), r.GetSequence(), r.GetTtl(), millis(float64(r.GetTime())), text)
}

// millis is nanoseconds as milliseconds, in three digits or to the microsecond.
func millis(ns float64) string { return fmt.Sprintf("%.3f", ns/1e6) }

// pingTotals are the figures at the end.
type pingTotals struct {
	sent, received, errors, duplicates int32
	min, max                           int64
	mean, dev                          float64
	sum, sq                            float64
}

// add counts an answer: what a client that stops early knows.
func (t *pingTotals) add(r *system.PingResponse) {
	t.sent = max(t.sent, r.GetSequence())
	switch {
	case r.GetBytes() == 0:
		t.errors++
		return
	case note.Of(r) != "":
		t.duplicates++
		return
	}
	t.received++
	ns := r.GetTime()
	if t.received == 1 || ns < t.min {
		t.min = ns
	}
	t.max = max(t.max, ns)
	t.sum, t.sq = t.sum+float64(ns), t.sq+float64(ns)*float64(ns)
	n := float64(t.received)
	t.mean = t.sum / n
	t.dev = math.Sqrt(max(0, t.sq/n-t.mean*t.mean))
}

func (t *pingTotals) print(w io.Writer, destination string) {
	fmt.Fprintf(w, "\n--- %s ping statistics ---\n", destination)
	line := []string{fmt.Sprintf("%d packets transmitted, %d received", t.sent, t.received)}
	if t.duplicates > 0 {
		line = append(line, fmt.Sprintf("+%d duplicates", t.duplicates))
	}
	if t.errors > 0 {
		line = append(line, fmt.Sprintf("+%d errors", t.errors))
	}
	loss := 0.0
	if t.sent > 0 {
		loss = 100 * float64(t.sent-t.received) / float64(t.sent)
	}
	line = append(line, fmt.Sprintf("%.4g%% packet loss", loss))
	fmt.Fprintln(w, strings.Join(line, ", "))
	if t.received > 0 {
		fmt.Fprintf(w, "rtt min/avg/max/mdev = %s/%s/%s/%s ms\n", millis(float64(t.min)), millis(t.mean), millis(float64(t.max)), millis(t.dev))
	}
}
