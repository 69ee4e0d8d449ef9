package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/output"
	"router/cmd/rcli/render"
)

// info prints what stands at a path in running or in state, depth levels of it, 0
// for all.
func (o *options) info(ctx context.Context, c *client, from string, depth int, path *gpb.Path) error {
	kind := gpb.GetRequest_CONFIG
	if from == "state" {
		kind = gpb.GetRequest_STATE
	}
	own := *o
	if !o.wantsData() {
		own.view.form = output.Curly
	}
	if depth == 0 {
		absent, err := own.printNodes(ctx, c, kind, true, path)
		if err == nil && absent {
			return status.Errorf(codes.NotFound, "nothing stands at %s in %s", pathText(path), from)
		}
		return err
	}
	if f := own.view.form; f == output.Set || f == output.XPath {
		return usagef("info depth %d: as set-commands all of it comes: leave depth out", depth)
	}
	ctx, done := context.WithTimeout(c.context(ctx), time.Minute)
	defer done()
	resp, err := c.gnmi.Get(ctx, &gpb.GetRequest{Path: []*gpb.Path{path}, Type: kind, Encoding: gpb.Encoding_JSON_IETF,
		Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_Depth{Depth: &gnmi_ext.Depth{Level: uint32(depth)}}}}})
	if err != nil {
		return err
	}
	s, err := own.sink()
	if err != nil {
		return err
	}
	for _, n := range resp.GetNotification() {
		for _, u := range n.GetUpdate() {
			if err := s.Value(output.Value{Path: pathText(u.GetPath()), JSON: rawValue(u.GetVal()), Alone: true}); err != nil {
				return err
			}
		}
	}
	return s.Close()
}

// modelTree prints the model at a path.
func (o *options) modelTree(path string, depth int) error {
	text, err := output.Tree(path, depth)
	if err != nil {
		return &usageError{err}
	}
	if o.wantsData() {
		return usagef("tree draws the model, which is no data: get --type all has that")
	}
	_, err = io.WriteString(o.out, text)
	return err
}

// diff prints what is declared at a path and not in place so, leaf by leaf: minus is
// what running says, plus what state says.
func (o *options) diff(ctx context.Context, c *client, path *gpb.Path) error {
	lines := func(kind gpb.GetRequest_DataType) (map[string]string, error) {
		text, err := c.commands(ctx, kind, path)
		if status.Code(err) == codes.NotFound {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		m := map[string]string{}
		for l := range strings.Lines(text) {
			l = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(l, "\n"), "set "), "# ")
			p, value, _ := strings.Cut(l, " ")
			m[p] = value
		}
		return m, nil
	}
	config, err := lines(gpb.GetRequest_CONFIG)
	if err != nil {
		return err
	}
	state, err := lines(gpb.GetRequest_STATE)
	if err != nil {
		return err
	}
	type difference struct {
		Path    string `json:"path"`
		Running string `json:"running"`
		State   string `json:"state"`
	}
	var list []difference
	for _, p := range slices.SortedFunc(maps.Keys(config), render.Natural) {
		i := strings.LastIndex(p, "/config/")
		if i < 0 {
			continue
		}
		applied, ok := state[p[:i]+"/state/"+p[i+len("/config/"):]]
		if ok && applied != config[p] || !ok && mirrored(state, p[:i]) {
			list = append(list, difference{p, config[p], applied})
		}
	}
	if o.wantsData() {
		raw, err := json.Marshal(slices.Concat([]difference{}, list))
		if err != nil {
			return err
		}
		return o.printData(raw)
	}
	for _, d := range list {
		if err := o.say(render.Bad, "- %s %s", d.Path, d.Running); err != nil {
			return err
		}
		if err := o.say(render.Good, "+ %s %s", d.Path, cmp.Or(d.State, "(not in place)")); err != nil {
			return err
		}
	}
	if len(list) == 0 {
		_, err = fmt.Fprintln(o.out, "all that is declared there is in place")
	}
	return err
}

// mirrored reports whether state says anything of the node at all: what it says
// nothing of, such as a term of a filter, can't be compared.
func mirrored(state map[string]string, node string) bool {
	for p := range state {
		if strings.HasPrefix(p, node+"/state/") {
			return true
		}
	}
	return false
}
