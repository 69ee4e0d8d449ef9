package northbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"router/models"
)

func TestCertificateReload(t *testing.T) {
	dir := t.TempDir()
	g := guardedWith(t, func(o *Options) { o.Trusted = anybody })
	cert, err := NewCertificate(TLSFiles{StateDir: dir}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	addr := g.listen(cert.Config())
	shown := func() string {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s, err := gnmi.NewGNMIClient(conn).Subscribe(g.ctx())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&gnmi.SubscribeRequest{Request: &gnmi.SubscribeRequest_Subscribe{Subscribe: &gnmi.SubscriptionList{
		Subscription: []*gnmi.Subscription{{Path: p(t, "/system/config/hostname"), Mode: gnmi.SubscriptionMode_ON_CHANGE}}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	first := cert.State()
	serial := shown()

	certFile, keyFile := filepath.Join(dir, selfSignedCert), filepath.Join(dir, selfSignedKey)
	good, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("3/a broken file keeps the old certificate", func(t *testing.T) {
		if err := os.WriteFile(certFile, good[:len(good)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := cert.Reload(); err == nil {
			t.Error("half a file was taken")
		}
		if st := cert.State(); st.Error == "" || st.Fingerprint != first.Fingerprint || shown() != serial {
			t.Errorf("%+v", st)
		}
	})
	t.Run("3/a new pair is taken", func(t *testing.T) {
		for _, f := range []string{certFile, keyFile} {
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go cert.Run(ctx)
		for deadline := time.Now().Add(10 * time.Second); cert.State().Reloads == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the change of the files was not noticed")
			}
		}
		if st := cert.State(); st.Error != "" || st.Fingerprint == first.Fingerprint || shown() == serial {
			t.Errorf("%+v", st)
		}
	})
	t.Run("3/old streams live on", func(t *testing.T) {
		g.set("/system/config/hostname", `"r9"`)
		r, err := s.Recv()
		if err != nil || len(r.GetUpdate().GetUpdate()) != 1 {
			t.Errorf("%v, %v", r, err)
		}
	})
	t.Run("3/an installed pair", func(t *testing.T) {
		now, err := os.ReadFile(certFile)
		if err != nil {
			t.Fatal(err)
		}
		key, err := os.ReadFile(keyFile)
		if err != nil {
			t.Fatal(err)
		}
		if err := cert.Install(good, key, nil); err == nil {
			t.Error("a certificate was taken with another's key")
		}
		if err := cert.Install(now, key, now); err != nil {
			t.Fatal(err)
		}
		if st := cert.State(); st.Source != models.Installed || st.Authorities != 1 {
			t.Errorf("%+v", st)
		}
		if err := cert.Restore(nil, nil, nil); err != nil {
			t.Fatal(err)
		}
		if st := cert.State(); st.Source != models.SelfSigned || st.Authorities != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestCertificateOfAUser(t *testing.T) {
	g := newGuardedBed(t)
	caFile, client := clientPair(t, "ann.example")
	cert, err := NewCertificate(TLSFiles{StateDir: t.TempDir(), CA: caFile}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	addr := g.listen(cert.Config())
	get := func(ctx context.Context) error {
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			InsecureSkipVerify: true, Certificates: []tls.Certificate{client}, MinVersion: tls.VersionTLS12})))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = gnmi.NewGNMIClient(conn).Get(ctx, &gnmi.GetRequest{Path: []*gnmi.Path{p(t, "/system/state/datastore")}})
		return err
	}
	wantCode(t, get(g.ctx()), codes.Unauthenticated, "ann.example")
	if err := get(g.as("eve")); err != nil {
		t.Errorf("with a password: %v", err)
	}
	g.guard.SetUser("ann", &models.UserSpec{Name: "ann", Enabled: true, Roles: []string{"viewer"}, Certificates: []string{"ann.example"}})
	if err := get(g.ctx()); err != nil {
		t.Error(err)
	}
	if st, _ := g.guard.UserState("ann"); st.Logins != 1 || st.LastLoginFrom != "127.0.0.1" {
		t.Errorf("%+v", st)
	}
	g.guard.SetUser("ann", &models.UserSpec{Name: "ann", Roles: []string{"viewer"}, Certificates: []string{"ann.example"}})
	wantCode(t, get(g.ctx()), codes.Unauthenticated)
}

func TestCertificateNames(t *testing.T) {
	c := &x509.Certificate{DNSNames: []string{"a.example"}, EmailAddresses: []string{"ann@example.com"}}
	c.Subject.CommonName = "ann"
	if got := fmt.Sprint(certificateNames(c)); got != "[ann a.example ann@example.com]" {
		t.Error(got)
	}
}

func TestConnectionsAreGivenBack(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limitListener(inner, 1, func(string) {})
	defer l.Close()
	for range 3 {
		go func() {
			c, err := net.Dial("tcp", inner.Addr().String())
			if err == nil {
				defer c.Close()
				_, _ = c.Read(make([]byte, 1))
			}
		}()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		c.Close() // twice counts once
	}
	if l.all != 0 || len(l.count) != 0 {
		t.Errorf("%d connections are counted", l.all)
	}
}
