package main

import (
	"regexp"
	"testing"
)

func TestShowFilters(t *testing.T) {
	const places = "/interface[name=*]/unit[id=*]/family[type=*]/filter/state/counter[filter=f][hook=*][term=*]"
	s := start(t, &fake{matches: map[string]string{
		places: "/interface[name=ge0]/unit[id=0]/family[type=inet]/filter/state/counter[filter=f][hook=input][term=a]",
	}, answers: map[string]string{
		"/filter[name=*]": `{"name":"f","config":{"family":"inet"},"state":{"bindings":2},"term":[
			{"name":"a","state":{"packets":"3","octets":"300"},"match":{"config":{"protocol":["tcp"],"destination-port":[22,"80-90"],"tcp-initial":true,"tcp-established":false}}},
			{"name":"b","state":{"packets":"1","octets":"100"},"action":{"config":{"disposition":"discard","log-every":10000000}}}]}`,
		"/filter[name=f]": `{"name":"f","config":{"family":"inet"},"state":{"bindings":2,"reason":"no room","apply-status":"error","apply-reason":"no room","apply-retries":2},"term":[
			{"name":"a","state":{"packets":"3","octets":"300"},"match":{"config":{"protocol":["tcp"],"destination-port":[22,"80-90"],"tcp-initial":true,"tcp-established":false}}},
			{"name":"b","state":{"packets":"1","octets":"100"},"action":{"config":{"disposition":"discard","log-every":10000000}}}]}`,
		places: `{"routerd:hook":"input","routerd:filter":"f","routerd:term":"a","routerd:packets":"2","routerd:octets":"200"}`,
		"/policer[name=*]": `{"name":"p","state":{"type":"single-rate","unit":"octets","committed-rate":"1000","committed-burst":"2000"},
			"green":{"state":{"drop":false,"packets":"5","octets":"500"}},"yellow":{"state":{}},"red":{"state":{"drop":true,"packets":"6","octets":"600"}}}`,
		"/filter-log[slot=*]": `{"number":"7","time":"1000000000","filter":"f","term":"a","hook":"input","interface":"ge0.0","verdict":"discard",
			"source":"2001:db8::1","destination":"2001:db8::2","protocol":6,"source-port":1,"destination-port":22,"length":60}`,
	}})
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"show", "filters"}, []string{`^f +inet +2 +2 +4 +400$`}},
		{[]string{"show", "filters", "f"}, []string{
			`^a +3 +300 +75.0% +accept +destination-port 22,80-90 protocol tcp tcp-initial$`,
			`^b +1 +100 +25.0% +discard log-every 10000000 +-$`, `^f: error, tried 2 times: no room$`, `^ge0.0 +input +a +2 +200$`}},
		{[]string{"show", "policers"}, []string{`^p +single-rate +1000 bit/s +2000 octets +green +pass +5 +500$`, `^ +red +drop +6 +600$`}},
		{[]string{"show", "filter-log"}, []string{`f +a +input +ge0.0 +discard +tcp +\[2001:db8::1\]:1 +\[2001:db8::2\]:22 +60$`}},
		{[]string{"--json", "show", "filters", "f"}, []string{`"bindings": 2`}},
	} {
		code, out, errOut := rcli(t, append([]string{"--socket", s}, c.args...)...)
		if code != exitDone {
			t.Errorf("%v: exit %d: %s", c.args, code, errOut)
		}
		for _, want := range c.want {
			if !regexp.MustCompile("(?m)" + want).MatchString(out) {
				t.Errorf("%v: no %q in\n%s", c.args, want, out)
			}
		}
		if regexp.MustCompile(`ge0.0 +input +x|yellow`).MatchString(out) {
			t.Errorf("%v: too much in\n%s", c.args, out)
		}
	}
	if code, _, errOut := rcli(t, "--socket", s, "show", "filters", "none"); code == exitDone {
		t.Errorf("a filter that isn't there is shown: %s", errOut)
	}
}
