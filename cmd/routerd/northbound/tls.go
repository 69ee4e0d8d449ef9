package northbound

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A TLSFiles names the certificate files, all PEM. Empty Cert and Key mean the
// self-signed pair in the state directory, made if it is not there. With CA set, clients must show
// a certificate that it signed.
type TLSFiles struct {
	Cert, Key, CA string
	StateDir      string
}

const (
	selfSignedCert  = "tls-cert.pem"
	selfSignedKey   = "tls-key.pem"
	selfSignedYears = 10
)

// TLSConfig loads or makes what TLS needs: version 1.2 or later.
func TLSConfig(f TLSFiles, log *slog.Logger) (*tls.Config, error) {
	switch {
	case (f.Cert == "") != (f.Key == ""):
		return nil, errors.New("tls: a certificate needs its key, and a key its certificate: give both")
	case f.Cert == "":
		f.Cert, f.Key = filepath.Join(f.StateDir, selfSignedCert), filepath.Join(f.StateDir, selfSignedKey)
		if err := makeSelfSigned(f.Cert, f.Key, time.Now()); err != nil {
			return nil, err
		}
	}
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("tls: certificate %s, key %s: %w", f.Cert, f.Key, err)
	}
	if time.Now().After(cert.Leaf.NotAfter) {
		log.Warn("certificate has expired; clients may refuse it", "file", f.Cert, "expired", cert.Leaf.NotAfter)
	}
	sum := sha256.Sum256(cert.Leaf.Raw)
	log.Info("certificate loaded", "file", f.Cert, "sha256", hex.EncodeToString(sum[:]), "expires", cert.Leaf.NotAfter)
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
	if f.CA == "" {
		return c, nil
	}
	pemData, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("tls: client authority: %w", err)
	}
	c.ClientCAs = x509.NewCertPool()
	if !c.ClientCAs.AppendCertsFromPEM(pemData) {
		return nil, fmt.Errorf("tls: client authority %s: there is no certificate in it", f.CA)
	}
	c.ClientAuth = tls.RequireAndVerifyClientCert
	return c, nil
}

// makeSelfSigned makes a key and a certificate for this machine's names, unless
// both files are there. A half of a pair is an error: someone put it there.
func makeSelfSigned(certFile, keyFile string, now time.Time) error {
	_, cerr := os.Stat(certFile)
	_, kerr := os.Stat(keyFile)
	switch {
	case cerr == nil && kerr == nil:
		return nil
	case !errors.Is(cerr, fs.ErrNotExist) && cerr != nil:
		return fmt.Errorf("tls: %w", cerr)
	case !errors.Is(kerr, fs.ErrNotExist) && kerr != nil:
		return fmt.Errorf("tls: %w", kerr)
	case cerr == nil:
		return fmt.Errorf("tls: %s is there but %s is not: remove it, and a new pair is made", certFile, keyFile)
	}
	// A key alone is what a kill between the two writes below leaves.
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "routerd"
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: host, Organization: []string{"routerd"}},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(selfSignedYears, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // so that a client can name the file as its authority
		DNSNames:              []string{host, "localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	// The key first: with both files there, both are whole.
	if err := writePEM(keyFile, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return err
	}
	return writePEM(certFile, "CERTIFICATE", der, 0o644)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return fmt.Errorf("tls: write %s: %w", path, err)
	}
	return nil
}
