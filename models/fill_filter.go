package models

import (
	"github.com/openconfig/ygot/ygot"

	"router/dataplane/filter"
	"router/gen"
	"router/intf"
)

// FillFilter writes the state of a filter and of its terms, in their order.
func FillFilter(dst *gen.Device, s FilterState) {
	f := dst.GetOrCreateFilter(s.Name)
	f.State = &gen.Routerd_Filter_State{Name: ygot.String(s.Name), Bindings: ygot.Uint32(s.Bindings), Reason: text(s.Reason)}
	a := s.Applied
	if a == nil {
		return
	}
	f.State.Description = text(a.Description)
	f.State.Family = familyType(a.Spec.Family)
	f.State.InterfaceSpecific = ygot.Bool(a.Spec.InterfaceSpecific)
	f.State.Terms = ygot.Uint32(uint32(len(a.Spec.Terms)))
	f.State.LastClear, f.State.DiscontinuityTime = moment(s.Cleared), moment(s.Anew)
	f.State.CompileTime = ygot.Uint64(uint64(s.CompileTime.Nanoseconds()))
	f.State.UnmatchedPackets, f.State.UnmatchedOctets = ygot.Uint64(s.Unmatched.Packets), ygot.Uint64(s.Unmatched.Octets)
	terms := f.GetOrCreateTermMap()
	for i := range a.Spec.Terms {
		name := a.Spec.Terms[i].Name
		t := terms.Get(name)
		if t == nil {
			// It fails for a name that is there already.
			t, _ = terms.AppendNew(name)
		}
		t.State = &gen.Routerd_Filter_Term_State{
			Name: ygot.String(name), Position: ygot.Uint32(uint32(i + 1)),
			Packets: ygot.Uint64(0), Octets: ygot.Uint64(0),
		}
		if i < len(s.Terms) {
			*t.State.Packets, *t.State.Octets = s.Terms[i].Packets, s.Terms[i].Octets
		}
	}
}

// FillPrefixList writes the state of a prefix list.
func FillPrefixList(dst *gen.Device, s PrefixListSpec) {
	dst.GetOrCreatePrefixList(s.Name).State = &gen.Routerd_PrefixList_State{
		Name: ygot.String(s.Name), Description: text(s.Description), Prefixes: ygot.Uint32(uint32(len(s.Prefixes))),
	}
}

// FillPolicer writes the state of a policer.
func FillPolicer(dst *gen.Device, s PolicerState) {
	a := s.Applied.Spec
	p := dst.GetOrCreatePolicer(a.Name)
	p.State = &gen.Routerd_Policer_State{
		Name: ygot.String(a.Name), Description: text(s.Applied.Description), Type: policerType(a.Kind), Unit: gen.Routerd_PolicerUnit_octets,
		ColorAware: ygot.Bool(a.ColourAware), CommittedRate: count(a.Rate), CommittedBurst: count(a.Burst), PeakRate: count(a.PeakRate),
	}
	if a.Packets {
		p.State.Unit = gen.Routerd_PolicerUnit_packets
	}
	switch a.Kind {
	case filter.TwoColour:
	case filter.SingleRate:
		p.State.ExcessBurst = count(a.ExtraBurst)
	case filter.TwoRate:
		p.State.PeakBurst = count(a.ExtraBurst)
	}
	c := s.Colours
	p.GetOrCreateGreen().State = &gen.Routerd_Policer_Green_State{
		Drop: ygot.Bool(a.Green.Drop), SetForwardingClass: opt(a.Green.ForwardingClass), SetLossPriority: lossState(a.Green.LossPriority),
		Packets: ygot.Uint64(c[filter.Green].Packets), Octets: ygot.Uint64(c[filter.Green].Octets),
	}
	p.GetOrCreateYellow().State = &gen.Routerd_Policer_Yellow_State{
		Drop: ygot.Bool(a.Yellow.Drop), SetForwardingClass: opt(a.Yellow.ForwardingClass), SetLossPriority: lossState(a.Yellow.LossPriority),
		Packets: ygot.Uint64(c[filter.Yellow].Packets), Octets: ygot.Uint64(c[filter.Yellow].Octets),
	}
	p.GetOrCreateRed().State = &gen.Routerd_Policer_Red_State{
		Drop: ygot.Bool(a.Red.Drop), SetForwardingClass: opt(a.Red.ForwardingClass), SetLossPriority: lossState(a.Red.LossPriority),
		Packets: ygot.Uint64(c[filter.Red].Packets), Octets: ygot.Uint64(c[filter.Red].Octets),
	}
	// A union without a value must stay nil.
	if d := a.Green.DSCP; d.Valid {
		p.Green.State.SetDscp = gen.UnionUint8(d.V)
	}
	if d := a.Yellow.DSCP; d.Valid {
		p.Yellow.State.SetDscp = gen.UnionUint8(d.V)
	}
	if d := a.Red.DSCP; d.Valid {
		p.Red.State.SetDscp = gen.UnionUint8(d.V)
	}
}

func opt[T any](o filter.Opt[T]) *T {
	if !o.Valid {
		return nil
	}
	return &o.V
}

func policerType(k filter.PolicerKind) gen.E_Routerd_PolicerType {
	switch k {
	case filter.TwoColour:
		return gen.Routerd_PolicerType_single_rate
	case filter.SingleRate:
		return gen.Routerd_PolicerType_sr_tcm
	case filter.TwoRate:
		return gen.Routerd_PolicerType_tr_tcm
	}
	return gen.Routerd_PolicerType_UNSET
}

func lossState(o filter.Opt[uint8]) gen.E_Routerd_LossPriority {
	if !o.Valid {
		return gen.Routerd_LossPriority_UNSET
	}
	switch o.V {
	case filter.LossLow:
		return gen.Routerd_LossPriority_low
	case filter.LossMediumLow:
		return gen.Routerd_LossPriority_medium_low
	case filter.LossMediumHigh:
		return gen.Routerd_LossPriority_medium_high
	case filter.LossHigh:
		return gen.Routerd_LossPriority_high
	}
	return gen.Routerd_LossPriority_UNSET
}

func filterHook(h filter.Hook) gen.E_Routerd_FilterHook {
	//exhaustive:ignore NumHooks is no hook
	switch h {
	case filter.Input:
		return gen.Routerd_FilterHook_input
	case filter.Output:
		return gen.Routerd_FilterHook_output
	case filter.InputLocal:
		return gen.Routerd_FilterHook_input_local
	case filter.OutputLocal:
		return gen.Routerd_FilterHook_output_local
	}
	return gen.Routerd_FilterHook_UNSET
}

func filterVerdict(v FilterVerdict) gen.E_Routerd_FilterVerdict {
	switch v {
	case VerdictAccept:
		return gen.Routerd_FilterVerdict_accept
	case VerdictDiscard:
		return gen.Routerd_FilterVerdict_discard
	case VerdictReject:
		return gen.Routerd_FilterVerdict_reject
	case VerdictInstance:
		return gen.Routerd_FilterVerdict_routing_instance
	case VerdictNextHop:
		return gen.Routerd_FilterVerdict_next_hop
	case VerdictPoliced:
		return gen.Routerd_FilterVerdict_policed
	}
	return gen.Routerd_FilterVerdict_UNSET
}

// FillFilterLog writes an entry of the filter log.
func FillFilterLog(dst *gen.Device, e FilterLogEntry) {
	l := &gen.Routerd_FilterLog{
		Slot: ygot.Uint16(e.Slot()), Number: ygot.Uint64(e.Number), Time: moment(e.Time), Filter: ygot.String(e.Filter), Term: text(e.Term),
		Hook: filterHook(e.Hook), Interface: unitName(e.Unit), Verdict: filterVerdict(e.Verdict),
		Source: address(e.Src), Destination: address(e.Dst), Protocol: ygot.Uint8(e.Protocol), Length: ygot.Uint16(e.Length),
	}
	if e.Ports {
		l.SourcePort, l.DestinationPort = ygot.Uint16(e.SrcPort), ygot.Uint16(e.DstPort)
	}
	if dst.FilterLog == nil {
		dst.FilterLog = map[uint16]*gen.Routerd_FilterLog{}
	}
	dst.FilterLog[e.Slot()] = l
}

func unitName(k intf.UnitKey) *string {
	if k == (intf.UnitKey{}) {
		return nil
	}
	return ygot.String(k.Name())
}

// fillBindings writes the filters of a family and what they count there.
func fillBindings(f *gen.Routerd_Interface_Unit_Family, s FamilyState) {
	if s.Applied == nil || s.Applied.Filters == (intf.FilterNames{}) {
		return
	}
	n := s.Applied.Filters
	st := &gen.Routerd_Interface_Unit_Family_Filter_State{
		Input: text(n.Input), Output: text(n.Output), InputLocal: text(n.InputLocal), OutputLocal: text(n.OutputLocal),
	}
	for _, c := range s.Filters {
		e := st.GetOrCreateCounter(filterHook(c.Hook), c.Filter, c.Term)
		e.Packets, e.Octets = ygot.Uint64(c.Packets), ygot.Uint64(c.Octets)
	}
	f.GetOrCreateFilter().State = st
}
