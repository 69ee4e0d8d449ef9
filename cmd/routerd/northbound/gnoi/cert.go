package gnoi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/openconfig/gnoi/cert"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/northbound"
)

// Certificates is the router's TLS certificate, which can be replaced while it is
// in use. All is PEM.
type Certificates interface {
	// Current is the configuration of new connections.
	Current() *tls.Config
	// Install replaces the pair in use, durably, and the authorities of clients
	// unless ca is nil. When it fails nothing has changed.
	Install(cert, key, ca []byte) error
	// Installed is what Install has put in place, nil where there is nothing.
	Installed() (cert, key, ca []byte, err error)
	// Restore puts back what Installed returned.
	Restore(cert, key, ca []byte) error
}

// bootID names the certificate of the boot settings, or the one that the router made
// for itself, as long as none is installed.
const bootID = "boot"

// A certService is gnoi.certificate.CertificateManagement. The router has one
// certificate for all its listeners, and so at most one that a client has
// installed, under the name that the client chose.
type certService struct {
	cert.UnimplementedCertificateManagementServer
	certificates Certificates // nil: the router listens without TLS
	dir          string       // where the name, and what a rotation replaces, are kept
	life         *life
	log          *slog.Logger
	now          func() time.Time
	turn         sync.Mutex // one change at a time; only ever tried
}

// The files in the state directory, beside those of the pair itself.
const (
	certNameFile = "installed-id"
	rotationFile = "rotation.json"
)

// A savedCert is what a rotation puts back when it isn't finalized.
type savedCert struct {
	ID            string
	Cert, Key, CA []byte
}

// open puts back what a rotation had replaced when the daemon ended in the
// middle of it.
func (s *certService) open() {
	if s.certificates == nil {
		return
	}
	text, err := os.ReadFile(filepath.Join(s.dir, rotationFile))
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var old savedCert
	if err == nil {
		if err = json.Unmarshal(text, &old); err == nil {
			err = s.restore(&old)
		}
	}
	if err != nil {
		s.log.Error("the certificate before a rotation that was not finalized cannot be put back", "err", err)
		return
	}
	s.log.Warn("a rotation of the certificate was not finalized: the one before is in use again")
}

func (s *certService) save() (*savedCert, error) {
	var old savedCert
	var err error
	if old.Cert, old.Key, old.CA, err = s.certificates.Installed(); err != nil {
		return nil, err
	}
	old.ID = s.id()
	text, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	return &old, writeFile(filepath.Join(s.dir, rotationFile), text)
}

// restore puts old in place; then there is nothing more to put back.
func (s *certService) restore(old *savedCert) error {
	if err := s.certificates.Restore(old.Cert, old.Key, old.CA); err != nil {
		return err
	}
	if err := s.setID(old.ID); err != nil {
		return err
	}
	return s.forget()
}

// forget ends a rotation.
func (s *certService) forget() error {
	err := os.Remove(filepath.Join(s.dir, rotationFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// id is the name of the certificate in use.
func (s *certService) id() string {
	if c, _, _, err := s.certificates.Installed(); err != nil || c == nil {
		return bootID
	}
	text, err := os.ReadFile(filepath.Join(s.dir, certNameFile))
	if err != nil || len(text) == 0 {
		return "installed" // by other means than these
	}
	return string(text)
}

func (s *certService) setID(id string) error {
	return writeFile(filepath.Join(s.dir, certNameFile), []byte(id))
}

// writeFile replaces a file as a whole, durably.
func writeFile(path string, text []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// begin takes the turn; release gives it back.
func (s *certService) begin() (release func(), err error) {
	if s.certificates == nil {
		return nil, errNoTLS
	}
	if !s.turn.TryLock() {
		return nil, failf(codes.Aborted, "the certificate is being changed by another call: try again when it has ended")
	}
	return s.turn.Unlock, nil
}

var errNoTLS = failf(codes.FailedPrecondition, "the router listens without TLS: it has no certificate")

// A change is one call of Install or Rotate.
type change struct {
	s       *certService
	install bool
	id      string // once the client has named it
	key     []byte // of the request for a signature, once there is one
}

// csr answers a GenerateCSRRequest.
func (c *change) csr(req *cert.GenerateCSRRequest) (*cert.GenerateCSRResponse, error) {
	if err := c.name(req.GetCertificateId()); err != nil {
		return nil, err
	}
	der, key, err := makeRequest(req.GetCsrParams())
	if err != nil {
		return nil, err
	}
	c.key = key
	return &cert.GenerateCSRResponse{Csr: &cert.CSR{Type: cert.CertificateType_CT_X509, Csr: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})}}, nil
}

// name checks which certificate is meant.
func (c *change) name(id string) error {
	current := c.s.id()
	switch {
	case id == "":
		return failf(codes.InvalidArgument, "certificate_id is missing")
	case len(id) > 255:
		return failf(codes.InvalidArgument, "certificate_id has %d octets: want 255 at most", len(id))
	case c.id != "" && c.id != id:
		return failf(codes.InvalidArgument, "certificate_id %q: this call is about %q", id, c.id)
	case c.install && id == current, c.install && id == bootID:
		return failf(codes.AlreadyExists, "certificate %q is there: Rotate replaces it", id)
	case c.install && current != bootID:
		return failf(codes.FailedPrecondition, "the router has one certificate, and %q is installed: Rotate that one, or revoke it first", current)
	case !c.install && current == bootID:
		return failf(codes.NotFound, "no certificate is installed: Install one; the boot settings' own is not a client's to rotate")
	case !c.install && id != current:
		return failf(codes.NotFound, "there is no certificate %q; %q is installed", id, current)
	}
	c.id = id
	return nil
}

// load takes the certificate into use.
func (c *change) load(req *cert.LoadCertificateRequest) error {
	key := c.key
	if req.GetKeyPair() != nil {
		if key != nil {
			return failf(codes.InvalidArgument, "key_pair: the key is the one that the router has made for its request")
		}
		if err := c.name(req.GetCertificateId()); err != nil {
			return err
		}
		key = req.GetKeyPair().GetPrivateKey()
	}
	if len(key) == 0 {
		return failf(codes.FailedPrecondition, "there is no key for the certificate: send GenerateCSRRequest first, or key_pair with it")
	}
	if t := req.GetCertificate().GetType(); t != cert.CertificateType_CT_X509 {
		return failf(codes.Unimplemented, "certificate type %v: want CT_X509", t)
	}
	leaf := req.GetCertificate().GetCertificate()
	pair, err := tls.X509KeyPair(leaf, key)
	if err != nil {
		// It says which half is wrong and quotes neither.
		return failf(codes.InvalidArgument, "certificate: %v", err)
	}
	now := c.s.now()
	if now.After(pair.Leaf.NotAfter) || now.Before(pair.Leaf.NotBefore) {
		return failf(codes.InvalidArgument, "certificate: valid from %s to %s, and it is %s", stamp(pair.Leaf.NotBefore), stamp(pair.Leaf.NotAfter), stamp(now))
	}
	ca, err := bundle(req.GetCaCertificates())
	if err != nil {
		return err
	}
	if err := c.s.certificates.Install(leaf, key, ca); err != nil {
		return failf(codes.Internal, "%v", err)
	}
	if err := c.s.setID(c.id); err != nil {
		if c.install {
			// A rotation puts the old one back by itself.
			err = errors.Join(err, c.s.certificates.Restore(nil, nil, nil))
		}
		return failf(codes.Internal, "%v", err)
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// bundle joins certificates of authorities; nil for none.
func bundle(list []*cert.Certificate) ([]byte, error) {
	var all []byte
	for i, a := range list {
		if a.GetType() != cert.CertificateType_CT_X509 {
			return nil, failf(codes.Unimplemented, "ca_certificates %d: type %v: want CT_X509", i, a.GetType())
		}
		block, _ := pem.Decode(a.GetCertificate())
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, failf(codes.InvalidArgument, "ca_certificates %d: no certificate in PEM", i)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, failf(codes.InvalidArgument, "ca_certificates %d: %v", i, err)
		}
		all = append(all, pem.EncodeToMemory(block)...)
	}
	return all, nil
}

// Install implements gNOI's Install: the first certificate that a client brings.
func (s *certService) Install(stream cert.CertificateManagement_InstallServer) error {
	release, err := s.begin()
	if err != nil {
		return err
	}
	defer release()
	c := change{s: s, install: true}
	for loaded := false; ; {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) && loaded {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return failf(codes.Aborted, "the call ended before a certificate came: nothing is installed")
		}
		if err != nil {
			if loaded {
				return nil // what was answered holds
			}
			return err
		}
		if loaded {
			return failf(codes.FailedPrecondition, "the certificate is installed: another one takes another call")
		}
		var resp cert.InstallCertificateResponse
		switch r := req.GetInstallRequest().(type) {
		case *cert.InstallCertificateRequest_GenerateCsr:
			csr, err := c.csr(r.GenerateCsr)
			if err != nil {
				return err
			}
			resp.InstallResponse = &cert.InstallCertificateResponse_GeneratedCsr{GeneratedCsr: csr}
		case *cert.InstallCertificateRequest_LoadCertificate:
			if err := c.load(r.LoadCertificate); err != nil {
				return err
			}
			loaded = true
			s.note(stream.Context(), "certificate installed by a client", c.id)
			resp.InstallResponse = &cert.InstallCertificateResponse_LoadCertificate{LoadCertificate: &cert.LoadCertificateResponse{}}
		default:
			return failf(codes.InvalidArgument, "an empty request: want generate_csr or load_certificate")
		}
		if err := stream.Send(&resp); err != nil {
			return err
		}
	}
}

// Rotate implements gNOI's Rotate. Until the client finalizes, the end of the
// stream, or of the daemon, brings the old certificate back.
func (s *certService) Rotate(stream cert.CertificateManagement_RotateServer) (err error) {
	release, err := s.begin()
	if err != nil {
		return err
	}
	defer release()
	ctx, let := s.life.of(stream)
	defer let()
	c := change{s: s}
	var old *savedCert
	defer func() {
		if old == nil {
			return
		}
		if rerr := s.restore(old); rerr != nil {
			s.log.Error("the certificate before the rotation cannot be put back", "err", rerr)
			err = failf(codes.Internal, "%v; and the certificate before cannot be put back: %v", err, rerr)
			return
		}
		s.note(stream.Context(), "rotation of the certificate given up", c.id)
	}()
	requests, errs := receiving(ctx, stream.Recv)
	for {
		var req *cert.RotateCertificateRequest
		select {
		case req = <-requests:
		case err := <-errs:
			if errors.Is(err, io.EOF) {
				return failf(codes.Aborted, "the call ended before it was finalized: the certificate is what it was")
			}
			return err
		case <-ctx.Done():
			return ended(ctx)
		}
		var resp cert.RotateCertificateResponse
		switch r := req.GetRotateRequest().(type) {
		case *cert.RotateCertificateRequest_GenerateCsr:
			csr, err := c.csr(r.GenerateCsr)
			if err != nil {
				return err
			}
			resp.RotateResponse = &cert.RotateCertificateResponse_GeneratedCsr{GeneratedCsr: csr}
		case *cert.RotateCertificateRequest_LoadCertificate:
			if old != nil {
				return failf(codes.FailedPrecondition, "a certificate has been loaded: finalize the rotation")
			}
			saved, err := s.save()
			if err != nil {
				return failf(codes.Internal, "%v", err)
			}
			old = saved
			if err := c.load(r.LoadCertificate); err != nil {
				return err
			}
			resp.RotateResponse = &cert.RotateCertificateResponse_LoadCertificate{LoadCertificate: &cert.LoadCertificateResponse{}}
		case *cert.RotateCertificateRequest_FinalizeRotation:
			if old == nil {
				return failf(codes.FailedPrecondition, "there is nothing to finalize: load a certificate first")
			}
			if err := s.forget(); err != nil {
				return failf(codes.Internal, "%v", err)
			}
			old = nil
			s.note(stream.Context(), "certificate rotated by a client", c.id)
			return nil
		default:
			return failf(codes.InvalidArgument, "an empty request: want generate_csr, load_certificate or finalize_rotation")
		}
		if err := stream.Send(&resp); err != nil {
			return err
		}
	}
}

// receiving takes messages off a stream until ctx ends.
func receiving[T any](ctx context.Context, recv func() (T, error)) (<-chan T, <-chan error) {
	messages, errs := make(chan T), make(chan error, 1)
	go func() {
		for {
			m, err := recv()
			if err != nil {
				errs <- err
				return
			}
			select {
			case messages <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	return messages, errs
}

func (s *certService) note(ctx context.Context, what, id string) {
	user, _ := northbound.Caller(ctx)
	s.log.Warn(what, "id", id, "user", user)
}

// GetCertificates implements gNOI's GetCertificates.
func (s *certService) GetCertificates(context.Context, *cert.GetCertificatesRequest) (*cert.GetCertificatesResponse, error) {
	if s.certificates == nil {
		return &cert.GetCertificatesResponse{}, nil
	}
	config := s.certificates.Current()
	if config == nil || len(config.Certificates) == 0 {
		return nil, failf(codes.Internal, "the router has no certificate in use")
	}
	var text []byte
	for _, der := range config.Certificates[0].Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	info := &cert.CertificateInfo{
		CertificateId: s.id(),
		Certificate:   &cert.Certificate{Type: cert.CertificateType_CT_X509, Certificate: text},
		Endpoints:     []*cert.Endpoint{{Type: cert.Endpoint_EP_DAEMON, Endpoint: "routerd"}},
	}
	if st, err := os.Stat(filepath.Join(s.dir, certNameFile)); err == nil && info.CertificateId != bootID {
		info.ModificationTime = st.ModTime().UnixNano()
	}
	return &cert.GetCertificatesResponse{CertificateInfo: []*cert.CertificateInfo{info}}, nil
}

// RevokeCertificates implements gNOI's RevokeCertificates: the router goes back to
// the certificate of its boot settings. One that isn't there counts as revoked.
func (s *certService) RevokeCertificates(ctx context.Context, req *cert.RevokeCertificatesRequest) (*cert.RevokeCertificatesResponse, error) {
	release, err := s.begin()
	if err != nil {
		return nil, err
	}
	defer release()
	r := &cert.RevokeCertificatesResponse{}
	for _, id := range req.GetCertificateId() {
		switch {
		case id == bootID:
			r.CertificateRevocationError = append(r.CertificateRevocationError, &cert.CertificateRevocationError{
				CertificateId: id, ErrorMessage: "the boot settings' certificate is not a client's to revoke: Install another one",
			})
			continue
		case id == s.id():
			if err := s.certificates.Restore(nil, nil, nil); err != nil {
				r.CertificateRevocationError = append(r.CertificateRevocationError, &cert.CertificateRevocationError{CertificateId: id, ErrorMessage: err.Error()})
				continue
			}
			s.note(ctx, "certificate revoked by a client", id)
		}
		r.RevokedCertificateId = append(r.RevokedCertificateId, id)
	}
	return r, nil
}

// CanGenerateCSR implements gNOI's CanGenerateCSR.
func (s *certService) CanGenerateCSR(_ context.Context, req *cert.CanGenerateCSRRequest) (*cert.CanGenerateCSRResponse, error) {
	_, err := keyBits(req.GetKeyType(), req.GetKeySize())
	return &cert.CanGenerateCSRResponse{CanGenerate: err == nil && req.GetCertificateType() == cert.CertificateType_CT_X509 && s.certificates != nil}, nil
}

var errStream = failf(codes.Unimplemented, "want Install or Rotate, which take the steps in one call and go back when it breaks")

// GenerateCSR is part of Install and Rotate only.
func (s *certService) GenerateCSR(context.Context, *cert.GenerateCSRRequest) (*cert.GenerateCSRResponse, error) {
	return nil, errStream
}

// LoadCertificate is part of Install and Rotate only.
func (s *certService) LoadCertificate(context.Context, *cert.LoadCertificateRequest) (*cert.LoadCertificateResponse, error) {
	return nil, errStream
}

// LoadCertificateAuthorityBundle is part of Install and Rotate only.
func (s *certService) LoadCertificateAuthorityBundle(context.Context, *cert.LoadCertificateAuthorityBundleRequest) (*cert.LoadCertificateAuthorityBundleResponse, error) {
	return nil, errStream
}
