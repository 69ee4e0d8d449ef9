package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
)

var update = flag.Bool("update", false, "write docs/bad-input.md anew")

// badInputDoc is the document that TestBadInput keeps true.
const badInputDoc = "../../docs/bad-input.md"

const badInputHead = `# Bad input, and what it is answered

Each line was tried against the running daemon. TestBadInput (internal/e2e) tries all of them again and compares the
answers with this page; ` + "`go test ./internal/e2e -run TestBadInput -update`" + ` writes it anew. After each line the daemon still forwards,
and its configuration is what it was before.

The router under test has ge0 with 192.0.2.1/24 and 2001:db8:1::1/64, ge1 with 198.51.100.1/24, and a static route 2001:db8:aa::/48.
`

const badInputConfig = `{ "routerd:interface": [
	{ "name": "ge0", "unit": [ { "id": "0", "family": [
		{ "type": "inet", "address": [ { "prefix": "192.0.2.1/24" } ] },
		{ "type": "inet6", "address": [ { "prefix": "2001:db8:1::1/64" } ] } ] } ] },
	{ "name": "ge1", "unit": [ { "id": "0", "family": [
		{ "type": "inet", "address": [ { "prefix": "198.51.100.1/24" } ] } ] } ] } ],
	"routerd:instance": [ { "name": "default", "static-route": [ { "prefix": "2001:db8:aa::/48", "config": { "action": "discard" } } ] } ] }`

// A page is the document in the making.
type page struct {
	text strings.Builder
	hide *strings.Replacer // what differs from run to run
}

func (p *page) section(title, input string) {
	fmt.Fprintf(&p.text, "\n## %s\n\n| %s | answer |\n| --- | --- |\n", title, input)
}

var (
	addresses = regexp.MustCompile(`\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b`)
	sums      = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	spaces    = regexp.MustCompile(`[\s\x{a0}]+`)
)

func (p *page) row(input, answer string) {
	cell := func(s string) string {
		s = sums.ReplaceAllString(addresses.ReplaceAllString(p.hide.Replace(s), "MAC"), "SHA256")
		return strings.ReplaceAll(spaces.ReplaceAllString(strings.TrimSpace(s), " "), "|", `\|`)
	}
	fmt.Fprintf(&p.text, "| `%s` | %s |\n", cell(input), cell(answer))
}

// TestBadInput tries what users, orchestrators and neighbours get wrong.
func TestBadInput(t *testing.T) {
	l := labOf(t)
	l.wire("h1", "ge0")
	l.wire("h2", "ge1")
	l.space("h1").Address(l, "eth0", "192.0.2.2/24", "2001:db8:1::2/64")
	l.space("h1").Route(l, "default", "192.0.2.1")
	l.space("h2").Address(l, "eth0", "198.51.100.2/24")
	l.space("h2").Route(l, "default", "198.51.100.1")
	p := &page{hide: strings.NewReplacer(l.dir, "DIR", l.space("h1").Name, "h1")}
	p.text.WriteString(badInputHead)

	badBoot(l, p)
	l.start()
	l.load(badInputConfig)
	s := l.dial()
	defer s.conn.Close()
	before, err := s.get(context.Background(), gpb.GetRequest_CONFIG, "/")
	if err != nil {
		t.Fatal(err)
	}
	badCommands(l, p)
	badFiles(l, p)
	badRequests(t, s, p)
	after, err := s.get(context.Background(), gpb.GetRequest_CONFIG, "/")
	if err != nil {
		t.Fatal(err)
	}
	if before != after {
		t.Errorf("bad input has changed the configuration from\n%s\nto\n%s", before, after)
	}
	badPackets(t, l, s, p)
	if out, err := l.space("h1").Run("ping", "-c1", "-W5", "198.51.100.2"); err != nil {
		t.Errorf("h1 does not reach h2 any more: %v\n%s", err, out)
	}

	got := p.text.String()
	if *update {
		if err := os.WriteFile(badInputDoc, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(badInputDoc)
	if err != nil {
		t.Fatal(err)
	}
	wantLines, gotLines := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i, line := range gotLines {
		if i >= len(wantLines) || line != wantLines[i] {
			had := "nothing"
			if i < len(wantLines) {
				had = wantLines[i]
			}
			t.Fatalf("%s, line %d:\n%s\nis now\n%s\n(-update writes the page anew)", badInputDoc, i+1, had, line)
		}
	}
	if len(wantLines) != len(gotLines) {
		t.Errorf("%s has %d lines, want %d", badInputDoc, len(wantLines), len(gotLines))
	}
}

// badBoot starts daemons that don't start.
func badBoot(l *lab, p *page) {
	write := func(name, text string) {
		file := filepath.Join(l.dir, name)
		l.check(os.MkdirAll(filepath.Dir(file), 0o700))
		l.check(os.WriteFile(file, []byte(text), 0o600))
	}
	write("unknown.yaml", "hostname: r1\n")
	write("broken.yaml", "listen: [\n")
	write("number.yaml", "workers: many\n")
	write("garbage.pem", "not a certificate\n")
	write("file", "")
	write("damaged-kernel/kernel.json", "{")
	p.section("Boot settings", "routerd with")
	for _, args := range []string{
		"--no-such-flag",
		"start",
		"--log-level loud",
		"--workers 0",
		"--workers many",
		"--buffers 7",
		"--max-message-size 1",
		"--listen 9339",
		"--listen 192.0.2.250:9339",
		"--listen= --socket=",
		"--socket " + filepath.Join(l.dir, "file"),
		"--insecure --tls-ca " + filepath.Join(l.dir, "garbage.pem"),
		"--tls-cert only.pem",
		"--tls-cert no-such.pem --tls-key no-such.pem",
		"--tls-cert garbage.pem --tls-key garbage.pem",
		"--tls-ca garbage.pem",
		"--config no-such.yaml",
		"--config unknown.yaml",
		"--config broken.yaml",
		"--config number.yaml",
		"--state-dir file",
		"--state-dir=",
		"--state-dir damaged-kernel",
	} {
		out, code := l.run(filepath.Join(bin, "routerd"), append(l.flags(nil), strings.Fields(args)...)...)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if code < 0 {
			l.Fatalf("routerd %s: it starts\n%s", args, out)
		}
		p.row(args, fmt.Sprintf("exit code %d: %s", code, lines[len(lines)-1]))
	}
}

// badCommands is what a person mistypes.
func badCommands(l *lab, p *page) {
	p.section("rcli", "rcli")
	for _, args := range [][]string{
		{"shwo"},
		{"show", "bgp"},
		{"show", "routes", "192.0.2"},
		{"show", "routes", "--instance", "red"},
		{"show", "interfaces", "ge7"},
		{"get"},
		{"get", "/interface[name=ge0"},
		{"get", "/interfaces"},
		{"get", "/interface[name=ge7]/config"},
		{"get", "/interface[id=ge0]"},
		{"get", "--type", "running", "/interface"},
		{"watch", "/interface[name=ge0]/config/colour"},
		{"set", "/interface[name=ge0]/config/mru"},
		{"set", "/interface[name=ge0]/config/mru", "many"},
		{"set", "/interface[name=ge0]/config/mru", "9700"},
		{"set", "/interface[name=ge0]/config/mru", "-1"},
		{"set", "/interface[name=ge0]/config/enabled", "perhaps"},
		{"set", "/interface[name=ge0]/config/attach", "gently"},
		{"set", "/interface[name=ge0]/config/colour", "blue"},
		{"set", "/interface[name=ge0]/config/name", "ge1"},
		{"set", "/interface/config/mru", "1600"},
		{"set", "/interface[name=a-name-that-no-kernel-takes]/config/description", "long"},
		{"set", "/interface[name=../../etc]/config/description", "x"},
		{"set", "/interface[name=ge0]/config/mac-address", "01:00:5e:00:00:01"},
		{"set", "/interface[name=ge0]/state/oper-status", "up"},
		{"set", "/interface[name=ge0]/unit[id=0]/config", "{"},
		{"set", "/interface[name=ge0]/unit[id=1.2.3]/config/description", "too deep"},
		{"set", "/interface[name=ge0]/unit[id=1]/config/description", "untagged too"},
		{"set", "/interface[name=ge0]/unit[id=1]/vlan/config/outer-vlan-id", "4095"},
		{"set", "/interface[name=ge0]/unit[id=1]/vlan/config/inner-vlan-id", "7"},
		{"set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/config/mtu", "9000"},
		{"set", "/interface[name=ge0]/unit[id=0]/family[type=ipx]/config/enabled", "true"},
		{"set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/config/instance", "red"},
		{"set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.300/24]/config/prefix", "192.0.2.300/24"},
		{"set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.0/24]/config/prefix", "192.0.2.0/24"},
		{"set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=224.0.0.5/24]/config/prefix", "224.0.0.5/24"},
		{"set", "/interface[name=ge1]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/30]/config/prefix", "192.0.2.1/30"},
		{"set", "/interface[name=ge0]/unit[id=0]/family[type=inet6]/address[prefix=2001:DB8:1::5/64]/config/prefix", "2001:DB8:1::5/64"},
		{"set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/neighbor[address=203.0.113.1]/config/link-layer-address", "02:00:00:00:00:01"},
		{"set", "/instance[name=default]/static-route[prefix=10.0.0.1/8]/config/action", "discard"},
		{"set", "/instance[name=default]/static-route[prefix=10.0.0.0/8]/config/description", "no next hop"},
		{"set", "/instance[name=default]/static-route[prefix=10.0.0.0/8]/next-hop[index=0]/config/gateway", "192.0.2.1"},
		{"set", "/instance[name=default]/static-route[prefix=10.0.0.0/8]/next-hop[index=0]/config/gateway", "2001:db8:1::2"},
		{"set", "/instance[name=default]/static-route[prefix=10.0.0.0/8]/next-hop[index=0]/config/interface", "ge9"},
		{"set", "/instance[name=red]/config/host-namespace", "a/b"},
		{"show", "filters", "none"},
		{"set", "/filter[name=f]/config/description", "no family"},
		{"set", "/filter[name=f]/config/family", "ipx"},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/match/config", `{"destination-port":["ssh"]}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/match/config", `{"protocol":["tcp"],"destination-port":["shh"]}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/match/config", `{"protocol":["tcp"],"destination-port":["90-80"]}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/match/config", `{"protocol":[256]}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/match/config", `{"icmp-type":["packet-too-big"]}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/match/config", `{"source-prefix":["2001:db8::/32"]}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/match/config", `{"source-prefix-list":["none"]}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/match/config", `{"tcp-flags":["syn&!syn"]}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/action/config", `{"disposition":"next-filter","next-filter":"f"}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/action/config", `{"disposition":"reject","reject-with":"policy-failed"}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/action/config", `{"next-hop":"192.0.2.2"}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/action/config", `{"policer":"none"}`},
		{"set", "/filter[name=f]/config", `{"family":"inet"}`, "/filter[name=f]/term[name=t]/action/config", `{"set-dscp":"af99"}`},
		{"set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/filter/config/input", "none"},
		{"set", "/policer[name=p]/config/committed-rate", "1000"},
		{"set", "/policer[name=p]/config", `{"type":"tr-tcm","committed-rate":"1000","committed-burst":"100","peak-rate":"10","peak-burst":"100"}`},
		{"set", "/prefix-list[name=l]/config/prefix", `["192.0.2.1/24"]`},
		{"delete", "/interface[name=ge0]/state"},
		{"delete", "/interfaces"},
		{"load", "no-such-file.json"},
		{"load", "undo", "x.json"},
		{"-c", "show 'interfaces"},
		{"--target", "127.0.0.1:1", "show", "interfaces"},
		{"--target", "127.0.0.1:9339", "show", "interfaces"},
		{"--ca", "garbage.pem", "--target", "127.0.0.1:9339", "show", "interfaces"},
	} {
		out, code := l.rcli(args...)
		shown := append([]string(nil), args...)
		for i, a := range shown {
			if strings.ContainsAny(a, " {'") {
				shown[i] = fmt.Sprintf("%q", a)
			}
		}
		p.row(strings.Join(shown, " "), fmt.Sprintf("exit code %d: %s", code, out))
	}
}

// badFiles are configurations that can't be loaded.
func badFiles(l *lab, p *page) {
	p.section("Configuration files", "rcli load merge a file with")
	deep := strings.Repeat(`{"routerd:interface":[`, 3000)
	for _, c := range []struct{ shown, text string }{
		{"", ""},
		{"nothing but [", "["},
		{"", `[]`},
		{"", `{"routerd:interface":[{"name":"ge0"}]`},
		{"", `{"interface":{"name":"ge0"}}`},
		{"", `{"openconfig-interfaces:interfaces":{}}`},
		{"", `{"other:interface":[]}`},
		{"", `{"routerd:interface":[{"config":{"description":"no key"}}]}`},
		{"", `{"routerd:interface":[{"name":"ge0"},{"name":"ge0"}]}`},
		{"", `{"routerd:interface":[{"name":"ge0","config":{"name":"ge1"}}]}`},
		{"", `{"routerd:interface":[{"name":"ge0","config":{"mru":"1600"}}]}`},
		{"", `{"routerd:interface":[{"name":"ge0","config":{"mru":1e99}}]}`},
		{"", `{"routerd:interface":[{"name":"ge0","config":{"mru":1500.5}}]}`},
		{"", `{"routerd:interface":[{"name":"ge0","config":{"enabled":1}}]}`},
		{"", `{"routerd:interface":[{"name":"ge0","config":null}]}`},
		{"", `{"routerd:interface":[{"name":"ge0","config":{"mru":1600,"mru":1700}}]}`},
		{"", `{"routerd:interface":[{"name":"ge0","state":{"mru":1600}}]}`},
		{"", `{"routerd:interface":[{"name":"ge0","config":{"description":"\u0000"}}]}`},
		{"3,000 objects in each other", deep},
		{"3,000 objects in each other, closed", deep + strings.Repeat(`]}`, 3000)},
	} {
		l.check(os.WriteFile(filepath.Join(l.dir, "bad.json"), []byte(c.text), 0o600))
		out, code := l.rcli("load", "merge", "bad.json")
		if c.shown == "" {
			c.shown = c.text
		}
		if c.shown == "" {
			c.shown = "nothing in it"
		}
		p.row(c.shown, fmt.Sprintf("exit code %d: %s", code, out))
	}
}

// badRequests are gNMI requests as other clients may send them.
func badRequests(t *testing.T, s *session, p *page) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer := func(err error, got any) string {
		if err == nil {
			return fmt.Sprintf("taken: %v", got)
		}
		st, _ := status.FromError(err)
		return fmt.Sprintf("%v: %s", st.Code(), st.Message())
	}
	const ge0 = `elem:{name:"interface" key:{key:"name" value:"ge0"}}`
	p.section("gNMI Get", "GetRequest")
	for _, text := range []string{
		`path:{origin:"junos" elem:{name:"interfaces"}}`,
		`path:{target:"another" ` + ge0 + `} path:{target:"third" ` + ge0 + `}`,
		`path:{elem:{name:""}}`,
		`path:{element:"interface"}`,
		`path:{elem:{name:"interface" key:{key:"index" value:"1"}}}`,
		`path:{elem:{name:"interface" key:{key:"name" value:""}}}`,
		`path:{elem:{name:"instance" key:{key:"name" value:"default"}} elem:{name:"static-route" key:{key:"prefix" value:"2001:DB8:AA::/48"}}}`,
		`path:{` + ge0 + ` elem:{name:"config" key:{key:"name" value:"ge0"}}}`,
		`path:{origin:"routerd_cli"} encoding:PROTO`,
		`path:{` + ge0 + `} extension:{commit:{id:"x"}}`,
		`path:{` + ge0 + `} encoding:BYTES`,
		`path:{` + ge0 + `} type:77`,
		`path:{` + ge0 + `} use_models:{name:"openconfig-bgp"}`,
		`prefix:{origin:"routerd"} path:{origin:"other" ` + ge0 + `}`,
	} {
		req := &gpb.GetRequest{}
		if err := prototext.Unmarshal([]byte(text), req); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, err := s.Get(ctx, req)
		p.row(text, answer(err, got))
	}
	p.section("gNMI Set", "SetRequest")
	const description = `path:{` + ge0 + ` elem:{name:"config"} elem:{name:"description"}}`
	for _, text := range []string{
		`update:{}`,
		`update:{` + description + `}`,
		`update:{` + description + ` val:{uint_val:7}}`,
		`update:{` + description + ` val:{bytes_val:"x"}}`,
		`update:{` + description + ` val:{json_ietf_val:"{"}}`,
		`update:{` + description + ` val:{json_ietf_val:"7"}}`,
		`update:{` + description + ` val:{json_ietf_val:"\"a\" \"b\""}}`,
		`update:{path:{` + ge0 + `} val:{string_val:"a container"}}`,
		`update:{path:{elem:{name:"interface" key:{key:"name" value:"*"}} elem:{name:"config"} elem:{name:"mru"}} val:{uint_val:1600}}`,
		`update:{path:{elem:{name:"..."} elem:{name:"mru"}} val:{uint_val:1600}}`,
		`update:{path:{` + ge0 + ` elem:{name:"config"} elem:{name:"mru"}} val:{uint_val:18446744073709551615}}`,
		`update:{path:{` + ge0 + ` elem:{name:"config"} elem:{name:"mru"}} val:{ascii_val:"0x640"}}`,
		`update:{path:{` + ge0 + `} val:{json_ietf_val:"{\"config\":{},\"routerd:config\":{}}"}}`,
		`replace:{path:{elem:{name:"prefix-list" key:{key:"name" value:"a"}} elem:{name:"config"} elem:{name:"prefix"}} val:{json_ietf_val:"[\"10.0.0.0/8\",\"10.0.0.0/8\"]"}}`,
		`delete:{elem:{name:"nothing"}}`,
		`delete:{` + ge0 + ` elem:{name:"state"} elem:{name:"mru"}}`,
		`delete:{origin:"cli"}`,
		`replace:{path:{} val:{json_ietf_val:"[]"}}`,
		`union_replace:{` + description + ` val:{string_val:"x"}} delete:{}`,
		`union_replace:{` + description + ` val:{string_val:"x"}} union_replace:{path:{origin:"routerd_cli"} val:{ascii_val:"set /interface[name=ge0]/config/description y"}}`,
		`update:{path:{origin:"routerd_cli"} val:{ascii_val:"# one\nset /interface[name=ge0]/config/mru 1\nset /system/config/hostname r1"}}`,
		`update:{path:{origin:"routerd_cli"} val:{ascii_val:"set /interface[name=ge0]/confg/mru 1\nerase"}}`,
		`update:{path:{origin:"routerd_cli"} val:{string_val:"set /system/config/hostname r1"}}`,
		`delete:{origin:"routerd_cli"}`,
		`update:{path:{elem:{name:"@"} elem:{name:"x"}} val:{string_val:""}}`,
		`update:{` + description + ` val:{any_val:{}}}`,
		`extension:{master_arbitration:{}}`,
		`extension:{depth:{level:1}}`,
		`extension:{commit:{commit:{}}}`,
		`extension:{commit:{id:"x" confirm:{}}}`,
		`extension:{commit:{id:"x" set_rollback_duration:{}}}`,
		`update:{` + description + ` val:{string_val:"good"}} update:{path:{` + ge0 + ` elem:{name:"config"} elem:{name:"mru"}} val:{uint_val:1}}`,
	} {
		req := &gpb.SetRequest{}
		if err := prototext.Unmarshal([]byte(text), req); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, err := s.Set(ctx, req)
		p.row(text, answer(err, got))
	}
	p.section("gNMI Subscribe", "first SubscribeRequest")
	for _, text := range []string{
		``,
		`poll:{}`,
		`subscribe:{}`,
		`subscribe:{mode:77 subscription:{path:{` + ge0 + `}}}`,
		`subscribe:{encoding:BYTES subscription:{path:{` + ge0 + `}}}`,
		`subscribe:{qos:{marking:64} subscription:{path:{` + ge0 + `}}}`,
		`subscribe:{subscription:{path:{` + ge0 + `}}} extension:{history:{snapshot_time:1}}`,
		`subscribe:{subscription:{path:{` + ge0 + `}}} extension:{history:{range:{start:2 end:1}}}`,
		`subscribe:{subscription:{path:{` + ge0 + `}}} extension:{config_subscription:{}}`,
		`subscribe:{mode:ONCE subscription:{path:{elem:{name:"nothing"}}}}`,
		`subscribe:{subscription:{mode:77 path:{` + ge0 + `}}}`,
		`subscribe:{subscription:{mode:SAMPLE sample_interval:1 path:{` + ge0 + `}}}`,
		`subscribe:{subscription:{mode:ON_CHANGE path:{` + ge0 + ` elem:{name:"state"} elem:{name:"counters"}}}}`,
		`subscribe:{mode:ONCE subscription:{path:{origin:"junos"}}}`,
		`subscribe:{mode:ONCE use_models:{name:"other"} subscription:{path:{` + ge0 + `}}}`,
	} {
		req := &gpb.SubscribeRequest{}
		if err := prototext.Unmarshal([]byte(text), req); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		stream, err := s.Subscribe(ctx)
		if err == nil {
			err = stream.Send(req)
		}
		what := "taken"
		if err == nil {
			_, err = stream.Recv()
		}
		cancel()
		if text == "" {
			text = "(empty)"
		}
		p.row(text, answer(err, what))
	}
}
