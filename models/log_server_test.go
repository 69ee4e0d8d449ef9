package models

import (
	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// logServer declares a syslog server over TLS.
func (w world) logServer() *gen.Routerd_LogServer_Config {
	c := w.GetOrCreateLogServer("far").GetOrCreateConfig()
	c.Name, c.Host = ygot.String("far"), ygot.String("logs.example.net")
	return c
}

var logServerCases = []ruleCase{
	{name: "syslog server over TLS with files", spoil: func(w world) {
		c := w.logServer()
		c.CaFile, c.CertFile, c.KeyFile = ygot.String("/etc/ca.pem"), ygot.String("/etc/cert.pem"), ygot.String("/etc/key.pem")
		c.ServerName, c.Severity, c.Facility = ygot.String("logs"), gen.Routerd_LogSeverity_warning, gen.Routerd_LogFacility_local7
	}},
	{name: "syslog server over UDP", spoil: func(w world) {
		c := w.logServer()
		c.Host, c.Transport, c.Port = ygot.String("2001:db8::514"), gen.Routerd_LogTransport_udp, ygot.Uint16(5514)
	}},
	{name: "syslog server without an address", rule: ruleLogServerHost, xpath: true, path: "/log-server[name=far]",
		spoil: func(w world) { w.logServer().Host = nil }},
	{name: "certificates in the clear", rule: ruleLogServerTLS, xpath: true, path: "/log-server[name=far]",
		spoil: func(w world) {
			c := w.logServer()
			c.Transport, c.CaFile = gen.Routerd_LogTransport_tcp, ygot.String("/etc/ca.pem")
		}},
	{name: "certificate without its key", rule: ruleLogServerPair, xpath: true, path: "/log-server[name=far]",
		spoil: func(w world) { w.logServer().CertFile = ygot.String("/etc/cert.pem") }},
	{name: "syslog server at a path", rule: ruleBadValue, path: "/log-server[name=far]/config/host",
		spoil: func(w world) { w.logServer().Host = ygot.String("logs/514") }},
}
