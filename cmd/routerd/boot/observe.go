package boot

import (
	"net"
	"net/url"
)

// checkObservation checks where the log, metrics and traces go.
func (s *Settings) checkObservation() error {
	if s.LogFormat != "text" && s.LogFormat != "json" {
		return usage("log-format %q: want text or json", s.LogFormat)
	}
	if s.MetricsListen != "" {
		if _, _, err := net.SplitHostPort(s.MetricsListen); err != nil {
			return usage("metrics-listen %q: want address:port, such as 127.0.0.1:9464: %w", s.MetricsListen, err)
		}
	}
	if s.MetricsTLS && s.MetricsListen == "" {
		return usage("metrics-tls without metrics-listen: give an address and port, such as 127.0.0.1:9464")
	}
	if s.MetricsLimit < 1 || s.MetricsLimit > 1000000 {
		return usage("metrics-limit %d: want 1 to 1000000 objects of a kind", s.MetricsLimit)
	}
	if s.OTLPEndpoint != "" {
		u, err := url.Parse(s.OTLPEndpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
			return usage("otlp-endpoint %q: want http://HOST:PORT in the clear or https://HOST:PORT over TLS, such as http://127.0.0.1:4317", s.OTLPEndpoint)
		}
	}
	return nil
}
