package metrics

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// A metric is one family of time series: a row of docs/metrics.md.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	histogram  bool
	labels     []string
	desc       *prometheus.Desc
}

// all are the metrics of the router, in the order of their names.
var all []*metric

func define(kind prometheus.ValueType, name, help string, labels ...string) *metric {
	m := &metric{name: "routerd_" + name, help: help, kind: kind, labels: labels}
	m.desc = prometheus.NewDesc(m.name, m.help, m.labels, nil)
	i, _ := slices.BinarySearchFunc(all, m, func(a, b *metric) int { return cmp.Compare(a.name, b.name) })
	all = slices.Insert(all, i, m)
	return m
}

func counter(name, help string, labels ...string) *metric {
	return define(prometheus.CounterValue, name, help, labels...)
}

func gauge(name, help string, labels ...string) *metric {
	return define(prometheus.GaugeValue, name, help, labels...)
}

func (m *metric) typeName() string {
	switch {
	case m.histogram:
		return "histogram"
	case m.kind == prometheus.CounterValue:
		return "counter"
	}
	return "gauge"
}

// Table is the list of all metrics as a table of Markdown, as docs/metrics.md has
// it.
func Table() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, m := range all {
		b.WriteString("| `" + m.name + "` | " + m.typeName() + " | " + strings.Join(m.labels, ", ") + " | " + m.help + " |\n")
	}
	return b.String()
}

var (
	info     = gauge("info", "1; the label says which version runs", "version")
	started  = gauge("start_time_seconds", "when routerd was started, in seconds since 1970")
	pending  = gauge("pending_objects", "declared objects that are not in place; routes without a next hop are not counted")
	omitted  = gauge("metrics_omitted_objects", "objects of which no series are given because there are more than metrics-limit", "kind")
	workers  = gauge("workers", "threads that forward packets")
	buffers  = gauge("buffers", "frame buffers of all workers", "kind")
	bufFree  = gauge("buffers_free", "frame buffers not in use", "kind")
	fibSize  = gauge("fib_octets", "memory of the forwarding tables of all instances")
	nextHops = gauge("next_hops", "next hops in the forwarding tables")
	ownDrops = counter("own_dropped_packets_total", "packets of the host, the control plane and the router itself that were dropped, by reason", "reason")
	logLost  = counter("filter_log_lost_total", "packets that filters would have logged but for the rate")

	workerPackets = counter("worker_packets_total", "packets by worker and what happened to them: received, injected, created; sent, dropped, punted, delivered, absorbed", "worker", "event")

	ifUp          = gauge("interface_up", "1 for an interface that is up, else 0", "interface")
	ifSpeed       = gauge("interface_speed_bytes", "octets per second that the link can carry; absent when not known", "interface")
	ifInOctets    = counter("interface_in_octets_total", "octets received, L2 headers included", "interface")
	ifOutOctets   = counter("interface_out_octets_total", "octets sent, L2 headers included", "interface")
	ifInPackets   = counter("interface_in_packets_total", "frames received, by unicast, multicast and broadcast", "interface", "cast")
	ifOutPackets  = counter("interface_out_packets_total", "frames sent, by unicast, multicast and broadcast", "interface", "cast")
	ifInDiscards  = counter("interface_in_discards_total", "frames received and dropped without a fault of theirs", "interface")
	ifOutDiscards = counter("interface_out_discards_total", "frames dropped for want of room on the way out", "interface")
	ifInErrors    = counter("interface_in_errors_total", "frames received with a fault", "interface")
	ifOutErrors   = counter("interface_out_errors_total", "frames that could not be sent", "interface")
	ifInUnknown   = counter("interface_in_unknown_protocols_total", "frames of protocols that nobody here speaks", "interface")
	ifDrops       = counter("interface_dropped_packets_total", "packets dropped, by the interface that they came in by and by reason", "interface", "reason")

	unitUp          = gauge("unit_up", "1 for a unit that is up, else 0", "interface", "unit")
	unitInOctets    = counter("unit_in_octets_total", "octets received by a unit", "interface", "unit")
	unitOutOctets   = counter("unit_out_octets_total", "octets sent by a unit", "interface", "unit")
	unitInPackets   = counter("unit_in_packets_total", "frames received by a unit, of any cast", "interface", "unit")
	unitOutPackets  = counter("unit_out_packets_total", "frames sent by a unit, of any cast", "interface", "unit")
	unitInDiscards  = counter("unit_in_discards_total", "frames received by a unit and dropped without a fault of theirs", "interface", "unit")
	unitOutDiscards = counter("unit_out_discards_total", "frames of a unit dropped for want of room on the way out", "interface", "unit")
	unitInErrors    = counter("unit_in_errors_total", "frames received by a unit with a fault", "interface", "unit")
	unitOutErrors   = counter("unit_out_errors_total", "frames of a unit that could not be sent", "interface", "unit")
	unitRPF         = counter("unit_rpf_failed_packets_total", "packets whose source failed the check of the reverse path", "interface", "unit", "family")

	neighbors   = gauge("neighbors", "neighbours by family and state", "family", "state")
	routes      = gauge("rib_routes", "routes of an instance by source", "instance", "family", "source")
	active      = gauge("rib_active_routes", "routes of an instance that are in use", "instance", "family")
	flows       = gauge("multicast_flows", "routes by source of the groups of an instance", "instance")
	flowRefused = counter("multicast_flows_refused_total", "flows for which the cache had no room", "instance")

	termPackets   = counter("filter_term_packets_total", "packets that a term matched; the term of those that none matched is empty", "filter", "term")
	termOctets    = counter("filter_term_octets_total", "octets of these packets", "filter", "term")
	policePackets = counter("policer_packets_total", "packets that a policer measured, by colour", "policer", "color")
	policeOctets  = counter("policer_octets_total", "octets of these packets", "policer", "color")

	sessionPackets = counter("session_packets_total", "packets for the router itself, by session", "session")
	sessionPoliced = counter("session_policed_packets_total", "those dropped because the class exceeds its rate", "session")
	sessionDropped = counter("session_dropped_packets_total", "those dropped for any cause", "session")
	classPackets   = counter("class_packets_total", "packets for the router itself, by class", "class")
	classPoliced   = counter("class_policed_packets_total", "those dropped because the class exceeds its rate", "class")
	classDropped   = counter("class_dropped_packets_total", "those dropped for any cause", "class")

	commitNumber = gauge("commit_number", "number of the last commit")
	commitTime   = gauge("commit_time_seconds", "when the last commit was made, in seconds since 1970; absent before the first")
	commits      = counter("commit_requests_total", "requests to commit by result: committed, rejected (against the model), failed", "result")
	commitTook   = commitHistogram()

	rpcStarted = gauge("grpc_active_calls", "calls of the management interface under way, by method", "method")
	rpcDone    = counter("grpc_calls_total", "calls of the management interface that ended, by method and gRPC code", "method", "code")
	streamed   = counter("gnmi_streamed_updates_total", "values sent to subscribers")
	coalesced  = counter("gnmi_coalesced_updates_total", "changes that a slow subscriber did not get one by one")

	logConnected = gauge("log_server_connected", "1 for a syslog server that is connected, else 0", "server")
	logSent      = counter("log_server_sent_total", "messages sent to a syslog server", "server")
	logDropped   = counter("log_server_dropped_total", "messages that a syslog server could not be sent", "server")
)

func commitHistogram() *metric {
	m := gauge("commit_duration_seconds", "how long requests to commit took, from the first edit to the last notice")
	m.histogram = true
	return m
}
