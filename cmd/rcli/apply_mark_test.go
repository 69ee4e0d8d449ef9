package main

import (
	"regexp"
	"strings"
	"testing"

	"router/gen/configpb"
)

// TestWhatIsNotInPlaceIsMarked shows a unit that failed, one whose family and addresses did or
// wait, one that waits itself, and what the tables can't have since it failed.
func TestWhatIsNotInPlaceIsMarked(t *testing.T) {
	answers := map[string]string{
		"/interface[name=ge0]/name":  `"ge0"`,
		"/interface[name=ge0]/state": `{"oper-status":"down","apply-status":"error","apply-reason":"no queue","apply-retries":2,"apply-since":"1000000000"}`,
		"/interface[name=ge0]/unit[id=0]": `{"id":"0","state":{"name":"ge0.0","oper-status":"up","apply-status":"error","apply-reason":"no memory for a TAP","apply-retries":3,"apply-since":"1000000000"},
			"family":[{"type":"inet","state":{"oper-status":"up","apply-status":"pending","apply-reason":"no memory for a TAP"},
			"address":[{"prefix":"192.0.2.1/24","state":{"status":"preferred","apply-status":"applied"}}]}]}`,
		"/interface[name=ge0]/unit[id=1]": `{"id":"1","state":{"name":"ge0.1","oper-status":"up","apply-status":"applied"},
			"family":[{"type":"inet","state":{"oper-status":"up","apply-status":"error","apply-reason":"the host has no room"},
			 "address":[{"prefix":"198.51.100.1/24","state":{"status":"preferred","apply-status":"applied"}}]},
			{"type":"inet6","state":{"oper-status":"up","apply-status":"applied"},
			 "address":[{"prefix":"2001:db8::1/64","state":{"status":"tentative","apply-status":"pending","apply-reason":"it is being checked"}},
			  {"prefix":"2001:db8::2/64","state":{"status":"duplicate","reason":"somebody has it","apply-status":"error","apply-reason":"somebody has it"}}]}]}`,
		"/interface[name=ge0]/unit[id=2]": `{"id":"2","state":{"name":"ge0.2","oper-status":"pending","oper-reason":"no parent","apply-status":"pending","apply-reason":"no parent"}}`,
		"/session[name=*]":                `{"name":"s","state":{"consumer":"host","class":"c","apply-status":"error","apply-reason":"no room","apply-retries":1}}`,
		"/policer[name=*]":                `{"name":"p","state":{"type":"single-rate","unit":"octets","apply-status":"error","apply-reason":"no slot"},"green":{"state":{}},"yellow":{"state":{}},"red":{"state":{}}}`,

		"/instance[name=default]/rib[afi=inet]/state": `{"total-routes":1,"active-routes":1}`,
	}
	for _, id := range []string{"0", "1", "2"} {
		answers["/interface[name=ge0]/unit[id="+id+"]/id"] = `"` + id + `"`
	}
	s := start(t, &fake{answers: answers,
		routes: []*configpb.RoutePrefix{{Prefix: "10.0.0.0/8", Entry: []*configpb.RouteEntry{{Source: "user", Protocol: "static", Active: true, NextHopType: "discard"}}}},
		failed: []*configpb.Unapplied{{Path: "/instance[name=default]/static-route[prefix=20.0.0.0/8]", Status: "error", Reason: "interface ge7.0 does not exist"}}})
	for _, c := range []struct {
		args string
		want []string
	}{
		{"show interfaces ge0.0", []string{`^ge0.0 \(error\) +up`, `^  inet +up +192.0.2.1/24$`, `^ge0.0: error, tried 3 times: no memory for a TAP$`}},
		{"show interfaces ge0.1", []string{
			`^ge0.1 +up`, `^  inet +up +198.51.100.1/24 \(error\)$`, `^ge0.1 inet: error: the host has no room$`,
			`^  inet6 +up/tentative +2001:db8::1/64$`, `^ge0.1 2001:db8::1/64: pending: it is being checked$`,
			`^  inet6 +up/duplicate +2001:db8::2/64 \(error\)$`, `^ge0.1 2001:db8::2/64: somebody has it$`}},
		{"show interfaces ge0.2", []string{`^ge0.2 +pending`, `^ge0.2: no parent$`}},
		{"show interfaces terse ge0.0", []string{`^ge0.0 \(error\) +on +up +inet +192.0.2.1/24$`}},
		{"show interfaces terse ge0.1", []string{`^ge0.1 +on +up +inet +198.51.100.1/24 \(error\)$`, `^ +inet6 +2001:db8::2/64 \(error\)$`}},
		{"show interfaces terse ge0.2", []string{`^ge0.2 +on +pending$`}},
		{"show interfaces detail ge0.0", []string{`^  Not in place: +error, tried 3 times: no memory for a TAP \(since `}},
		{"show interfaces detail ge0.1", []string{`^    inet: +198.51.100.1/24 \(error\), up$`, `^    Note: +ge0.1 inet: error: the host has no room$`}},
		{"show sessions", []string{`^s \(error\) +`, `^s: error, tried 1 times: no room$`}},
		{"show policers", []string{`^p \(error\) +`, `^p: error: no slot$`}},
		{"show route", []string{`^10.0.0.0/8 `, `^not in place: /instance\[name=default\]/static-route\[prefix=20.0.0.0/8\]: interface ge7.0 does not exist$`}},
	} {
		code, out, errOut := rcli(t, append([]string{"--socket", s}, strings.Fields(c.args)...)...)
		if code != exitDone {
			t.Errorf("%s: exit %d: %s", c.args, code, errOut)
		}
		for _, want := range c.want {
			if n := len(regexp.MustCompile("(?m)"+want).FindAllString(out, -1)); n != 1 {
				t.Errorf("%s: %q is there %d times in\n%s", c.args, want, n, out)
			}
		}
	}
}
