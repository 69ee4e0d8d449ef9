package boot

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "routerd.yaml")
	if err := os.WriteFile(file, []byte("state-dir: /from/file\nlisten: 127.0.0.1:1\nlog-level: warn\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ROUTERD_LISTEN", "127.0.0.1:2")
	t.Setenv("ROUTERD_LOG_LEVEL", "error")
	s, err := Load([]string{"--config", file, "--log-level", "debug"})
	if err != nil {
		t.Fatal(err)
	}
	if s.StateDir != "/from/file" {
		t.Errorf("state-dir %q: want the file's", s.StateDir)
	}
	if s.Listen != "127.0.0.1:2" {
		t.Errorf("listen %q: want the environment's", s.Listen)
	}
	if s.LogLevel != slog.LevelDebug {
		t.Errorf("log-level %v: want the flag's", s.LogLevel)
	}
	if s.Socket != "/run/routerd/routerd.sock" {
		t.Errorf("socket %q: want the default", s.Socket)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	unknown := filepath.Join(dir, "unknown.yaml")
	if err := os.WriteFile(unknown, []byte("interface: ge0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("a: [\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		args  []string
		usage bool
		says  string
	}{
		{"unknown flag", []string{"--nope"}, true, "nope"},
		{"argument", []string{"start"}, true, `"start"`},
		{"log level", []string{"--log-level", "loud"}, true, "debug, info, warn or error"},
		{"no listener", []string{"--listen", "", "--socket", ""}, true, "nobody could reach"},
		{"listen form", []string{"--listen", "9339"}, true, "address:port"},
		{"certificate without key", []string{"--tls-cert", "x"}, true, "go together"},
		{"insecure with certificate", []string{"--insecure", "--tls-cert", "x", "--tls-key", "y"}, true, "plaintext"},
		{"absent certificate", []string{"--tls-cert", dir + "/x", "--tls-key", dir + "/y"}, false, "tls-cert names no file"},
		{"workers", []string{"--workers", "0"}, true, "1 to 64"},
		{"buffers", []string{"--buffers", "5"}, true, "1024"},
		{"tables of an odd size", []string{"--table-memory", "100"}, true, "power of two"},
		{"tables too large", []string{"--table-memory", "4096"}, true, "1 to 2048"},
		{"no tables", []string{"--table-memory", "0"}, true, "power of two"},
		{"filters without a number", []string{"--filter-memory", "much"}, true, "filter-memory"},
		{"named file absent", []string{"--config", dir + "/none.yaml"}, false, "none.yaml"},
		{"unknown key in file", []string{"--config", unknown}, true, `"interface"`},
		{"broken file", []string{"--config", broken}, false, "broken.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(c.args)
			if err == nil {
				t.Fatal("accepted")
			}
			var u *UsageError
			if errors.As(err, &u) != c.usage {
				t.Errorf("%v: usage error: %v, want %v", err, !c.usage, c.usage)
			}
			if !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q does not say %q", err, c.says)
			}
		})
	}
}

func TestRefusedEnvironment(t *testing.T) {
	for key, value := range map[string]string{"ROUTERD_INSECURE": "maybe", "ROUTERD_WORKERS": "two"} {
		t.Run(key, func(t *testing.T) {
			t.Setenv(key, value)
			if _, err := Load(nil); err == nil || !strings.Contains(err.Error(), value) {
				t.Fatalf("%s=%s: %v", key, value, err)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	if _, err := Load([]string{"--help"}); !errors.Is(err, ErrHelp) {
		t.Fatal(err)
	}
}
