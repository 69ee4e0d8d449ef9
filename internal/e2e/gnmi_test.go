package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// A session is a gNMI client on the router's socket.
type session struct {
	gpb.GNMIClient
	conn *grpc.ClientConn
}

func (l *lab) dial() *session {
	conn, err := grpc.NewClient("unix:"+l.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	l.check(err)
	return &session{gpb.NewGNMIClient(conn), conn}
}

// path reads a path as rcli does. The tests' own paths are right.
func path(text string) *gpb.Path {
	p, err := ygot.StringToStructuredPath(text)
	if err != nil {
		panic(fmt.Sprintf("path %s: %v", text, err))
	}
	return p
}

func jsonIETF(text string) *gpb.TypedValue {
	return &gpb.TypedValue{Value: &gpb.TypedValue_JsonIetfVal{JsonIetfVal: []byte(text)}}
}

// set commits: each update is a path and its JSON; a path alone is deleted.
func (s *session) set(ctx context.Context, operations ...string) error {
	req := &gpb.SetRequest{}
	for _, o := range operations {
		p, value, update := strings.Cut(o, " ")
		if update {
			req.Update = append(req.Update, &gpb.Update{Path: path(p), Val: jsonIETF(value)})
		} else {
			req.Delete = append(req.Delete, path(p))
		}
	}
	_, err := s.Set(ctx, req)
	return err
}

// get reads the JSON at a path.
func (s *session) get(ctx context.Context, kind gpb.GetRequest_DataType, p string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	resp, err := s.Get(ctx, &gpb.GetRequest{Path: []*gpb.Path{path(p)}, Type: kind, Encoding: gpb.Encoding_JSON_IETF})
	if err != nil {
		return "", err
	}
	var out []string
	for _, n := range resp.GetNotification() {
		for _, u := range n.GetUpdate() {
			out = append(out, string(u.GetVal().GetJsonIetfVal()))
		}
	}
	return strings.Join(out, "\n"), nil
}
