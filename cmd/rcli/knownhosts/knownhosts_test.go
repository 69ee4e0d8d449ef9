package knownhosts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func certificate(t *testing.T, name string) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, c
}

// handshake connects to a server that shows a certificate.
func handshake(t *testing.T, v *Verifier, show tls.Certificate) error {
	t.Helper()
	server, client := net.Pipe()
	defer server.Close()
	defer client.Close()
	go func() {
		// What it says depends on what the client makes of it.
		_ = tls.Server(server, &tls.Config{Certificates: []tls.Certificate{show}}).Handshake()
	}()
	return tls.Client(client, v.Config(&tls.Config{})).Handshake()
}

func TestFirstUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sub", "known_hosts")
	one, leaf := certificate(t, "r 1")
	two, other := certificate(t, "r2")
	v := &Verifier{Host: "127.0.0.1:9339", File: file}

	var unknown *UnknownError
	if err := handshake(t, v, one); !errors.As(err, &unknown) || unknown.Cert == nil || Fingerprint(unknown.Cert) != Fingerprint(leaf) {
		t.Fatalf("an unknown certificate: %v", err)
	}
	if v.Err() == nil {
		t.Error("the verifier forgets why it refused")
	}
	if err := Add(file, v.Host, unknown.Cert); err != nil {
		t.Fatal(err)
	}
	if err := handshake(t, v, one); err != nil || v.Err() != nil {
		t.Fatalf("a known certificate: %v, %v", err, v.Err())
	}
	for name, mode := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want %v", name, st.Mode(), err, mode)
		}
	}

	var changed *ChangedError
	err := handshake(t, v, two)
	if !errors.As(err, &changed) || changed.Line != 1 || changed.Is != Fingerprint(other) {
		t.Fatalf("a changed certificate: %v", err)
	}
	for _, want := range []string{"HAS CHANGED", file, "line 1", Fingerprint(leaf), Fingerprint(other)} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	// Another port is another router; the last line about one counts.
	if err := handshake(t, &Verifier{Host: "127.0.0.1:9340", File: file}, two); !errors.As(err, &unknown) {
		t.Errorf("another port: %v", err)
	}
	if err := Add(file, "127.0.0.1:9339", other); err != nil {
		t.Fatal(err)
	}
	if err := handshake(t, v, two); err != nil {
		t.Errorf("a newer line: %v", err)
	}
}

func TestPin(t *testing.T) {
	one, leaf := certificate(t, "r1")
	two, _ := certificate(t, "r2")
	v := &Verifier{Host: "r1:9339", File: filepath.Join(t.TempDir(), "none"), Pin: Fingerprint(leaf)}
	if err := handshake(t, v, one); err != nil {
		t.Error(err)
	}
	var changed *ChangedError
	if err := handshake(t, v, two); !errors.As(err, &changed) || strings.Contains(err.Error(), "line") {
		t.Errorf("another certificate: %v", err)
	}
}

func TestFile(t *testing.T) {
	good := strings.Repeat("ab", 32)
	for _, tt := range []struct {
		name, text string
		line       int // 0: not known
		wrong      string
	}{
		{"empty", "", 0, ""},
		{"comments", "# r1:9339 nothing\n\nr1:9339 sha256:" + good + " 2026-11-21 CN=r1\n", 3, ""},
		{"upper case and no prefix", "R1:9339 " + strings.ToUpper(good) + "\n", 1, ""},
		{"colons", "r1:9339 " + strings.TrimSuffix(strings.Repeat("AB:", 32), ":"), 1, ""},
		{"no fingerprint", "r1:9339\n", 0, "line 1"},
		{"a short one", "\nr1:9339 sha256:abcd\n", 0, "line 2"},
		{"others' lines may be what they like", "r2:9339 rubbish\n", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "known_hosts")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			e, ok, err := Lookup(file, "r1:9339")
			if ok != (tt.line > 0) || e.Line != tt.line || (err == nil) != (tt.wrong == "") || err != nil && !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("%+v, %v, %v", e, ok, err)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(file, []byte("r2:9339 x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, leaf := certificate(t, "r1")
	if err := Add(file, "R1:9339", leaf); err != nil {
		t.Fatal(err)
	}
	if e, ok, err := Lookup(file, "r1:9339"); !ok || err != nil || e.Line != 2 {
		t.Errorf("behind a line that is not ended: %+v, %v, %v", e, ok, err)
	}
}

func FuzzParseFingerprint(f *testing.F) {
	for _, s := range []string{"", "sha256:", strings.Repeat("ab", 32), "SHA256:" + strings.Repeat("AB:", 31) + "AB", strings.Repeat("zz", 32)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParseFingerprint(s)
		if err == nil && len(p) != 64 {
			t.Errorf("%q is %q", s, p)
		}
		if again, err2 := ParseFingerprint(p); err == nil && (err2 != nil || again != p) {
			t.Errorf("%q reads as %q, %v", p, again, err2)
		}
	})
}
