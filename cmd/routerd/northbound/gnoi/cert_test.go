//lint:file-ignore SA1019 gNSI's Certz is to take this service's place; until then clients use it.

package gnoi

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/openconfig/gnoi/cert"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// heldPair is a certificate in memory that Install replaces.
type heldPair struct {
	mu            sync.Mutex
	cert, key, ca []byte
	boot          tls.Certificate
}

func (h *heldPair) Current() *tls.Config {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cert == nil {
		return &tls.Config{Certificates: []tls.Certificate{h.boot}}
	}
	pair, err := tls.X509KeyPair(h.cert, h.key)
	if err != nil {
		panic(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

func (h *heldPair) Install(cert, key, ca []byte) error {
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cert, h.key = cert, key
	if ca != nil {
		h.ca = ca
	}
	return nil
}

func (h *heldPair) Installed() (cert, key, ca []byte, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cert, h.key, h.ca, nil
}

func (h *heldPair) Restore(cert, key, ca []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cert, h.key, h.ca = cert, key, ca
	return nil
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{c, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// sign makes the certificate that a request asks for.
func (a *authority) sign(t *testing.T, csr []byte, notAfter time.Time) []byte {
	t.Helper()
	block, _ := pem.Decode(csr)
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := req.CheckSignature(); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: req.Subject, DNSNames: req.DNSNames, IPAddresses: req.IPAddresses, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, req.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

type certWorld struct {
	t    *testing.T
	c    cert.CertificateManagementClient
	s    *certService
	held *heldPair
	ca   *authority
	dir  string
}

func newCertWorld(t *testing.T) *certWorld {
	ca := newAuthority(t)
	w := &certWorld{t: t, ca: ca, dir: t.TempDir(), held: &heldPair{boot: tls.Certificate{Certificate: [][]byte{ca.cert.Raw}}}}
	w.s = &certService{certificates: w.held, dir: w.dir, life: newLife(), log: slog.New(slog.DiscardHandler), now: time.Now}
	w.c = cert.NewCertificateManagementClient(serving(t, func(g grpc.ServiceRegistrar) { cert.RegisterCertificateManagementServer(g, w.s) }))
	return w
}

func params(name string) *cert.CSRParams {
	return &cert.CSRParams{Type: cert.CertificateType_CT_X509, CommonName: name, Organization: "us", IpAddress: "192.0.2.1", EmailId: "a@b.example"}
}

func (w *certWorld) loadReq(leaf []byte) *cert.LoadCertificateRequest {
	return &cert.LoadCertificateRequest{Certificate: &cert.Certificate{Type: cert.CertificateType_CT_X509, Certificate: leaf},
		CaCertificates: []*cert.Certificate{{Type: cert.CertificateType_CT_X509, Certificate: w.ca.pem}}}
}

// install installs a certificate with a key that the router makes.
func (w *certWorld) install(id string) error {
	stream, err := w.c.Install(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	_ = stream.Send(&cert.InstallCertificateRequest{InstallRequest: &cert.InstallCertificateRequest_GenerateCsr{GenerateCsr: &cert.GenerateCSRRequest{CsrParams: params("r1"), CertificateId: id}}})
	r, err := stream.Recv()
	if err != nil {
		return err
	}
	leaf := w.ca.sign(w.t, r.GetGeneratedCsr().GetCsr().GetCsr(), time.Now().Add(time.Hour))
	_ = stream.Send(&cert.InstallCertificateRequest{InstallRequest: &cert.InstallCertificateRequest_LoadCertificate{LoadCertificate: w.loadReq(leaf)}})
	if _, err := stream.Recv(); err != nil {
		return err
	}
	_ = stream.CloseSend()
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// rotate goes as far as loading; end ends it.
func (w *certWorld) rotate(ctx context.Context, id string) (stream cert.CertificateManagement_RotateClient, err error) {
	stream, err = w.c.Rotate(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = stream.Send(&cert.RotateCertificateRequest{RotateRequest: &cert.RotateCertificateRequest_GenerateCsr{GenerateCsr: &cert.GenerateCSRRequest{CsrParams: params("r2"), CertificateId: id}}})
	r, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	leaf := w.ca.sign(w.t, r.GetGeneratedCsr().GetCsr().GetCsr(), time.Now().Add(time.Hour))
	_ = stream.Send(&cert.RotateCertificateRequest{RotateRequest: &cert.RotateCertificateRequest_LoadCertificate{LoadCertificate: w.loadReq(leaf)}})
	_, err = stream.Recv()
	return stream, err
}

// inUse is the name and the subject of the certificate in use.
func (w *certWorld) inUse() string {
	r, err := w.c.GetCertificates(w.t.Context(), &cert.GetCertificatesRequest{})
	if err != nil || len(r.GetCertificateInfo()) != 1 {
		w.t.Fatalf("%v, %v", r, err)
	}
	info := r.GetCertificateInfo()[0]
	block, _ := pem.Decode(info.GetCertificate().GetCertificate())
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	return info.GetCertificateId() + " " + c.Subject.CommonName
}

// eventually waits for what a call does after its client has gone.
func (w *certWorld) eventually(want string) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); w.inUse() != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s is in use, want %s", w.inUse(), want)
		}
	}
}

func TestCertificates(t *testing.T) {
	w := newCertWorld(t)
	if got := w.inUse(); got != "boot authority" {
		t.Errorf("%s", got)
	}
	if _, err := w.rotate(t.Context(), "one"); status.Code(err) != codes.NotFound {
		t.Errorf("rotate before anything is installed: %v", err)
	}
	if err := w.install("one"); err != nil || w.inUse() != "one r1" {
		t.Fatalf("%v, %s", err, w.inUse())
	}
	if string(w.held.ca) != string(w.ca.pem) {
		t.Errorf("the authorities are %q", w.held.ca)
	}
	if err := w.install("one"); status.Code(err) != codes.AlreadyExists {
		t.Errorf("install it again: %v", err)
	}
	if err := w.install("two"); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("install a second: %v", err)
	}

	// A rotation that isn't finalized: closed, cancelled, and with the router.
	stream, err := w.rotate(t.Context(), "one")
	if err != nil || w.inUse() != "one r2" {
		t.Fatalf("%v, %s", err, w.inUse())
	}
	if _, err := w.rotate(t.Context(), "one"); status.Code(err) != codes.Aborted {
		t.Errorf("two at once: %v", err)
	}
	_ = stream.CloseSend()
	if _, err := stream.Recv(); status.Code(err) != codes.Aborted {
		t.Errorf("closed: %v", err)
	}
	w.eventually("one r1")
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := w.rotate(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	cancel()
	w.eventually("one r1")
	for !w.s.turn.TryLock() {
		time.Sleep(time.Millisecond)
	}
	w.s.turn.Unlock()

	// A daemon that dies meanwhile begins with the old one.
	old, err := w.s.save()
	if err != nil || old.ID != "one" {
		t.Fatalf("%+v, %v", old, err)
	}
	if err := w.held.Install(w.ca.pem, nil, nil); err == nil {
		t.Fatal("a pair without a key")
	}
	next, nextKey, err := makePair(w)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.held.Install(next, nextKey, nil); err != nil {
		t.Fatal(err)
	}
	w.s.open()
	if got := w.inUse(); got != "one r1" {
		t.Errorf("after a crash %s is in use", got)
	}
	if _, err := os.Stat(filepath.Join(w.dir, rotationFile)); err == nil {
		t.Error("it would be put back once more")
	}

	// Finalized, it stays.
	if stream, err = w.rotate(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&cert.RotateCertificateRequest{RotateRequest: &cert.RotateCertificateRequest_FinalizeRotation{FinalizeRotation: &cert.FinalizeRequest{}}})
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("finalize: %v", err)
	}
	if got := w.inUse(); got != "one r2" {
		t.Errorf("%s", got)
	}

	r, err := w.c.RevokeCertificates(t.Context(), &cert.RevokeCertificatesRequest{CertificateId: []string{"other", "one", "boot"}})
	if err != nil || len(r.GetRevokedCertificateId()) != 2 || len(r.GetCertificateRevocationError()) != 1 || w.inUse() != "boot authority" {
		t.Errorf("%v, %v, %s", r, err, w.inUse())
	}
}

// makePair is a certificate with its key.
func makePair(w *certWorld) (leaf, key []byte, err error) {
	der, key, err := makeRequest(params("stray"))
	if err != nil {
		return nil, nil, err
	}
	return w.ca.sign(w.t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), time.Now().Add(time.Hour)), key, nil
}

// TestCertificateRefused sends what is no certificate of that key.
func TestCertificateRefused(t *testing.T) {
	w := newCertWorld(t)
	leaf, key, err := makePair(w)
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := makePair(w)
	if err != nil {
		t.Fatal(err)
	}
	der, oldKey, err := makeRequest(params("old"))
	if err != nil {
		t.Fatal(err)
	}
	expired := w.ca.sign(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), time.Now().Add(-time.Minute))
	x509Type := cert.CertificateType_CT_X509
	for name, c := range map[string]struct {
		req  *cert.LoadCertificateRequest
		want codes.Code
	}{
		"another key":  {&cert.LoadCertificateRequest{Certificate: &cert.Certificate{Type: x509Type, Certificate: leaf}, KeyPair: &cert.KeyPair{PrivateKey: otherKey}, CertificateId: "x"}, codes.InvalidArgument},
		"no key":       {&cert.LoadCertificateRequest{Certificate: &cert.Certificate{Type: x509Type, Certificate: leaf}, CertificateId: "x"}, codes.FailedPrecondition},
		"no name":      {&cert.LoadCertificateRequest{Certificate: &cert.Certificate{Type: x509Type, Certificate: leaf}, KeyPair: &cert.KeyPair{PrivateKey: key}}, codes.InvalidArgument},
		"no type":      {&cert.LoadCertificateRequest{Certificate: &cert.Certificate{Certificate: leaf}, KeyPair: &cert.KeyPair{PrivateKey: key}, CertificateId: "x"}, codes.Unimplemented},
		"expired":      {&cert.LoadCertificateRequest{Certificate: &cert.Certificate{Type: x509Type, Certificate: expired}, KeyPair: &cert.KeyPair{PrivateKey: oldKey}, CertificateId: "x"}, codes.InvalidArgument},
		"garbage":      {&cert.LoadCertificateRequest{Certificate: &cert.Certificate{Type: x509Type, Certificate: []byte("x")}, KeyPair: &cert.KeyPair{PrivateKey: key}, CertificateId: "x"}, codes.InvalidArgument},
		"bad CA":       {&cert.LoadCertificateRequest{Certificate: &cert.Certificate{Type: x509Type, Certificate: leaf}, KeyPair: &cert.KeyPair{PrivateKey: key}, CertificateId: "x", CaCertificates: []*cert.Certificate{{Type: x509Type, Certificate: key}}}, codes.InvalidArgument},
		"its own name": {&cert.LoadCertificateRequest{Certificate: &cert.Certificate{Type: x509Type, Certificate: leaf}, KeyPair: &cert.KeyPair{PrivateKey: key}, CertificateId: "boot"}, codes.AlreadyExists},
	} {
		stream, err := w.c.Install(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = stream.Send(&cert.InstallCertificateRequest{InstallRequest: &cert.InstallCertificateRequest_LoadCertificate{LoadCertificate: c.req}})
		if _, err := stream.Recv(); status.Code(err) != c.want || w.held.cert != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for _, c := range []struct {
		key  cert.KeyType
		size uint32
		kind cert.CertificateType
		want bool
	}{
		{cert.KeyType_KT_UNKNOWN, 0, x509Type, true}, {cert.KeyType_KT_RSA, 2048, x509Type, true}, {cert.KeyType_KT_RSA, 4096, x509Type, true},
		{cert.KeyType_KT_RSA, 4097, x509Type, false}, {cert.KeyType(9), 0, x509Type, false}, {cert.KeyType_KT_RSA, 2048, cert.CertificateType_CT_UNKNOWN, false},
	} {
		r, err := w.c.CanGenerateCSR(t.Context(), &cert.CanGenerateCSRRequest{KeyType: c.key, KeySize: c.size, CertificateType: c.kind})
		if err != nil || r.GetCanGenerate() != c.want {
			t.Errorf("%v %d %v: %v, %v", c.key, c.size, c.kind, r, err)
		}
	}
	if bits, err := keyBits(cert.KeyType_KT_UNKNOWN, 2049); err != nil || bits != 2304 {
		t.Errorf("%d, %v", bits, err)
	}
}
