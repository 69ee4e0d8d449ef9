package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/rcli/pager"
	"router/cmd/rcli/render"
	"router/cmd/rcli/tty"
)

// A reading is a counter at a time, and how fast it grew before.
type reading struct {
	value uint64
	at    int64
	rate  float64
	known bool
}

func (r *reading) take(value uint64, at int64) {
	if r.at != 0 && at > r.at {
		r.known = true
		r.rate = 0
		if value >= r.value {
			r.rate = float64(value-r.value) / (float64(at-r.at) / float64(time.Second))
		}
	}
	r.value, r.at = value, at
}

// An ifWatch is what monitor interface knows of a device or unit.
type ifWatch struct {
	status   string
	readings map[string]*reading
}

// monitored are the leaves that monitor interface shows.
var monitored = []string{"in-octets", "in-pkts", "in-discards", "out-octets", "out-pkts", "out-discards"}

// monitorInterfaces shows the rates of devices, or of a device and its units, or of a
// unit, taken anew each interval.
func (o *options) monitorInterfaces(ctx context.Context, c *client, name string, every time.Duration) error {
	if name != "" {
		if err := c.exists(ctx, name); err != nil {
			return err
		}
	}
	list := &gpb.SubscriptionList{Mode: gpb.SubscriptionList_STREAM, Encoding: gpb.Encoding_PROTO}
	subscribe := func(n ifName) {
		for _, leaf := range []string{"oper-status", "counters"} {
			p := &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": n.device}}}}
			if n.id != "" {
				p.Elem = append(p.Elem, &gpb.PathElem{Name: "unit", Key: map[string]string{"id": n.id}})
			}
			p.Elem = append(p.Elem, &gpb.PathElem{Name: "state"}, &gpb.PathElem{Name: leaf})
			list.Subscription = append(list.Subscription, &gpb.Subscription{Path: p, Mode: gpb.SubscriptionMode_SAMPLE, SampleInterval: uint64(every)})
		}
	}
	switch device, id, unit := strings.Cut(name, "."); {
	case unit:
		subscribe(ifName{device, id})
	case name != "":
		subscribe(ifName{device: device})
		subscribe(ifName{device, "*"})
	default:
		subscribe(ifName{device: "*"})
	}
	w := &ifScreen{o: o, every: every, all: map[ifName]*ifWatch{}}
	if _, ok := o.terminal(); ok {
		return w.onScreen(ctx, c, list)
	}
	return o.live(ctx, func(ctx context.Context, _ *options) error {
		return w.sample(ctx, c, list, w.lines)
	})
}

// An ifScreen is monitor interface.
type ifScreen struct {
	o     *options
	every time.Duration
	mu    sync.Mutex
	all   map[ifName]*ifWatch
	top   int
}

// sample follows the subscription and draws once an interval, from the second sample
// on, with which there are rates.
func (w *ifScreen) sample(ctx context.Context, c *client, list *gpb.SubscriptionList, draw func() error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var timer sync.WaitGroup
	defer timer.Wait()
	defer cancel(nil)
	// Samples arrive on the interval: what is drawn between two of them is whole.
	timer.Go(func() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.every / 4):
		}
		tick := time.NewTicker(w.every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := draw(); err != nil {
				cancel(err)
				return
			}
		}
	})
	err := c.follow(ctx, list, w.take, func() error { return nil })
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func (w *ifScreen) take(n *gpb.Notification) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range n.GetUpdate() {
		e := append(slices.Clone(n.GetPrefix().GetElem()), u.GetPath().GetElem()...)
		if len(e) < 3 {
			continue
		}
		at := ifName{device: e[0].GetKey()["name"]}
		if e[1].GetName() == "unit" {
			at.id = e[1].GetKey()["id"]
		}
		x := w.all[at]
		if x == nil {
			x = &ifWatch{readings: map[string]*reading{}}
			w.all[at] = x
		}
		text := strings.Trim(string(rawValue(u.GetVal())), `"`)
		leaf := e[len(e)-1].GetName()
		if leaf == "oper-status" {
			x.status = text
			continue
		}
		if !slices.Contains(monitored, leaf) {
			continue
		}
		v, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return fmt.Errorf("the router's answer for %s is no counter: %s", pathText(u.GetPath()), text)
		}
		if x.readings[leaf] == nil {
			x.readings[leaf] = &reading{}
		}
		x.readings[leaf].take(v, n.GetTimestamp())
	}
	return nil
}

func (w *ifScreen) sorted() []ifName {
	return slices.SortedFunc(maps.Keys(w.all), func(a, b ifName) int { return render.Natural(a.String(), b.String()) })
}

func (x *ifWatch) rate(leaf string) float64 {
	if r := x.readings[leaf]; r != nil {
		return r.rate
	}
	return 0
}

func (x *ifWatch) value(leaf string) uint64 {
	if r := x.readings[leaf]; r != nil {
		return r.value
	}
	return 0
}

func (x *ifWatch) known() bool {
	r := x.readings["in-octets"]
	return r != nil && r.known
}

// lines prints a line for each, for a pipe.
func (w *ifScreen) lines() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for _, n := range w.sorted() {
		x := w.all[n]
		if !x.known() {
			continue
		}
		var err error
		if w.o.wantsData() {
			var raw []byte
			raw, err = json.Marshal(struct {
				Time   time.Time `json:"time"`
				Name   string    `json:"name"`
				Status string    `json:"oper-status"`
				InBit  float64   `json:"in-bit-rate"`
				InPkt  float64   `json:"in-packet-rate"`
				OutBit float64   `json:"out-bit-rate"`
				OutPkt float64   `json:"out-packet-rate"`
			}{now, n.String(), x.status, x.rate("in-octets") * 8, x.rate("in-pkts"), x.rate("out-octets") * 8, x.rate("out-pkts")})
			if err == nil {
				_, err = fmt.Fprintf(w.o.out, "%s\n", raw)
			}
		} else {
			_, err = fmt.Fprintf(w.o.out, "%s %s %s in %s %s out %s %s\n", now.Format("15:04:05"), n, dash(x.status), render.BitRate(x.rate("in-octets")*8),
				render.PacketRate(x.rate("in-pkts")), render.BitRate(x.rate("out-octets")*8), render.PacketRate(x.rate("out-pkts")))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// table draws the table for a screen.
func (w *ifScreen) table(screen render.Screen) (string, error) {
	var b bytes.Buffer
	t := render.NewTable(&b, screen, []render.Column{{Head: "Interface"}, {Head: "State"},
		{Head: "In", Right: true}, {Head: "In packets", Right: true, Drop: 2}, {Head: "Out", Right: true}, {Head: "Out packets", Right: true, Drop: 2},
		{Head: "In total", Right: true, Drop: 3}, {Head: "Out total", Right: true, Drop: 3}, {Head: "Discards", Right: true, Drop: 1}})
	for _, n := range w.sorted() {
		x := w.all[n]
		rate := func(text string) string {
			if !x.known() {
				return "-"
			}
			return text
		}
		row := render.Cells(n.String(), dash(x.status), rate(render.BitRate(x.rate("in-octets")*8)), rate(render.PacketRate(x.rate("in-pkts"))),
			rate(render.BitRate(x.rate("out-octets")*8)), rate(render.PacketRate(x.rate("out-pkts"))),
			render.Octets(float64(x.value("in-octets"))), render.Octets(float64(x.value("out-octets"))),
			strconv.FormatUint(x.value("in-discards")+x.value("out-discards"), 10))
		row[1].Style = render.StatusStyle(x.status)
		if err := t.Add(row); err != nil {
			return "", err
		}
	}
	if err := t.Flush(); err != nil {
		return "", err
	}
	return b.String(), nil
}

// The alternate screen without a cursor, and back (xterm's private modes 1049, 25).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

// onScreen draws the table over and over until q or Ctrl-C; the last one stays.
func (w *ifScreen) onScreen(ctx context.Context, c *client, list *gpb.SubscriptionList) error {
	t, _ := w.o.terminal()
	restore, err := t.Raw()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(t, enterScreen); err != nil {
		return cmp.Or(err, restore())
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
			switch k {
			case "q", pager.Break, pager.Escape:
				cancel()
				return
			case pager.Up, "k":
				w.scroll(t, -1)
			case pager.Down, "j":
				w.scroll(t, 1)
			case pager.PageUp, "b":
				w.scroll(t, -10)
			case pager.PageDown, " ":
				w.scroll(t, 10)
			case pager.Home:
				w.scroll(t, -1<<20)
			case pager.End:
				w.scroll(t, 1<<20)
			case pager.Resized:
				w.scroll(t, 0)
			case pager.Enter, pager.Back:
			}
		}
	})
	err = w.draw(t)
	if err == nil {
		err = w.sample(ctx, c, list, func() error { return w.draw(t) })
	}
	if ctx.Err() != nil {
		err = nil
	}
	cancel()
	close(stop)
	keys.Wait()
	_, werr := io.WriteString(t, leaveScreen)
	err = cmp.Or(err, werr, restore()) // joined, a status would lose its message
	columns, _ := t.Size()
	screen := w.o.view.screen
	screen.Width = columns
	text, terr := w.table(screen)
	_, werr = io.WriteString(w.o.out, text)
	return cmp.Or(err, terr, werr)
}

func (w *ifScreen) scroll(t *tty.Terminal, lines int) {
	w.mu.Lock()
	w.top = max(0, w.top+lines)
	w.mu.Unlock()
	// A terminal that is gone ends the command by itself.
	_ = w.draw(t)
}

// draw draws one screen.
func (w *ifScreen) draw(t *tty.Terminal) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	columns, rows := t.Size()
	screen := w.o.view.screen
	screen.Width = columns
	text, err := w.table(screen)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	room := max(1, rows-3)
	w.top = max(0, min(w.top, len(lines)-1-room))
	var b strings.Builder
	b.WriteString("\x1b[H" + screen.Paint(render.Faint, fmt.Sprintf("%s, every %v   arrows: scroll   q: leave", time.Now().Format("15:04:05"), w.every)) + "\x1b[K\r\n")
	if len(w.all) == 0 {
		lines = []string{"waiting for the first sample"}
	}
	b.WriteString(lines[0] + "\x1b[K\r\n")
	for i := 1 + w.top; i < min(len(lines), 1+w.top+room); i++ {
		b.WriteString(lines[i] + "\x1b[K\r\n")
	}
	b.WriteString("\x1b[J")
	_, err = io.WriteString(t, b.String())
	return err
}
