package gribi

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	aft "github.com/openconfig/gribi/v1/proto/gribi_aft"
	"github.com/openconfig/gribi/v1/proto/gribi_aft/enums"
	spb "github.com/openconfig/gribi/v1/proto/service"
	"github.com/openconfig/ygot/proto/ywrapper"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/intf"
	"router/routing"
)

// TestParams negotiates sessions (4.1.1).
func TestParams(t *testing.T) {
	unsupported, differ := spb.ModifyRPCErrorDetails_UNSUPPORTED_PARAMS, spb.ModifyRPCErrorDetails_PARAMS_DIFFER_FROM_OTHER_CLIENTS
	again, election := spb.ModifyRPCErrorDetails_MODIFY_NOT_ALLOWED, spb.ModifyRPCErrorDetails_ELECTION_ID_IN_ALL_PRIMARY
	bad := func(p *spb.SessionParameters) []*spb.ModifyRequest { return []*spb.ModifyRequest{{Params: p}} }
	one := []*spb.AFTOperation{hop(add, 1, address("192.0.2.9"))}
	for _, tc := range []struct {
		name   string
		first  *spb.SessionParameters // of another client
		sent   []*spb.ModifyRequest
		code   codes.Code
		reason *spb.ModifyRPCErrorDetails_Reason
	}{
		{"a redundancy nobody knows", nil, bad(&spb.SessionParameters{Redundancy: 9}), codes.Unimplemented, &unsupported},
		{"a persistence nobody knows", nil, bad(&spb.SessionParameters{Persistence: 9}), codes.Unimplemented, &unsupported},
		{"an acknowledgement nobody knows", nil, bad(&spb.SessionParameters{AckType: 9}), codes.Unimplemented, &unsupported},
		{"preserve without an election", nil, bad(&spb.SessionParameters{Persistence: spb.SessionParameters_PRESERVE}), codes.Unimplemented, &unsupported},
		{"other params than others", single, bad(all), codes.FailedPrecondition, &differ},
		{"the default where others have more", single, []*spb.ModifyRequest{{Operation: one}}, codes.FailedPrecondition, &differ},
		{"twice", nil, []*spb.ModifyRequest{{Params: all}, {Params: all}}, codes.FailedPrecondition, &again},
		{"after an operation", nil, []*spb.ModifyRequest{{Operation: one}, {Params: &spb.SessionParameters{}}}, codes.FailedPrecondition, &again},
		{"an election id in all-primary", nil, []*spb.ModifyRequest{{Params: all}, {ElectionId: &spb.Uint128{Low: 1}}}, codes.FailedPrecondition, &election},
		{"an operation's election id in all-primary", nil, []*spb.ModifyRequest{{Operation: []*spb.AFTOperation{{ElectionId: &spb.Uint128{Low: 1}}}}}, codes.FailedPrecondition, &election},
		{"an election id of 0", nil, []*spb.ModifyRequest{{Params: single}, {ElectionId: &spb.Uint128{}}}, codes.InvalidArgument, nil},
		{"two things at once", nil, []*spb.ModifyRequest{{Params: single, Operation: one}}, codes.InvalidArgument, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t)
			if tc.first != nil {
				b.open(tc.first, 0)
			}
			s := b.open(nil, 0)
			for _, m := range tc.sent {
				s.send(m)
			}
			s.fails(tc.code, tc.reason)
		})
	}
}

// TestElection changes primaries (4.1.2, 4.1.4).
func TestElection(t *testing.T) {
	b := newBench(t)
	x, y := b.open(single, 0), b.open(single, 0)
	x.refuses("announced no election id", hop(add, 1, address("192.0.2.9")))
	x.elect(0, 5, 0, 5)
	x.ok(fib, hop(add, 1, address("192.0.2.9")))
	y.elect(0, 4, 0, 5)
	y.refuses("not the primary", hop(add, 2, address("192.0.2.9")))
	y.elect(0, 5, 0, 5) // the newer one of equals
	x.refuses("not the primary", hop(add, 2, address("192.0.2.9")))
	y.ok(fib, hop(add, 2, address("192.0.2.9")))
	x.elect(1, 0, 1, 0) // 128 bits
	y.refuses("not the primary", hop(add, 3, address("192.0.2.9")))
	old := hop(add, 3, address("192.0.2.9"))
	old.ElectionId = &spb.Uint128{Low: 5}
	x.refuses("announced last", old)
	x.elect(0, 7, 1, 0) // passed over
	x.election = &spb.Uint128{High: 1}
	x.ok(fib, hop(add, 3, address("192.0.2.9")))
	x.cancel()
	for b.server.State().Clients[0].ID == 1 {
		time.Sleep(time.Millisecond)
	}
	// The highest id outlives its client.
	y.elect(0, 6, 1, 0)
	if st := b.server.State(); st.ElectionHigh != 1 || !st.Single || st.Clients[0].Primary {
		t.Errorf("state %+v", st)
	}
}

// TestOperations has what operations are answered with, in order.
func TestOperations(t *testing.T) {
	b := newBench(t)
	s := b.open(single, 1)
	s.refuses("add it first", hop(replace, 1, address("192.0.2.9")))
	s.refuses("add it first", grp(add, 1, 0, map[uint64]uint64{1: 1}))
	s.refuses("add it first", entry(add, "10.0.0.0/8", 1))
	s.ok(fib, hop(add, 1, address("192.0.2.9")), hop(add, 2, address("198.51.100.9")), hop(replace, 2, address("198.51.100.8")),
		grp(add, 1, 0, map[uint64]uint64{1: 1, 2: 3}), grp(add, 2, 1, map[uint64]uint64{2: 1}),
		entry(add, "10.0.0.0/8", 1), entry(add, "2001:db8::/32", 1), entry(replace, "10.0.0.0/8", 2))
	s.refuses("used by 2 next-hop groups", hop(del, 2, nil))
	s.refuses("used by 1 entries", grp(del, 2, 0, nil))
	s.refuses("used by 1 entries", grp(del, 1, 0, nil))
	s.ok(fib, entry(del, "10.0.0.0/8", 0), entry(del, "10.0.0.0/8", 0), entry(del, "2001:db8::/32", 0))
	s.refuses("the backup of 1 others", grp(del, 1, 0, nil))
	s.ok(fib, grp(del, 2, 0, nil), grp(del, 1, 0, nil), hop(del, 1, nil), hop(del, 2, nil), hop(del, 77, nil))
	if list := b.entries("default"); len(list) != 0 {
		t.Errorf("left over: %v", list)
	}
	if st := b.server.State(); st.Operations != 23 || st.Failed != 7 || len(st.Instances) != 0 {
		t.Errorf("state %+v", st)
	}
	for why, op := range map[string]*spb.AFTOperation{
		"op is missing":                   hop(spb.AFTOperation_INVALID, 1, address("192.0.2.9")),
		"op 77 is not known":              hop(77, 1, address("192.0.2.9")),
		"entry is missing":                {Op: add},
		"mpls: this router has":           {Op: add, Entry: &spb.AFTOperation_Mpls{Mpls: &aft.Afts_LabelEntryKey{}}},
		"network instance blue does not":  in("blue", hop(add, 1, address("192.0.2.9"))),
		"want an address, a slash":        entry(add, "10.0.0.0", 1),
		"write 10.0.0.0/8":                entry(add, "10.0.0.1/8", 1),
		"is for unicast":                  entry(add, "224.0.0.0/8", 1),
		"not of family inet":              {Op: add, Entry: &spb.AFTOperation_Ipv4{Ipv4: &aft.Afts_Ipv4EntryKey{Prefix: "2001:db8::/32"}}},
		"names no next_hop_group":         {Op: add, Entry: &spb.AFTOperation_Ipv4{Ipv4: &aft.Afts_Ipv4EntryKey{Prefix: "10.0.0.0/8"}}},
		"has no next hops":                grp(add, 1, 0, nil),
		"weight 0":                        grp(add, 1, 0, map[uint64]uint64{1: 0}),
		"neither ip_address nor":          hop(add, 1, &aft.Afts_NextHop{}),
		"want an IPv4 or IPv6 address":    hop(add, 1, address("192.0.2")),
		"is no neighbour's":               hop(add, 1, address("224.0.0.1")),
		"is link-local":                   hop(add, 1, address("fe80::1")),
		"interface ge9.0 does not exist":  hop(add, 1, &aft.Afts_NextHop{InterfaceRef: &aft.Afts_NextHop_InterfaceRef{Interface: stringValue("ge9"), Subinterface: uintValue(0)}}),
		"names no interface":              hop(add, 1, &aft.Afts_NextHop{InterfaceRef: &aft.Afts_NextHop_InterfaceRef{}}),
		"excludes interface_ref":          hop(add, 1, &aft.Afts_NextHop{NetworkInstance: stringValue("red"), InterfaceRef: &aft.Afts_NextHop_InterfaceRef{Interface: stringValue("ge0")}}),
		"network instance green does not": hop(add, 1, lookIn("green")),
		"mac_address is not supported":    hop(add, 1, &aft.Afts_NextHop{IpAddress: stringValue("192.0.2.9"), MacAddress: stringValue("00:00:5e:00:53:01")}),
		"ip_in_ip is not supported":       hop(add, 1, &aft.Afts_NextHop{IpInIp: &aft.Afts_NextHop_IpInIp{}}),
		"decapsulate_header is not":       hop(add, 1, &aft.Afts_NextHop{DecapsulateHeader: enums.OpenconfigAftTypesEncapsulationHeaderType_OPENCONFIGAFTTYPESENCAPSULATIONHEADERTYPE_IPV4}),
		"pushed_mpls_label_stack is not":  hop(add, 1, &aft.Afts_NextHop{PushedMplsLabelStack: []*aft.Afts_NextHop_PushedMplsLabelStackUnion{{PushedMplsLabelStackUint64: 1}}}),
		"entry_metadata of 9 octets":      {Op: add, Entry: &spb.AFTOperation_Ipv4{Ipv4: &aft.Afts_Ipv4EntryKey{Prefix: "10.0.0.0/8", Ipv4Entry: &aft.Afts_Ipv4Entry{NextHopGroup: uintValue(1), EntryMetadata: &ywrapper.BytesValue{Value: make([]byte, 9)}}}}},
	} {
		s.refuses(why, op)
	}
	nameless := hop(add, 1, address("192.0.2.9"))
	nameless.Id, nameless.ElectionId = 1000, s.election
	s.send(&spb.ModifyRequest{Operation: []*spb.AFTOperation{nameless}})
	if r := s.receive().GetResult()[0]; r.GetStatus() != failed || !strings.Contains(r.GetErrorDetails().GetErrorMessage(), "network_instance is missing") {
		t.Errorf("without an instance: %v", r)
	}
	if list := b.entries("default"); len(list) != 0 {
		t.Errorf("operations that failed left %v", list)
	}
}

// TestGroups follows groups through changes of their next hops and backups.
func TestGroups(t *testing.T) {
	b := newBench(t)
	s := b.open(single, 1)
	ways := func(prefix string, want ...string) {
		t.Helper()
		if got := strings.Join(b.router.programmed("default")[prefix], ", "); got != strings.Join(want, ", ") {
			t.Errorf("%s goes by %s, want %v", prefix, got, want)
		}
	}
	link := func(up bool) { // of 192.0.2.9
		b.router.mu.Lock()
		defer b.router.mu.Unlock()
		_ = b.router.store.SetLink(1, intf.Inet, up)
	}
	s.ok(fib, hop(add, 1, &aft.Afts_NextHop{IpAddress: stringValue("192.0.2.9"), InterfaceRef: &aft.Afts_NextHop_InterfaceRef{Interface: stringValue("ge0"), Subinterface: uintValue(0)}}),
		hop(add, 2, address("198.51.100.9")), hop(add, 3, lookIn("red")),
		grp(add, 2, 0, map[uint64]uint64{2: 1}), grp(add, 1, 2, map[uint64]uint64{1: 1}), entry(add, "10.0.0.0/8", 1))
	ways("10.0.0.0/8", "forward to 192.0.2.9 on 1")
	link(false)
	ways("10.0.0.0/8", "indirect 198.51.100.9 in instance 0")
	s.ok(fib, hop(add, 2, address("198.51.100.7"))) // of the backup
	ways("10.0.0.0/8", "indirect 198.51.100.7 in instance 0")
	s.ok(fib, grp(add, 2, 0, map[uint64]uint64{3: 1}))
	ways("10.0.0.0/8", "lookup in instance 1")
	link(true)
	ways("10.0.0.0/8", "forward to 192.0.2.9 on 1")
	s.ok(fib, grp(replace, 1, 0, map[uint64]uint64{1: 1000, 2: 3000}))
	ways("10.0.0.0/8", "forward to 192.0.2.9 on 1", "indirect 198.51.100.7 in instance 0")

	s.refuses("its own backup", grp(add, 1, 1, map[uint64]uint64{1: 1}))
	s.refuses("its backup 9 does not exist", grp(add, 1, 9, map[uint64]uint64{1: 1}))
	s.ok(fib, grp(add, 1, 2, map[uint64]uint64{1: 1}))
	s.refuses("one level of backups", grp(add, 3, 1, map[uint64]uint64{1: 1}))
	s.ok(fib, grp(add, 6, 0, map[uint64]uint64{2: 1}))
	s.refuses("one level of backups", grp(add, 2, 6, map[uint64]uint64{2: 1}))
	s.refuses("stands alone", grp(add, 3, 0, map[uint64]uint64{1: 1, 3: 1}))
	s.ok(fib, grp(add, 4, 0, map[uint64]uint64{1: 1, 2: 1}))
	s.refuses("stands alone", hop(add, 1, lookIn("red")))
	ways("10.0.0.0/8", "forward to 192.0.2.9 on 1")
	s.refuses("to which the entry itself belongs", func() *spb.AFTOperation {
		o := in("red", entry(add, "10.0.0.0/8", 2))
		o.GetIpv4().Ipv4Entry.NextHopGroupNetworkInstance = stringValue("default")
		return o
	}())
	s.refuses("would look up in network instance default", hop(add, 3, lookIn("default")))
	many := map[uint64]uint64{}
	for i := uint64(10); i < 75; i++ {
		s.ok(fib, hop(add, i, address("192.0.2."+string([]byte{'1', byte('0' + i/10), byte('0' + i%10)}))))
		many[i] = 1
	}
	s.refuses("it has 64 at most", grp(add, 5, 0, many))
	if got := scale([]uint64{1, 1 << 40, 1 << 39}); got[0] != 1 || got[1] != 64 || got[2] != 32 {
		t.Errorf("weights %v", got)
	}
}

// TestAcknowledgements has what is not in the FIB.
func TestAcknowledgements(t *testing.T) {
	b := newBench(t)
	s := b.open(single, 1)
	s.ok(fib, hop(add, 1, address("192.0.2.9")), hop(add, 2, address("10.99.0.1")), grp(add, 1, 0, map[uint64]uint64{1: 1}), grp(add, 2, 0, map[uint64]uint64{2: 1}))
	// Nothing leads to the next hop: the entry is there, and discards (4.1.3.2).
	s.ok(fib, entry(add, "10.1.0.0/16", 2))
	// Something better has the prefix.
	b.router.mu.Lock()
	_ = b.router.instances["default"].rib.Set(routing.Route{
		Key:        routing.Key{Prefix: netip.MustParsePrefix("10.9.0.0/16"), Source: routing.User, Protocol: routing.Static},
		Preference: 5, NextHop: routing.NextHop{Kind: routing.Discard},
	})
	b.router.mu.Unlock()
	s.ok(rib, entry(add, "10.9.0.0/16", 1))
	// Many operations of one entry at once are answered each.
	s.ok(fib, entry(add, "10.2.0.0/16", 1), entry(del, "10.2.0.0/16", 1), entry(add, "10.2.0.0/16", 1), entry(del, "10.2.0.0/16", 1))
	b.router.mu.Lock()
	b.router.room = len(b.router.instances["default"].fib.routes)
	b.router.mu.Unlock()
	r := s.do(entry(add, "10.3.0.0/16", 1))[0]
	if r.GetStatus() != spb.AFTResult_FIB_FAILED || !strings.Contains(r.GetErrorDetails().GetErrorMessage(), "no room") {
		t.Errorf("an entry without room is answered %v", r)
	}
	status := map[string]spb.AFTEntry_Status{}
	for _, e := range b.entries("default") {
		if p := e.GetIpv4().GetPrefix(); p != "" {
			status[p] = e.GetFibStatus()
		}
	}
	if status["10.1.0.0/16"] != spb.AFTEntry_PROGRAMMED || status["10.9.0.0/16"] != spb.AFTEntry_NOT_PROGRAMMED || status["10.3.0.0/16"] != spb.AFTEntry_NOT_PROGRAMMED {
		t.Errorf("Get says %v", status)
	}
	b.router.mu.Lock()
	b.router.settings.EntryLimit = 7
	b.router.mu.Unlock()
	s.refuses("the most that /gribi/config/entry-limit allows", entry(add, "10.4.0.0/16", 1))
	s.refuses("the most that", hop(add, 9, address("192.0.2.9")))
	s.refuses("the most that", grp(add, 9, 0, map[uint64]uint64{1: 1}))
	s.ok(fib, entry(add, "10.1.0.0/16", 1)) // a change takes no room
}

// TestHolders ends clients in ALL_PRIMARY, where an entry goes with the last.
func TestHolders(t *testing.T) {
	b := newBench(t)
	x, y := b.open(all, 0), b.open(all, 0)
	x.ok(fib, hop(add, 1, address("192.0.2.9")), grp(add, 1, 0, map[uint64]uint64{1: 1}), entry(add, "10.1.0.0/16", 1), entry(add, "10.2.0.0/16", 1))
	y.ok(fib, entry(add, "10.2.0.0/16", 1), entry(add, "10.3.0.0/16", 1), entry(del, "10.1.0.0/16", 1))
	if n := len(b.router.programmed("default")); n != 3 {
		t.Errorf("%d routes: a client has deleted what another holds", n)
	}
	x.ok(fib, entry(del, "10.2.0.0/16", 1))
	if _, ok := b.router.programmed("default")["10.2.0.0/16"]; !ok {
		t.Error("an entry is gone that a client holds")
	}
	x.cancel()
	for len(b.server.State().Clients) > 1 {
		time.Sleep(time.Millisecond)
	}
	got := b.router.programmed("default")
	if len(got) != 2 || got["10.2.0.0/16"] == nil || got["10.3.0.0/16"] == nil {
		t.Errorf("left are %v", got)
	}
	// The group is nobody's now, and whoever deletes it does.
	y.ok(fib, entry(del, "10.2.0.0/16", 1), entry(del, "10.3.0.0/16", 1), grp(del, 1, 0, nil), hop(del, 1, nil))
	if list := b.entries("default"); len(list) != 0 {
		t.Errorf("left over: %v", list)
	}
}

// TestDeleteWithClient ends the primary with DELETE after another has taken some
// of its entries over.
func TestDeleteWithClient(t *testing.T) {
	b := newBench(t)
	x := b.open(singleGo, 1)
	x.ok(fib, hop(add, 1, address("192.0.2.9")), grp(add, 1, 0, map[uint64]uint64{1: 1}), entry(add, "10.1.0.0/16", 1), entry(add, "10.2.0.0/16", 1))
	y := b.open(singleGo, 2)
	y.ok(fib, entry(add, "10.2.0.0/16", 1))
	if err := x.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for len(b.server.State().Clients) > 1 {
		time.Sleep(time.Millisecond)
	}
	if got := b.router.programmed("default"); len(got) != 1 || got["10.2.0.0/16"] == nil {
		t.Errorf("left are %v", got)
	}
	y.cancel()
	for len(b.server.State().Clients) > 0 {
		time.Sleep(time.Millisecond)
	}
	if got := b.router.programmed("default"); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
}

// TestFlush has who may flush what (4.3).
func TestFlush(t *testing.T) {
	b := newBench(t)
	flush := func(m *spb.FlushRequest) (spb.FlushResponse_Result, codes.Code, spb.FlushResponseError_Reason) {
		t.Helper()
		r, err := b.client.Flush(t.Context(), m)
		st := status.Convert(err)
		for _, d := range st.Details() {
			return 0, st.Code(), d.(*spb.FlushResponseError).GetStatus()
		}
		if err == nil && r.GetTimestamp() == 0 {
			t.Error("no timestamp")
		}
		return r.GetResult(), st.Code(), -1
	}
	everywhere, red := &spb.FlushRequest_All{All: &spb.Empty{}}, &spb.FlushRequest_Name{Name: "red"}
	override := &spb.FlushRequest_Override{Override: &spb.Empty{}}
	id := func(n uint64) *spb.FlushRequest_Id { return &spb.FlushRequest_Id{Id: &spb.Uint128{Low: n}} }
	if r, code, _ := flush(&spb.FlushRequest{NetworkInstance: everywhere}); r != spb.FlushResponse_OK || code != codes.OK {
		t.Errorf("with nobody there: %v, %v", r, code)
	}
	s := b.open(single, 5)
	fill := func() {
		t.Helper()
		s.ok(fib, in("red", hop(add, 1, address("192.0.2.9"))), in("red", hop(add, 2, address("192.0.2.9"))), in("red", grp(add, 1, 0, map[uint64]uint64{1: 1})), in("red", entry(add, "10.0.0.0/8", 1)))
		o := entry(add, "10.0.0.0/8", 1)
		o.GetIpv4().Ipv4Entry.NextHopGroupNetworkInstance = stringValue("red")
		s.ok(fib, o)
	}
	fill()
	for _, tc := range []struct {
		name   string
		m      *spb.FlushRequest
		code   codes.Code
		reason spb.FlushResponseError_Reason
	}{
		{"without an election id", &spb.FlushRequest{NetworkInstance: everywhere}, codes.FailedPrecondition, spb.FlushResponseError_UNSPECIFIED_ELECTION_BEHAVIOR},
		{"with a low one", &spb.FlushRequest{NetworkInstance: everywhere, Election: id(4)}, codes.FailedPrecondition, spb.FlushResponseError_NOT_PRIMARY},
		{"with one of 0", &spb.FlushRequest{NetworkInstance: everywhere, Election: id(0)}, codes.InvalidArgument, spb.FlushResponseError_INVALID_ELECTION_ID},
		{"without an instance", &spb.FlushRequest{Election: override}, codes.InvalidArgument, spb.FlushResponseError_UNSPECIFIED_NETWORK_INSTANCE},
		{"with an empty one", &spb.FlushRequest{Election: override, NetworkInstance: &spb.FlushRequest_Name{}}, codes.InvalidArgument, spb.FlushResponseError_INVALID_NETWORK_INSTANCE},
		{"with an unknown one", &spb.FlushRequest{Election: override, NetworkInstance: &spb.FlushRequest_Name{Name: "blue"}}, codes.InvalidArgument, spb.FlushResponseError_NO_SUCH_NETWORK_INSTANCE},
	} {
		if _, code, reason := flush(tc.m); code != tc.code || reason != tc.reason {
			t.Errorf("%s: %v, %v; want %v, %v", tc.name, code, reason, tc.code, tc.reason)
		}
	}
	if n := len(b.entries("red")); n != 4 {
		t.Errorf("%d entries are left of 4 by flushes that were refused", n)
	}
	if r, code, _ := flush(&spb.FlushRequest{NetworkInstance: red, Election: id(5)}); r != spb.FlushResponse_NON_ZERO_REFERENCE_REMAIN || code != codes.OK {
		t.Errorf("with a reference from elsewhere: %v, %v", r, code)
	}
	if n := len(b.entries("red")); n != 2 {
		t.Errorf("%d entries are left, want the group and its next hop", n)
	}
	if r, code, _ := flush(&spb.FlushRequest{NetworkInstance: everywhere, Election: override}); r != spb.FlushResponse_OK || code != codes.OK {
		t.Errorf("everything: %v, %v", r, code)
	}
	if n := len(b.entries("red")) + len(b.entries("default")) + len(b.router.programmed("default")); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	s.cancel()
	for len(b.server.State().Clients) > 0 {
		time.Sleep(time.Millisecond)
	}
	b.open(all, 0)
	if _, code, reason := flush(&spb.FlushRequest{NetworkInstance: everywhere, Election: id(9)}); code != codes.FailedPrecondition || reason != spb.FlushResponseError_ELECTION_ID_IN_ALL_PRIMARY {
		t.Errorf("an election id in all-primary: %v, %v", code, reason)
	}
}

// TestInstances deletes and makes an instance anew, and disables the service.
func TestInstances(t *testing.T) {
	b := newBench(t)
	s := b.open(single, 1)
	s.ok(fib, in("red", hop(add, 1, address("192.0.2.9"))), in("red", grp(add, 1, 0, map[uint64]uint64{1: 1})), in("red", entry(add, "10.0.0.0/8", 1)))
	b.router.remove("red")
	s.refuses("does not exist", in("red", entry(add, "10.0.0.0/8", 1)))
	b.router.mu.Lock()
	b.router.add("red", 1)
	b.router.mu.Unlock()
	if n := len(b.entries("red")); n != 0 {
		t.Errorf("%d entries came back with the instance", n)
	}
	s.refuses("add it first", in("red", entry(add, "10.0.0.0/8", 1)))
	s.ok(fib, in("red", hop(add, 1, address("192.0.2.9"))))
	for _, m := range []*spb.GetRequest{
		{Aft: spb.AFTType_ALL},
		{Aft: spb.AFTType_ALL, NetworkInstance: &spb.GetRequest_Name{}},
		{NetworkInstance: &spb.GetRequest_All{All: &spb.Empty{}}},
		{Aft: 99, NetworkInstance: &spb.GetRequest_All{All: &spb.Empty{}}},
		{Aft: spb.AFTType_MPLS, NetworkInstance: &spb.GetRequest_All{All: &spb.Empty{}}},
		{Aft: spb.AFTType_ALL, NetworkInstance: &spb.GetRequest_Name{Name: "blue"}},
	} {
		stream, err := b.client.Get(t.Context(), m)
		if err == nil {
			_, err = stream.Recv()
		}
		want := codes.InvalidArgument
		if m.GetAft() == spb.AFTType_MPLS {
			want = codes.Unimplemented
		} else if m.GetName() == "blue" {
			want = codes.NotFound
		}
		if status.Code(err) != want {
			t.Errorf("get %v: %v, want %v", m, err, want)
		}
	}
	b.router.mu.Lock()
	b.router.settings.Enabled = false
	b.router.mu.Unlock()
	b.server.Look()
	s.fails(codes.Unavailable, nil)
	if st := b.server.State(); len(st.Instances) != 0 || st.Applied.Enabled {
		t.Errorf("state of a disabled service: %+v", st)
	}
	if _, err := b.client.Flush(t.Context(), &spb.FlushRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("flush of a disabled service: %v", err)
	}
}

// TestStalledClient does not read its answers: the server stops reading, and
// serves others.
func TestStalledClient(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stalled, err := b.client.Modify(ctx)
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan int, 1)
	go func() {
		n := 0
		for ; n < 1<<20; n++ {
			o := in("default", hop(add, uint64(n%10), address("192.0.2.9")))
			o.Id = uint64(n)
			if stalled.Send(&spb.ModifyRequest{Operation: []*spb.AFTOperation{o}}) != nil {
				break
			}
		}
		sent <- n
	}()
	other := b.open(&spb.SessionParameters{}, 0)
	for i := range 50 {
		other.ok(rib, hop(add, uint64(100+i), address("192.0.2.9")))
	}
	select {
	case n := <-sent:
		t.Errorf("all %d operations of a client that doesn't read were taken", n)
	case <-time.After(200 * time.Millisecond):
	}
	cancel()
	<-sent
}
