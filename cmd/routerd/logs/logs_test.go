package logs

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"router/models"
)

func newLog(t *testing.T, opt Options) (*Log, *slog.Logger) {
	t.Helper()
	l, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, slog.New(l.Handler())
}

func TestMessage(t *testing.T) {
	at := time.Date(2026, 11, 21, 15, 4, 5, 123456000, time.FixedZone("", 3600))
	h := header{facility: 3, hostname: "edge 1", procID: "42"}
	for _, c := range []struct {
		name  string
		level slog.Level
		text  string
		attrs []pair
		want  string
	}{
		{"plain", slog.LevelInfo, "ready", nil, "<30>1 2026-11-21T14:04:05.123456Z edge1 routerd 42 - - ready"},
		{"attributes", slog.LevelError, "lost", []pair{{"ifd", "ge0"}, {"err", "no link"}},
			`<27>1 2026-11-21T14:04:05.123456Z edge1 routerd 42 - [routerd@32473 ifd="ge0" err="no link"] lost`},
		{"escapes", slog.LevelWarn, "odd", []pair{{`a b="]`, "x\"y\\z]\n"}},
			"<28>1 2026-11-21T14:04:05.123456Z edge1 routerd 42 - [routerd@32473 a_b___=\"x\\\"y\\\\z\\]\n\"] odd"},
		{"unicode", slog.LevelDebug, "naïve", nil, "<31>1 2026-11-21T14:04:05.123456Z edge1 routerd 42 - - \ufeffnaïve"},
		{"not UTF-8", slog.LevelInfo, "x", []pair{{"k", "a\xffb"}}, "<30>1 2026-11-21T14:04:05.123456Z edge1 routerd 42 - [routerd@32473 k=\"a\ufffdb\"] x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := h.message(slog.NewRecord(at, c.level, c.text, 0), c.attrs, longest)
			if string(got) != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestMessageIsCut(t *testing.T) {
	h := header{hostname: "r", procID: "1"}
	rec := slog.NewRecord(time.Now(), slog.LevelInfo, "the text", 0)
	got := string(h.message(rec, []pair{{"short", "1"}, {"long", strings.Repeat("é", 5000)}}, longestUDP))
	if len(got) > longestUDP || !strings.HasSuffix(got, `[routerd@32473 short="1"] the text`) {
		t.Errorf("%d octets: %.200q", len(got), got)
	}
	rec.Message = strings.Repeat("é", 5000)
	got = string(h.message(rec, nil, longestUDP))
	if len(got) > longestUDP || strings.ToValidUTF8(got, "?") != got {
		t.Errorf("%d octets, or a character is split", len(got))
	}
}

// message is the grammar of RFC 5424, 6, as far as the router uses it.
var message = regexp.MustCompile(`(?s)^<(\d{1,3})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z) ([!-~]{1,255}) routerd (\d+) - (-|\[routerd@32473(?: [!-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")+\])(?: (?:\x{feff})?.*)?$`)

func FuzzMessage(f *testing.F) {
	f.Add("text", "key", "value", "host", 2048)
	f.Add("na\xff\xfeïve", "a]=\" b", "\\\"]", "", 100)
	f.Fuzz(func(t *testing.T, text, key, value, host string, limit int) {
		limit = 128 + abs(limit)%8192
		h := header{facility: 3, hostname: host, procID: "7"}
		if len(host) > 60 {
			return // the header alone may fill the smallest messages
		}
		got := h.message(slog.NewRecord(time.Now(), slog.LevelInfo, text, 0), []pair{{key, value}, {key, value}}, limit)
		if len(got) > limit {
			t.Fatalf("%d octets of at most %d", len(got), limit)
		}
		if !message.Match(got) {
			t.Fatalf("no message of RFC 5424: %q", got)
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

// A receiver takes messages as a syslog server does.
type receiver struct {
	addr string
	got  chan string
	stop func()
}

func port(addr string) uint16 {
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		panic(err)
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		panic(err)
	}
	return uint16(n)
}

// stream receives octet-counted messages on l.
func stream(t *testing.T, l net.Listener) *receiver {
	r := &receiver{addr: l.Addr().String(), got: make(chan string, 4096)}
	conns := make(chan net.Conn, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
			go func() {
				in := bufio.NewReader(c)
				for {
					size, err := in.ReadString(' ')
					if err != nil {
						return
					}
					n, err := strconv.Atoi(strings.TrimSuffix(size, " "))
					if err != nil {
						t.Errorf("count %q: %v", size, err)
						return
					}
					b := make([]byte, n)
					if _, err := io.ReadFull(in, b); err != nil {
						return
					}
					r.got <- string(b)
				}
			}()
		}
	}()
	r.stop = func() {
		l.Close()
		for {
			select {
			case c := <-conns:
				c.Close()
			default:
				return
			}
		}
	}
	t.Cleanup(r.stop)
	return r
}

func (r *receiver) next(t *testing.T) string {
	t.Helper()
	select {
	case m := <-r.got:
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("no message came")
		return ""
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not so after 10 s: %s", what)
}

func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRemotes(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert := selfSigned(t, certFile, keyFile)
	for _, transport := range []models.LogTransport{models.LogTLS, models.LogTCP, models.LogUDP} {
		t.Run(transport.String(), func(t *testing.T) {
			l, log := newLog(t, Options{Stderr: io.Discard, Level: slog.LevelError})
			l.SetHostname("edge")
			spec := models.LogServerSpec{Name: "far", Host: "127.0.0.1", Transport: transport, Level: slog.LevelInfo, Facility: 16}
			var r *receiver
			switch transport {
			case models.LogTLS:
				spec.CAFile, spec.CertFile, spec.KeyFile = certFile, certFile, keyFile
				r = stream(t, tls.NewListener(listen(t, "127.0.0.1:0"), &tls.Config{
					Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}))
			case models.LogTCP:
				r = stream(t, listen(t, "127.0.0.1:0"))
			case models.LogUDP:
				r = datagrams(t)
			}
			spec.Port = port(r.addr)
			l.Set("far", &spec)
			eventually(t, "connected", func() bool { s, _ := l.State("far"); return s.Connected })
			log.With("commit", 7).WithGroup("link").Info("up", "ifd", "ge0", slog.Group("speed", "bits", 10))
			log.Debug("too fine")
			log.Warn("second")
			m := r.next(t)
			if want := ` edge routerd ` + procID + ` - [routerd@32473 commit="7" link.ifd="ge0" link.speed.bits="10"] up`; !strings.HasPrefix(m, "<134>1 ") || !strings.HasSuffix(m, want) {
				t.Errorf("got  %q\nwant ...%q", m, want)
			}
			if m := r.next(t); !strings.HasPrefix(m, "<132>1 ") || !strings.HasSuffix(m, " - - second") {
				t.Errorf("second message: %q", m)
			}
			eventually(t, "two sent", func() bool { s, _ := l.State("far"); return s.Sent == 2 && s.Dropped == 0 && s.Reason == "" })
			l.Set("far", nil)
			if _, ok := l.State("far"); ok || len(l.Names()) > 0 {
				t.Error("a server that was taken away has state")
			}
		})
	}
}

func datagrams(t *testing.T) *receiver {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{addr: c.LocalAddr().String(), got: make(chan string, 16), stop: func() { c.Close() }}
	t.Cleanup(r.stop)
	go func() {
		b := make([]byte, 65536)
		for {
			n, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			r.got <- string(b[:n])
		}
	}()
	return r
}

func TestServerComesBack(t *testing.T) {
	first := listen(t, "127.0.0.1:0")
	addr := first.Addr().String()
	r := stream(t, first)
	l, log := newLog(t, Options{Stderr: io.Discard})
	events := make(chan string, 64)
	defer l.Watch(func(name string) { events <- name })()
	l.Set("far", &models.LogServerSpec{Name: "far", Host: "127.0.0.1", Port: port(addr), Transport: models.LogTCP})
	log.Info("one")
	r.next(t)
	r.stop()
	eventually(t, "the loss is noticed", func() bool { s, _ := l.State("far"); return !s.Connected && s.Reason != "" })
	log.Info("two")
	r = stream(t, listen(t, addr))
	if m := r.next(t); !strings.HasSuffix(m, " two") {
		t.Errorf("after the server came back: %q", m)
	}
	eventually(t, "the second counted", func() bool { s, _ := l.State("far"); return s.Connected && s.Sent == 2 && s.Dropped == 0 })
	for range 4 { // set, connected, not, connected again
		select {
		case name := <-events:
			if name != "far" {
				t.Errorf("event for %q", name)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("an event is missing")
		}
	}
}

// TestStalledServer has a server that accepts and reads nothing: the log goes on
// at full speed, memory is bounded, and what is lost is counted.
func TestStalledServer(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	defer l.Close()
	var out bytes.Buffer
	sink, log := newLog(t, Options{Stderr: &out})
	sink.Set("far", &models.LogServerSpec{Name: "far", Host: "127.0.0.1", Port: port(l.Addr().String()), Transport: models.LogTCP})
	records := 50_000
	if testing.Short() { // as under the race detector
		records = 10_000
	}
	filler := strings.Repeat("x", 1000)
	begin := time.Now()
	for i := range records {
		log.Info("flood", "i", i, "filler", filler)
	}
	took := time.Since(begin)
	if took > 10*time.Second {
		t.Errorf("%d records took %v: the server holds the router up", records, took)
	}
	if n := strings.Count(out.String(), "\n"); n < records {
		t.Errorf("%d local lines of %d", n, records)
	}
	s, _ := sink.State("far")
	if s.Dropped == 0 || s.Dropped+s.Sent+queueLength+1 < uint64(records) {
		t.Errorf("%d sent, %d dropped of %d, with room for %d", s.Sent, s.Dropped, records, queueLength)
	}
	begin = time.Now()
	sink.Close()
	if took := time.Since(begin); took > flushTime+2*time.Second {
		t.Errorf("closing took %v", took)
	}
}

func TestBadCertificateFiles(t *testing.T) {
	l, _ := newLog(t, Options{Stderr: io.Discard})
	l.Set("far", &models.LogServerSpec{Name: "far", Host: "127.0.0.1", Port: 1, CAFile: "/nowhere"})
	eventually(t, "the reason names the file", func() bool {
		s, _ := l.State("far")
		return !s.Connected && strings.Contains(s.Reason, "ca-file") && strings.Contains(s.Reason, "/nowhere")
	})
}

func TestLocal(t *testing.T) {
	t.Run("text", func(t *testing.T) {
		var out bytes.Buffer
		_, log := newLog(t, Options{Stderr: &out, Format: Text})
		log.Info("ready", "listen", ":9339")
		if !regexp.MustCompile(`^time=\S+ level=INFO msg=ready listen=:9339\n$`).Match(out.Bytes()) {
			t.Errorf("%q", out.String())
		}
	})
	t.Run("json", func(t *testing.T) {
		var out bytes.Buffer
		_, log := newLog(t, Options{Stderr: &out, Format: JSON})
		log.With("ifd", "ge0").Warn("lost")
		var m map[string]any
		if err := json.Unmarshal(out.Bytes(), &m); err != nil || m["msg"] != "lost" || m["ifd"] != "ge0" || m["level"] != "WARN" {
			t.Errorf("%v: %q", err, out.String())
		}
	})
	t.Run("journal", func(t *testing.T) {
		var out bytes.Buffer
		_, log := newLog(t, Options{Stderr: &out, Format: Text, Journal: true, Level: slog.LevelDebug})
		log.Debug("a")
		log.With("x", 1).Info("b")
		log.WithGroup("g").Warn("c", "y", 2)
		log.Error("d", "err", "two\nlines")
		want := "<7>msg=a\n<6>msg=b x=1\n<4>msg=c g.y=2\n<3>msg=d err=\"two\\nlines\"\n"
		if out.String() != want {
			t.Errorf("got  %q\nwant %q", out.String(), want)
		}
	})
	t.Run("file is opened anew", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "log")
		l, log := newLog(t, Options{File: path, Format: Text})
		log.Info("first")
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		log.Info("second")
		if err := l.Reopen(); err != nil {
			t.Fatal(err)
		}
		log.Info("third")
		old, _ := os.ReadFile(path + ".1")
		now, _ := os.ReadFile(path)
		if !strings.Contains(string(old), "second") || strings.Contains(string(old), "third") || !strings.Contains(string(now), "third") {
			t.Errorf("old file %q, new file %q", old, now)
		}
	})
	t.Run("file that can't be", func(t *testing.T) {
		if _, err := New(Options{File: filepath.Join(t.TempDir(), "no", "log")}); err == nil || !strings.Contains(err.Error(), "log-file") {
			t.Errorf("%v: want an error that names the setting", err)
		}
	})
}

func TestOnJournal(t *testing.T) {
	id := func() (uint64, uint64, error) { return 8, 1234, nil }
	for env, want := range map[string]bool{"8:1234": true, "8:1235": false, "9:1234": false, "": false, "x": false} {
		if OnJournal(env, id) != want {
			t.Errorf("JOURNAL_STREAM=%q: want %v", env, want)
		}
	}
	if OnJournal("8:1234", func() (uint64, uint64, error) { return 0, 0, os.ErrClosed }) {
		t.Error("a closed standard error leads to no journal")
	}
}

// TestNoServerNoCost: without a server, records below the local level are not made.
func TestNoServerNoCost(t *testing.T) {
	l, log := newLog(t, Options{Stderr: io.Discard, Level: slog.LevelInfo})
	if n := testing.AllocsPerRun(100, func() { log.LogAttrs(context.Background(), slog.LevelDebug, "step") }); n != 0 {
		t.Errorf("%v allocations for a record that nobody wants", n)
	}
	if l.Handler().Enabled(context.Background(), slog.LevelDebug) {
		t.Error("debug is wanted by nobody")
	}
}

func selfSigned(t *testing.T, certFile, keyFile string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "logs"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(fmt.Errorf("pair: %w", err))
	}
	return cert
}
