package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listenIn listens on an address in the router's namespace.
func listenIn(t *testing.T, l *lab, address string) net.Listener {
	t.Helper()
	var in net.Listener
	if err := l.space("router").Do(func() (err error) {
		in, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	return in
}

// scrape reads the metrics of the router.
func scrape(t *testing.T, l *lab, url string) string {
	t.Helper()
	var conn net.Conn
	if err := l.space("router").Do(func() (err error) {
		conn, err = net.DialTimeout("tcp", "127.0.0.1:9464", 5*time.Second)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Connection", "close")
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v: %s", r.Status, err, text)
	}
	return string(text)
}

// TestTelemetryBesideGNMI runs a router with a Prometheus endpoint, a log file and a
// syslog server.
func TestTelemetryBesideGNMI(t *testing.T) {
	l := labOf(t)
	l.wire("h1", "ge0")
	messages := make(chan string, 1024)
	server := listenIn(t, l, "127.0.0.1:6601")
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					size, err := in.ReadString(' ')
					if err != nil {
						return
					}
					n, err := strconv.Atoi(strings.TrimSpace(size))
					if err != nil {
						return
					}
					b := make([]byte, n)
					if _, err := io.ReadFull(in, b); err != nil {
						return
					}
					messages <- string(b)
				}
			}()
		}
	}()
	l.start("--metrics-listen", "127.0.0.1:9464")
	l.load(`{"routerd:system":{"config":{"hostname":"edge1"}},
		"routerd:log-server":[{"name":"far","config":{"host":"127.0.0.1","port":6601,"transport":"tcp","facility":"local3"}}],
		"routerd:interface":[{"name":"ge0","unit":[{"id":"0","family":[{"type":"inet","address":[{"prefix":"192.0.2.1/24"}]}]}]}]}`)
	out := ""
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(out, "connected") && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		out, _ = l.rcli("show", "log-servers")
	}
	if !strings.Contains(out, "far") || !strings.Contains(out, " connected") {
		t.Fatalf("show log-servers:\n%s", out)
	}
	if out, code := l.rcli("set", "/interface[name=ge0]/config/description", "uplink"); code != 0 {
		t.Fatal(out)
	}
	deadline := time.After(10 * time.Second)
	for found := false; !found; {
		select {
		case m := <-messages:
			found = strings.HasPrefix(m, "<158>1 ") && strings.Contains(m, " edge1 routerd ") &&
				strings.Contains(m, `commit="2"`) && strings.HasSuffix(m, " committed")
		case <-deadline:
			t.Fatal("the commit was not sent to the syslog server")
		}
	}
	text := scrape(t, l, "http://127.0.0.1:9464/metrics")
	for _, want := range []string{
		"\nrouterd_commit_number 2\n", "\nrouterd_interface_up{interface=\"ge0\"} ", "\nrouterd_unit_in_octets_total{interface=\"ge0\",unit=\"0\"} ",
		"\nrouterd_commit_requests_total{result=\"committed\"} 2\n", "\nrouterd_log_server_connected{server=\"far\"} 1\n",
		"\nrouterd_grpc_calls_total{code=\"OK\",method=\"/gnmi.gNMI/Set\"} 2\n", "\nrouterd_worker_packets_total{event=\"received\",worker=\"0\"} ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
	if out, code := l.rcli("delete", "/log-server[name=far]"); code != 0 {
		t.Fatal(out)
	}
	if out, _ := l.rcli("show", "log-servers"); strings.Contains(out, "far") {
		t.Errorf("after it was deleted:\n%s", out)
	}
}

// TestLogFile has the log in a file that is rotated.
func TestLogFile(t *testing.T) {
	l := labOf(t)
	path := filepath.Join(l.dir, "log.json")
	l.startQuiet("--log-format", "json", "--log-file", path)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), `"msg":"ready"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %s", l.log())
		}
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.daemon.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("SIGHUP did not open the log file anew")
		}
	}
	if out, code := l.rcli("set", "/system/config/hostname", "edge"); code != 0 {
		t.Fatal(out)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), `"msg":"committed"`) {
		t.Errorf("the new file: %v %s", err, text)
	}
	old, err := os.ReadFile(path + ".1")
	if err != nil || !strings.Contains(string(old), `"msg":"ready"`) {
		t.Errorf("the old file: %v %s", err, old)
	}
}
