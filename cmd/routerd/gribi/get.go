package gribi

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"

	aft "github.com/openconfig/gribi/v1/proto/gribi_aft"
	spb "github.com/openconfig/gribi/v1/proto/service"
	"github.com/openconfig/ygot/proto/ywrapper"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/intf"
)

// getChunk is how many entries a GetResponse has, and for how many the tables
// are held.
const getChunk = 256

// Get implements gRIBI's Get (specification, section 4.2): next hops come first,
// then groups, then prefixes, so that what comes refers to what has come. What
// changes meanwhile may be seen or not.
func (s *Server) Get(m *spb.GetRequest, stream spb.GRIBI_GetServer) error {
	if err := s.serving(); err != nil {
		return err
	}
	var want struct{ nexthops, groups, inet, inet6 bool }
	switch m.GetAft() {
	case spb.AFTType_ALL:
		want.nexthops, want.groups, want.inet, want.inet6 = true, true, true, true
	case spb.AFTType_IPV4:
		want.inet = true
	case spb.AFTType_IPV6:
		want.inet6 = true
	case spb.AFTType_NEXTHOP:
		want.nexthops = true
	case spb.AFTType_NEXTHOP_GROUP:
		want.groups = true
	case spb.AFTType_MPLS, spb.AFTType_MAC, spb.AFTType_POLICY_FORWARDING:
		return status.Errorf(codes.Unimplemented, "aft %v is not supported: this router has IPV4, IPV6, NEXTHOP and NEXTHOP_GROUP", m.GetAft())
	case spb.AFTType_INVALID:
		return status.Error(codes.InvalidArgument, "aft is missing")
	default:
		return status.Errorf(codes.InvalidArgument, "aft %v is not known", m.GetAft())
	}
	names, err := s.asked(m)
	if err != nil {
		return err
	}
	for _, name := range names {
		if want.nexthops {
			err = get(s, stream, name, cmp.Compare[uint64], (*instance).nexthopMap, nexthopAnswer)
		}
		if want.groups && err == nil {
			err = get(s, stream, name, cmp.Compare[uint64], (*instance).groupMap, groupAnswer)
		}
		if want.inet && err == nil {
			err = get(s, stream, name, netip.Prefix.Compare, (*instance).inetMap, routeAnswer)
		}
		if want.inet6 && err == nil {
			err = get(s, stream, name, netip.Prefix.Compare, (*instance).inet6Map, routeAnswer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (in *instance) nexthopMap() map[uint64]*nexthop   { return in.nexthops }
func (in *instance) groupMap() map[uint64]*group       { return in.groups }
func (in *instance) inetMap() map[netip.Prefix]*route  { return in.routes[intf.Inet] }
func (in *instance) inet6Map() map[netip.Prefix]*route { return in.routes[intf.Inet6] }

// asked are the instances that m is about, sorted.
func (s *Server) asked(m *spb.GetRequest) (names []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Router.Program(func(t Tables) {
		s.table.dropGone(t)
		switch n := m.GetNetworkInstance().(type) {
		case *spb.GetRequest_All:
			names = slices.Sorted(maps.Keys(s.table.instances))
		case *spb.GetRequest_Name:
			if n.Name == "" {
				err = status.Error(codes.InvalidArgument, "the name of the network instance is empty")
			} else if _, _, ok := t.Instance(n.Name); !ok {
				err = status.Errorf(codes.NotFound, "network instance %s does not exist", n.Name)
			}
			names = []string{n.Name}
		default:
			err = status.Error(codes.InvalidArgument, "network_instance is missing: name one, or say all")
		}
	}, nil)
	return names, err
}

// get sends the entries of one kind of an instance, in order of their keys.
func get[K comparable, V any](s *Server, stream spb.GRIBI_GetServer, name string, compare func(a, b K) int,
	entries func(*instance) map[K]V, answer func(Tables, string, K, V) *spb.AFTEntry) error {
	s.mu.Lock()
	var keys []K
	if in := s.table.instances[name]; in != nil {
		keys = slices.Collect(maps.Keys(entries(in)))
	}
	s.mu.Unlock()
	slices.SortFunc(keys, compare)
	for len(keys) > 0 {
		n := min(len(keys), getChunk)
		m := &spb.GetResponse{}
		s.mu.Lock()
		if in := s.table.instances[name]; in != nil {
			s.opt.Router.Program(nil, func(t Tables) {
				for _, k := range keys[:n] {
					if v, ok := entries(in)[k]; ok {
						m.Entry = append(m.Entry, answer(t, name, k, v))
					}
				}
			})
		}
		s.mu.Unlock()
		if len(m.GetEntry()) > 0 {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		keys = keys[n:]
	}
	return nil
}

func uintValue(v uint64) *ywrapper.UintValue { return &ywrapper.UintValue{Value: v} }

func stringValue(v string) *ywrapper.StringValue { return &ywrapper.StringValue{Value: v} }

// programmed is an answer about what the dataplane has. Next hops and groups are
// in it from their operation on.
func programmed(instance string) *spb.AFTEntry {
	return &spb.AFTEntry{NetworkInstance: instance, RibStatus: spb.AFTEntry_PROGRAMMED, FibStatus: spb.AFTEntry_PROGRAMMED}
}

func nexthopAnswer(_ Tables, instance string, index uint64, n *nexthop) *spb.AFTEntry {
	m := &aft.Afts_NextHop{}
	if n.via.address.IsValid() {
		m.IpAddress = stringValue(n.via.address.String())
	}
	if n.via.device != "" {
		m.InterfaceRef = &aft.Afts_NextHop_InterfaceRef{Interface: stringValue(n.via.device)}
		if n.via.hasSub {
			m.InterfaceRef.Subinterface = uintValue(n.via.subinterface)
		}
	}
	if n.via.instance != "" {
		m.NetworkInstance = stringValue(n.via.instance)
	}
	e := programmed(instance)
	e.Entry = &spb.AFTEntry_NextHop{NextHop: &aft.Afts_NextHopKey{Index: index, NextHop: m}}
	return e
}

func groupAnswer(_ Tables, instance string, id uint64, g *group) *spb.AFTEntry {
	m := &aft.Afts_NextHopGroup{}
	for _, member := range g.members {
		m.NextHop = append(m.NextHop, &aft.Afts_NextHopGroup_NextHopKey{
			Index: member.nexthop.index, NextHop: &aft.Afts_NextHopGroup_NextHop{Weight: uintValue(member.weight)},
		})
	}
	if g.backup != nil {
		m.BackupNextHopGroup = uintValue(g.backup.id)
	}
	if g.color != nil {
		m.Color = uintValue(*g.color)
	}
	e := programmed(instance)
	e.Entry = &spb.AFTEntry_NextHopGroup{NextHopGroup: &aft.Afts_NextHopGroupKey{Id: id, NextHopGroup: m}}
	return e
}

func routeAnswer(t Tables, instance string, p netip.Prefix, r *route) *spb.AFTEntry {
	group := uintValue(r.group.id)
	var at *ywrapper.StringValue
	if r.group.in.name != instance {
		at = stringValue(r.group.in.name)
	}
	var metadata *ywrapper.BytesValue
	if r.metadata != "" {
		metadata = &ywrapper.BytesValue{Value: []byte(r.metadata)}
	}
	e := programmed(instance)
	if active, _ := t.Route(instance, p); !active {
		e.FibStatus = spb.AFTEntry_NOT_PROGRAMMED
	}
	if p.Addr().Is4() {
		e.Entry = &spb.AFTEntry_Ipv4{Ipv4: &aft.Afts_Ipv4EntryKey{Prefix: p.String(), Ipv4Entry: &aft.Afts_Ipv4Entry{
			NextHopGroup: group, NextHopGroupNetworkInstance: at, EntryMetadata: metadata}}}
	} else {
		e.Entry = &spb.AFTEntry_Ipv6{Ipv6: &aft.Afts_Ipv6EntryKey{Prefix: p.String(), Ipv6Entry: &aft.Afts_Ipv6Entry{
			NextHopGroup: group, NextHopGroupNetworkInstance: at, EntryMetadata: metadata}}}
	}
	return e
}
