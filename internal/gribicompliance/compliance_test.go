// Package gribicompliance runs the compliance tests of openconfig/gribigo
// against a gRIBI server that -addr names, and fails where a test does that is
// expected to pass. The server has the instance NON-DEFAULT-VRF beside its
// default one.
package gribicompliance

import (
	"crypto/tls"
	"flag"
	"strings"
	"testing"

	spb "github.com/openconfig/gribi/v1/proto/service"
	"github.com/openconfig/gribigo/compliance"
	"github.com/openconfig/gribigo/fluent"
	"github.com/openconfig/testt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

var (
	addr      = flag.String("addr", "", "address:port of the gRIBI server")
	plaintext = flag.Bool("insecure", false, "no TLS")
	vrf       = flag.String("vrf", "NON-DEFAULT-VRF", "an instance of the server beside the default one")
)

// notApplicable says why a test is not for this router, empty when it is.
func notApplicable(t compliance.Test) string {
	switch {
	case t.RequiresMPLS:
		return "the router has no MPLS"
	case t.RequiresServerReordering:
		return "references to what does not exist yet are refused, as section 4.1.3.1 of the specification has it"
	}
	return ""
}

func dial(t *testing.T) spb.GRIBIClient {
	t.Helper()
	// The server's certificate is its own: this is not about TLS.
	creds := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	if *plaintext {
		creds = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(*addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return spb.NewGRIBIClient(conn)
}

func TestCompliance(t *testing.T) {
	if *addr == "" {
		t.Skip("no server: internal/e2e runs this against a routerd, and so does 'make gribi'")
	}
	compliance.SetDefaultNetworkInstanceName("default")
	compliance.SetNonDefaultVRFName(*vrf)
	for _, tt := range compliance.TestSuite {
		t.Run(tt.In.ShortName, func(t *testing.T) {
			if why := notApplicable(tt.In); why != "" {
				t.Skip(why)
			}
			c, second := fluent.NewClient(), fluent.NewClient()
			c.Connection().WithStub(dial(t))
			second.Connection().WithStub(dial(t))
			opt := compliance.SecondClient(second)
			switch {
			case tt.FatalMsg != "":
				if got := testt.ExpectFatal(t, func(t testing.TB) { tt.In.Fn(c, t, opt) }); !strings.Contains(got, tt.FatalMsg) {
					t.Fatalf("failed with %q, want %q", got, tt.FatalMsg)
				}
			case tt.ErrorMsg != "":
				if got := strings.Join(testt.ExpectError(t, func(t testing.TB) { tt.In.Fn(c, t, opt) }), " "); !strings.Contains(got, tt.ErrorMsg) {
					t.Fatalf("failed with %q, want %q", got, tt.ErrorMsg)
				}
			default:
				tt.In.Fn(c, t, opt)
			}
		})
	}
}
