package gnoi

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"

	"github.com/openconfig/gnoi/cert"
	"google.golang.org/grpc/codes"
)

// Sizes of RSA keys. Larger ones would keep a processor for many seconds.
const (
	rsaDefault = 3072
	rsaLeast   = 2048
	rsaMost    = 4096
)

// keyBits is the size of the RSA key that a client asks for; 0 means an ECDSA key
// on P-256, which is what one gets who doesn't care.
func keyBits(t cert.KeyType, least uint32) (bits int, err error) {
	switch t {
	case cert.KeyType_KT_UNKNOWN:
		if least > 256 {
			// Only RSA has keys that long.
			return keyBits(cert.KeyType_KT_RSA, least)
		}
		return 0, nil
	case cert.KeyType_KT_RSA:
		if least > rsaMost {
			return 0, failf(codes.Unimplemented, "min_key_size %d: the router makes RSA keys of up to %d bits", least, rsaMost)
		}
		switch {
		case least == 0:
			return rsaDefault, nil
		case least < rsaLeast:
			return rsaLeast, nil
		}
		return int(least+255) / 256 * 256, nil
	}
	return 0, failf(codes.Unimplemented, "key_type %v: want KT_RSA, or none for ECDSA on P-256", t)
}

// oidEmail is emailAddress (PKCS #9, RFC 2985, 5.2.1).
var oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// makeRequest makes a key and a request for a certificate of it (RFC 2986). The
// key is PEM, and never leaves the router.
func makeRequest(p *cert.CSRParams) (der, key []byte, err error) {
	if p.GetType() != cert.CertificateType_CT_X509 {
		return nil, nil, failf(codes.Unimplemented, "csr_params: type %v: want CT_X509", p.GetType())
	}
	if p.GetCommonName() == "" {
		return nil, nil, failf(codes.InvalidArgument, "csr_params: common_name is missing")
	}
	bits, err := keyBits(p.GetKeyType(), p.GetMinKeySize())
	if err != nil {
		return nil, nil, err
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: p.GetCommonName()}}
	for _, part := range []struct {
		to   *[]string
		text string
	}{
		{&template.Subject.Country, p.GetCountry()}, {&template.Subject.Province, p.GetState()}, {&template.Subject.Locality, p.GetCity()},
		{&template.Subject.Organization, p.GetOrganization()}, {&template.Subject.OrganizationalUnit, p.GetOrganizationalUnit()},
		{&template.EmailAddresses, p.GetEmailId()},
	} {
		if part.text != "" {
			*part.to = []string{part.text}
		}
	}
	if p.GetEmailId() != "" {
		template.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidEmail, Value: p.GetEmailId()}}
	}
	// Clients look at subject alternative names only (RFC 9525, 2).
	if ip := net.ParseIP(p.GetCommonName()); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{p.GetCommonName()}
	}
	if text := p.GetIpAddress(); text != "" {
		ip := net.ParseIP(text)
		if ip == nil {
			return nil, nil, failf(codes.InvalidArgument, "csr_params: ip_address %q is none", text)
		}
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	var private crypto.Signer
	if bits == 0 {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		private, err = rsa.GenerateKey(rand.Reader, bits)
	}
	if err != nil {
		return nil, nil, failf(codes.Internal, "make a key: %v", err)
	}
	if der, err = x509.CreateCertificateRequest(rand.Reader, template, private); err != nil {
		return nil, nil, failf(codes.InvalidArgument, "csr_params: %v", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, failf(codes.Internal, "%v", err)
	}
	return der, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}
