package metrics

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/northbound"
	"router/dataplane/filter"
	"router/intf"
	"router/models"
)

var update = flag.Bool("update", false, "remake the table in docs/metrics.md")

// A fake is a router with one of everything, and any number of units.
type fake struct{ units int }

func (fake) SystemState() models.SystemState {
	return models.SystemState{Version: "v1", BootTime: time.Unix(1700000000, 0), Workers: 2, Buffers: 8192, BuffersFree: 8000,
		Drops: map[string]uint64{"no-route": 3}, PendingObjects: 1, NextHops: 7, FIBOctets: 4096}
}
func (fake) WorkerTotals() []models.WorkerTotals {
	return []models.WorkerTotals{{Received: 10, Sent: 9}, {}}
}
func (fake) Devices() []string { return []string{"ge0"} }
func (fake) DeviceState(string) (models.DeviceState, bool) {
	return models.DeviceState{Name: "ge0", Oper: intf.OperUp, Speed: 1e9, Counters: models.Counters{InOctets: 1 << 40, InUnicast: 5},
		Drops: map[string]uint64{"ttl": 2}}, true
}
func (f fake) UnitCounters(dst []models.UnitCounters, _ string) []models.UnitCounters {
	for i := range f.units {
		dst = append(dst, models.UnitCounters{Key: intf.UnitKey{Device: "ge0", ID: fmt.Sprint(i)}, Up: true,
			Counters: models.Counters{InOctets: uint64(i), InUnicast: 1, InMulticast: 2, InBroadcast: 3}, HasFamily: [2]bool{true, true}})
	}
	return dst
}
func (fake) Neighbors() (n models.NeighborCounts) {
	n[intf.Inet6][1] = 4
	return n
}
func (fake) Instances() []string { return []string{"default"} }
func (fake) InstanceState(name string) (models.InstanceState, bool) {
	return models.InstanceState{Name: name, RIBs: []models.RIBState{{Family: intf.Inet, Active: 3}}}, true
}
func (fake) Filters() []string { return []string{"edge"} }
func (fake) FilterState(name string) (models.FilterState, bool) {
	return models.FilterState{Name: name, Terms: []models.PacketCount{{Packets: 1, Octets: 60}},
		Applied: &models.FilterSpec{Spec: filter.Spec{Name: name, Terms: []filter.Term{{Name: "web"}}}}}, true
}
func (fake) Policers() []string { return []string{"slow"} }
func (fake) PolicerState(string) (models.PolicerState, bool) {
	return models.PolicerState{Colours: [filter.NumColours]models.PacketCount{filter.Red: {Packets: 8, Octets: 800}}}, true
}
func (fake) Sessions() []string { return []string{"bgp"} }
func (fake) SessionState(string) (models.SessionState, bool) {
	return models.SessionState{Counters: models.LocalCounters{Packets: 5}}, true
}
func (fake) Classes() []string { return []string{"routing"} }
func (fake) ClassState(string) (models.ClassState, bool) {
	return models.ClassState{Counters: models.LocalCounters{Packets: 6}}, true
}
func (fake) Last() datastore.Commit {
	return datastore.Commit{Number: 12, Time: time.Unix(1700000001, 0)}
}
func (fake) Stats() datastore.Stats {
	s := datastore.Stats{Committed: 12, Rejected: 2, Failed: 1, Took: 3 * time.Second}
	for i := range s.Within {
		s.Within[i] = uint64(i)
	}
	return s
}
func (fake) Names() []string { return []string{"far"} }
func (fake) State(string) (models.LogServerState, bool) {
	return models.LogServerState{Connected: true, Sent: 4, Dropped: 1}, true
}

func (f fake) sources(limit int) Sources {
	return Sources{Router: f, Store: f, Logs: f, Limit: limit, Calls: func() northbound.Stats {
		return northbound.Stats{Active: map[string]int64{"/gnmi.gNMI/Subscribe": 3},
			Done: map[northbound.Call]uint64{{Method: "/gnmi.gNMI/Set", Code: codes.InvalidArgument}: 2}, Updates: 100, Coalesced: 5}
	}}
}

func scrapeOnce(t testing.TB, src Sources) string {
	t.Helper()
	h, err := Handler(src, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRecorder()
	h.ServeHTTP(r, httptest.NewRequest(http.MethodGet, Path, nil))
	if r.Code != http.StatusOK {
		t.Fatalf("status %d: %s", r.Code, r.Body)
	}
	return r.Body.String()
}

func TestScrape(t *testing.T) {
	text := scrapeOnce(t, fake{units: 1}.sources(100))
	for _, want := range []string{
		`routerd_info{version="v1"} 1`,
		`routerd_start_time_seconds 1.7e+09`,
		`routerd_buffers_free{kind="frame"} 8000`,
		`routerd_own_dropped_packets_total{reason="no-route"} 3`,
		`routerd_worker_packets_total{event="received",worker="0"} 10`,
		`routerd_interface_up{interface="ge0"} 1`,
		`routerd_interface_in_octets_total{interface="ge0"} 1.099511627776e+12`,
		`routerd_interface_in_packets_total{cast="unicast",interface="ge0"} 5`,
		`routerd_interface_dropped_packets_total{interface="ge0",reason="ttl"} 2`,
		`routerd_unit_in_packets_total{interface="ge0",unit="0"} 6`,
		`routerd_unit_rpf_failed_packets_total{family="inet6",interface="ge0",unit="0"} 0`,
		`routerd_neighbors{family="inet6",state="reachable"} 4`,
		`routerd_rib_active_routes{family="inet",instance="default"} 3`,
		`routerd_filter_term_octets_total{filter="edge",term="web"} 60`,
		`routerd_policer_packets_total{color="red",policer="slow"} 8`,
		`routerd_session_packets_total{session="bgp"} 5`,
		`routerd_class_packets_total{class="routing"} 6`,
		`routerd_commit_number 12`,
		`routerd_commit_requests_total{result="rejected"} 2`,
		`routerd_commit_duration_seconds_bucket{le="0.005"} 2`,
		`routerd_commit_duration_seconds_count 15`,
		`routerd_grpc_active_calls{method="/gnmi.gNMI/Subscribe"} 3`,
		`routerd_grpc_calls_total{code="InvalidArgument",method="/gnmi.gNMI/Set"} 2`,
		`routerd_gnmi_streamed_updates_total 100`,
		`routerd_log_server_dropped_total{server="far"} 1`,
		`routerd_metrics_omitted_objects{kind="unit"} 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	if !strings.Contains(text, "\ngo_goroutines ") || !strings.Contains(text, "\nprocess_resident_memory_bytes ") {
		t.Error("the runtime's metrics are missing")
	}
	given := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (routerd_\S+) (\S+)$`).FindAllStringSubmatch(text, -1) {
		given[m[1]] = true
	}
	for _, m := range all {
		if !given[m.name] {
			t.Errorf("a router with one of everything gives no %s", m.name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "routerd_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestLimit(t *testing.T) {
	text := scrapeOnce(t, fake{units: 10}.sources(3))
	if n := strings.Count(text, "\nrouterd_unit_up{"); n != 3 {
		t.Errorf("%d units, want 3", n)
	}
	if want := `routerd_metrics_omitted_objects{kind="unit"} 7`; !strings.Contains(text, want) {
		t.Errorf("missing: %s", want)
	}
}

const docs, dashboard = "../../../docs/metrics.md", "../../../docs/grafana/routerd.json"

func TestDocumented(t *testing.T) {
	text, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
	head, rest, ok := strings.Cut(string(text), begin)
	table, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s: the marks of the table are missing", docs)
	}
	if table == Table() {
		return
	}
	if !*update {
		t.Fatalf("%s differs from the metrics there are: run go test ./cmd/routerd/metrics -update", docs)
	}
	if err := os.WriteFile(docs, []byte(head+begin+Table()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The dashboard asks for metrics and labels that there are.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var board any
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatalf("%s: %v", dashboard, err)
	}
	var queries []string
	var find func(v any)
	find = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, below := range v {
				if q, ok := below.(string); ok && (key == "expr" || key == "query" || key == "definition") {
					queries = append(queries, q)
				}
				find(below)
			}
		case []any:
			for _, below := range v {
				find(below)
			}
		}
	}
	find(board)
	if len(queries) < 10 {
		t.Fatalf("%s: %d queries found", dashboard, len(queries))
	}
	names := map[string]*metric{}
	for _, m := range all {
		names[m.name] = m
		if m.histogram {
			names[m.name+"_bucket"], names[m.name+"_sum"], names[m.name+"_count"] = m, m, m
		}
	}
	runtime := scrapeOnce(t, fake{}.sources(1))
	series := regexp.MustCompile(`((?:routerd|go|process)_\w+)(?:\{([^}]*)\})?`)
	for _, q := range queries {
		for _, m := range series.FindAllStringSubmatch(q, -1) {
			known := names[m[1]]
			if known == nil {
				if strings.HasPrefix(m[1], "routerd_") || !strings.Contains(runtime, "\n"+m[1]+" ") {
					t.Errorf("query %q: there is no metric %s", q, m[1])
				}
				continue
			}
			for _, label := range regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`).FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(append([]string{"le", "instance", "job"}, known.labels...), label[1]) {
					t.Errorf("query %q: %s has no label %s", q, m[1], label[1])
				}
			}
		}
	}
}

func TestServe(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	h, err := Handler(fake{units: 1}.sources(10), log)
	if err != nil {
		t.Fatal(err)
	}
	stop := Serve(l, nil, h, log)
	for path, want := range map[string]int{Path: 200, "/": 200, "/other": 404} {
		r, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("GET %s: %s, want %d", path, r.Status, want)
		}
	}
	if r, err := http.Post("http://"+l.Addr().String()+Path, "text/plain", nil); err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v %v", r, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := stop(ctx); err != nil {
		t.Error(err)
	}
}

func TestListenWithoutHostIsThisMachine(t *testing.T) {
	l, err := Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !strings.HasPrefix(l.Addr().String(), "127.0.0.1:") {
		t.Errorf("listens on %s", l.Addr())
	}
}

// BenchmarkScrape10000Units is one scrape of a large router, text included.
func BenchmarkScrape10000Units(b *testing.B) {
	h, err := Handler(fake{units: 10000}.sources(20000), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	size := 0
	for b.Loop() {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest(http.MethodGet, Path, nil))
		size = r.Body.Len()
	}
	b.ReportMetric(float64(size)/1e6, "MB")
}
