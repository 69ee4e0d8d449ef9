package northbound

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// listen serves b over TCP with config and returns the address.
func (b *bed) listen(config *tls.Config) string {
	b.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	go func() {
		if err := b.server.Serve(l, config); err != nil {
			b.t.Error(err)
		}
	}()
	return l.Addr().String()
}

func capabilities(t *testing.T, addr string, creds credentials.TransportCredentials) error {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = gnmi.NewGNMIClient(conn).Capabilities(ctx, &gnmi.CapabilityRequest{})
	return err
}

func testTLS(t *checklist) {
	dir := t.TempDir()
	b := newBed(t, nil)
	var logged bytes.Buffer
	config, err := TLSConfig(TLSFiles{StateDir: dir}, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(logged.String(), "sha256=") {
		t.Errorf("the fingerprint is not logged: %s", logged.String())
	}
	addr := b.listen(config)
	ca, err := credentials.NewClientTLSFromFile(filepath.Join(dir, selfSignedCert), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("the self-signed certificate verifies by its file", func(t *testing.T) {
		if err := capabilities(t, addr, ca); err != nil {
			t.Error(err)
		}
	})
	t.row("3/plaintext is refused", func(t *testing.T) {
		if err := capabilities(t, addr, insecure.NewCredentials()); status.Code(err) != codes.Unavailable {
			t.Errorf("%v", err)
		}
	})
	t.row("3/TLS 1.1 is refused", func(t *testing.T) {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
		if err == nil {
			c.Close()
			t.Error("TLS 1.1 was accepted")
		}
	})
	t.Run("the certificate stays", func(t *testing.T) {
		before, err := os.ReadFile(filepath.Join(dir, selfSignedCert))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := TLSConfig(TLSFiles{StateDir: dir}, quiet()); err != nil {
			t.Fatal(err)
		}
		after, err := os.ReadFile(filepath.Join(dir, selfSignedCert))
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("the second start made another certificate: %v", err)
		}
		if st, err := os.Stat(filepath.Join(dir, selfSignedKey)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("key: %v, %v", st, err)
		}
	})
	t.row("3/mutual TLS", func(t *testing.T) {
		caFile, client := clientPair(t, "operator")
		config, err := TLSConfig(TLSFiles{StateDir: dir, CA: caFile}, quiet())
		if err != nil {
			t.Fatal(err)
		}
		addr := b.listen(config)
		if err := capabilities(t, addr, ca); status.Code(err) != codes.Unavailable {
			t.Errorf("without a certificate: %v", err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(config.Certificates[0].Leaf)
		creds := credentials.NewTLS(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{client}})
		if err := capabilities(t, addr, creds); err != nil {
			t.Errorf("with a certificate: %v", err)
		}
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(creds))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := gnmi.NewGNMIClient(conn).Set(b.ctx(), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/system/config/hostname"), Val: str("r1")}}}); err != nil {
			t.Fatal(err)
		}
		if got := b.store.Last(); got.User != "operator" || got.Source != "gnmi-tls" {
			t.Errorf("commit by %q through %q", got.User, got.Source)
		}
	})
	for name, files := range map[string]TLSFiles{
		"a certificate without its key":   {StateDir: dir, Cert: "x"},
		"a certificate that is not there": {StateDir: dir, Cert: "/nonexistent", Key: "/nonexistent"},
		"an authority that is not there":  {StateDir: dir, CA: "/nonexistent"},
		"an authority without one":        {StateDir: dir, CA: filepath.Join(dir, selfSignedKey)},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := TLSConfig(files, quiet()); err == nil || !strings.HasPrefix(err.Error(), "tls: ") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// clientPair makes an authority's file and a client certificate that it signed.
func clientPair(t *testing.T, name string) (caFile string, client tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := writePEM(caFile, "CERTIFICATE", der, 0o644); err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return caFile, tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: key}
}

func TestSocket(t *testing.T) {
	b := newBed(t, nil)
	path := filepath.Join(t.TempDir(), "run", "routerd.sock")
	l, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.server.ServeSocket(l) }()
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := gnmi.NewGNMIClient(conn).Set(b.ctx(), &gnmi.SetRequest{Update: []*gnmi.Update{{Path: p(t, "/system/config/hostname"), Val: str("r1")}}}); err != nil {
		t.Fatal(err)
	}
	if got := b.store.Last(); got.User == "" || got.Source != "socket" {
		t.Errorf("commit by %q through %q", got.User, got.Source)
	}
	if _, err := ListenSocket(path); err == nil || !strings.Contains(err.Error(), "another routerd") {
		t.Errorf("a second daemon: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	b.server.Stop(ctx)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestSocketLeftBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routerd.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l, err := ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenSocket(path); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a plain file: %v", err)
	}
}

func TestWhoIsAdmitted(t *testing.T) {
	if !admitted(0) || !admitted(uint32(os.Geteuid())) || admitted(uint32(os.Geteuid())+12345) {
		t.Error("root and the own user are admitted, and nobody else")
	}
}
