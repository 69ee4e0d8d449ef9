package northbound

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/datastore/tree"
	"router/gen/configpb"
	"router/models"
)

// tells is a service that tells of interfaces and filters.
type tells struct {
	configpb.UnimplementedForwardingServer
	server *Server
}

func (s *tells) Path(ctx context.Context, _ *configpb.PathRequest) (*configpb.PathResponse, error) {
	Note(ctx, "to somewhere")
	return &configpb.PathResponse{}, s.server.MayRead(ctx, "interface", "filter")
}

// TestMayRead says who may ask services that tell of the model's nodes.
func TestMayRead(t *testing.T) {
	service := &tells{}
	g := guardedWith(t, func(o *Options) {
		o.Register = append(o.Register, func(r grpc.ServiceRegistrar) { configpb.RegisterForwardingServer(r, service) })
	})
	service.server = g.server
	filters, err := tree.Parse("/filter[name=secret]")
	if err != nil {
		t.Fatal(err)
	}
	root, err := tree.Parse("/")
	if err != nil {
		t.Fatal(err)
	}
	g.guard.SetRole("most", &models.RoleSpec{Name: "most", Rules: []models.AccessRule{
		{PathText: "/filter[name=secret]", Path: filters, Read: true}, {PathText: "/", Path: root, Read: true, Permit: true}}})
	g.guard.SetRole("mute", &models.RoleSpec{Name: "mute", Rules: []models.AccessRule{
		{RPC: "routerd.v1.Forwarding/Path"}, {PathText: "/", Path: root, Read: true, Permit: true}}})
	for user, role := range map[string]string{"root": "admin", "ops": "operator", "eve": "viewer", "mo": "most", "mim": "mute"} {
		g.user(user, role)
	}
	c := configpb.NewForwardingClient(g.conn)
	for user, want := range map[string]codes.Code{
		"root": codes.OK, "ops": codes.OK, "eve": codes.OK, "mo": codes.PermissionDenied, "mim": codes.PermissionDenied, "nobody": codes.Unauthenticated,
	} {
		if _, err := c.Path(g.as(user), &configpb.PathRequest{Destination: "192.0.2.1"}); status.Code(err) != want {
			t.Errorf("%s: %v, want %v", user, err, want)
		}
	}
}
