// Package reconcile turns a change of intent into an ordered plan and applies
// it, all or nothing.
//
// [Plan] is pure and deterministic: equal changes give equal plans. The order
// is make before break: what is new or different comes first, from the ground
// up (an instance before the family that lives in it, a family before its
// addresses, the addresses before the routes that need them); what goes away
// follows, from the top down. [Apply] works through a plan against a [Target] and, when a
// step fails, undoes the steps before it.
package reconcile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"router/intf"
	"router/models"
)

// A Kind is a kind of object that is kept in place. The order of the kinds is
// the order of creation.
type Kind uint8

const (
	System Kind = iota
	Instance
	Device
	Unit
	Family
	Address
	Neighbor
	StaticRoute
	LocalClass
	Session
	PrefixList
	Policer
	Filter
	MulticastRoute
	GRIBI
	Role
	User
	LogServer
)

func (k Kind) String() string {
	switch k {
	case System:
		return "system"
	case Instance:
		return "instance"
	case Device:
		return "interface"
	case Unit:
		return "unit"
	case Family:
		return "family"
	case Address:
		return "address"
	case Neighbor:
		return "neighbor"
	case StaticRoute:
		return "static-route"
	case LocalClass:
		return "local-class"
	case Session:
		return "session"
	case PrefixList:
		return "prefix-list"
	case Policer:
		return "policer"
	case Filter:
		return "filter"
	case MulticastRoute:
		return "multicast-route"
	case GRIBI:
		return "gribi"
	case Role:
		return "role"
	case User:
		return "user"
	case LogServer:
		return "log-server"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// An Op says what a step does to its object.
type Op uint8

const (
	Create Op = iota
	Update
	Delete
)

func (o Op) String() string {
	switch o {
	case Create:
		return "create"
	case Update:
		return "update"
	case Delete:
		return "delete"
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// A Spec is the intended state of one object by itself, without the objects
// below it. Exactly one member is set, the one of the object's kind.
type Spec struct {
	System   *models.SystemSpec
	Instance *models.InstanceSpec
	Device   *intf.DeviceSpec
	Unit     *intf.UnitSpec   // Families is nil
	Family   *intf.FamilySpec // Addresses and Neighbors are nil
	Address  *intf.AddressSpec
	Neighbor *intf.NeighborSpec
	Static   *models.StaticSpec
	Class    *models.ClassSpec
	Session  *models.SessionSpec

	PrefixList *models.PrefixListSpec
	Policer    *models.PolicerSpec
	Filter     *models.FilterSpec

	Multicast *models.MulticastSpec
	GRIBI     *models.GRIBISpec

	Role      *models.RoleSpec
	User      *models.UserSpec
	LogServer *models.LogServerSpec
}

// A Step changes one object from Old to New. Create has no Old, Delete no New.
type Step struct {
	Op       Op
	Kind     Kind
	Instance string       // of an instance and its routes
	Device   string       // of a device
	Unit     intf.UnitKey // of a unit and what is below it
	Family   intf.Family  // of a family and what is below it
	Prefix   netip.Prefix // of a static route and an address; of a route of groups, the groups
	Source   netip.Prefix // of a route of groups; the zero value for any
	Neighbor netip.Addr   // of a neighbour
	Name     string       // of a class, a session, a prefix list, a policer, a filter, a role, a user and a syslog server
	Old, New Spec
}

// Object names the step's object as the model's path does.
func (s Step) Object() string {
	unit := func() string { return fmt.Sprintf("interface %s unit %s", s.Unit.Device, s.Unit.ID) }
	switch s.Kind {
	case System:
		return "system"
	case GRIBI:
		return "gribi"
	case Instance:
		return "instance " + s.Instance
	case Device:
		return "interface " + s.Device
	case Unit:
		return unit()
	case Family:
		return fmt.Sprintf("%s family %s", unit(), s.Family)
	case Address:
		return fmt.Sprintf("%s family %s address %s", unit(), s.Family, s.Prefix)
	case Neighbor:
		return fmt.Sprintf("%s family %s neighbor %s", unit(), s.Family, s.Neighbor)
	case StaticRoute:
		return fmt.Sprintf("instance %s static-route %s", s.Instance, s.Prefix)
	case LocalClass, Session, PrefixList, Policer, Filter, Role, User, LogServer:
		return s.Kind.String() + " " + s.Name
	case MulticastRoute:
		return fmt.Sprintf("instance %s multicast-route %s %s", s.Instance, s.Prefix, models.MulticastKey{Source: s.Source}.SourceText())
	}
	return s.Kind.String()
}

func (s Step) String() string { return s.Op.String() + " " + s.Object() }

// Inverse is the step that undoes s.
func (s Step) Inverse() Step {
	s.Old, s.New = s.New, s.Old
	switch s.Op {
	case Create:
		s.Op = Delete
	case Delete:
		s.Op = Create
	case Update:
	}
	return s
}

// Plan orders what change asks for. An object whose specification stays the
// same has no step.
func Plan(change models.Change) []Step {
	var steps []Step
	add := func(s Step, had, has, same bool) {
		switch {
		case had && has && same, !had && !has:
			return
		case had && has:
			s.Op = Update
		case has:
			s.Op = Create
		default:
			s.Op = Delete
		}
		steps = append(steps, s)
	}
	if d := change.System; d != nil {
		add(Step{Kind: System, Old: Spec{System: d.Old}, New: Spec{System: d.New}}, d.Old != nil, d.New != nil, false)
	}
	if d := change.GRIBI; d != nil {
		add(Step{Kind: GRIBI, Old: Spec{GRIBI: d.Old}, New: Spec{GRIBI: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.Instances {
		add(Step{Kind: Instance, Instance: d.Key, Old: Spec{Instance: d.Old}, New: Spec{Instance: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.Devices {
		add(Step{Kind: Device, Device: d.Key, Old: Spec{Device: d.Old}, New: Spec{Device: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.Units {
		planUnit(d, add)
	}
	for _, d := range change.Static {
		add(Step{Kind: StaticRoute, Instance: d.Key.Instance, Prefix: d.Key.Prefix, Old: Spec{Static: d.Old}, New: Spec{Static: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.Classes {
		add(Step{Kind: LocalClass, Name: d.Key, Old: Spec{Class: d.Old}, New: Spec{Class: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.Sessions {
		add(Step{Kind: Session, Name: d.Key, Old: Spec{Session: d.Old}, New: Spec{Session: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.PrefixLists {
		add(Step{Kind: PrefixList, Name: d.Key, Old: Spec{PrefixList: d.Old}, New: Spec{PrefixList: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.Policers {
		add(Step{Kind: Policer, Name: d.Key, Old: Spec{Policer: d.Old}, New: Spec{Policer: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.Filters {
		add(Step{Kind: Filter, Name: d.Key, Old: Spec{Filter: d.Old}, New: Spec{Filter: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.Multicast {
		add(Step{Kind: MulticastRoute, Instance: d.Key.Instance, Prefix: d.Key.Group, Source: d.Key.Source,
			Old: Spec{Multicast: d.Old}, New: Spec{Multicast: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.Roles {
		add(Step{Kind: Role, Name: d.Key, Old: Spec{Role: d.Old}, New: Spec{Role: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.Users {
		add(Step{Kind: User, Name: d.Key, Old: Spec{User: d.Old}, New: Spec{User: d.New}}, d.Old != nil, d.New != nil, false)
	}
	for _, d := range change.LogServers {
		add(Step{Kind: LogServer, Name: d.Key, Old: Spec{LogServer: d.Old}, New: Spec{LogServer: d.New}}, d.Old != nil, d.New != nil, false)
	}
	return sorted(steps)
}

// sorted is steps in order. A Step takes half a kilobyte: each is moved once at most.
func sorted(steps []Step) []Step {
	order := make([]*Step, len(steps))
	for i := range steps {
		order[i] = &steps[i]
	}
	if slices.IsSortedFunc(order, compare) {
		return steps
	}
	slices.SortStableFunc(order, compare)
	list := make([]Step, len(steps))
	for i, s := range order {
		list[i] = *s
	}
	return list
}

// planUnit takes a unit apart into itself, its families, and their addresses
// and neighbours.
func planUnit(d models.Delta[intf.UnitKey, intf.UnitSpec], add func(s Step, had, has, same bool)) {
	bare := func(u *intf.UnitSpec) *intf.UnitSpec {
		if u == nil {
			return nil
		}
		b := *u
		b.Families = nil
		return &b
	}
	old, new := bare(d.Old), bare(d.New)
	same := old != nil && new != nil && old.Description == new.Description && old.Enabled == new.Enabled && old.VLAN == new.VLAN && old.Group == new.Group
	add(Step{Kind: Unit, Unit: d.Key, Old: Spec{Unit: old}, New: Spec{Unit: new}}, old != nil, new != nil, same)
	for _, f := range intf.Families {
		planFamily(d.Key, familyOf(d.Old, f), familyOf(d.New, f), f, add)
	}
}

func familyOf(u *intf.UnitSpec, f intf.Family) *intf.FamilySpec {
	if u == nil {
		return nil
	}
	for i := range u.Families {
		if u.Families[i].Family == f {
			return &u.Families[i]
		}
	}
	return nil
}

func planFamily(unit intf.UnitKey, old, new *intf.FamilySpec, f intf.Family, add func(s Step, had, has, same bool)) {
	bare := func(s *intf.FamilySpec) *intf.FamilySpec {
		if s == nil {
			return nil
		}
		b := *s
		b.Addresses, b.Neighbors = nil, nil
		return &b
	}
	step := Step{Kind: Family, Unit: unit, Family: f, Old: Spec{Family: bare(old)}, New: Spec{Family: bare(new)}}
	same := old != nil && new != nil && step.Old.Family.Equal(*step.New.Family)
	add(step, old != nil, new != nil, same)

	addresses := map[netip.Prefix]*[2]*intf.AddressSpec{}
	neighbors := map[netip.Addr]*[2]*intf.NeighborSpec{}
	for side, s := range []*intf.FamilySpec{old, new} {
		if s == nil {
			continue
		}
		for i := range s.Addresses {
			pair(addresses, s.Addresses[i].Prefix)[side] = &s.Addresses[i]
		}
		for i := range s.Neighbors {
			pair(neighbors, s.Neighbors[i].Address)[side] = &s.Neighbors[i]
		}
	}
	for prefix, p := range addresses {
		step := Step{Kind: Address, Unit: unit, Family: f, Prefix: prefix, Old: Spec{Address: p[0]}, New: Spec{Address: p[1]}}
		add(step, p[0] != nil, p[1] != nil, p[0] != nil && p[1] != nil && *p[0] == *p[1])
	}
	for addr, p := range neighbors {
		step := Step{Kind: Neighbor, Unit: unit, Family: f, Neighbor: addr, Old: Spec{Neighbor: p[0]}, New: Spec{Neighbor: p[1]}}
		add(step, p[0] != nil, p[1] != nil, p[0] != nil && p[1] != nil && *p[0] == *p[1])
	}
}

// pair is the old and the new of one key.
func pair[K comparable, V any](m map[K]*[2]*V, k K) *[2]*V {
	if m[k] == nil {
		m[k] = &[2]*V{}
	}
	return m[k]
}

// compare puts creations and updates first, in order of kind, then deletions in reverse.
func compare(a, b *Step) int {
	aDel, bDel := a.Op == Delete, b.Op == Delete
	if aDel != bDel {
		if aDel {
			return 1
		}
		return -1
	}
	c := a.compareObject(b)
	if aDel {
		return -c
	}
	return c
}

func (s *Step) compareObject(o *Step) int {
	// Not cmp.Or: it compares all, and thousands are sorted.
	if c := cmp.Compare(s.Kind, o.Kind); c != 0 {
		return c
	}
	if c := strings.Compare(s.Instance, o.Instance); c != 0 {
		return c
	}
	if s.Kind == StaticRoute {
		return s.Prefix.Compare(o.Prefix)
	}
	return cmp.Or(
		strings.Compare(s.Device, o.Device),
		s.Unit.Compare(o.Unit),
		cmp.Compare(s.Family, o.Family),
		s.Prefix.Compare(o.Prefix),
		s.Source.Compare(o.Source),
		s.Neighbor.Compare(o.Neighbor),
		strings.Compare(s.Name, o.Name),
	)
}
