// Package boot reads the settings that routerd needs before it has a
// configuration: where it listens, its certificates, its state directory.
// Router configuration never lives here.
//
// A setting comes, in order of precedence, from its flag, from the environment
// (ROUTERD_STATE_DIR for state-dir), from the file (YAML, the flag's name is
// the key), from its default.
package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// DefaultFile is read when --config is not given, and may be absent.
const DefaultFile = "/etc/routerd/routerd.yaml"

// Settings are the boot settings, checked.
type Settings struct {
	StateDir string // directory of journal, certificate and if_index numbers
	Listen   string // address:port of gNMI over TCP; empty: none
	// GRIBIListen is one more address:port, for clients that look for gRIBI at its
	// own (9340 by IANA); the same services answer there. Empty: none.
	GRIBIListen string
	Socket      string     // path of gNMI over a Unix socket; empty: none
	Insecure    bool       // plaintext on Listen
	TLSCert     string     // PEM files; empty: a self-signed certificate in StateDir
	TLSKey      string     //
	TLSCA       string     // PEM file of the authorities of client certificates; empty: none is asked for
	LogLevel    slog.Level //
	Flush       bool       // start with an empty configuration
	Workers     int        // threads that forward packets
	CPUs        []int      // processors that they run on, each on its own; empty: anywhere
	WorkerNice  int        // of their threads, as in nice(1); 0: like the process
	RoundRobin  bool       // they have a real-time policy instead
	Buffers     int        // frame buffers of each worker, 2048 octets each
	MaxMessage  int        // octets of the largest gNMI message

	Auth           string // AuthRequired, AuthLocal or AuthNone: what is asked of callers on Listen as long as no user is declared
	MaxStreams     int    // calls at once on one connection
	MaxConnections int    // connections from one address
	RateLimit      int    // calls a second from one address
	LogFormat      string // "text" or "json"
	LogFile        string // empty: standard error
	MetricsListen  string // address:port of the Prometheus endpoint; empty: none
	MetricsTLS     bool   // TLS on MetricsListen, with the certificate of Listen
	MetricsLimit   int    // objects of a kind that series are given of
	OTLPEndpoint   string // URL of an OpenTelemetry collector; empty: no traces

	TableMemory  int // MiB that the forwarding tables may take
	FilterMemory int // MiB that filters may take in the fast path

	KeepForwarding Keep   // when forwarding goes on without the daemon
	PinDir         string // where it is kept; empty: the state directory's own
	Release        bool   // stop what is left of an earlier run, and exit
}

// What is asked of callers on Listen as long as no user is declared.
const (
	AuthRequired = "required" // a certificate from tls-ca
	AuthLocal    = "local"    // the same, but nothing of callers from this machine: they may do everything
	AuthNone     = "none"     // nothing: they may do everything
)

// ErrHelp says that help was asked for and printed.
var ErrHelp = pflag.ErrHelp

// A UsageError is a mistake in how routerd was called.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

func usage(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

func flags() *pflag.FlagSet {
	f := pflag.NewFlagSet("routerd", pflag.ContinueOnError)
	f.SortFlags = false
	f.String("config", DefaultFile, "file with these settings, in YAML; each flag's name is a key")
	f.String("state-dir", "/var/lib/routerd", "directory of the configuration's journal and the certificate")
	f.String("listen", ":9339", `address and port of gNMI over TLS; "" for none`)
	f.String("gribi-listen", "", `one more address and port of the same services, such as :9340 where gRIBI clients look; "" for none`)
	f.String("socket", "/run/routerd/routerd.sock", `path of gNMI over a Unix socket, for root; "" for none`)
	f.Bool("insecure", false, "plaintext on --listen")
	f.String("log-level", "info", "debug, info, warn or error")
	f.Bool("flush", false, "start with an empty configuration; the old one is kept aside")
	f.String("tls-cert", "", "certificate file (PEM); without one a self-signed certificate is made")
	f.String("tls-key", "", "the certificate's private key file (PEM)")
	f.String("tls-ca", "", "file of authorities (PEM) that a client's certificate must come from; without one no certificate is asked for")
	f.Int("workers", defaultWorkers(), "threads that forward packets")
	f.String("cpus", "", "processors that workers run on, each on one of its own, such as 2-5 or 1,3; without, anywhere")
	f.String("worker-nice", "", "priority of workers before other threads of the machine, as in nice(1), -20 to 19; 0 for none (default: -10, and 0 where workers may take all processors)")
	f.String("worker-scheduling", schedulingOther, "how the kernel schedules workers: other (by worker-nice), or rr (real-time, SCHED_RR: nothing else runs on their processors while they have work)")
	f.Int("buffers", 8192, "frame buffers of each worker, of 2048 octets")
	f.String("auth", "", "what callers on --listen have to prove while no user is declared: required, local or none (default: local, with --insecure none)")
	f.Int("max-streams", 256, "calls at once on one connection")
	f.Int("max-connections", 256, "connections from one address")
	f.Int("rate-limit", 10_000, "calls a second from one address")
	f.Int("max-message-size", 64<<20, "largest gNMI message, in octets")
	f.String("log-format", "text", "how lines of the log are written: text or json")
	f.String("log-file", "", "file that the log is appended to, opened anew at SIGHUP; without one it goes to standard error")
	f.String("metrics-listen", "", "address and port of the Prometheus endpoint; without an address, this machine alone; \"\" for none")
	f.Bool("metrics-tls", false, "TLS on --metrics-listen, with the certificate and the authorities of --listen")
	f.Int("metrics-limit", 20000, "objects of a kind (units, terms of filters, ...) that metrics are given of at most")
	f.String("otlp-endpoint", "", "URL of an OpenTelemetry collector that traces of commits go to (OTLP over gRPC): http://HOST:PORT or https://HOST:PORT")
	tableFlags(f)
	keepFlags(f)
	return f
}

// defaultWorkers leaves one processor to the host and the control plane.
func defaultWorkers() int { return min(max(1, runtime.NumCPU()-1), 16) }

// defaultNice is what workers have before all else that runs on the machine.
const defaultNice = -10

// readNice reads worker-nice. Where workers may take all processors, the control plane
// must have its turn, unless the operator wants it otherwise.
func (s *Settings) readNice(text string) (err error) {
	if text == "" {
		if s.Workers < runtime.NumCPU() {
			s.WorkerNice = defaultNice
		}
		return nil
	}
	if s.WorkerNice, err = strconv.Atoi(text); err != nil || s.WorkerNice < -20 || s.WorkerNice > 19 {
		return usage("worker-nice %q: want -20 to 19", text)
	}
	return nil
}

// Load reads the settings. args are the command line without the program's
// name. The error is ErrHelp, a *UsageError, or one about the file.
func Load(args []string) (Settings, error) {
	f := flags()
	if err := f.Parse(args); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return Settings{}, ErrHelp
		}
		return Settings{}, &UsageError{err}
	}
	if f.NArg() > 0 {
		return Settings{}, usage("unexpected argument %q: routerd takes flags only, see --help", f.Arg(0))
	}

	v := viper.New()
	v.SetEnvPrefix("ROUTERD")
	v.SetEnvKeyReplacer(strings.NewReplacer("-", "_"))
	v.AutomaticEnv()
	v.AllowEmptyEnv(true)
	if err := v.BindPFlags(f); err != nil {
		return Settings{}, err
	}
	file := v.GetString("config")
	v.SetConfigFile(file)
	v.SetConfigType("yaml")
	if err := v.ReadInConfig(); err != nil {
		// Only the default file may be absent: a file that was named is meant.
		if !(errors.Is(err, fs.ErrNotExist) && file == DefaultFile) {
			return Settings{}, fmt.Errorf("settings file %s: %w", file, err)
		}
	}
	for _, key := range v.AllKeys() {
		if f.Lookup(key) == nil {
			return Settings{}, usage("settings file %s: unknown key %q; the keys are the flags of routerd --help (router configuration is set over gNMI or rcli)", file, key)
		}
	}
	return read(v)
}

// read takes the settings out of v, checking each.
func read(v *viper.Viper) (Settings, error) {
	s := Settings{
		StateDir:    v.GetString("state-dir"),
		Listen:      v.GetString("listen"),
		GRIBIListen: v.GetString("gribi-listen"),
		Socket:      v.GetString("socket"),
		TLSCert:     v.GetString("tls-cert"),
		TLSKey:      v.GetString("tls-key"),
		TLSCA:       v.GetString("tls-ca"),
		Auth:        v.GetString("auth"),

		LogFormat:     v.GetString("log-format"),
		LogFile:       v.GetString("log-file"),
		MetricsListen: v.GetString("metrics-listen"),
		OTLPEndpoint:  v.GetString("otlp-endpoint"),
	}
	// viper turns what it can't read into zero: environment and file are text.
	for key, to := range map[string]*bool{"insecure": &s.Insecure, "flush": &s.Flush, "metrics-tls": &s.MetricsTLS, "release": &s.Release} {
		var err error
		if *to, err = strconv.ParseBool(v.GetString(key)); err != nil {
			return s, usage("%s %q: want true or false", key, v.GetString(key))
		}
	}
	for key, to := range map[string]*int{"workers": &s.Workers, "buffers": &s.Buffers, "max-message-size": &s.MaxMessage,
		"max-streams": &s.MaxStreams, "max-connections": &s.MaxConnections, "rate-limit": &s.RateLimit, "metrics-limit": &s.MetricsLimit} {
		var err error
		if *to, err = strconv.Atoi(v.GetString(key)); err != nil {
			return s, usage("%s %q: want a number", key, v.GetString(key))
		}
	}
	if err := s.LogLevel.UnmarshalText([]byte(v.GetString("log-level"))); err != nil || !slices.Contains([]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}, s.LogLevel) {
		return s, usage("log-level %q: want debug, info, warn or error", v.GetString("log-level"))
	}
	if s.StateDir == "" {
		return s, usage("state-dir is empty: name a directory, such as /var/lib/routerd")
	}
	dir, err := filepath.Abs(s.StateDir)
	if err != nil {
		return s, fmt.Errorf("state-dir %s: %w", s.StateDir, err)
	}
	s.StateDir = dir
	if s.Listen == "" && s.Socket == "" {
		return s, usage("listen and socket are both empty: nobody could reach the router")
	}
	if s.Listen != "" {
		if _, _, err := net.SplitHostPort(s.Listen); err != nil {
			return s, usage("listen %q: want address:port, such as :9339: %w", s.Listen, err)
		}
	}
	if s.GRIBIListen != "" {
		if _, _, err := net.SplitHostPort(s.GRIBIListen); err != nil {
			return s, usage("gribi-listen %q: want address:port, such as :9340: %w", s.GRIBIListen, err)
		}
		if s.GRIBIListen == s.Listen {
			return s, usage("gribi-listen and listen are both %s: gRIBI answers on listen already, leave gribi-listen out", s.Listen)
		}
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		return s, usage("tls-cert and tls-key go together: give both or neither")
	}
	if s.Insecure && (s.TLSCert != "" || s.TLSCA != "") {
		return s, usage("insecure means plaintext: it can't be combined with tls-cert, tls-key or tls-ca")
	}
	for _, f := range []struct{ setting, file string }{{"tls-cert", s.TLSCert}, {"tls-key", s.TLSKey}, {"tls-ca", s.TLSCA}} {
		if f.file == "" {
			continue
		}
		if _, err := os.Stat(f.file); err != nil {
			return s, fmt.Errorf("%s names no file that can be had: %w", f.setting, err)
		}
	}
	if s.Workers < 1 || s.Workers > 64 {
		return s, usage("workers %d: want 1 to 64", s.Workers)
	}
	if s.CPUs, err = parseCPUs(v.GetString("cpus")); err != nil {
		return s, err
	}
	if n := len(s.CPUs); n > 0 && n < s.Workers {
		return s, usage("cpus %s: %d processors for %d workers: name as many, or lower workers", v.GetString("cpus"), n, s.Workers)
	}
	if err := s.readNice(v.GetString("worker-nice")); err != nil {
		return s, err
	}
	if err := s.readScheduling(v.GetString("worker-scheduling")); err != nil {
		return s, err
	}
	if s.Buffers < 1024 || s.Buffers > 1<<20 {
		return s, usage("buffers %d: want 1024 to 1048576", s.Buffers)
	}
	switch s.Auth {
	case AuthRequired, AuthLocal, AuthNone:
	case "":
		if s.Auth = AuthLocal; s.Insecure {
			s.Auth = AuthNone
		}
	default:
		return s, usage("auth %q: want required, local or none", s.Auth)
	}
	for _, limit := range []struct {
		name        string
		value, most int
	}{{"max-streams", s.MaxStreams, 65536}, {"max-connections", s.MaxConnections, 2048}, {"rate-limit", s.RateLimit, 1_000_000}} {
		if limit.value < 1 || limit.value > limit.most {
			return s, usage("%s %d: want 1 to %d", limit.name, limit.value, limit.most)
		}
	}
	if s.MaxMessage < 1<<20 || s.MaxMessage > 1<<30 {
		return s, usage("max-message-size %d: want 1048576 to 1073741824 octets", s.MaxMessage)
	}
	if err := s.readTables(v); err != nil {
		return s, err
	}
	if err := s.readKeep(v); err != nil {
		return s, err
	}
	return s, s.checkObservation()
}
