package models

import (
	"log/slog"
	"time"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// A LogTransport says how messages travel to a syslog server. The set is closed.
type LogTransport uint8

// The transports.
const (
	LogTLS LogTransport = iota // RFC 5425
	LogTCP                     // RFC 6587, octet counting
	LogUDP                     // RFC 5426
)

func (t LogTransport) String() string {
	switch t {
	case LogTLS:
		return "tls"
	case LogTCP:
		return "tcp"
	case LogUDP:
		return "udp"
	}
	return "log-transport(" + uintText(uint64(t)) + ")"
}

// port is the port of a server of which nothing else is said.
func (t LogTransport) port() uint16 {
	switch t {
	case LogTLS:
		return 6514
	case LogTCP:
		return 601
	case LogUDP:
		return 514
	}
	return 0
}

// A LogServerSpec is the intended state of a syslog server. It is comparable.
type LogServerSpec struct {
	Name        string
	Description string
	Host        string // address or name
	Port        uint16
	Transport   LogTransport
	Level       slog.Level // the lowest that is sent
	Facility    uint8      // RFC 5424, 6.2.1
	CAFile      string     // empty: the machine's authorities
	ServerName  string     // empty: Host
	CertFile    string     // empty: none is shown
	KeyFile     string
}

// A LogServerState is the state of a syslog server.
type LogServerState struct {
	Spec          LogServerSpec
	Connected     bool
	Reason        string // empty when connected
	LastChange    time.Time
	Sent, Dropped uint64 // messages
}

// The rules of syslog servers, by their error-app-tags.
const (
	ruleLogServerHost = "log-server-needs-host"
	ruleLogServerTLS  = "log-server-tls-only"
	ruleLogServerPair = "log-server-key-pair"
)

var logServerRules = []string{ruleLogServerHost, ruleLogServerPair, ruleLogServerTLS}

func logServerPath(name string) string { return keyed("", "log-server", "name", name) }

func compileLogServer(name string, g *gen.Routerd_LogServer, v *violations) (s LogServerSpec, ok bool) {
	path := logServerPath(name)
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_LogServer_Config{}
	}
	implied := *c
	implied.Name = &name
	if !checkLeaves(&implied, path+"/config", v) {
		return s, false
	}
	checkKey(c.Name, name, path+"/config/name", v)
	s = LogServerSpec{
		Name: name, Description: value(c.Description, ""), Host: value(c.Host, ""),
		Level: logLevel(c.Severity), Facility: logFacility(c.Facility),
		CAFile: value(c.CaFile, ""), ServerName: value(c.ServerName, ""), CertFile: value(c.CertFile, ""), KeyFile: value(c.KeyFile, ""),
	}
	switch c.Transport {
	case gen.Routerd_LogTransport_UNSET, gen.Routerd_LogTransport_tls:
		s.Transport = LogTLS
	case gen.Routerd_LogTransport_tcp:
		s.Transport = LogTCP
	case gen.Routerd_LogTransport_udp:
		s.Transport = LogUDP
	}
	s.Port = value(c.Port, s.Transport.port())
	if s.Host == "" {
		v.add(path, ruleLogServerHost, "syslog server %s has no address: set host", name)
	}
	if s.Transport != LogTLS && (s.CAFile != "" || s.ServerName != "" || s.CertFile != "" || s.KeyFile != "") {
		v.add(path, ruleLogServerTLS, "certificates are for transport tls, not %v: delete ca-file, server-name, cert-file and key-file, or set transport to tls", s.Transport)
	}
	if (s.CertFile == "") != (s.KeyFile == "") {
		v.add(path, ruleLogServerPair, "cert-file and key-file go together: set both or neither")
	}
	return s, true
}

func logLevel(s gen.E_Routerd_LogSeverity) slog.Level {
	switch s {
	case gen.Routerd_LogSeverity_UNSET, gen.Routerd_LogSeverity_info:
		return slog.LevelInfo
	case gen.Routerd_LogSeverity_debug:
		return slog.LevelDebug
	case gen.Routerd_LogSeverity_warning:
		return slog.LevelWarn
	case gen.Routerd_LogSeverity_error:
		return slog.LevelError
	}
	return slog.LevelInfo
}

func logSeverity(l slog.Level) gen.E_Routerd_LogSeverity {
	switch {
	case l < slog.LevelInfo:
		return gen.Routerd_LogSeverity_debug
	case l < slog.LevelWarn:
		return gen.Routerd_LogSeverity_info
	case l < slog.LevelError:
		return gen.Routerd_LogSeverity_warning
	}
	return gen.Routerd_LogSeverity_error
}

// facilities are the numbers of RFC 5424, 6.2.1, by the model's names.
var facilities = map[gen.E_Routerd_LogFacility]uint8{
	gen.Routerd_LogFacility_kern: 0, gen.Routerd_LogFacility_user: 1, gen.Routerd_LogFacility_daemon: 3,
	gen.Routerd_LogFacility_auth: 4, gen.Routerd_LogFacility_syslog: 5,
	gen.Routerd_LogFacility_local0: 16, gen.Routerd_LogFacility_local1: 17, gen.Routerd_LogFacility_local2: 18,
	gen.Routerd_LogFacility_local3: 19, gen.Routerd_LogFacility_local4: 20, gen.Routerd_LogFacility_local5: 21,
	gen.Routerd_LogFacility_local6: 22, gen.Routerd_LogFacility_local7: 23,
}

func logFacility(f gen.E_Routerd_LogFacility) uint8 {
	if f == gen.Routerd_LogFacility_UNSET {
		f = gen.Routerd_LogFacility_daemon
	}
	return facilities[f]
}

func logFacilityName(n uint8) gen.E_Routerd_LogFacility {
	for f, number := range facilities {
		if number == n {
			return f
		}
	}
	return gen.Routerd_LogFacility_UNSET
}

func logTransport(t LogTransport) gen.E_Routerd_LogTransport {
	switch t {
	case LogTLS:
		return gen.Routerd_LogTransport_tls
	case LogTCP:
		return gen.Routerd_LogTransport_tcp
	case LogUDP:
		return gen.Routerd_LogTransport_udp
	}
	return gen.Routerd_LogTransport_UNSET
}

// FillLogServer writes the state of a syslog server.
func FillLogServer(dst *gen.Device, s LogServerState) {
	a := s.Spec
	dst.GetOrCreateLogServer(a.Name).State = &gen.Routerd_LogServer_State{
		Name:        ygot.String(a.Name),
		Description: text(a.Description),
		Host:        text(a.Host),
		Port:        ygot.Uint16(a.Port),
		Transport:   logTransport(a.Transport),
		Severity:    logSeverity(a.Level),
		Facility:    logFacilityName(a.Facility),
		CaFile:      text(a.CAFile),
		ServerName:  text(a.ServerName),
		CertFile:    text(a.CertFile),
		KeyFile:     text(a.KeyFile),
		Connected:   ygot.Bool(s.Connected),
		Reason:      text(s.Reason),
		LastChange:  moment(s.LastChange),
		Sent:        ygot.Uint64(s.Sent),
		Dropped:     ygot.Uint64(s.Dropped),
	}
}
