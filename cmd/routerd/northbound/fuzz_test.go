package northbound

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"router/models"
)

// served are the codes that a request can be answered with, however odd it is.
var served = []codes.Code{codes.OK, codes.InvalidArgument, codes.NotFound, codes.Unimplemented, codes.ResourceExhausted}

func wire(f *testing.F, m proto.Message) {
	b, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
}

// FuzzSet gives the server requests as they come from the wire, and a path for
// which a panic or a half-made change would show.
func FuzzSet(f *testing.F) {
	b := newBed(f, nil)
	wire(f, &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(f, "/interface[name=ge0]"), Val: ietf(ge0)}}})
	wire(f, &gnmi.SetRequest{Delete: []*gnmi.Path{p(f, "/.../*/config"), {Origin: "routerd"}}, Prefix: &gnmi.Path{Target: "x"}})
	wire(f, &gnmi.SetRequest{Replace: []*gnmi.Update{{Path: p(f, "/"), Val: ietf(`{"routerd:system":{"config":{"hostname":"a"}}}`)}}})
	wire(f, &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(f, "/instance[name=a]/static-route[prefix=::/0]/config/action"), Val: str("discard")}}})
	f.Fuzz(func(t *testing.T, data []byte) {
		var req gnmi.SetRequest
		if proto.Unmarshal(data, &req) != nil {
			return
		}
		before := b.store.Last().Number
		_, err := b.server.Set(context.Background(), &req)
		if !slices.Contains(served, status.Code(err)) {
			t.Errorf("%v: %v", &req, err)
		}
		if err != nil && b.store.Last().Number != before {
			t.Errorf("%v failed and committed", &req)
		}
	})
}

func FuzzGet(f *testing.F) {
	b := furnished(f)
	b.state.routes["default"] = append(b.state.routes["default"], models.RouteState{Prefix: netip.MustParsePrefix("::/0")})
	wire(f, &gnmi.GetRequest{Path: []*gnmi.Path{p(f, "/"), p(f, "/.../state"), p(f, "/*/*/config")}})
	wire(f, &gnmi.GetRequest{Prefix: p(f, "/interface[name=*]"), Path: []*gnmi.Path{p(f, "/unit/family")}, Encoding: gnmi.Encoding_PROTO})
	wire(f, &gnmi.GetRequest{Path: []*gnmi.Path{p(f, "/instance[name=default]/rib[afi=inet]/route[prefix=10.0.0.0/16]")}, Type: gnmi.GetRequest_OPERATIONAL})
	f.Fuzz(func(t *testing.T, data []byte) {
		var req gnmi.GetRequest
		if proto.Unmarshal(data, &req) != nil {
			return
		}
		r, err := b.server.Get(context.Background(), &req)
		if !slices.Contains(served, status.Code(err)) {
			t.Errorf("%v: %v", &req, err)
		}
		if err == nil {
			if _, err := proto.Marshal(r); err != nil {
				t.Errorf("%v: the answer can't be sent: %v", &req, err)
			}
		}
	})
}
