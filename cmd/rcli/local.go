package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/dataplane/session"
)

type localClassTree struct {
	Name  string `json:"name"`
	State struct {
		Rate    int    `json:"rate"`
		Burst   int    `json:"burst"`
		Origin  string `json:"origin"`
		Packets string `json:"packets"`
		Octets  string `json:"octets"`
		Policed string `json:"policed-packets"`
		Dropped string `json:"dropped-packets"`
		applyTree
	} `json:"state"`
}

type sessionTree struct {
	Name  string `json:"name"`
	State struct {
		Consumer       string  `json:"consumer"`
		Class          string  `json:"class"`
		Protocol       string  `json:"protocol"`
		LocalPort      *uint16 `json:"local-port"`
		RemotePort     *uint16 `json:"remote-port"`
		ICMPType       *uint8  `json:"icmp-type"`
		LocalPrefix    string  `json:"local-prefix"`
		RemotePrefix   string  `json:"remote-prefix"`
		Instance       string  `json:"instance"`
		Interface      string  `json:"interface"`
		LaterFragments bool    `json:"later-fragments"`
		Origin         string  `json:"origin"`
		Packets        string  `json:"packets"`
		Octets         string  `json:"octets"`
		Policed        string  `json:"policed-packets"`
		Dropped        string  `json:"dropped-packets"`
		applyTree
	} `json:"state"`
}

// shape is how specific the session is.
func (s sessionTree) shape() session.Shape {
	st := s.State
	var m session.Match
	has := func(f session.Fields, named bool) {
		if named {
			m.Fields |= f
		}
	}
	has(session.HasProtocol, st.Protocol != "")
	has(session.HasLocalPort, st.LocalPort != nil || st.ICMPType != nil)
	has(session.HasRemotePort, st.RemotePort != nil)
	has(session.HasInstance, st.Instance != "")
	has(session.HasIfIndex, st.Interface != "")
	m.Fragment = st.LaterFragments
	// One that is no prefix is none.
	m.Local, _ = netip.ParsePrefix(st.LocalPrefix)
	m.Remote, _ = netip.ParsePrefix(st.RemotePrefix)
	return m.Shape()
}

// match says in words what the session matches.
func (s sessionTree) match() string {
	st := s.State
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if st.Protocol != "" {
		add("%s", st.Protocol)
	}
	if st.ICMPType != nil {
		add("type %d", *st.ICMPType)
	}
	if st.LocalPort != nil {
		add("to port %d", *st.LocalPort)
	}
	if st.RemotePort != nil {
		add("from port %d", *st.RemotePort)
	}
	if st.LocalPrefix != "" {
		add("to %s", st.LocalPrefix)
	}
	if st.RemotePrefix != "" {
		add("from %s", st.RemotePrefix)
	}
	if st.Instance != "" {
		add("in %s", st.Instance)
	}
	if st.Interface != "" {
		add("by %s", st.Interface)
	}
	if st.LaterFragments {
		add("later fragments")
	}
	if len(words) == 0 {
		return "everything else"
	}
	return strings.Join(words, " ")
}

// showSessions prints who gets the packets for the router itself, in the order in
// which sessions are tried.
func showSessions(ctx context.Context, o *options, c *client, args []string) error {
	name := "*"
	if len(args) > 0 {
		name = args[0]
	}
	var list []sessionTree
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "session", Key: map[string]string{"name": name}}}}
	done, absent, err := o.fetch(ctx, c, gpb.GetRequest_STATE, path, collect(&list))
	if err != nil || done {
		return err
	}
	if absent && name != "*" {
		return status.Errorf(codes.NotFound, "there is no session %s; show sessions lists them", name)
	}
	slices.SortFunc(list, func(a, b sessionTree) int {
		if c := a.shape().Compare(b.shape()); c != 0 {
			return c
		}
		return strings.Compare(a.match(), b.match())
	})
	var rows [][]string
	for _, s := range list {
		st := s.State
		rows = append(rows, []string{st.mark(s.Name), s.match(), dash(st.Consumer), dash(st.Class), dash(st.Origin), dash(st.Packets), dash(st.Dropped), dash(st.Policed)})
	}
	if err := table(o.out, "Session Match Consumer Class Origin Packets Dropped Policed", rows); err != nil {
		return err
	}
	for _, s := range list {
		if err := o.sayWhy(s.Name, s.State.applyTree); err != nil {
			return err
		}
	}
	return nil
}

// showLocalPolicy prints the classes, with what came and went, and the sessions.
func showLocalPolicy(ctx context.Context, o *options, c *client) error {
	var list []localClassTree
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "local-class", Key: map[string]string{"name": "*"}}}}
	if o.json {
		// Both lists are one answer.
		var all []json.RawMessage
		keep := func(raw json.RawMessage) error { all = append(all, raw); return nil }
		plain := o.asText()
		sessions := &gpb.Path{Elem: []*gpb.PathElem{{Name: "session", Key: map[string]string{"name": "*"}}}}
		for _, p := range []*gpb.Path{path, sessions} {
			if _, _, err := plain.fetch(ctx, c, gpb.GetRequest_STATE, p, keep); err != nil {
				return err
			}
		}
		text, err := json.Marshal(all)
		if err != nil {
			return fmt.Errorf("the router's answer for %s is no JSON: %w", pathText(path), err)
		}
		return printJSON(o.out, text)
	}
	if _, _, err := o.fetch(ctx, c, gpb.GetRequest_STATE, path, collect(&list)); err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b localClassTree) int { return strings.Compare(a.Name, b.Name) })
	var rows [][]string
	for _, k := range list {
		st := k.State
		rows = append(rows, []string{st.mark(k.Name), strconv.Itoa(st.Rate), strconv.Itoa(st.Burst), dash(st.Origin), dash(st.Packets), dash(st.Octets), dash(st.Dropped), dash(st.Policed)})
	}
	if err := table(o.out, "Class Rate Burst Origin Packets Octets Dropped Policed", rows); err != nil {
		return err
	}
	for _, k := range list {
		if err := o.sayWhy(k.Name, k.State.applyTree); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(o.out); err != nil {
		return err
	}
	return showSessions(ctx, o, c, nil)
}
