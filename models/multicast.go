package models

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"

	"router/gen"
	"router/intf"
	"router/routing"
)

// This file has the routes of groups, and the cache of flows, from gen to Intent
// and from state to gen.

// AnySource is how the model spells any source.
const AnySource = "any"

// A MulticastKey names a route of groups.
type MulticastKey struct {
	Instance string
	Group    netip.Prefix // masked
	Source   netip.Prefix // masked; the zero value for any
}

// Compare orders keys by instance, group and source, any source first.
func (k MulticastKey) Compare(o MulticastKey) int {
	return cmp.Or(strings.Compare(k.Instance, o.Instance), k.Group.Compare(o.Group), k.Source.Compare(o.Source))
}

// SourceText is the source as the model spells it.
func (k MulticastKey) SourceText() string { return sourceText(k.Source) }

// Object is the object of the route with this key.
func (k MulticastKey) Object() Object {
	return Object{Kind: Multicast, Instance: k.Instance, Group: k.Group.String(), Source: k.SourceText()}
}

func sourceText(p netip.Prefix) string {
	if !p.IsValid() {
		return AnySource
	}
	return p.String()
}

// A MulticastAction says what a route of groups does with a packet. The set is
// closed.
type MulticastAction uint8

// The actions.
const (
	MulticastForward MulticastAction = iota // to each outgoing unit
	MulticastFlood                          // likewise, but not to where it came from
	MulticastDiscard                        // drop silently
)

func (a MulticastAction) String() string {
	switch a {
	case MulticastForward:
		return "forward"
	case MulticastFlood:
		return "flood"
	case MulticastDiscard:
		return "discard"
	}
	return fmt.Sprintf("multicast-action(%d)", uint8(a))
}

// A MulticastSpec is the intended state of a route of groups.
type MulticastSpec struct {
	Key         MulticastKey
	Action      MulticastAction
	In          intf.UnitKey // zero for any
	Out         []intf.UnitKey
	Local       bool
	Description string
}

// Equal reports whether both declare the same.
func (s MulticastSpec) Equal(o MulticastSpec) bool {
	return s.Key == o.Key && s.Action == o.Action && s.In == o.In && slices.Equal(s.Out, o.Out) &&
		s.Local == o.Local && s.Description == o.Description
}

// units visits the units that the route names.
func (s MulticastSpec) units(yield func(intf.UnitKey) bool) {
	if s.In != (intf.UnitKey{}) && !yield(s.In) {
		return
	}
	for _, u := range s.Out {
		if !yield(u) {
			return
		}
	}
}

// A CacheSpec bounds an instance's cache of flows. It is comparable.
type CacheSpec struct {
	Entries uint16
	Idle    time.Duration // whole seconds
}

// DefaultCache is the cache of an instance of which nothing is said.
var DefaultCache = CacheSpec{defaultCacheEntries, defaultCacheIdle * time.Second}

// A CacheState says what an instance's cache of flows holds.
type CacheState struct {
	Flows, Negative uint32
	Refused         uint64
}

// A FlowState is the state of a route of a group by source.
type FlowState struct {
	Group           netip.Addr
	Source          netip.Prefix
	Origin          routing.Source
	Active          bool
	NextHop         routing.Kind
	In              string // a unit's name, empty for any
	Out             []string
	Local           bool
	Parent          bool         // the two below are known
	ParentGroup     netip.Prefix // of a clone
	ParentSource    netip.Prefix // likewise; the zero value for any
	LastUsed        time.Time    // likewise
	Packets, Octets uint64
}

// A MulticastState is the state of a declared route of groups.
type MulticastState struct {
	Applied         MulticastSpec
	Active          bool
	Packets, Octets uint64
}

// multicast lists the routes of groups that elem selects.
func (w *walker) multicast(instance string, i *gen.Routerd_Instance, elem *gpb.PathElem) {
	group, oneGroup := exactKey(elem, "group")
	source, oneSource := exactKey(elem, "source")
	if oneGroup && oneSource {
		if i.GetMulticastRoute(group, source) != nil {
			w.out = append(w.out, Object{Kind: Multicast, Instance: instance, Group: group, Source: source})
		}
		return
	}
	for k := range i.MulticastRoute {
		if (!oneGroup || k.Group == group) && (!oneSource || k.Source == source) {
			w.out = append(w.out, Object{Kind: Multicast, Instance: instance, Group: k.Group, Source: k.Source})
		}
	}
}

// multicastKey is the key of a Multicast object; ok is false when its prefixes
// aren't the canonical spelling of such without host bits.
func (o Object) multicastKey() (k MulticastKey, ok bool) {
	k.Instance = o.Instance
	var err error
	if k.Group, err = netip.ParsePrefix(o.Group); err != nil || k.Group != k.Group.Masked() || k.Group.String() != o.Group {
		return k, false
	}
	if o.Source == AnySource {
		return k, true
	}
	k.Source, err = netip.ParsePrefix(o.Source)
	return k, err == nil && k.Source == k.Source.Masked() && k.Source.String() == o.Source
}

// MulticastKeyOf is the key of a Multicast object; ok is false for one that can't
// be applied.
func MulticastKeyOf(o Object) (MulticastKey, bool) { return o.multicastKey() }

func compileCache(g *gen.Routerd_Instance, path string, v *violations) CacheSpec {
	c := g.GetMulticast().GetConfig()
	if c == nil || !checkLeaves(c, path+"/multicast/config", v) {
		return DefaultCache
	}
	return CacheSpec{
		Entries: value(c.CacheEntries, defaultCacheEntries),
		Idle:    time.Duration(value(c.CacheIdleTime, defaultCacheIdle)) * time.Second,
	}
}

// compileMulticast compiles a route of groups; ok is false where not even its
// key is sound.
func compileMulticast(o Object, g *gen.Routerd_Instance_MulticastRoute, v *violations) (s MulticastSpec, ok bool) {
	path := multicastPathText(o.Instance, o.Group, o.Source)
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Instance_MulticastRoute_Config{}
	}
	implied := *c
	implied.Group, implied.Source = &o.Group, &o.Source
	if !checkLeaves(&implied, path+"/config", v) {
		return s, false
	}
	checkKey(c.Group, o.Group, path+"/config/group", v)
	checkKey(c.Source, o.Source, path+"/config/source", v)
	if s.Key, ok = compileGroup(o, path, v); !ok {
		return s, false
	}
	s.Description = value(c.Description, "")
	s.Local = value(c.Local, false)
	switch c.Action {
	case gen.Routerd_MulticastAction_UNSET, gen.Routerd_MulticastAction_forward:
		s.Action = MulticastForward
	case gen.Routerd_MulticastAction_flood:
		s.Action = MulticastFlood
	case gen.Routerd_MulticastAction_discard:
		s.Action = MulticastDiscard
	}
	if c.IncomingInterface != nil {
		s.In = ParseUnitName(*c.IncomingInterface)
	}
	if n := len(c.OutgoingInterface); n > routing.MaxCopies {
		v.add(path+"/config/outgoing-interface", ruleTooMany, "%d outgoing interfaces: a route has %d at most", n, routing.MaxCopies)
		return s, false
	}
	for _, name := range c.OutgoingInterface {
		unit := ParseUnitName(name)
		if slices.Contains(s.Out, unit) {
			v.add(path+"/config/outgoing-interface", ruleMulticastUnique, "unit %s is there twice: delete one of the two", unit.Name())
			continue
		}
		s.Out = append(s.Out, unit)
	}
	slices.SortFunc(s.Out, intf.UnitKey.Compare)
	checkMulticastAction(s, path, v)
	return s, true
}

func compileGroup(o Object, path string, v *violations) (k MulticastKey, ok bool) {
	k.Instance = o.Instance
	prefix := func(text string) (netip.Prefix, bool) {
		p, ok := parsePrefix(text, path, v)
		if ok && p != p.Masked() {
			v.add(path, rulePrefixHostBits, "%v has bits set behind its length: write %v", p, p.Masked())
			return p, false
		}
		return p, ok && p.String() == text
	}
	if k.Group, ok = prefix(o.Group); !ok {
		return k, false
	}
	switch p := k.Group; {
	case !isGroups(p):
		v.add(path, ruleMulticastRange, "%v is no prefix of multicast groups: use one in 224.0.0.0/4 or ff00::/8", p)
	case staysOnLink(p):
		v.add(path, ruleMulticastScope, "the groups of %v are of link-local scope and not forwarded: use others", p)
	}
	if o.Source == AnySource {
		return k, true
	}
	if k.Source, ok = prefix(o.Source); !ok {
		return k, false
	}
	if k.Source.Addr().Is4() != k.Group.Addr().Is4() {
		v.add(path, ruleMulticastSrcFamily,
			"group %v and source %v are of different families: use a source of the group's family", k.Group, k.Source)
	}
	if !k.Group.IsSingleIP() {
		v.add(path, ruleMulticastSrcGroup,
			"source %v with the groups %v: name a single group, or set source any", k.Source, k.Group)
	}
	if a := k.Source.Addr(); notUnicast(a) != nil || isLinkLocal6(a) || a.Is4() && a.As4()[0] >= 240 {
		v.add(path, ruleMulticastSource,
			"packets from %v are not forwarded: use unicast addresses beyond link-local scope, or any", k.Source)
	}
	return k, true
}

func checkMulticastAction(s MulticastSpec, path string, v *violations) {
	sends := len(s.Out) > 0 || s.Local
	switch {
	case s.Action == MulticastDiscard && (sends || s.In != (intf.UnitKey{})):
		v.add(path, ruleMulticastAction, "action discard with interfaces or local: delete them, or set another action")
	case s.Action != MulticastDiscard && !sends:
		v.add(path, ruleMulticastAction, "action %v without an outgoing interface: add one, set local, or set the action to discard", s.Action)
	case s.Action == MulticastForward && slices.Contains(s.Out, s.In):
		v.add(path, ruleMulticastLoop,
			"packets that come in by %s would go out there: delete it from the outgoing interfaces, or set action flood", s.In.Name())
	}
}

// isGroups reports whether all of p is multicast.
func isGroups(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() >= 4 && p.Addr().IsMulticast()
	}
	return p.Bits() >= 8 && p.Addr().IsMulticast()
}

// staysOnLink reports whether all of p is of link-local scope or less (RFC 5771,
// 4; RFC 4291, 2.7).
func staysOnLink(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() >= 24 && netip.MustParsePrefix("224.0.0.0/24").Contains(p.Addr())
	}
	return p.Bits() >= 16 && p.Addr().As16()[1]&0xf <= 2
}

// checkMulticast checks what a route of groups has to do with the rest of the
// configuration.
func (c *Compiled) checkMulticast(s MulticastSpec, v *violations) {
	o := s.Key.Object()
	path := multicastPathText(o.Instance, o.Group, o.Source) + "/config/"
	if s.In != (intf.UnitKey{}) {
		c.checkGroupUnit(s.Key, s.In, path+"incoming-interface", v)
	}
	for _, unit := range s.Out {
		c.checkGroupUnit(s.Key, unit, path+"outgoing-interface", v)
	}
}

func (c *Compiled) checkGroupUnit(k MulticastKey, name intf.UnitKey, path string, v *violations) {
	unit, ok := c.intent.Units[name]
	if !ok {
		v.add(path, ruleMulticastIfExists, "unit %s does not exist: declare it or name another one", name.Name())
		return
	}
	family := intf.FamilyOf(k.Group.Addr())
	for _, f := range unit.Families {
		if f.Family == family && f.Instance == k.Instance {
			return
		}
	}
	v.add(path, ruleMulticastIfFamily,
		"unit %s has no family %v in instance %s: add the family there or name another unit", name.Name(), family, k.Instance)
}

func multicastAction(a MulticastAction) gen.E_Routerd_MulticastAction {
	switch a {
	case MulticastForward:
		return gen.Routerd_MulticastAction_forward
	case MulticastFlood:
		return gen.Routerd_MulticastAction_flood
	case MulticastDiscard:
		return gen.Routerd_MulticastAction_discard
	}
	return gen.Routerd_MulticastAction_UNSET
}

// FillMulticast writes the state of a declared route of groups.
func FillMulticast(dst *gen.Device, s MulticastState) {
	a := s.Applied
	o := a.Key.Object()
	st := &gen.Routerd_Instance_MulticastRoute_State{
		Group:       ygot.String(o.Group),
		Source:      ygot.String(o.Source),
		Action:      multicastAction(a.Action),
		Local:       ygot.Bool(a.Local),
		Description: text(a.Description),
		Active:      ygot.Bool(s.Active),
		Packets:     ygot.Uint64(s.Packets),
		Octets:      ygot.Uint64(s.Octets),
	}
	if a.In != (intf.UnitKey{}) {
		st.IncomingInterface = ygot.String(a.In.Name())
	}
	for _, u := range a.Out {
		st.OutgoingInterface = append(st.OutgoingInterface, u.Name())
	}
	dst.GetOrCreateInstance(o.Instance).GetOrCreateMulticastRoute(o.Group, o.Source).State = st
}

// FillFlow writes the state of a route of a group by source. Of those of one
// group and source the one filled in first, the preferred one, stays.
func FillFlow(dst *gen.Device, instance string, s FlowState) {
	group, source := s.Group.String(), s.Source.String()
	f := dst.GetOrCreateInstance(instance).GetOrCreateRib(familyType(intf.FamilyOf(s.Group))).GetOrCreateFlow(group, source)
	if f.State != nil {
		return
	}
	f.State = &gen.Routerd_Instance_Rib_Flow_State{
		Group:             ygot.String(group),
		Source:            ygot.String(source),
		Origin:            routeSource(s.Origin),
		Active:            ygot.Bool(s.Active),
		NextHopType:       nextHopType(s.NextHop),
		IncomingInterface: text(s.In),
		OutgoingInterface: s.Out,
		Local:             ygot.Bool(s.Local),
		LastUsed:          moment(s.LastUsed),
		Packets:           ygot.Uint64(s.Packets),
		Octets:            ygot.Uint64(s.Octets),
	}
	if s.Parent {
		f.State.ParentGroup = ygot.String(s.ParentGroup.String())
		f.State.ParentSource = ygot.String(sourceText(s.ParentSource))
	}
}

func fillCache(i *gen.Routerd_Instance, s InstanceState) {
	st := &gen.Routerd_Instance_Multicast_State{
		Flows:         ygot.Uint32(s.Cache.Flows),
		NegativeFlows: ygot.Uint32(s.Cache.Negative),
		RefusedFlows:  ygot.Uint64(s.Cache.Refused),
	}
	if s.Applied != nil {
		st.CacheEntries = ygot.Uint16(s.Applied.Cache.Entries)
		st.CacheIdleTime = ygot.Uint16(uint16(s.Applied.Cache.Idle / time.Second))
	}
	i.GetOrCreateMulticast().State = st
}
