package forwarding

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/control"
	"router/dataplane"
	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/gen/configpb"
	"router/intf"
	"router/routing"
)

// tracer answers with what it is told to, and remembers what it was asked.
type tracer struct {
	asked control.PathRequest
	path  control.Path
	err   error
}

func (t *tracer) Path(q control.PathRequest) (control.Path, error) {
	t.asked = q
	return t.path, t.err
}

func number(n uint32) *uint32 { return &n }

func TestRequest(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		name  string
		req   *configpb.PathRequest
		want  control.PathRequest
		wrong string
	}{
		{"an echo request", &configpb.PathRequest{Destination: "192.0.2.1"},
			control.PathRequest{Destination: four, Protocol: 1, DstPort: 8, TTL: 64, Size: 64}, ""},
		{"an echo request of IPv6", &configpb.PathRequest{Destination: "2001:db8::1", Interface: "ge0.0", Source: "2001:db8::1"},
			control.PathRequest{Destination: six, Source: six, Unit: "ge0.0", Protocol: 58, DstPort: 128, TTL: 64, Size: 64}, ""},
		{"TCP", &configpb.PathRequest{Destination: "192.0.2.1", Protocol: number(6), Instance: "red", Ttl: number(0), Size: 1500, Dscp: 46, DontFragment: true},
			control.PathRequest{Destination: four, Instance: "red", Protocol: 6, SrcPort: 49152, DstPort: 80, Size: 1500, DSCP: 46, DontFragment: true}, ""},
		{"UDP", &configpb.PathRequest{Destination: "192.0.2.1", Protocol: number(17), SourcePort: 7},
			control.PathRequest{Destination: four, Protocol: 17, SrcPort: 7, DstPort: 33434, TTL: 64, Size: 64}, ""},
		{"GRE", &configpb.PathRequest{Destination: "192.0.2.1", Protocol: number(47)}, control.PathRequest{Destination: four, Protocol: 47, TTL: 64, Size: 64}, ""},
		{"no destination", &configpb.PathRequest{}, control.PathRequest{}, "destination"},
		{"a name", &configpb.PathRequest{Destination: "r1"}, control.PathRequest{}, "want an IPv4 or IPv6 address"},
		{"a zone", &configpb.PathRequest{Destination: "fe80::1%ge0.0"}, control.PathRequest{}, "leave out the zone"},
		{"a source that is none", &configpb.PathRequest{Destination: "192.0.2.1", Source: "192.0.2"}, control.PathRequest{}, "source"},
		{"a protocol too large", &configpb.PathRequest{Destination: "192.0.2.1", Protocol: number(256)}, control.PathRequest{}, "protocol 256: want 0 to 255"},
		{"a TTL too large", &configpb.PathRequest{Destination: "192.0.2.1", Ttl: number(256)}, control.PathRequest{}, "ttl 256"},
		{"a DSCP too large", &configpb.PathRequest{Destination: "192.0.2.1", Dscp: 64}, control.PathRequest{}, "dscp 64"},
		{"a port too large", &configpb.PathRequest{Destination: "192.0.2.1", Port: 65536}, control.PathRequest{}, "port 65536"},
		{"an ICMP type too large", &configpb.PathRequest{Destination: "192.0.2.1", Port: 256}, control.PathRequest{}, "that of ICMP is its type"},
		{"a source port of ICMP", &configpb.PathRequest{Destination: "192.0.2.1", SourcePort: 1}, control.PathRequest{}, "ICMP has no ports"},
		{"a port of GRE", &configpb.PathRequest{Destination: "192.0.2.1", Protocol: number(47), Port: 1}, control.PathRequest{}, "protocol 47 has no ports"},
		{"too long", &configpb.PathRequest{Destination: "192.0.2.1", Size: 65536}, control.PathRequest{}, "size 65536"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &tracer{}
			_, err := New(f).Path(t.Context(), tt.req)
			switch {
			case tt.wrong == "" && (err != nil || f.asked != tt.want):
				t.Errorf("%v\nasked %+v\nwant  %+v", err, f.asked, tt.want)
			case tt.wrong != "" && (status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), tt.wrong)):
				t.Errorf("%v, want %q", err, tt.wrong)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	req := &configpb.PathRequest{Destination: "192.0.2.1"}
	for fault, want := range map[control.ProbeFault]codes.Code{
		control.ProbeInvalid: codes.InvalidArgument, control.ProbeNotFound: codes.NotFound, control.ProbeNoSource: codes.FailedPrecondition,
	} {
		s := New(&tracer{err: &control.ProbeError{Fault: fault, Err: errors.New("no")}})
		if _, err := s.Path(t.Context(), req); status.Code(err) != want {
			t.Errorf("fault %d: %v, want %v", fault, err, want)
		}
	}
	f := &tracer{}
	s := New(f)
	s.Guard(func(context.Context, ...string) error { return status.Error(codes.PermissionDenied, "no") })
	if _, err := s.Path(t.Context(), req); status.Code(err) != codes.PermissionDenied || f.asked.Destination.IsValid() {
		t.Errorf("a caller who may not: %v, asked %+v", err, f.asked)
	}
}

// TestEveryStepIsTold has a message for every kind of step, and no two alike.
func TestEveryStepIsTold(t *testing.T) {
	seen := map[string]dataplane.TraceKind{}
	for k := dataplane.TraceArrived; k <= dataplane.TraceDropped; k++ {
		m := stepMessage(&control.PathStep{TraceStep: dataplane.TraceStep{Kind: k, Addr: netip.MustParseAddr("192.0.2.1")}})
		text := fmt.Sprint(m)
		if m.GetStep() == nil {
			t.Errorf("kind %d has no message", k)
		}
		if other, ok := seen[text]; ok {
			t.Errorf("kinds %d and %d are told alike: %s", k, other, text)
		}
		seen[text] = k
	}
}

func TestResponse(t *testing.T) {
	dscp := filter.Some[uint8](10)
	frame := make([]byte, 64)
	packet.PutEthernet(frame, intf.MAC{2, 0, 0, 0, 0, 2}, intf.MAC{2, 0, 0, 0, 0, 1}, intf.VLAN{OuterTPID: 0x8100, OuterID: 100}, packet.EtherTypeIPv4)
	packet.PutIPv4(frame[18:], 0, 1, false, 63, 17, netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("198.51.100.2"), 26)
	p := control.Path{
		Packet: packet.Sample{Src: netip.MustParseAddr("192.0.2.2"), Dst: netip.MustParseAddr("198.51.100.2"), Protocol: 17}, Interface: "ge0.0", Instance: "default",
		Subjects: []control.PathSubject{{}, {Kind: dataplane.TraceMirror, Interface: "ge9.0"}},
		Steps: []control.PathStep{
			{TraceStep: dataplane.TraceStep{Kind: dataplane.TraceFilter, Hook: filter.Input, Verdict: filter.Verdict{DSCP: dscp},
				Terms: []filter.Step{{Filter: "edge", Term: "web", Policer: "slow", Colour: filter.Red}}}, Interface: "ge0.0"},
			{TraceStep: dataplane.TraceStep{Kind: dataplane.TraceNextHop, Via: routing.Reject, Reject: routing.RejectHost}},
			{TraceStep: dataplane.TraceStep{Kind: dataplane.TraceSent, Subject: 1, Frame: frame}},
			{TraceStep: dataplane.TraceStep{Kind: dataplane.TraceSent, Frame: frame, MTU: 1500}, Device: "ge1", Interface: "ge1.100",
				VLAN: intf.VLAN{OuterTPID: 0x8100, OuterID: 100}},
		},
	}
	r := response(&p)
	f := r.GetStep()[0].GetFilter()
	if f.GetHook() != "input" || f.GetAction() != "accept" || f.GetDscp() != 10 || f.GetTerm()[0].GetColour() != "red" {
		t.Errorf("filter: %v", f)
	}
	if h := r.GetStep()[1].GetNextHop(); h.GetKind() != "reject" || h.GetReject() == "" || h.GetGateway() != "" {
		t.Errorf("next hop: %v", h)
	}
	s := r.GetStep()[3].GetSent()
	if s.GetTtl() != 63 || s.GetOctets() != 46 || s.GetDestinationMac() != "02:00:00:00:00:02" || fmt.Sprint(s.GetVlan()) != "[100]" {
		t.Errorf("sent: %v", s)
	}
	if r.GetVerdict() != configpb.Verdict_VERDICT_FORWARDED || r.GetSubject()[1].GetKind() != configpb.PathSubject_MIRROR {
		t.Errorf("verdict: %v, %v", r.GetVerdict(), r.GetSubject())
	}
}
