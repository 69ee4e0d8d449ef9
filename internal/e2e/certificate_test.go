//lint:file-ignore SA1019 gNSI's Certz is to take this service's place; until then clients use it.

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"testing"
	"time"

	"github.com/openconfig/gnoi/cert"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestCertificateManagement installs a certificate through gNOI, rotates it with and
// without an end, and looks at what new connections are shown meanwhile.
func TestCertificateManagement(t *testing.T) {
	l := foreignLab(t)
	c := cert.NewCertificateManagementClient(gnoiDial(t, l))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	address := relay(t, l.space("router"), "127.0.0.1:9339")
	shown := func() string {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // what is shown is looked at
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	until := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); shown() != want; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("new connections are shown %s, want %s", shown(), want)
			}
		}
	}
	first := shown()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}}
	sign := func(csr []byte) *cert.LoadCertificateRequest {
		block, _ := pem.Decode(csr)
		req, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: req.Subject, DNSNames: req.DNSNames, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, authority, req.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return &cert.LoadCertificateRequest{Certificate: &cert.Certificate{Type: cert.CertificateType_CT_X509, Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}}
	}
	csr := func(name string) *cert.GenerateCSRRequest {
		return &cert.GenerateCSRRequest{CertificateId: "ours", CsrParams: &cert.CSRParams{Type: cert.CertificateType_CT_X509, KeyType: cert.KeyType_KT_RSA, MinKeySize: 2048, CommonName: name}}
	}

	install, err := c.Install(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = install.Send(&cert.InstallCertificateRequest{InstallRequest: &cert.InstallCertificateRequest_GenerateCsr{GenerateCsr: csr("one.example")}})
	in, err := install.Recv()
	if err != nil {
		t.Fatal(err)
	}
	_ = install.Send(&cert.InstallCertificateRequest{InstallRequest: &cert.InstallCertificateRequest_LoadCertificate{LoadCertificate: sign(in.GetGeneratedCsr().GetCsr().GetCsr())}})
	if _, err := install.Recv(); err != nil {
		t.Fatal(err)
	}
	_ = install.CloseSend()
	until("one.example")

	rotate := func(ctx context.Context, name string) cert.CertificateManagement_RotateClient {
		t.Helper()
		stream, err := c.Rotate(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&cert.RotateCertificateRequest{RotateRequest: &cert.RotateCertificateRequest_GenerateCsr{GenerateCsr: csr(name)}})
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&cert.RotateCertificateRequest{RotateRequest: &cert.RotateCertificateRequest_LoadCertificate{LoadCertificate: sign(r.GetGeneratedCsr().GetCsr().GetCsr())}})
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		until(name)
		return stream
	}
	// A client that goes before it has finalized, and a daemon that is killed.
	broken, leave := context.WithCancel(ctx)
	rotate(broken, "two.example")
	leave()
	until("one.example")
	time.Sleep(100 * time.Millisecond)
	rotate(ctx, "three.example")
	_ = l.end(9)
	l.start()
	until("one.example")

	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		r, err := c.GetCertificates(ctx, &cert.GetCertificatesRequest{})
		if err == nil {
			if list := r.GetCertificateInfo(); len(list) != 1 || list[0].GetCertificateId() != "ours" {
				t.Errorf("%v", r)
			}
			break
		}
		if status.Code(err) != codes.Unavailable || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	stream := rotate(ctx, "four.example")
	_ = stream.Send(&cert.RotateCertificateRequest{RotateRequest: &cert.RotateCertificateRequest_FinalizeRotation{FinalizeRotation: &cert.FinalizeRequest{}}})
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Fatalf("finalize: %v", err)
	}
	until("four.example")
	_ = l.end(15)
	l.start()
	until("four.example")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := c.RevokeCertificates(ctx, &cert.RevokeCertificatesRequest{CertificateId: []string{"ours"}})
		if err == nil {
			break
		}
		if status.Code(err) != codes.Unavailable || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	until(first)
}
