package northbound

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"router/cmd/routerd/watchers"
	"router/models"
)

// A Certificate is the router's certificate with the authorities of its clients,
// which can be replaced while it is in use: new connections get the newest, old
// ones live on. Its methods are safe for concurrent use.
//
// The pair that a management protocol installed goes before that of the boot
// settings, and that before the self-signed one.
type Certificate struct {
	files TLSFiles
	log   *slog.Logger

	mu      sync.Mutex
	current *tls.Config
	state   models.TLSState
	seen    string // what the files looked like when they were read last
	warned  time.Time

	watchers watchers.List[struct{}]
}

// The pair that was installed, in the state directory.
const (
	installedCert = "installed-cert.pem"
	installedKey  = "installed-key.pem"
	installedCA   = "installed-ca.pem"
)

const (
	lookEvery   = 2 * time.Second     // at the files
	warnBefore  = 30 * 24 * time.Hour // of the end of the certificate
	remindEvery = 24 * time.Hour
)

// NewCertificate loads or makes the certificate.
func NewCertificate(f TLSFiles, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{files: f, log: log}
	if err := c.load(false); err != nil {
		return nil, err
	}
	return c, nil
}

// Config is for a listener: each connection gets the certificate of its moment.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return c.Current(), nil
	}}
}

// Current is the configuration of new connections. It must not be changed.
func (c *Certificate) Current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// State is the state of the certificate.
func (c *Certificate) State() models.TLSState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Authorities reports whether clients are asked for certificates.
func (c *Certificate) Authorities() bool { return c.State().Authorities > 0 }

// Reload reads the files again. When they are not sound, the certificate in use
// stays, and the error is returned, logged and shown in state.
func (c *Certificate) Reload() error { return c.load(true) }

// chosen is the files that count, and where they come from.
func (c *Certificate) chosen() (TLSFiles, models.CertificateSource) {
	f, source := c.files, models.FromFile
	if f.Cert == "" {
		source = models.SelfSigned
	}
	if f.StateDir == "" {
		return f, source
	}
	cert, key, ca := filepath.Join(f.StateDir, installedCert), filepath.Join(f.StateDir, installedKey), filepath.Join(f.StateDir, installedCA)
	if _, err := os.Stat(cert); err == nil {
		f.Cert, f.Key, source = cert, key, models.Installed
	}
	if _, err := os.Stat(ca); err == nil {
		f.CA = ca
	}
	return f, source
}

func (c *Certificate) load(again bool) error {
	c.mu.Lock()
	f, source := c.chosen()
	var err error
	if f.Cert == "" {
		// Made first, so that they don't look changed afterwards.
		err = makeSelfSigned(filepath.Join(f.StateDir, selfSignedCert), filepath.Join(f.StateDir, selfSignedKey), time.Now())
	}
	c.seen = looks(f)
	var config *tls.Config
	if err == nil {
		config, err = TLSConfig(f, c.log)
	}
	if err != nil {
		changed := c.state.Error != err.Error()
		c.state.Error = err.Error()
		c.mu.Unlock()
		if again && changed {
			c.log.Error("the new certificate is not taken; the old one stays in use", "err", err)
			c.watchers.Tell(struct{}{})
		}
		return err
	}
	leaf := config.Certificates[0].Leaf
	sum := sha256.Sum256(leaf.Raw)
	old := c.state
	c.current = config
	c.state = models.TLSState{
		Fingerprint: hex.EncodeToString(sum[:]), Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter, Source: source, Loaded: time.Now(), Authorities: authorities(f.CA), Reloads: old.Reloads,
	}
	if again {
		c.state.Reloads++
	}
	c.mu.Unlock()
	c.remind(time.Now())
	c.watchers.Tell(struct{}{})
	return nil
}

// looks is what the files look like from outside: a change of any of them
// changes it.
func looks(f TLSFiles) string {
	if f.Cert == "" {
		f.Cert, f.Key = filepath.Join(f.StateDir, selfSignedCert), filepath.Join(f.StateDir, selfSignedKey)
	}
	var b bytes.Buffer
	for _, name := range []string{f.Cert, f.Key, f.CA} {
		if name == "" {
			continue
		}
		st, err := os.Stat(name)
		if err != nil {
			fmt.Fprintf(&b, "%s: none\n", name)
			continue
		}
		fmt.Fprintf(&b, "%s: %d %d\n", name, st.Size(), st.ModTime().UnixNano())
	}
	return b.String()
}

// Run looks at the files every two seconds until ctx ends, and takes those
// that have changed. Files that are half written when it looks are looked at
// again when they change once more.
func (c *Certificate) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			f, _ := c.chosen()
			c.mu.Lock()
			same := looks(f) == c.seen
			c.mu.Unlock()
			if !same {
				// It is logged and in state.
				_ = c.Reload()
			}
			c.remind(now)
		}
	}
}

// remind warns of a certificate that ends soon, once a day.
func (c *Certificate) remind(now time.Time) {
	c.mu.Lock()
	end, due := c.state.NotAfter, now.Sub(c.warned) >= remindEvery
	if due {
		c.warned = now
	}
	c.mu.Unlock()
	if left := end.Sub(now); due && left < warnBefore {
		c.log.Warn("the router's certificate ends soon: install another one", "expires", end, "days", int(left.Hours()/24))
	}
}

// Install puts a pair, and with it authorities of clients where ca is not nil, in
// place of the one in use, durably. All are PEM. When it fails, nothing has
// changed.
func (c *Certificate) Install(cert, key, ca []byte) error {
	if c.files.StateDir == "" {
		return errors.New("tls: there is no state directory to install a certificate in")
	}
	dir, err := os.MkdirTemp(c.files.StateDir, "tls-new-")
	if err != nil {
		return fmt.Errorf("tls: %w", err)
	}
	defer os.RemoveAll(dir)
	try := TLSFiles{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	parts := []struct {
		from, to string
		data     []byte
		mode     os.FileMode
	}{
		{try.Key, installedKey, key, 0o600},
		{filepath.Join(dir, "ca"), installedCA, ca, 0o644},
		{try.Cert, installedCert, cert, 0o644}, // the last: with it the pair counts
	}
	for _, p := range parts {
		if p.data == nil {
			continue
		}
		if err := writeSynced(p.from, p.data, p.mode); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	if ca != nil {
		try.CA = parts[1].from
	}
	if _, err := TLSConfig(try, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	for _, p := range parts {
		if p.data == nil {
			continue
		}
		if err := os.Rename(p.from, filepath.Join(c.files.StateDir, p.to)); err != nil {
			return fmt.Errorf("tls: %w", err)
		}
	}
	return c.Reload()
}

// Installed returns what Install put in place, for somebody who may want it
// back; nil where there is nothing.
func (c *Certificate) Installed() (cert, key, ca []byte, err error) {
	for _, part := range []struct {
		to   *[]byte
		name string
	}{{&cert, installedCert}, {&key, installedKey}, {&ca, installedCA}} {
		*part.to, err = os.ReadFile(filepath.Join(c.files.StateDir, part.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil, fmt.Errorf("tls: %w", err)
		}
	}
	return cert, key, ca, nil
}

// Restore puts back what Installed returned; the files of nil are removed.
func (c *Certificate) Restore(cert, key, ca []byte) error {
	for _, part := range []struct {
		data []byte
		name string
	}{{cert, installedCert}, {key, installedKey}, {ca, installedCA}} {
		if part.data != nil {
			continue
		}
		if err := os.Remove(filepath.Join(c.files.StateDir, part.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("tls: %w", err)
		}
	}
	if cert == nil {
		return c.Reload()
	}
	return c.Install(cert, key, ca)
}

func writeSynced(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// Watch calls fn after each change of the state, until stop is called. fn must
// not wait.
func (c *Certificate) Watch(fn func()) (stop func()) {
	return c.watchers.Add(func(struct{}) { fn() })
}

// authorities counts the certificates in the file of authorities.
func authorities(file string) uint32 {
	if file == "" {
		return 0
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	return uint32(bytes.Count(text, []byte("-----BEGIN CERTIFICATE-----")))
}
