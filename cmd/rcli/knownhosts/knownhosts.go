// Package knownhosts decides whether the certificate of a router is the router's, as
// ssh does with host keys: a certificate that no authority vouches for is shown once,
// by its fingerprint, and kept; from then on the router has to show the same one.
//
// A line of the file names a router and the SHA-256 of its certificate, which `show
// tls` on the router prints, too; what follows, and lines that begin with '#', are
// comments:
//
//	192.0.2.1:9339 sha256:5f2a... 2026-11-21 CN=r1
//
// Invariant: a router that stands in the file is never believed another certificate,
// whoever signed it.
package knownhosts

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const prefix = "sha256:"

// Fingerprint is the SHA-256 of a certificate, in hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// ParseFingerprint reads a fingerprint as people have it: with or without "sha256:",
// and with colons between the octets as openssl prints them.
func ParseFingerprint(text string) (string, error) {
	s := strings.ToLower(strings.TrimSpace(text))
	s = strings.ReplaceAll(strings.TrimPrefix(s, prefix), ":", "")
	if b, err := hex.DecodeString(s); err != nil || len(b) != sha256.Size {
		return "", fmt.Errorf("%q is no SHA-256 of a certificate: want 64 hexadecimal digits, as show certificate on the router prints them", text)
	}
	return s, nil
}

// DefaultFile is the user's file.
func DefaultFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("known routers: %w; name a file", err)
	}
	return filepath.Join(dir, "rcli", "known_hosts"), nil
}

// Host is the form of an address in the file: lower case, with the port.
func Host(address string) string { return strings.ToLower(address) }

// An Entry is a line of the file.
type Entry struct {
	Host, Fingerprint string
	Line              int
}

// Lookup finds a router in the file, the last line about it. One that does not exist
// knows nobody.
func Lookup(file, host string) (found Entry, ok bool, err error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return found, false, nil
	}
	if err != nil {
		return found, false, fmt.Errorf("known routers: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if Host(words[0]) != Host(host) {
			continue
		}
		if len(words) < 2 {
			return found, false, fmt.Errorf("known routers: %s line %d: %s has no fingerprint: remove the line", file, n, words[0])
		}
		print, err := ParseFingerprint(words[1])
		if err != nil {
			return found, false, fmt.Errorf("known routers: %s line %d: %w; or remove the line", file, n, err)
		}
		found, ok = Entry{Host: words[0], Fingerprint: print, Line: n}, true
	}
	if err := lines.Err(); err != nil {
		return found, false, fmt.Errorf("known routers: %s: %w", file, err)
	}
	return found, ok, nil
}

// Add appends a router to the file, which only its user may read and write, and makes
// it where it is missing.
func Add(file, host string, c *x509.Certificate) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("known routers: %w", err)
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("known routers: %w", err)
	}
	// A line that somebody's editor left open stays one of its own.
	lead := ""
	if st, err := f.Stat(); err == nil && st.Size() > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, st.Size()-1); err == nil && last[0] != '\n' {
			lead = "\n"
		}
	}
	subject := strings.Join(strings.Fields(c.Subject.String()), "_")
	_, err = fmt.Fprintf(f, "%s%s %s%s %s %s\n", lead, Host(host), prefix, Fingerprint(c), time.Now().Format(time.DateOnly), subject)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("known routers: %w", err)
	}
	return nil
}

// An UnknownError says that nobody vouches for a router's certificate.
type UnknownError struct {
	Host string
	Cert *x509.Certificate
	Why  error // what ordinary verification says
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("the certificate of %s is not known (sha256 %s; %v)", e.Host, Fingerprint(e.Cert), e.Why)
}

func (e *UnknownError) Unwrap() error { return e.Why }

// A ChangedError says that a router shows another certificate than the one it is
// known by.
type ChangedError struct {
	Host, Was, Is string
	File          string // where it is known; "" when the caller named the fingerprint
	Line          int
}

func (e *ChangedError) Error() string {
	if e.File == "" {
		return fmt.Sprintf("%s shows another certificate than the one asked for: its sha256 is %s, not %s", e.Host, e.Is, e.Was)
	}
	return fmt.Sprintf(`THE CERTIFICATE OF %s HAS CHANGED.
Somebody may be between you and the router and read all that you type; or the router
has got a new certificate. Nothing was sent to it.
  known  sha256:%s (%s line %d)
  shown  sha256:%s
If show certificate on the router prints what is shown, remove line %d of %s and connect again.`,
		e.Host, e.Was, e.File, e.Line, e.Is, e.Line, e.File)
}

// A Verifier checks the certificate of one router. It is safe for concurrent use once
// it is made.
type Verifier struct {
	Host string // with port
	File string // of the known ones
	Pin  string // the one fingerprint to accept, before all else; "" for none

	mu   sync.Mutex
	last error
}

// Err is why the last certificate was refused, nil when it was not.
func (v *Verifier) Err() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.last
}

// Config makes a TLS configuration leave the decision to v.
func (v *Verifier) Config(c *tls.Config) *tls.Config {
	c = c.Clone()
	c.InsecureSkipVerify = true // VerifyConnection does it
	c.VerifyConnection = func(s tls.ConnectionState) error {
		err := v.verify(s)
		v.mu.Lock()
		v.last = err
		v.mu.Unlock()
		return err
	}
	return c
}

func (v *Verifier) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return fmt.Errorf("%s shows no certificate", v.Host)
	}
	leaf := s.PeerCertificates[0]
	shown := Fingerprint(leaf)
	if v.Pin != "" {
		if v.Pin != shown {
			return &ChangedError{Host: v.Host, Was: v.Pin, Is: shown}
		}
		return nil
	}
	known, ok, err := Lookup(v.File, v.Host)
	switch {
	case err != nil:
		return err
	case ok && known.Fingerprint == shown:
		return nil
	case ok:
		return &ChangedError{Host: v.Host, Was: known.Fingerprint, Is: shown, File: v.File, Line: known.Line}
	}
	name, _, err := net.SplitHostPort(v.Host)
	if err != nil {
		name = v.Host
	}
	pool := x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		pool.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Intermediates: pool}); err != nil {
		return &UnknownError{Host: v.Host, Cert: leaf, Why: err}
	}
	return nil
}
