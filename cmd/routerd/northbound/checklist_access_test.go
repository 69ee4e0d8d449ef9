package northbound

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
)

// testAccess is row 4; access_test.go has the many ways to try it.
func testAccess(t *checklist) {
	g := newGuardedBed(t)
	g.furnish()
	get := func(ctx context.Context, path string) error {
		_, err := g.client.Get(ctx, &gnmi.GetRequest{Path: []*gnmi.Path{p(t, path)}, Encoding: gnmi.Encoding_JSON_IETF})
		return err
	}
	set := func(ctx context.Context, u *gnmi.Update) error {
		_, err := g.client.Set(ctx, &gnmi.SetRequest{Update: []*gnmi.Update{u}})
		return err
	}
	once := func(ctx context.Context, path string) error {
		s, err := g.client.Subscribe(ctx)
		if err != nil {
			return err
		}
		err = s.Send(&gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Subscribe{Subscribe: subs(t, once, &gnmi.Subscription{}, path)}})
		if err != nil && !errors.Is(err, io.EOF) { // Recv says why it has ended
			return err
		}
		_, err = s.Recv()
		return err
	}
	const hash = "/user[name=ann]/config/role"
	t.row("4/bad credentials", func(t *testing.T) {
		for name, ctx := range map[string]context.Context{"none": g.ctx(), "a wrong password": g.with("root", "wrong"), "nobody's": g.with("bob", "bob")} {
			t.Run(name, func(t *testing.T) {
				wantCode(t, get(ctx, desc), codes.Unauthenticated)
				wantCode(t, set(ctx, cli(host)), codes.Unauthenticated)
				wantCode(t, once(ctx, desc), codes.Unauthenticated)
				_, err := g.client.Capabilities(ctx, &gnmi.CapabilityRequest{})
				wantCode(t, err, codes.Unauthenticated)
			})
		}
	})
	t.row("4/a denied path", func(t *testing.T) {
		wantCode(t, get(g.as("net"), hash), codes.PermissionDenied)
		wantCode(t, once(g.as("net"), hash), codes.PermissionDenied)
		wantCode(t, set(g.as("net"), &gnmi.Update{Path: p(t, "/system/config/hostname"), Val: str("x")}), codes.PermissionDenied)
		wantCode(t, set(g.as("net"), cli(host)), codes.PermissionDenied)
		wantCode(t, set(g.as("eve"), &gnmi.Update{Path: p(t, desc), Val: str("x")}), codes.PermissionDenied)
	})
	t.row("4/what is permitted", func(t *testing.T) {
		for name, err := range map[string]error{
			"read": get(g.as("net"), desc), "subscribe": once(g.as("net"), desc), "write": set(g.as("net"), &gnmi.Update{Path: p(t, desc), Val: str("mine")}),
			"write set-commands": set(g.as("net"), cli("set "+desc+" mine")), "all": set(g.as("root"), cli(host)),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
