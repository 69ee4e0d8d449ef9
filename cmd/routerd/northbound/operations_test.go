package northbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/gen/configpb"
	"router/intf"
	"router/models"
	"router/routing"
)

func route(prefix string, source routing.Source, protocol routing.Protocol, active bool) models.RouteState {
	return models.RouteState{Prefix: netip.MustParsePrefix(prefix), Source: source, Protocol: protocol, Active: active, NextHop: routing.Discard}
}

func TestRoutes(t *testing.T) {
	b := newBed(t, nil)
	b.state.routes["default"] = []models.RouteState{
		route("0.0.0.0/0", routing.Permanent, routing.System, true),
		route("10.0.0.0/8", routing.User, routing.Static, true),
		route("10.0.0.0/8", routing.User, routing.Feed, false),
		route("10.0.0.0/16", routing.User, routing.Feed, true),
		route("10.0.1.0/24", routing.User, routing.Feed, false),
		route("10.1.0.0/16", routing.User, routing.Static, true),
		route("11.0.0.0/8", routing.User, routing.Static, true),
		route("2001:db8::/32", routing.User, routing.Static, true),
	}
	const all = "10.0.0.0/8 10.0.0.0/16 10.0.1.0/24 10.1.0.0/16 11.0.0.0/8 2001:db8::/32"
	for _, c := range []struct {
		name string
		req  *configpb.RoutesRequest
		want string
	}{
		{"all", &configpb.RoutesRequest{}, all},
		{"permanent too", &configpb.RoutesRequest{Permanent: true}, "0.0.0.0/0 " + all},
		{"one family", &configpb.RoutesRequest{Afi: "inet6"}, "2001:db8::/32"},
		{"limit", &configpb.RoutesRequest{Limit: 2}, "10.0.0.0/8 10.0.0.0/16"},
		{"protocol", &configpb.RoutesRequest{Protocol: "feed"}, "10.0.0.0/8 10.0.0.0/16 10.0.1.0/24"},
		{"source", &configpb.RoutesRequest{Source: "permanent"}, "0.0.0.0/0"},
		{"active", &configpb.RoutesRequest{Active: true, Protocol: "feed"}, "10.0.0.0/16"},
		{"exact", &configpb.RoutesRequest{Match: configpb.RoutesRequest_EXACT, Prefix: "10.0.0.0/8"}, "10.0.0.0/8"},
		{"exact of the router itself", &configpb.RoutesRequest{Match: configpb.RoutesRequest_EXACT, Prefix: "0.0.0.0/0"}, "0.0.0.0/0"},
		{"exact of none", &configpb.RoutesRequest{Match: configpb.RoutesRequest_EXACT, Prefix: "10.0.0.0/9"}, ""},
		{"or longer", &configpb.RoutesRequest{Match: configpb.RoutesRequest_OR_LONGER, Prefix: "10.0.0.0/16"}, "10.0.0.0/16 10.0.1.0/24"},
		{"or longer than one that isn't there", &configpb.RoutesRequest{Match: configpb.RoutesRequest_OR_LONGER, Prefix: "10.0.0.0/15"}, "10.0.0.0/16 10.0.1.0/24 10.1.0.0/16"},
		{"longest is in use", &configpb.RoutesRequest{Match: configpb.RoutesRequest_LONGEST, Prefix: "10.0.1.7"}, "10.0.0.0/16"},
		{"longest of a prefix", &configpb.RoutesRequest{Match: configpb.RoutesRequest_LONGEST, Prefix: "10.1.0.0/17"}, "10.1.0.0/16"},
		{"covering", &configpb.RoutesRequest{Match: configpb.RoutesRequest_COVERING, Prefix: "10.0.1.7", Permanent: true}, "10.0.1.0/24 10.0.0.0/16 10.0.0.0/8 0.0.0.0/0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := routesOf(b, c.req)
			if err != nil || strings.Join(got, " ") != c.want {
				t.Errorf("%v %q", err, got)
			}
		})
	}
	for _, c := range []struct {
		name string
		req  *configpb.RoutesRequest
		code codes.Code
	}{
		{"no such instance", &configpb.RoutesRequest{Instance: "red"}, codes.NotFound},
		{"no such afi", &configpb.RoutesRequest{Afi: "ipx"}, codes.InvalidArgument},
		{"no such protocol", &configpb.RoutesRequest{Protocol: "rip"}, codes.InvalidArgument},
		{"no such source", &configpb.RoutesRequest{Source: "me"}, codes.InvalidArgument},
		{"no prefix", &configpb.RoutesRequest{Match: configpb.RoutesRequest_EXACT}, codes.InvalidArgument},
		{"a prefix for all", &configpb.RoutesRequest{Prefix: "10.0.0.0/8"}, codes.InvalidArgument},
		{"a zone", &configpb.RoutesRequest{Match: configpb.RoutesRequest_LONGEST, Prefix: "fe80::1%eth0"}, codes.InvalidArgument},
		{"another family", &configpb.RoutesRequest{Match: configpb.RoutesRequest_EXACT, Prefix: "10.0.0.0/8", Afi: "inet6"}, codes.InvalidArgument},
		{"another match", &configpb.RoutesRequest{Match: 77, Prefix: "10.0.0.0/8"}, codes.InvalidArgument},
	} {
		if got, err := routesOf(b, c.req); status.Code(err) != c.code {
			t.Errorf("%s: %v %v", c.name, err, got)
		}
	}
}

func routesOf(b *bed, req *configpb.RoutesRequest) (got []string, err error) {
	stream, err := configpb.NewStateClient(b.conn).Routes(b.ctx(), req)
	if err != nil {
		return nil, err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		for _, p := range m.GetPrefix() {
			got = append(got, p.GetPrefix())
		}
	}
}

// A table far larger than a message comes whole, in order, and its first page is small.
func TestRoutesOfALargeTable(t *testing.T) {
	b := newBed(t, nil)
	const n = 20_000
	for i := range n {
		p := fmt.Sprintf("10.%d.%d.0/24", i/256, i%256)
		b.state.routes["default"] = append(b.state.routes["default"], route(p, routing.User, routing.Feed, true), route(p, routing.User, routing.Static, false))
	}
	stream, err := configpb.NewStateClient(b.conn).Routes(b.ctx(), &configpb.RoutesRequest{Afi: "inet"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || len(first.GetPrefix()) > routesFirst {
		t.Fatalf("%v: %d prefixes in the first message", err, len(first.GetPrefix()))
	}
	got, err := routesOf(b, &configpb.RoutesRequest{Afi: "inet"})
	if err != nil || len(got) != n || !slices.IsSortedFunc(got, func(a, b string) int {
		return netip.MustParsePrefix(a).Compare(netip.MustParsePrefix(b))
	}) {
		t.Errorf("%v, %d prefixes", err, len(got))
	}
}

// A fakeLog has records that the test adds.
type fakeLog struct {
	mu   sync.Mutex
	list []LogRecord
	gone uint64
	more chan struct{}
}

func (l *fakeLog) add(level slog.Level, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, LogRecord{Time: time.Unix(1, 0), Level: level, Message: text, Attrs: [][2]string{{"ifd", "ge0"}}})
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

func (l *fakeLog) Since(dst []LogRecord, number uint64) (list []LogRecord, last, lost uint64, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.more == nil {
		l.more = make(chan struct{})
	}
	return append(dst, l.list[number:]...), uint64(len(l.list)), l.gone, l.more
}

func TestLog(t *testing.T) {
	log := &fakeLog{}
	b := newBed(t, func(o *Options) { o.LogReader = log })
	client := configpb.NewStateClient(b.conn)
	for i := range 300 {
		log.add(slog.LevelInfo, fmt.Sprint("record ", i))
	}
	log.add(slog.LevelError, "it broke")
	read := func(req *configpb.LogRecordsRequest) (list []*configpb.LogRecord) {
		t.Helper()
		stream, err := client.Log(b.ctx(), req)
		if err != nil {
			t.Fatal(err)
		}
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return list
			}
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, m.GetRecord()...)
		}
	}
	if got := read(&configpb.LogRecordsRequest{}); len(got) != 301 || got[300].GetLevel() != "error" || got[0].GetAttribute()[0].GetValue() != "ge0" {
		t.Errorf("%d records", len(got))
	}
	if got := read(&configpb.LogRecordsRequest{Lines: 2}); len(got) != 2 || got[0].GetMessage() != "record 299" {
		t.Errorf("%v", got)
	}
	if got := read(&configpb.LogRecordsRequest{Level: "warning"}); len(got) != 1 || got[0].GetMessage() != "it broke" {
		t.Errorf("%v", got)
	}
	stream, err := client.Log(b.ctx(), &configpb.LogRecordsRequest{Level: "chatty"})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("an unknown level: %v", err)
	}
	ctx, cancel := context.WithCancel(b.ctx())
	stream, err = client.Log(ctx, &configpb.LogRecordsRequest{Lines: 1, Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"it broke", "one more", "and one"} {
		m, err := stream.Recv()
		if err != nil || len(m.GetRecord()) != 1 || m.GetRecord()[0].GetMessage() != want {
			t.Fatalf("%v %v, want %s", err, m, want)
		}
		log.add(slog.LevelWarn, map[string]string{"it broke": "one more", "one more": "and one", "and one": "unread"}[want])
	}
	cancel()
}

// A fakeClearer remembers what it was asked.
type fakeClearer struct{ asked []string }

func (f *fakeClearer) ClearInterfaces(name string) (int, bool) {
	f.asked = append(f.asked, "interfaces "+name)
	return 3, name != "none"
}

func (f *fakeClearer) ClearFilters(name string) (int, bool) {
	f.asked = append(f.asked, "filters "+name)
	return 1, name != "none"
}

func (f *fakeClearer) ClearNeighbors(unit string, families []intf.Family, a netip.Addr) (int, bool) {
	f.asked = append(f.asked, fmt.Sprint("neighbors ", unit, families, a))
	if a == netip.MustParseAddr("192.0.2.9") {
		return 0, true
	}
	return 2, unit != "none"
}

func TestClear(t *testing.T) {
	f := &fakeClearer{}
	b := newBed(t, func(o *Options) { o.Clearer = f })
	client := configpb.NewOperationsClient(b.conn)
	interfaces := func(name string) *configpb.ClearCountersRequest {
		return &configpb.ClearCountersRequest{What: &configpb.ClearCountersRequest_Interfaces_{Interfaces: &configpb.ClearCountersRequest_Interfaces{Name: name}}}
	}
	filters := func(name string) *configpb.ClearCountersRequest {
		return &configpb.ClearCountersRequest{What: &configpb.ClearCountersRequest_Filters_{Filters: &configpb.ClearCountersRequest_Filters{Name: name}}}
	}
	for _, c := range []struct {
		req  *configpb.ClearCountersRequest
		code codes.Code
		n    uint32
	}{
		{interfaces(""), codes.OK, 3}, {interfaces("ge0"), codes.OK, 3}, {interfaces("none"), codes.NotFound, 0},
		{filters("f"), codes.OK, 1}, {filters("none"), codes.NotFound, 0}, {&configpb.ClearCountersRequest{}, codes.InvalidArgument, 0},
	} {
		resp, err := client.ClearCounters(b.ctx(), c.req)
		if status.Code(err) != c.code || resp.GetCleared() != c.n {
			t.Errorf("%v: %v %v", c.req, err, resp)
		}
	}
	for _, c := range []struct {
		req  *configpb.ClearNeighborsRequest
		code codes.Code
	}{
		{&configpb.ClearNeighborsRequest{}, codes.OK},
		{&configpb.ClearNeighborsRequest{Interface: "ge0.0", Afi: "inet6", Address: "2001:db8::1"}, codes.OK},
		{&configpb.ClearNeighborsRequest{Interface: "none"}, codes.NotFound},
		{&configpb.ClearNeighborsRequest{Address: "192.0.2.9"}, codes.NotFound},
		{&configpb.ClearNeighborsRequest{Address: "here"}, codes.InvalidArgument},
		{&configpb.ClearNeighborsRequest{Afi: "ipx"}, codes.InvalidArgument},
	} {
		if _, err := client.ClearNeighbors(b.ctx(), c.req); status.Code(err) != c.code {
			t.Errorf("%v: %v", c.req, err)
		}
	}
	want := []string{"interfaces ", "interfaces ge0", "interfaces none", "filters f", "filters none",
		"neighbors [inet inet6] invalid IP", "neighbors ge0.0[inet6] 2001:db8::1", "neighbors none[inet inet6] invalid IP", "neighbors [inet inet6] 192.0.2.9"}
	if !slices.Equal(f.asked, want) {
		t.Errorf("%q", f.asked)
	}
	none := newBed(t, nil)
	if _, err := configpb.NewOperationsClient(none.conn).ClearCounters(none.ctx(), interfaces("")); status.Code(err) != codes.Unimplemented {
		t.Errorf("a router without: %v", err)
	}
}
