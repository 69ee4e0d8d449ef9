package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"router/cmd/rcli/knownhosts"
)

func TestNormalize(t *testing.T) {
	for _, tt := range []struct{ in, user, address, name, wrong string }{
		{in: "", address: ""},
		{in: "192.0.2.1", address: "192.0.2.1:9339"},
		{in: "r1:57400", address: "r1:57400"},
		{in: "ann@r1", address: "r1:9339", name: "ann"},
		{in: "ann@r1", user: "ann", address: "r1:9339", name: "ann"},
		{in: "ann@r1", user: "bob", wrong: "two users"},
		{in: "2001:db8::1", address: "[2001:db8::1]:9339"},
		{in: "[2001:db8::1]", address: "[2001:db8::1]:9339"},
		{in: "[2001:db8::1]:1", address: "[2001:db8::1]:1"},
		{in: "ann@", wrong: "want an address"},
		{in: "r1:", wrong: "want an address"},
	} {
		x := target{address: tt.in, user: tt.user}
		err := x.normalize()
		if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
			t.Errorf("%q: %v", tt.in, err)
		} else if err == nil && (x.address != tt.address || x.user != tt.name) {
			t.Errorf("%q is user %q at %q", tt.in, x.user, x.address)
		}
	}
}

// selfSigned is a certificate as a router makes itself.
func selfSigned(t *testing.T) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "r1"}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, leaf
}

// listen is a router that knows no service, and shows a certificate.
func listen(t *testing.T, c tls.Certificate) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&c)))
	go func() { _ = g.Serve(l) }() // until Stop
	t.Cleanup(g.Stop)
	return l.Addr().String()
}

// TestTrust is what rcli makes of certificates without a terminal: exit code 1 is the
// router's refusal of a call that it doesn't know, so it was trusted; 3 is none.
func TestTrust(t *testing.T) {
	one, leaf := selfSigned(t)
	two, other := selfSigned(t)
	known := filepath.Join(t.TempDir(), "known_hosts")
	address := listen(t, one)
	moved := listen(t, two)
	for at, c := range map[string]*x509.Certificate{address: leaf, moved: leaf} {
		if err := knownhosts.Add(known, at, c); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"unknown", []string{"--target", address, "--known-hosts", known + ".none"}, exitNoConnection, "--fingerprint"},
		{"known", []string{"--target", address, "--known-hosts", known}, exitRefused, "unknown service"},
		{"changed", []string{"--target", moved, "--known-hosts", known}, exitNoConnection, "HAS CHANGED"},
		{"named", []string{"--target", moved, "--known-hosts", known, "--fingerprint", knownhosts.Fingerprint(other)}, exitRefused, "unknown service"},
		{"another one named", []string{"--target", moved, "--fingerprint", knownhosts.Fingerprint(leaf)}, exitNoConnection, "another certificate"},
		{"no fingerprint", []string{"--target", moved, "--fingerprint", "abcd"}, exitUsage, "64 hexadecimal digits"},
		{"two ways", []string{"--target", moved, "--fingerprint", knownhosts.Fingerprint(leaf), "--ca", "x"}, exitUsage, "give one"},
		{"nobody there", []string{"--target", "127.0.0.1:1", "--known-hosts", known}, exitNoConnection, "no connection to 127.0.0.1:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(passwordVariable, "")
			t.Setenv("XDG_CONFIG_HOME", t.TempDir())
			var text strings.Builder
			code := run(t.Context(), append(tt.args, "show", "interfaces"), strings.NewReader(""), io.Discard, &text)
			if code != tt.code || !strings.Contains(text.String(), tt.says) {
				t.Errorf("exit code %d, want %d with %q:\n%s", code, tt.code, tt.says, text.String())
			}
		})
	}
	if _, err := os.Stat(known + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a router was believed without anybody: %v", err)
	}
}

func TestAskTrust(t *testing.T) {
	_, leaf := selfSigned(t)
	u := &knownhosts.UnknownError{Host: "r1:9339", Cert: leaf, Why: errors.New("signed by nobody")}
	for _, tt := range []struct {
		name, typed string
		wrong       string
		left        string
	}{
		{"yes", "yes\nsecret\n", "", "secret\n"},
		{"no", "no\n", "not accepted", ""},
		{"the end", "", "not accepted", ""},
		{"what is no answer is asked again", "y\nperhaps\nyes\n", "", ""},
		{"its fingerprint", "SHA256:" + strings.ToUpper(knownhosts.Fingerprint(leaf)) + "\n", "", ""},
		{"another fingerprint", strings.Repeat("ab", 32) + "\n", "another one", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := strings.NewReader(tt.typed)
			var out strings.Builder
			err := askTrust(in, &out, u)
			if (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%v", err)
			}
			if rest, _ := io.ReadAll(in); string(rest) != tt.left {
				t.Errorf("%q is left, want %q", rest, tt.left)
			}
			if !strings.Contains(out.String(), knownhosts.Fingerprint(leaf)) {
				t.Errorf("it shows %q", out.String())
			}
		})
	}
}
