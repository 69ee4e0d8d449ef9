package gribi

import (
	"errors"
	"fmt"
	"net/netip"

	aft "github.com/openconfig/gribi/v1/proto/gribi_aft"
	spb "github.com/openconfig/gribi/v1/proto/service"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"router/intf"
)

// A kind is a kind of entry. The set is closed.
type kind uint8

const (
	routeEntry kind = iota
	groupEntry
	nexthopEntry
)

// maxMetadata is how many octets of metadata an entry has room for (the type of
// entry-metadata in openconfig-aft).
const maxMetadata = 8

// An operation is an AFTOperation, checked as far as that goes without the
// tables.
type operation struct {
	id       uint64
	election uint128
	verb     spb.AFTOperation_Operation
	instance string
	kind     kind
	index    uint64 // of a group, a next hop

	prefix        netip.Prefix // of a route
	group         uint64       // that it goes by
	groupInstance string       // where that is defined
	metadata      string

	members   []share // of a group, in order of index
	backup    uint64  // the group to use while no member is usable
	hasBackup bool
	color     *uint64

	via via // of a next hop
}

// A share is one member of a group: a next hop of the group's instance.
type share struct {
	index  uint64
	weight uint64
}

// A via is what a next hop says. It is comparable.
type via struct {
	address      netip.Addr
	device       string // interface_ref
	subinterface uint64
	hasSub       bool
	instance     string // to look the address, or else the packet, up in
}

// unit is the name of the unit that v names, empty for none.
func (v via) unit() string {
	if v.device == "" || !v.hasSub {
		return v.device
	}
	return fmt.Sprintf("%s.%d", v.device, v.subinterface)
}

// parse checks the message of an operation. The id and the election id are
// there whatever the error.
func parse(m *spb.AFTOperation) (o operation, err error) {
	o = operation{id: m.GetId(), election: idOf(m.GetElectionId()), verb: m.GetOp(), instance: m.GetNetworkInstance()}
	switch o.verb {
	case spb.AFTOperation_ADD, spb.AFTOperation_REPLACE, spb.AFTOperation_DELETE:
	case spb.AFTOperation_INVALID:
		return o, errors.New("op is missing: want ADD, REPLACE or DELETE")
	default:
		return o, fmt.Errorf("op %v is not known: want ADD, REPLACE or DELETE", o.verb)
	}
	if o.instance == "" {
		return o, errors.New("network_instance is missing")
	}
	content := o.verb != spb.AFTOperation_DELETE
	switch e := m.GetEntry().(type) {
	case *spb.AFTOperation_Ipv4:
		err = o.route(intf.Inet, e.Ipv4.GetPrefix(), e.Ipv4.GetIpv4Entry(), content)
	case *spb.AFTOperation_Ipv6:
		err = o.route(intf.Inet6, e.Ipv6.GetPrefix(), e.Ipv6.GetIpv6Entry(), content)
	case *spb.AFTOperation_NextHopGroup:
		o.kind, o.index = groupEntry, e.NextHopGroup.GetId()
		if content {
			err = o.nextHopGroup(e.NextHopGroup.GetNextHopGroup())
		}
	case *spb.AFTOperation_NextHop:
		o.kind, o.index = nexthopEntry, e.NextHop.GetIndex()
		if content {
			err = o.nextHop(e.NextHop.GetNextHop())
		}
	case nil:
		err = errors.New("entry is missing")
	default:
		err = fmt.Errorf("%s: this router has ipv4, ipv6, next_hop_group and next_hop entries only",
			m.ProtoReflect().WhichOneof(m.ProtoReflect().Descriptor().Oneofs().ByName("entry")).Name())
	}
	return o, err
}

func (o *operation) route(f intf.Family, prefix string, m proto.Message, content bool) error {
	o.kind = routeEntry
	p, err := netip.ParsePrefix(prefix)
	switch {
	case err != nil:
		return fmt.Errorf("prefix %q: want an address, a slash and a length", prefix)
	case p.Addr().Is4In6() || intf.FamilyOf(p.Addr()) != f:
		return fmt.Errorf("prefix %s is not of family %v", prefix, f)
	case p != p.Masked():
		return fmt.Errorf("prefix %s has host bits: write %v", prefix, p.Masked())
	case p.Addr().IsMulticast():
		return fmt.Errorf("prefix %s is of groups: this is for unicast", prefix)
	}
	o.prefix = p
	if !content {
		return nil
	}
	if err := supported(m, "entry_metadata", "next_hop_group", "next_hop_group_network_instance"); err != nil {
		return err
	}
	var has bool
	switch e := m.(type) {
	case *aft.Afts_Ipv4Entry:
		has = e.GetNextHopGroup() != nil
		o.group, o.groupInstance = e.GetNextHopGroup().GetValue(), e.GetNextHopGroupNetworkInstance().GetValue()
		o.metadata = string(e.GetEntryMetadata().GetValue())
	case *aft.Afts_Ipv6Entry:
		has = e.GetNextHopGroup() != nil
		o.group, o.groupInstance = e.GetNextHopGroup().GetValue(), e.GetNextHopGroupNetworkInstance().GetValue()
		o.metadata = string(e.GetEntryMetadata().GetValue())
	}
	if !has {
		return fmt.Errorf("entry %s names no next_hop_group", prefix)
	}
	if len(o.metadata) > maxMetadata {
		return fmt.Errorf("entry_metadata of %d octets: it has %d at most", len(o.metadata), maxMetadata)
	}
	if o.groupInstance == "" {
		o.groupInstance = o.instance
	}
	return nil
}

func (o *operation) nextHopGroup(m *aft.Afts_NextHopGroup) error {
	if err := supported(m, "next_hop", "backup_next_hop_group", "color"); err != nil {
		return err
	}
	if b := m.GetBackupNextHopGroup(); b != nil {
		o.backup, o.hasBackup = b.GetValue(), true
	}
	if c := m.GetColor(); c != nil {
		o.color = new(uint64)
		*o.color = c.GetValue()
	}
	seen := map[uint64]bool{}
	for _, nh := range m.GetNextHop() {
		weight := uint64(1)
		if w := nh.GetNextHop().GetWeight(); w != nil {
			weight = w.GetValue()
		}
		switch {
		case weight == 0:
			return fmt.Errorf("next hop %d has weight 0: leave out what is to get nothing", nh.GetIndex())
		case seen[nh.GetIndex()]:
			return fmt.Errorf("next hop %d is there twice: give it one weight", nh.GetIndex())
		}
		seen[nh.GetIndex()] = true
		o.members = append(o.members, share{nh.GetIndex(), weight})
	}
	if len(o.members) == 0 {
		return fmt.Errorf("next-hop group %d has no next hops", o.index)
	}
	return nil
}

func (o *operation) nextHop(m *aft.Afts_NextHop) error {
	if err := supported(m, "ip_address", "interface_ref", "network_instance"); err != nil {
		return err
	}
	v := &o.via
	if a := m.GetIpAddress(); a != nil {
		addr, err := netip.ParseAddr(a.GetValue())
		switch {
		case err != nil || addr.Zone() != "" || addr.Is4In6():
			return fmt.Errorf("ip_address %q: want an IPv4 or IPv6 address without zone", a.GetValue())
		case addr.IsUnspecified() || addr.IsMulticast() || addr.IsLoopback():
			return fmt.Errorf("ip_address %v is no neighbour's", addr)
		}
		v.address = addr
	}
	if ref := m.GetInterfaceRef(); ref != nil {
		v.device = ref.GetInterface().GetValue()
		if v.device == "" {
			return errors.New("interface_ref names no interface")
		}
		if sub := ref.GetSubinterface(); sub != nil {
			v.subinterface, v.hasSub = sub.GetValue(), true
		}
	}
	v.instance = m.GetNetworkInstance().GetValue()
	switch {
	case !v.address.IsValid() && v.device == "" && v.instance == "":
		return fmt.Errorf("next hop %d has neither ip_address nor interface_ref nor network_instance", o.index)
	case v.device != "" && v.instance != "":
		return fmt.Errorf("next hop %d: network_instance says where to look the address up, and excludes interface_ref", o.index)
	case v.address.IsLinkLocalUnicast() && v.address.Is6() && v.device == "":
		return fmt.Errorf("next hop %d: %v is link-local: name the interface too", o.index, v.address)
	}
	return nil
}

// supported refuses a message that says anything that the dataplane doesn't do,
// by its name.
func supported(m proto.Message, fields ...protoreflect.Name) error {
	r := m.ProtoReflect()
	if !r.IsValid() {
		return nil
	}
	var err error
	r.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		for _, name := range fields {
			if f.Name() == name {
				return true
			}
		}
		err = fmt.Errorf("%s is not supported by this router", f.Name())
		return false
	})
	if err == nil && len(r.GetUnknown()) > 0 {
		err = fmt.Errorf("%s has fields that this router does not know", r.Descriptor().Name())
	}
	return err
}
