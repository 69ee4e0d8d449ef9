package main

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"

	"router/gen/configpb"
)

// TestPathWords says every kind of step in words.
func TestPathWords(t *testing.T) {
	var r configpb.PathResponse
	if err := prototext.Unmarshal([]byte(`
		packet { source: "2001:db8::2" destination: "ff0e::1" protocol: 17 source_port: 49152 port: 33434 size: 1500 ttl: 9 dscp: 46 }
		subject {} subject { kind: COPY interface: "ge1.0" } subject { kind: MIRROR interface: "ge9.0" } subject { kind: ANSWER }
		step { arrival { interface: "ge0.100" device: "ge0" vlan: [200, 100] instance: "red" } }
		step { filter { hook: "input" interface: "ge0.100" action: "to-instance" instance: "blue" mirror: "ge9.0" dscp: 10
			term { filter: "edge" term: "slow" policer: "p" colour: "yellow" } term { filter: "edge" term: "log" log_every: 10 } term { filter: "rest" } } }
		step { subject: 2 sent { device: "ge9" interface: "ge9.0" source_mac: "a" destination_mac: "b" octets: 1500 ttl: 9 } }
		step { source_check { mode: "loose" address: "2001:db8::2" instance: "red" } }
		step { lookup { address: "ff0e::1" instance: "blue" route { prefix: "ff0e::/16" protocol: "static-multicast" preference: 5 via: "multicast" } } }
		step { lookup { address: "ff0e::1" instance: "none" } }
		step { next_hop { id: 7 kind: "group" } }
		step { bucket { index: 3 buckets: 16 } }
		step { next_hop { id: 8 kind: "reject" reject: "host" } }
		step { reported {} }
		step { subject: 1 neighbor { interface: "ge1.0" address: "2001:db8::9" link_layer_address: "c" state: STALE } }
		step { subject: 1 neighbor { interface: "ge1.0" address: "2001:db8::9" state: UNKNOWN_ADDRESS } }
		step { subject: 1 neighbor { interface: "ge1.0" address: "2001:db8::9" state: ASKED } }
		step { subject: 1 fragmented { mtu: 1280 } }
		step { session { session: "bgp" class: "routing" consumer: "host" } }
		step { session { consumer: "host" } }
		step { delivered { interface: "ge0.100" } }
		step { delivered { neighbor_discovery: true } }
		step { answer { kind: "icmp-error" type: 2 source: "2001:db8::1" mtu: 1280 } }
		step { answer { kind: "tcp-reset" } } step { answer { kind: "echo-reply" } } step { answer { kind: "redirect" target: "fe80::1" } }
		step { dropped { reason: "too-big" } }
		step { subject: 3 arrival { own: true interface: "ge0.100" instance: "red" } }
		verdict: VERDICT_REPLICATED`), &r); err != nil {
		t.Fatal(err)
	}
	want := `udp from 2001:db8::2 port 49152 to ff0e::1 port 33434, 1500 octets, TTL 9, DSCP 46
  arrives on ge0 with VLANs 200 and 100: interface ge0.100, instance red
  input filter of ge0.100: edge term slow (policer p: yellow), edge term log (logs), rest: no term: to-instance blue, sets DSCP 10, mirrors by ge9.0
  mirrored by ge9.0:
    leaves on ge9: interface ge9.0, from a to b, 1500 octets, TTL 9
  source check (loose): 2001:db8::2 fails, it is reached by none
  route for ff0e::1 in blue: ff0e::/16 (static-multicast, preference 5): multicast
  route for ff0e::1 in none: none
  next hop 7: group
  its flow is in bucket 3 of 16
  next hop 8: reject with host
  the flow would be reported to the control plane
  copy by ge1.0:
    neighbor 2001:db8::9 on ge1.0 is c, which is stale and would be asked about
    neighbor 2001:db8::9 on ge1.0 is not known
    waits while neighbor 2001:db8::9 on ge1.0 is asked for
    is cut into fragments of at most 1280 octets
  is for the router itself: session bgp, class routing, for the host
  is for the router itself: no session matches, for the host
  goes to the host stack by the TAP of ge0.100
  goes to the router's own neighbor discovery
  is answered with ICMP type 2 code 0 (packet too big), MTU 1280, from 2001:db8::1
  is answered with a TCP reset
  is answered with an echo reply
  its sender is told of the better next hop fe80::1
  is dropped: too-big
  the answer:
    the router sends it in instance red, with an address of ge0.100
=> sent in several copies`
	if got := strings.Join(pathWords(&r), "\n"); got != want {
		t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
}

func TestVerdictWords(t *testing.T) {
	seen := map[string]bool{}
	for v := range configpb.Verdict_name {
		text := verdictWords(&configpb.PathResponse{Verdict: configpb.Verdict(v), Reason: "x"})
		if !strings.HasPrefix(text, "=> ") || seen[text] {
			t.Errorf("%v is %q", configpb.Verdict(v), text)
		}
		seen[text] = true
	}
}
