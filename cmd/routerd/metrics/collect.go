// Package metrics serves the router's state to Prometheus.
//
// Invariant: nothing is kept between scrapes: a scrape reads the same sources as
// gNMI's state does, so that both say the same. Names and labels are stable: a
// change of them is a change of docs/metrics.md, which a test compares. The number of
// series is bounded by the configuration, and of each kind of object by Limit.
//
// Source: the Prometheus documentation, "Metric and label naming" and "Writing
// exporters".
package metrics

import (
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/northbound"
	"router/dataplane/filter"
	"router/intf"
	"router/models"
	"router/routing"
	"router/routing/neighbor"
)

// A Router is where the state of the packet path comes from.
type Router interface {
	SystemState() models.SystemState
	WorkerTotals() []models.WorkerTotals
	Devices() []string
	DeviceState(name string) (models.DeviceState, bool)
	UnitCounters(dst []models.UnitCounters, device string) []models.UnitCounters
	Neighbors() models.NeighborCounts
	Instances() []string
	InstanceState(name string) (models.InstanceState, bool)
	Filters() []string
	FilterState(name string) (models.FilterState, bool)
	Policers() []string
	PolicerState(name string) (models.PolicerState, bool)
	Sessions() []string
	SessionState(name string) (models.SessionState, bool)
	Classes() []string
	ClassState(name string) (models.ClassState, bool)
}

// A Store is where commits come from.
type Store interface {
	Last() datastore.Commit
	Stats() datastore.Stats
}

// LogServers are the syslog servers.
type LogServers interface {
	Names() []string
	State(name string) (models.LogServerState, bool)
}

// Sources are what a scrape reads.
type Sources struct {
	Router Router
	Store  Store
	Calls  func() northbound.Stats
	Logs   LogServers
	// Limit is the most objects of one kind (interfaces, units, instances, terms of
	// filters and so on) that series are given of; the rest is counted.
	Limit int
}

// A collector implements prometheus.Collector over Sources.
type collector struct{ Sources }

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range all {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := scrape{Sources: c.Sources, ch: ch}
	s.system()
	s.interfaces()
	s.instances()
	s.filters()
	s.local()
	s.management()
}

// A scrape is one reading of everything.
type scrape struct {
	Sources
	ch chan<- prometheus.Metric
}

// A sample is one value. Samples of one object share their labels.
type sample struct {
	of     *metric
	labels []*dto.LabelPair
	value  float64
}

// Desc implements prometheus.Metric.
func (s *sample) Desc() *prometheus.Desc { return s.of.desc }

// Write implements prometheus.Metric.
func (s *sample) Write(m *dto.Metric) error {
	m.Label = s.labels
	if s.of.kind == prometheus.CounterValue {
		m.Counter = &dto.Counter{Value: &s.value}
	} else {
		m.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
}

// An object is what samples are about, by the values of its labels.
type object struct {
	s      *scrape
	labels []*dto.LabelPair
}

// of makes the object with these values of the labels that like has.
func (s *scrape) of(like *metric, values ...string) object {
	for i, v := range values {
		values[i] = strings.ToValidUTF8(v, "?")
	}
	return object{s, prometheus.MakeLabelPairs(like.desc, values)}
}

func (o object) set(m *metric, v float64) { o.s.ch <- &sample{m, o.labels, v} }

func (o object) count(m *metric, n uint64) { o.set(m, float64(n)) }

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// colours are the labels of the colours.
var colours = [filter.NumColours]string{filter.Green: "green", filter.Yellow: "yellow", filter.Red: "red"}

// limited cuts names to what is left of the limit, and counts the rest.
func (s *scrape) limited(kind string, names []string) []string {
	over := max(0, len(names)-s.Limit)
	s.of(omitted, kind).set(omitted, float64(over))
	return names[:len(names)-over]
}

func (s *scrape) system() {
	st := s.Router.SystemState()
	s.of(info, st.Version).set(info, 1)
	own := s.of(started)
	own.set(started, float64(st.BootTime.UnixMilli())/1000)
	own.set(pending, float64(st.PendingObjects))
	own.set(workers, float64(st.Workers))
	for _, b := range []struct {
		kind      string
		all, free uint32
	}{{"frame", st.Buffers, st.BuffersFree}, {"jumbo", st.JumboBuffers, st.JumboBuffersFree}} {
		o := s.of(buffers, b.kind)
		o.set(buffers, float64(b.all))
		o.set(bufFree, float64(b.free))
	}
	own.set(fibSize, float64(st.FIBOctets))
	own.set(nextHops, float64(st.NextHops))
	own.count(logLost, st.FilterLogLost)
	for reason, n := range st.Drops {
		s.of(ownDrops, reason).count(ownDrops, n)
	}
	for i, t := range s.Router.WorkerTotals() {
		for _, e := range []struct {
			event string
			n     uint64
		}{{"received", t.Received}, {"injected", t.Injected}, {"created", t.Created}, {"sent", t.Sent},
			{"dropped", t.Dropped}, {"punted", t.Punted}, {"delivered", t.Delivered}, {"absorbed", t.Absorbed}} {
			s.of(workerPackets, strconv.Itoa(i), e.event).count(workerPackets, e.n)
		}
	}
	counts := s.Router.Neighbors()
	for _, f := range intf.Families {
		for state, n := range counts[f] {
			s.of(neighbors, f.String(), neighbor.State(state).String()).set(neighbors, float64(n))
		}
	}
}

func (s *scrape) interfaces() {
	devices := s.Router.Devices()
	var units []models.UnitCounters
	left, over := s.Limit, 0
	for _, name := range devices {
		units = s.Router.UnitCounters(units[:0], name)
		n := min(left, len(units))
		left -= n
		over += len(units) - n
		for i := range units[:n] {
			s.unit(&units[i])
		}
	}
	s.of(omitted, "unit").set(omitted, float64(over))
	for _, name := range s.limited("interface", devices) {
		if st, ok := s.Router.DeviceState(name); ok {
			s.device(st)
		}
	}
}

func (s *scrape) device(st models.DeviceState) {
	o, c := s.of(ifUp, st.Name), st.Counters
	o.set(ifUp, truth(st.Oper == intf.OperUp))
	if st.Speed > 0 {
		o.set(ifSpeed, float64(st.Speed)/8)
	}
	o.count(ifInOctets, c.InOctets)
	o.count(ifOutOctets, c.OutOctets)
	o.count(ifInDiscards, c.InDiscards)
	o.count(ifOutDiscards, c.OutDiscards)
	o.count(ifInErrors, c.InErrors)
	o.count(ifOutErrors, c.OutErrors)
	o.count(ifInUnknown, c.InUnknownProtos)
	for _, cast := range []struct {
		name    string
		in, out uint64
	}{{"unicast", c.InUnicast, c.OutUnicast}, {"multicast", c.InMulticast, c.OutMulticast}, {"broadcast", c.InBroadcast, c.OutBroadcast}} {
		o := s.of(ifInPackets, st.Name, cast.name)
		o.count(ifInPackets, cast.in)
		o.count(ifOutPackets, cast.out)
	}
	for reason, n := range st.Drops {
		s.of(ifDrops, st.Name, reason).count(ifDrops, n)
	}
}

func (s *scrape) unit(u *models.UnitCounters) {
	o, c := s.of(unitUp, u.Key.Device, u.Key.ID), &u.Counters
	o.set(unitUp, truth(u.Up))
	o.count(unitInOctets, c.InOctets)
	o.count(unitOutOctets, c.OutOctets)
	o.count(unitInPackets, c.InUnicast+c.InMulticast+c.InBroadcast)
	o.count(unitOutPackets, c.OutUnicast+c.OutMulticast+c.OutBroadcast)
	o.count(unitInDiscards, c.InDiscards)
	o.count(unitOutDiscards, c.OutDiscards)
	o.count(unitInErrors, c.InErrors)
	o.count(unitOutErrors, c.OutErrors)
	for _, f := range intf.Families {
		if u.HasFamily[f] {
			s.of(unitRPF, u.Key.Device, u.Key.ID, f.String()).count(unitRPF, u.RPFFailed[f])
		}
	}
}

func (s *scrape) instances() {
	for _, name := range s.limited("instance", s.Router.Instances()) {
		st, ok := s.Router.InstanceState(name)
		if !ok {
			continue
		}
		for _, rib := range st.RIBs {
			family := rib.Family.String()
			for source, n := range rib.BySource {
				s.of(routes, name, family, routing.Source(source).String()).set(routes, float64(n))
			}
			s.of(active, name, family).set(active, float64(rib.Active))
		}
		o := s.of(flows, name)
		o.set(flows, float64(st.Cache.Flows))
		o.count(flowRefused, st.Cache.Refused)
	}
}

func (s *scrape) filters() {
	left, over := s.Limit, 0
	term := func(filter, name string, c models.PacketCount) {
		if left == 0 {
			over++
			return
		}
		left--
		o := s.of(termPackets, filter, name)
		o.count(termPackets, c.Packets)
		o.count(termOctets, c.Octets)
	}
	for _, name := range s.Router.Filters() {
		st, ok := s.Router.FilterState(name)
		if !ok || st.Applied == nil {
			continue
		}
		for i, c := range st.Terms {
			term(name, st.Applied.Spec.Terms[i].Name, c)
		}
		term(name, "", st.Unmatched)
	}
	s.of(omitted, "filter-term").set(omitted, float64(over))
	for _, name := range s.limited("policer", s.Router.Policers()) {
		st, ok := s.Router.PolicerState(name)
		if !ok {
			continue
		}
		for c, n := range st.Colours {
			o := s.of(policePackets, name, colours[c])
			o.count(policePackets, n.Packets)
			o.count(policeOctets, n.Octets)
		}
	}
}

func (s *scrape) local() {
	for _, name := range s.limited("session", s.Router.Sessions()) {
		if st, ok := s.Router.SessionState(name); ok {
			o := s.of(sessionPackets, name)
			o.count(sessionPackets, st.Counters.Packets)
			o.count(sessionPoliced, st.Counters.Policed)
			o.count(sessionDropped, st.Counters.Dropped)
		}
	}
	for _, name := range s.limited("class", s.Router.Classes()) {
		if st, ok := s.Router.ClassState(name); ok {
			o := s.of(classPackets, name)
			o.count(classPackets, st.Counters.Packets)
			o.count(classPoliced, st.Counters.Policed)
			o.count(classDropped, st.Counters.Dropped)
		}
	}
}

func (s *scrape) management() {
	own := s.of(commitNumber)
	last := s.Store.Last()
	own.count(commitNumber, last.Number)
	if last.Number > 0 {
		own.set(commitTime, float64(last.Time.UnixMilli())/1000)
	}
	st := s.Store.Stats()
	for _, r := range []struct {
		result string
		n      uint64
	}{{"committed", st.Committed}, {"rejected", st.Rejected}, {"failed", st.Failed}} {
		s.of(commits, r.result).count(commits, r.n)
	}
	within := make(map[float64]uint64, len(st.Within))
	for i, most := range datastore.Buckets {
		within[most.Seconds()] = st.Within[i]
	}
	s.ch <- prometheus.MustNewConstHistogram(commitTook.desc, st.Committed+st.Rejected+st.Failed, st.Took.Seconds(), within)

	calls := s.Calls()
	for method, n := range calls.Active {
		s.of(rpcStarted, method).set(rpcStarted, float64(n))
	}
	for call, n := range calls.Done {
		s.of(rpcDone, call.Method, call.Code.String()).count(rpcDone, n)
	}
	own.count(streamed, calls.Updates)
	own.count(coalesced, calls.Coalesced)

	for _, name := range s.limited("log-server", s.Logs.Names()) {
		if st, ok := s.Logs.State(name); ok {
			o := s.of(logConnected, name)
			o.set(logConnected, truth(st.Connected))
			o.count(logSent, st.Sent)
			o.count(logDropped, st.Dropped)
		}
	}
}
