package models

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/openconfig/goyang/pkg/yang"
	"github.com/openconfig/ygot/ygot"
	"github.com/openconfig/ygot/ytypes"

	"router/dataplane/filter"
	"router/dataplane/session"
	"router/gen"
	"router/intf"
	"router/routing"
	"router/routing/neighbor"
)

var (
	now    = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	someIP = netip.MustParseAddr("2001:db8::2")
)

// filled is state with every field set.
func filled() *gen.Device {
	dst := &gen.Device{}
	rates := Rates{Known: true, InBits: 1, InPackets: 2, OutBits: 3, OutPackets: 4}
	counters := Counters{InOctets: 640, InUnicast: 7, InMulticast: 2, InBroadcast: 1}
	device := intf.DeviceSpec{
		Name: "ge0", Description: "uplink", Enabled: true, MRU: 1518,
		Attach: intf.Shared, Driver: intf.DriverAFXDP, Queues: 2, MAC: intf.MAC{2, 0, 0, 0, 0, 1}, Polling: intf.PollBusy,
	}
	address := intf.AddressSpec{Prefix: netip.MustParsePrefix("2001:db8::1/128"), Primary: true, Preferred: true, Ignore: true, Peer: someIP}
	family := intf.FamilySpec{Family: intf.Inet6, Enabled: true, Instance: "red", Unnumbered: intf.UnitKey{Device: "lo0", ID: "0"}, RPF: intf.RPFFeasible,
		Filters: intf.FilterNames{Input: "f", Output: "f", InputLocal: "f", OutputLocal: "f"}}
	unit := intf.UnitSpec{
		Key: intf.UnitKey{Device: "ge0", ID: "100.1"}, Description: "customer", Enabled: true, Group: 7,
		VLAN: intf.VLAN{OuterTPID: 0x88a8, OuterID: 100, InnerTPID: 0x8100, InnerID: 1},
	}
	advert := AdvertState{Sent: 1, Solicitations: 2, Adverts: 3, Inconsistent: 1, Inconsistency: "mtu 1280, ours is 1500", Applied: &intf.AdvertSpec{
		MinInterval: 3 * time.Second, MaxInterval: 4 * time.Second, Advert: intf.Advert{
			HopLimit: 64, Managed: true, Other: true, Preference: intf.PreferHigh, Lifetime: time.Hour, Reachable: time.Second, Retrans: time.Second, MTU: 1500,
			Prefixes:   []intf.AdvertPrefix{{Prefix: netip.MustParsePrefix("2001:db8::/64"), OnLink: true, Autonomous: true, Valid: intf.Infinity, Preferred: time.Hour}},
			Routes:     []intf.AdvertRoute{{Prefix: netip.MustParsePrefix("2001:db8::/32"), Preference: intf.PreferLow, Lifetime: time.Hour}},
			DNSServers: []netip.Addr{someIP}, DNSSearch: []string{"example.net"}, DNSLifetime: time.Hour,
		}}}
	FillSystem(dst, SystemState{
		Applied: &SystemSpec{Hostname: "r1"}, Version: "1.0", BootTime: now,
		Workers: 2, Threads: []ThreadState{{Scheduling: intf.SchedRoundRobin, Nice: 3}, {Nice: -10}}, Buffers: 8192, BuffersFree: 8000, JumboBuffers: 256, JumboBuffersFree: 255, FIBOctets: 4096, NextHops: 9, FIBLimit: 8192, RoutesWaiting: 1, NoFastPath: "no such map", Drops: map[string]uint64{"host-full": 3},
		CommitNumber: 3, LastCommitTime: now, PendingObjects: 1, FilterLogLost: 2,
		Process:  ProcessState{Resident: 58e6, Heap: 9e6, CPUTime: time.Second, Goroutines: 40},
		Takeover: &TakeoverState{Time: now, Devices: 2, Neighbors: 3},
		Access:   &AccessState{Required: true, Administrators: 1, Failed: 2, Throttled: 3, Denied: 4, Limited: 5, AuditLost: 6},
		TLS: &TLSState{Fingerprint: "ab", Subject: "CN=r1", Issuer: "CN=ca", NotBefore: now, NotAfter: now, Source: Installed, Loaded: now,
			Authorities: 1, Reloads: 2, Error: "half a file"},
	})
	FillHealth(dst, []HealthState{{Name: "disk", Known: true, Reason: "full", LastChange: now, Events: 2, LastEvent: "disk-2"}})
	FillDatastore(dst, DatastoreState{
		Number: 4, Time: now, Damage: []string{"journal-0"}, LeftOut: []string{"/interface[name=ge0]"}, Rescue: &RescueState{Commit: 2, Time: now, User: "ann"},
		Pending: &PendingCommit{ID: "x", Commit: 4, Base: 3, Deadline: now, User: "ann", Late: "disk full"},
	})
	base := uint64(3)
	FillCommit(dst, CommitState{Number: 4, Time: now, User: "ann", Source: "gnmi", Comment: "why", ConfirmID: "x", RevertsTo: &base, Changes: 1, Paths: []string{"/system/config"}})
	FillDevice(dst, DeviceState{
		Name: "ge0", Applied: &device, IfIndex: 1, Oper: intf.OperDown, OperReason: "link down", LastChange: now, Apply: ApplyState{Status: ApplyError, Reason: "busy", Retries: 2, Since: now},
		Driver: intf.DriverAFXDP, DriverReason: "native zero-copy: not supported", OffloadsOff: []string{"rx-vlan-hw-parse"}, QueuesInUse: 2,
		XDPMode: XDPNative, ZeroCopy: true, KeepsReason: "keep-forwarding is never", CompletesChecksums: true, KernelPolls: true, FastPath: FastPathState{Receives: "switched off", Sends: "no driver", Packets: 9},
		Speed: 10e9, LinkMTU: 1500, Counters: counters, Rates: rates, Cleared: now, Anew: now, DropsAnew: now, Made: now, Drops: map[string]uint64{"ttl-exceeded": 4},
	})
	FillUnit(dst, UnitState{
		Key: unit.Key, Applied: &unit, IfIndex: 2, Oper: intf.OperDown, OperReason: "link down", LastChange: now, Apply: ApplyState{Status: ApplyError, Reason: "busy", Retries: 2, Since: now}, Counters: counters, Rates: rates, Cleared: now, Anew: now,
		Families: []FamilyState{{
			Family: intf.Inet6, Applied: &family, MTU: 1496, Oper: intf.OperDown, OperReason: "link down", Apply: ApplyState{Status: ApplyPending, Reason: "no link", Retries: 1, Since: now},
			RPFFailed: 8, Made: now, FastReason: "no room", HostInterface: "ge0.100.1", HostReason: "no address", Advert: &advert, Borrowed: someIP,
			Addresses: []AddressState{{Spec: address, Status: AddressDuplicate, Reason: "02:00:00:00:00:02 has it", Apply: ApplyState{Status: ApplyError, Reason: "02:00:00:00:00:02 has it", Retries: 1, Since: now}}},
			Neighbors: []NeighborState{{
				Address: someIP, MAC: intf.MAC{2, 0, 0, 0, 0, 2}, State: neighbor.Reachable, IsRouter: true, LastChange: now,
			}},
			Filters: []FilterCount{{Hook: filter.Output, Filter: "f", Term: "t", PacketCount: PacketCount{Packets: 5, Octets: 400}}},
		}},
	})
	FillInstance(dst, InstanceState{
		Name: "red", Applied: &InstanceSpec{Name: "red", Description: "customers", Cache: DefaultCache}, Index: 1,
		Cache:         CacheState{Flows: 3, Negative: 1, Refused: 2},
		HostNamespace: "red", HostReason: "no permission", Apply: ApplyState{Status: ApplyError, Reason: "no namespace", Retries: 3, Since: now},
		RIBs: []RIBState{{Family: intf.Inet6, Total: 7, Active: 6, BySource: [routing.NumSources]uint32{1, 2, 3, 4, 5, 6}}},
	})
	route := StaticSpec{
		Key:        StaticKey{Instance: "red", Prefix: netip.MustParsePrefix("2001:db8:1::/48")},
		Preference: 5, Reject: routing.RejectHost, Incoming: unit.Key, Tag: 20, HasTag: true, Description: "far away",
		NextHops: []StaticNextHop{{Index: 1, Gateway: someIP, Interface: unit.Key, Instance: "default", Weight: 2, Backup: true}},
	}
	FillStatic(dst, StaticState{StaticSpec: route, Ways: []ApplyState{{Status: ApplyPending, Reason: "gateway unresolved", Retries: 1, Since: now}}})
	FillRoute(dst, "red", RouteState{
		Prefix: route.Key.Prefix, Source: routing.User, Protocol: routing.Static, IfIndex: 2, Preference: 5, Tag: 20,
		Active: true, Incoming: "ge0.100.1", Ignored: true, Reason: "gateway unresolved", NextHop: routing.Indirect, Reject: routing.RejectHost, Gateway: someIP, Egress: "ge0.100.1",
		Lookup: "default", Resolved: netip.MustParsePrefix("2001:db8::/64"),
		Out: []string{"ge0.100.1"}, LastChange: now,
		Members: []MemberState{{
			Lookup: "red", Gateway: someIP, Egress: "ge0.100.1", Resolved: netip.MustParsePrefix("2001:db8::/64"),
			Weight: 3, Backup: true, Usable: true, Active: true, Reason: "gateway unresolved",
		}},
	})
	local := LocalCounters{Packets: 9, Octets: 900, Policed: 1, Dropped: 2}
	FillClass(dst, ClassState{Spec: ClassSpec{Name: "gold", Description: "dear", Rate: 5, Burst: 6, Configured: true}, Counters: local})
	network := netip.MustParsePrefix("192.0.2.0/24")
	match := session.Match{
		Fields:   session.HasProtocol | session.HasLocalPort | session.HasRemotePort | session.HasInstance | session.HasIfIndex,
		Protocol: 6, LocalPort: 179, RemotePort: 1179, Local: network, Remote: network, Fragment: true,
	}
	s := SessionSpec{Name: "peer", Description: "far away", Class: "gold", Match: SessionMatch{Match: match, InstanceName: "red", Unit: unit.Key}}
	FillSession(dst, SessionState{Spec: s, Counters: local})
	// A port and an ICMP type exclude each other: the type is that of another session.
	other := &gen.Device{}
	FillSession(other, SessionState{Spec: SessionSpec{Name: "echo", Match: byLocalPort(protoICMP, 8)}})
	dst.Session["peer"].State.IcmpType = other.Session["echo"].State.IcmpType
	fillFilters(dst)
	fillAccessOf(dst)
	FillLogServer(dst, LogServerState{
		Spec:      LogServerSpec{Name: "far", Description: "archive", Host: "192.0.2.9", Port: 6514, Facility: 23, CAFile: "/ca", ServerName: "logs", CertFile: "/cert", KeyFile: "/key"},
		Connected: true, Reason: "not reached", LastChange: now, Sent: 5, Dropped: 1,
	})
	key := MulticastKey{Instance: "red", Group: netip.MustParsePrefix("ff0e::1/128"), Source: netip.MustParsePrefix("2001:db8::/64")}
	FillMulticast(dst, MulticastState{
		Applied: MulticastSpec{Key: key, Action: MulticastFlood, In: unit.Key, Out: []intf.UnitKey{unit.Key}, Local: true, Description: "video"},
		Active:  true, Packets: 7, Octets: 700,
	})
	FillFlow(dst, "red", FlowState{
		Group: key.Group.Addr(), Source: netip.MustParsePrefix("2001:db8::2/128"), Origin: routing.Clone, Active: true,
		NextHop: routing.Flood, In: "ge0.100.1", Out: []string{"ge0.100.1"}, Local: true,
		Parent: true, ParentGroup: key.Group, ParentSource: key.Source, LastUsed: now, Packets: 7, Octets: 700,
	})
	for _, o := range []Object{
		{Kind: System}, {Kind: GRIBI}, {Kind: Static, Instance: "red", Prefix: route.Key.Prefix.String()}, key.Object(),
		{Kind: Class, Name: "gold"}, {Kind: Session, Name: "peer"}, {Kind: PrefixList, Name: "l"}, {Kind: Policer, Name: "p"},
		{Kind: Filter, Name: "f"}, {Kind: User, Name: "u"}, {Kind: Role, Name: "r"}, {Kind: LogServer, Name: "far"},
	} {
		FillApply(dst, o, ApplyState{Status: ApplyError, Reason: "no room", Retries: 4, Since: now})
	}
	return dst
}

// fillFilters is state of filters with every field set.
func fillFilters(dst *gen.Device) {
	colour := filter.ColourAction{Drop: true, LossPriority: filter.Some[uint8](filter.LossHigh), DSCP: filter.Some[uint8](10), ForwardingClass: filter.Some[uint8](2)}
	counts := [filter.NumColours]PacketCount{{5, 400}, {6, 500}, {7, 600}}
	FillFilter(dst, FilterState{
		Name: "f", Cleared: now, Anew: now, Bindings: 4, CompileTime: time.Millisecond, Reason: "no memory", Unmatched: PacketCount{1, 60}, Terms: []PacketCount{{5, 400}},
		Applied: &FilterSpec{Description: "edge", Spec: filter.Spec{Name: "f", Family: intf.Inet6, InterfaceSpecific: true, Terms: []filter.Term{{Name: "t"}}}},
	})
	FillPrefixList(dst, PrefixListSpec{Name: "l", Description: "ours", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for _, p := range []filter.PolicerSpec{
		{Name: "p", Kind: filter.TwoRate, ColourAware: true, Packets: true, Rate: 1, Burst: 2, PeakRate: 3, ExtraBurst: 4, Green: colour, Yellow: colour, Red: colour},
		{Name: "q", Kind: filter.SingleRate, ColourAware: true, Rate: 1, Burst: 2, PeakRate: 3, ExtraBurst: 4, Green: colour, Yellow: colour, Red: colour},
	} {
		FillPolicer(dst, PolicerState{Applied: PolicerSpec{Spec: p, Description: "slow"}, Colours: counts})
	}
	FillGRIBI(dst, GRIBIState{
		Applied: DefaultGRIBI, Known: true, Single: true, ElectionLow: 1, Operations: 5, Failed: 1, Flushes: 1, Stale: 2, StaleUntil: now, KeepReason: "no space left on device",
		Instances: []GRIBIInstance{{Name: "default", IPv4: 1, IPv6: 2, NextHops: 3, Groups: 4}},
		Clients: []GRIBIClient{
			{ID: 1, Address: netip.MustParseAddrPort("192.0.2.9:4000"), User: "c", Connected: now, Negotiated: true, Single: true, Primary: true, ElectionHigh: 1, Operations: 5, Failed: 1},
			{ID: 2, Connected: now, Negotiated: true, Preserve: true, FIBAck: true},
		},
	})
	FillFilterLog(dst, FilterLogEntry{
		Number: 1, Time: now, Filter: "f", Term: "t", Hook: filter.Input, Unit: intf.UnitKey{Device: "ge0", ID: "0"}, Verdict: VerdictPoliced,
		Src: someIP, Dst: someIP, Protocol: 17, Ports: true, SrcPort: 1, DstPort: 2, Length: 60,
	})
}

// Whatever the model says of state can be filled in, and is valid.
func TestEveryStateLeafCanBeFilled(t *testing.T) {
	dst := filled()
	leaves := map[string]bool{} // whether some entry has it
	var walk func(s reflect.Value, entry *yang.Entry, path string, state bool)
	walk = func(s reflect.Value, entry *yang.Entry, path string, state bool) {
		for i := range s.NumField() {
			name := s.Type().Field(i).Tag.Get("path")
			f, e := s.Field(i), entry.Dir[name]
			p := path + "/" + name
			inState := state || name == "state" && e.IsContainer() || e.Config == yang.TSFalse
			switch {
			case e.IsLeaf() || e.IsLeafList():
				if !inState {
					continue
				}
				leaves[p] = leaves[p] || !f.IsZero()
			case e.IsLeafList():
				if inState {
					leaves[p] = leaves[p] || f.Len() != 0
				}
			case e.IsList():
				entries := entriesOf(f)
				if len(entries) == 0 && hasState(e) {
					t.Errorf("%s has no entry", p)
				}
				for _, entry := range entries {
					walk(entry.Elem(), e, p, inState)
				}
			case name == "config":
				if !f.IsNil() {
					t.Errorf("%s was touched", p)
				}
			case f.IsNil():
				if hasState(e) {
					t.Errorf("%s is not filled in", p)
				}
			default:
				walk(f.Elem(), e, p, inState)
			}
		}
	}
	walk(reflect.ValueOf(dst).Elem(), gen.SchemaTree["Device"], "", false)
	if len(leaves) < 100 {
		t.Errorf("only %d leaves found", len(leaves))
	}
	for p, filled := range leaves {
		if !filled {
			t.Errorf("%s is not filled in", p)
		}
	}
	if err := dst.Validate(&ytypes.LeafrefOptions{IgnoreMissingData: true}); err != nil {
		t.Error(err)
	}
}

// entriesOf are the entries of a list, ordered by its user or not.
func entriesOf(f reflect.Value) []reflect.Value {
	var list []reflect.Value
	if _, ok := f.Interface().(ygot.GoOrderedMap); ok {
		values := f.MethodByName("Values").Call(nil)[0]
		for i := range values.Len() {
			list = append(list, values.Index(i))
		}
		return list
	}
	for _, key := range f.MapKeys() {
		list = append(list, f.MapIndex(key))
	}
	return list
}

func hasState(e *yang.Entry) bool {
	if e.Name == "state" && e.IsContainer() {
		return true
	}
	for _, child := range e.Dir {
		if hasState(child) {
			return true
		}
	}
	return false
}

func TestFillLeavesOutWhatIsAbsent(t *testing.T) {
	dst := &gen.Device{}
	FillDevice(dst, DeviceState{Name: "ge0", IfIndex: 1, Oper: intf.OperPending, OperReason: "no such link"})
	st := dst.GetInterface("ge0").GetState()
	if st.Mru != nil || st.Speed != nil || st.MacAddress != nil || st.LinkMtu != nil ||
		st.DriverInUse != gen.Routerd_DriverInUse_UNSET || st.ZeroCopy != nil {
		t.Errorf("a device that isn't there has %+v", st)
	}
	if st.OperStatus != gen.Routerd_OperStatus_pending || *st.OperReason != "no such link" {
		t.Errorf("oper status %v, reason %v", st.OperStatus, st.OperReason)
	}
}

func TestFillKeepsConfigAndNeighbours(t *testing.T) {
	dst := load(t, []byte(base))
	FillUnit(dst, UnitState{Key: intf.UnitKey{Device: "ge0", ID: "0"}, Families: []FamilyState{{
		Family: intf.Inet,
		Neighbors: []NeighborState{
			{Address: netip.MustParseAddr("192.0.2.9"), Static: true, State: neighbor.Permanent},
			{Address: netip.MustParseAddr("192.0.2.10"), State: neighbor.Incomplete},
		},
	}}})
	f := dst.GetInterface("ge0").GetUnit("0").GetFamily(gen.Routerd_FamilyType_inet)
	static, learned := f.GetNeighbor("192.0.2.9"), f.GetNeighbor("192.0.2.10")
	if static.GetConfig() == nil || static.GetState().Origin != gen.Routerd_NeighborOrigin_static {
		t.Errorf("the declared neighbour became %+v", static)
	}
	if learned.GetConfig() != nil || learned.GetState().Origin != gen.Routerd_NeighborOrigin_dynamic || learned.State.LinkLayerAddress != nil {
		t.Errorf("the learned neighbour is %+v", learned)
	}
	if _, errs := Compile(dst); errs != nil {
		t.Errorf("with state in it, the configuration no longer compiles: %v", errs)
	}
}

// Each value of ours has the value of the model with the same name.
func TestEnumerationsBearTheSameNames(t *testing.T) {
	check := func(ours string, theirs ygot.GoEnum) {
		t.Helper()
		name, err := ygot.EnumName(theirs)
		if err != nil || name != ours {
			t.Errorf("%s became %q (%v)", ours, name, err)
		}
	}
	for _, f := range intf.Families {
		check(f.String(), familyType(f))
	}
	for s := intf.OperUp; s <= intf.OperPending; s++ {
		check(s.String(), operStatus(s))
	}
	for d := intf.Ethernet; d <= intf.Loopback; d++ {
		check(d.String(), interfaceType(d))
	}
	for p := intf.PreferMedium; p <= intf.PreferHigh; p++ {
		check(p.String(), preferenceState(p))
	}
	for a := intf.Exclusive; a <= intf.Shared; a++ {
		check(a.String(), attach(a))
	}
	for d := intf.DriverAuto; d <= intf.DriverAFPacket; d++ {
		check(d.String(), driver(d))
		if d != intf.DriverAuto {
			check(d.String(), driverInUse(d))
		}
	}
	for p := intf.PollAdaptive; p <= intf.PollSleep; p++ {
		check(p.String(), polling(p))
	}
	for m := XDPNone; m <= XDPGeneric; m++ {
		check(m.String(), xdpMode(m))
	}
	for s := AddressPreferred; s <= AddressPending; s++ {
		check(s.String(), addressStatus(s))
	}
	for s := neighbor.Incomplete; s <= neighbor.Permanent; s++ {
		check(s.String(), neighborState(s))
	}
	for a := Forward; a <= Receive; a++ {
		check(a.String(), routeAction(a))
	}
	for s := routing.User; s <= routing.Clone; s++ {
		check(s.String(), routeSource(s))
	}
	for p := routing.System; p <= routing.GRIBI; p++ {
		check(p.String(), routeProtocol(p))
	}
	for k := routing.Forward; k <= routing.Indirect; k++ {
		check(k.String(), nextHopType(k))
	}
	for _, tpid := range []uint16{0x8100, 0x88a8, 0x9100, 0x9200, 0x9300} {
		check("0x"+hex(tpid), tpidState(tpid))
	}
}

func hex(n uint16) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[n>>12], digits[n>>8&15], digits[n>>4&15], digits[n&15]})
}

// A session for all fragments says so, as its config may.
func TestFillSessionOfAllFragments(t *testing.T) {
	dst := &gen.Device{}
	FillSession(dst, SessionState{Spec: SessionSpec{Name: "echo", Match: byLocalPort(protoICMP, 8)}})
	if later := dst.Session["echo"].State.LaterFragments; later == nil || *later {
		t.Error("later-fragments: the state is not false")
	}
}
