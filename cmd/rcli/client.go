package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"router/cmd/rcli/knownhosts"
	"router/gen/configpb"
)

// maxMessage is the largest answer that is taken, in octets.
const maxMessage = 1 << 30

// A target says which router to talk to, and how.
type target struct {
	socket   string
	address  string // host:port; empty: the socket
	insecure bool
	ca       string
	cert     string
	key      string
	user     string

	passwordFile string
	password     string // once it is known

	knownHosts  string // file of the routers that are known; empty: the user's
	fingerprint string // of the one certificate to accept; empty: whoever is known
	trust       *knownhosts.Verifier
}

// defaultPort is that of gNMI (IANA).
const defaultPort = "9339"

// normalize cuts the user off an address such as ann@192.0.2.1, and adds the port that
// it leaves out.
func (t *target) normalize() error {
	if t.address == "" {
		return nil
	}
	if i := strings.LastIndexByte(t.address, '@'); i >= 0 {
		name := t.address[:i]
		if t.user != "" && t.user != name {
			return usagef("--user %s and --target %s name two users: give one of them", t.user, t.address)
		}
		t.user, t.address = name, t.address[i+1:]
	}
	host, port, err := net.SplitHostPort(t.address)
	if err != nil {
		host, port = strings.Trim(t.address, "[]"), defaultPort
	}
	if host == "" || port == "" {
		return usagef("--target %q: want an address or a name, with :PORT where it is not %s", t.address, defaultPort)
	}
	t.address = net.JoinHostPort(host, port)
	return nil
}

func (t target) String() string {
	if t.address != "" {
		return t.address
	}
	return t.socket
}

// tlsConfig says how the router's certificate is checked, and which is ours.
func (t *target) tlsConfig() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.ca == "" {
		conf = t.trust.Config(conf)
	} else {
		pem, err := os.ReadFile(t.ca)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca: %s holds no certificate in PEM form", t.ca)
		}
	}
	if t.cert != "" {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		if err != nil {
			return nil, fmt.Errorf("--cert and --key: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// A client is a connection to a router.
type client struct {
	target target
	conn   *grpc.ClientConn
	gnmi   gpb.GNMIClient
}

// dial prepares the connection; it is made by the first call.
func dial(t target) (*client, error) {
	if err := t.normalize(); err != nil {
		return nil, err
	}
	creds, address := insecure.NewCredentials(), t.address
	if address == "" {
		address = "unix:" + t.socket
	} else if !t.insecure {
		conf, err := t.secure()
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(conf)
	}
	// Only now: a password is typed for a router that is known.
	var err error
	if t.password, err = t.findPassword(); err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(address, grpc.WithKeepaliveParams(alive), grpc.WithTransportCredentials(creds), grpc.WithUserAgent("rcli"),
		grpc.WithUnaryInterceptor(t.distrust), grpc.WithStreamInterceptor(t.distrustStream),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, err
	}
	return &client{target: t, conn: conn, gnmi: gpb.NewGNMIClient(conn)}, nil
}

// alive finds out that the network no longer leads to the router, as after a commit that
// cuts the connection, while an answer is waited for. The router takes a question every
// ten seconds.
var alive = keepalive.ClientParameters{Time: 15 * time.Second, Timeout: 10 * time.Second}

func (c *client) close() error { return c.conn.Close() }

// context names the user, and proves it where there is a password.
func (c *client) context(ctx context.Context) context.Context {
	name := c.target.user
	if name == "" {
		if u, err := user.Current(); err == nil {
			name = u.Username
		}
	}
	if c.target.password != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "password", c.target.password)
	}
	return metadata.AppendToOutgoingContext(ctx, "username", name)
}

// get fetches paths as JSON_IETF, one notification each.
func (c *client) get(ctx context.Context, kind gpb.GetRequest_DataType, paths ...*gpb.Path) ([]*gpb.Notification, error) {
	ctx, cancel := context.WithTimeout(c.context(ctx), time.Minute)
	defer cancel()
	resp, err := c.gnmi.Get(ctx, &gpb.GetRequest{Path: paths, Type: kind, Encoding: gpb.Encoding_JSON_IETF})
	if err != nil {
		return nil, err
	}
	return resp.GetNotification(), nil
}

// set makes one commit of req, and prints what of it is not in place yet to out,
// nil for nowhere.
func (c *client) set(ctx context.Context, req *gpb.SetRequest, out io.Writer) error {
	resp, err := c.gnmi.Set(c.context(ctx), req)
	if err == nil && out != nil {
		printUnapplied(out, resultOf(resp).GetUnapplied())
	}
	return err
}

// planOf is what a Set would do, which is not done.
func (c *client) planOf(ctx context.Context, req *gpb.SetRequest) (*configpb.Plan, error) {
	msg, err := proto.Marshal(&configpb.SetOptions{DryRun: true})
	if err != nil {
		return nil, err
	}
	dry := &gpb.SetRequest{Prefix: req.GetPrefix(), Delete: req.GetDelete(), Replace: req.GetReplace(), Update: req.GetUpdate(), UnionReplace: req.GetUnionReplace(),
		Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_RegisteredExt{RegisteredExt: &gnmi_ext.RegisteredExtension{Id: gnmi_ext.ExtensionID_EID_EXPERIMENTAL, Msg: msg}}}}}
	resp, err := c.gnmi.Set(c.context(ctx), dry)
	return resultOf(resp).GetPlan(), err
}

// dialed is what gRPC says of a connection without the wrapping.
func dialed(text string) string {
	if inner, ok := strings.CutPrefix(text, `connection error: desc = "`); ok {
		text = strings.TrimSuffix(inner, `"`)
	}
	for _, wrap := range []string{"error reading from server: ", "transport: ", "Error while dialing: "} {
		text = strings.TrimPrefix(text, wrap)
	}
	return text
}

// explain turns a gRPC error into lines for people and an exit code.
func explain(t target, err error) (lines []string, code int) {
	var changed *knownhosts.ChangedError
	var unknown *knownhosts.UnknownError
	if errors.As(err, &changed) || errors.As(err, &unknown) {
		return []string{err.Error()}, exitNoConnection
	}
	if errors.Is(err, errNoConnection) {
		return []string{err.Error()}, exitNoConnection
	}
	st, ok := status.FromError(err)
	if !ok {
		return []string{err.Error()}, exitRefused
	}
	code = exitRefused
	//exhaustive:ignore the other codes all mean a refusal
	switch st.Code() {
	case codes.Unavailable, codes.DeadlineExceeded:
		code = exitNoConnection
		hint := "is routerd running, and is --socket right?"
		if t.address != "" {
			hint = "is routerd listening there? a certificate that isn't trusted needs --ca, a router that asks for yours --cert and --key; plaintext needs --insecure on both sides"
			if strings.Contains(st.Message(), "certificate is valid for ") || strings.Contains(st.Message(), "certificate is not valid for any names") {
				hint = "--target wants a name or address that the certificate has; or, without --ca, say --fingerprint with what show certificate on the router prints"
			}
		}
		lines = append(lines, fmt.Sprintf("no connection to %s: %s (%s)", t, dialed(st.Message()), hint))
	case codes.PermissionDenied, codes.Unauthenticated:
		lines = append(lines, fmt.Sprintf("%s: %s", t, st.Message()))
	default:
		lines = append(lines, st.Message())
	}
	for _, d := range st.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				line := v.GetField() + ": " + v.GetDescription()
				// The message may have them all already.
				if !strings.Contains(st.Message(), line) {
					lines = append(lines, "  "+line)
				}
			}
		}
	}
	return lines, code
}
