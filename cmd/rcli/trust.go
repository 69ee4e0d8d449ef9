package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/knownhosts"
)

// errNoConnection is what a router that can't be reached before the first call is
// reported with.
var errNoConnection = errors.New("no connection")

// dialWait bounds the first look at a router's certificate.
const dialWait = 10 * time.Second

// secure says how the target's certificate is checked. A certificate that no
// authority vouches for and that is not known is shown to whoever sits at the terminal,
// and kept if that is who it should be.
func (t *target) secure() (*tls.Config, error) {
	t.trust = &knownhosts.Verifier{Host: knownhosts.Host(t.address), File: t.knownHosts}
	if t.ca != "" {
		if t.fingerprint != "" {
			return nil, usagef("--ca and --fingerprint are two ways to know the router: give one of them")
		}
		return t.tlsConfig()
	}
	var err error
	if t.fingerprint != "" {
		if t.trust.Pin, err = knownhosts.ParseFingerprint(t.fingerprint); err != nil {
			return nil, usagef("--fingerprint: %w", err)
		}
		conf, err := t.tlsConfig()
		if err != nil || !t.asks() {
			return conf, err
		}
		return conf, t.meet(conf)
	}
	if t.trust.File == "" {
		if t.trust.File, err = knownhosts.DefaultFile(); err != nil {
			return nil, err
		}
	}
	conf, err := t.tlsConfig()
	if err != nil {
		return nil, err
	}
	// Who has a password to type is told before of a router that is another one.
	if _, ok, err := knownhosts.Lookup(t.trust.File, t.trust.Host); err != nil || ok && !t.asks() {
		return conf, err
	}
	return conf, t.meet(conf)
}

// meet looks at the certificate of a router, and asks about one that is not known.
func (t *target) meet(conf *tls.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialWait)
	defer cancel()
	name, _, _ := net.SplitHostPort(t.address) // normalize has made it of two parts
	own := conf.Clone()
	own.ServerName, own.NextProtos = name, []string{"h2"}
	conn, err := (&tls.Dialer{Config: own}).DialContext(ctx, "tcp", t.address)
	var unknown *knownhosts.UnknownError
	var changed *knownhosts.ChangedError
	switch {
	case err == nil:
		return conn.Close()
	case errors.As(err, &changed):
		return changed
	case !errors.As(err, &unknown):
		return fmt.Errorf("%w to %s: %w (is routerd listening there? plaintext needs --insecure on both sides)", errNoConnection, t.address, err)
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stderr.Fd())) {
		return fmt.Errorf("%w: connect once at a terminal and accept it, or say --fingerprint with what show certificate on the router prints, or --ca with a file of its authority", unknown)
	}
	if err := askTrust(os.Stdin, os.Stderr, unknown); err != nil {
		return err
	}
	if err := knownhosts.Add(t.trust.File, t.trust.Host, unknown.Cert); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s is known from now on (%s).\n", t.trust.Host, t.trust.File)
	return nil
}

// askTrust shows a certificate and asks whether it is the router's. The answer is yes,
// no, or the fingerprint that it should have.
func askTrust(in io.Reader, out io.Writer, u *knownhosts.UnknownError) error {
	c := u.Cert
	fmt.Fprintf(out, `No authority that this machine trusts vouches for the router %s.
  subject  %s
  issuer   %s
  valid    %s to %s
  sha256   %s
`, u.Host, c.Subject, c.Issuer, c.NotBefore.Format(time.DateOnly), c.NotAfter.Format(time.DateOnly), knownhosts.Fingerprint(c))
	lines := bufio.NewReader(oneByte{in})
	for {
		fmt.Fprint(out, "Is that the one that show certificate on the router prints (yes, no, or its sha256)? ")
		line, err := lines.ReadString('\n')
		answer := strings.ToLower(strings.TrimSpace(line))
		print, perr := knownhosts.ParseFingerprint(answer)
		switch {
		case answer == "yes":
			return nil
		case perr == nil && print == knownhosts.Fingerprint(c):
			return nil
		case perr == nil:
			return fmt.Errorf("the certificate is another one: %w", u)
		case answer == "no", err != nil:
			return fmt.Errorf("the certificate was not accepted: %w", u)
		}
		fmt.Fprintln(out, "Type yes or no, or paste the sha256.")
	}
}

// oneByte reads no further than it is asked to: what is typed behind the answer is
// for the password and the shell.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(b []byte) (int, error) {
	if len(b) > 1 {
		b = b[:1]
	}
	return o.r.Read(b)
}

// distrusted says why a call failed whose connection failed because of the router's
// certificate: gRPC keeps the text only.
func (t *target) distrusted(err error) error {
	if t.trust != nil && status.Code(err) == codes.Unavailable {
		if why := t.trust.Err(); why != nil {
			return why
		}
	}
	return err
}

func (t *target) distrust(ctx context.Context, method string, req, reply any, c *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return t.distrusted(call(ctx, method, req, reply, c, opts...))
}

func (t *target) distrustStream(ctx context.Context, d *grpc.StreamDesc, c *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := open(ctx, d, c, method, opts...)
	return stream, t.distrusted(err)
}
