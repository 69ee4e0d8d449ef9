package forwarding

import (
	"net/netip"

	"router/cmd/routerd/control"
	"router/dataplane"
	"router/dataplane/filter"
	"router/dataplane/packet"
	"router/gen/configpb"
	"router/intf"
	"router/routing"
)

func response(p *control.Path) *configpb.PathResponse {
	s := &p.Packet
	out := &configpb.PathResponse{Packet: &configpb.PathPacket{
		Source: s.Src.String(), Destination: s.Dst.String(), Protocol: uint32(s.Protocol), SourcePort: uint32(s.SrcPort), Port: uint32(s.DstPort),
		Size: uint32(s.Size), Ttl: uint32(s.TTL), Dscp: uint32(s.DSCP), DontFragment: s.DontFragment,
		Interface: p.Interface, Instance: p.Instance, Own: p.Own,
	}}
	for _, x := range p.Subjects {
		out.Subject = append(out.Subject, &configpb.PathSubject{Kind: subjectKind(x.Kind), Interface: x.Interface})
	}
	for i := range p.Steps {
		out.Step = append(out.Step, stepMessage(&p.Steps[i]))
	}
	v, reason := p.Verdict()
	out.Verdict, out.Reason = verdictMessage(v), reason
	return out
}

func subjectKind(k dataplane.TraceSubjectKind) configpb.PathSubject_Kind {
	switch k {
	case dataplane.TracePacket:
		return configpb.PathSubject_PACKET
	case dataplane.TraceCopy:
		return configpb.PathSubject_COPY
	case dataplane.TraceMirror:
		return configpb.PathSubject_MIRROR
	case dataplane.TraceAnswer:
		return configpb.PathSubject_ANSWER
	}
	return configpb.PathSubject_PACKET
}

func verdictMessage(v control.PathVerdict) configpb.Verdict {
	switch v {
	case control.PathForwarded:
		return configpb.Verdict_VERDICT_FORWARDED
	case control.PathDelivered:
		return configpb.Verdict_VERDICT_DELIVERED
	case control.PathAnswered:
		return configpb.Verdict_VERDICT_ANSWERED
	case control.PathResolving:
		return configpb.Verdict_VERDICT_RESOLVING
	case control.PathDropped:
		return configpb.Verdict_VERDICT_DROPPED
	case control.PathReplicated:
		return configpb.Verdict_VERDICT_REPLICATED
	case control.PathUnknown:
	}
	return configpb.Verdict_VERDICT_UNKNOWN
}

func stepMessage(s *control.PathStep) *configpb.PathStep {
	m := &configpb.PathStep{Subject: uint32(s.Subject)}
	switch s.Kind {
	case dataplane.TraceArrived, dataplane.TraceOriginated:
		m.Step = &configpb.PathStep_Arrival{Arrival: &configpb.PathArrival{
			Own: s.Kind == dataplane.TraceOriginated, Interface: s.Interface, Device: s.Device, Vlan: tags(s.VLAN), Instance: s.Instance,
		}}
	case dataplane.TraceFilter:
		m.Step = &configpb.PathStep_Filter{Filter: filterMessage(s)}
	case dataplane.TraceSource:
		m.Step = &configpb.PathStep_SourceCheck{SourceCheck: &configpb.PathSource{
			Mode: s.RPF.String(), Address: s.Addr.String(), Instance: s.Instance, Passed: s.Passed, Route: routeMessage(s.Route),
		}}
	case dataplane.TraceLookup:
		m.Step = &configpb.PathStep_Lookup{Lookup: &configpb.PathLookup{Address: s.Addr.String(), Instance: s.Instance, Route: routeMessage(s.Route)}}
	case dataplane.TraceNextHop:
		hop := &configpb.PathHop{Id: uint32(s.NextHop), Kind: s.Via.String(), Interface: s.Interface, Gateway: text(s.Addr), Instance: s.Instance}
		if s.Via == routing.Reject {
			hop.Reject = s.Reject.String()
		}
		m.Step = &configpb.PathStep_NextHop{NextHop: hop}
	case dataplane.TraceBucket:
		m.Step = &configpb.PathStep_Bucket{Bucket: &configpb.PathBucket{Index: uint32(s.Bucket), Buckets: uint32(s.Buckets)}}
	case dataplane.TraceNeighbor, dataplane.TraceUnresolved:
		n := &configpb.PathNeighbor{Interface: s.Interface, Address: s.Addr.String()}
		switch {
		case s.Kind == dataplane.TraceUnresolved:
			n.State = configpb.PathNeighbor_ASKED
		case s.MAC.IsZero():
			n.State = configpb.PathNeighbor_UNKNOWN_ADDRESS
		case s.Stale:
			n.State = configpb.PathNeighbor_STALE
		}
		if !s.MAC.IsZero() {
			n.LinkLayerAddress = s.MAC.String()
		}
		m.Step = &configpb.PathStep_Neighbor{Neighbor: n}
	case dataplane.TraceFragmented:
		m.Step = &configpb.PathStep_Fragmented{Fragmented: &configpb.PathFragments{Mtu: uint32(s.MTU)}}
	case dataplane.TraceSent:
		m.Step = &configpb.PathStep_Sent{Sent: sendingMessage(s)}
	case dataplane.TraceSession:
		m.Step = &configpb.PathStep_Session{Session: &configpb.PathSession{Session: s.Session, Class: s.Class, Consumer: s.Consumer.String()}}
	case dataplane.TraceDelivered, dataplane.TraceControl:
		m.Step = &configpb.PathStep_Delivered{Delivered: &configpb.PathDelivery{Interface: s.Interface, NeighborDiscovery: s.Kind == dataplane.TraceControl}}
	case dataplane.TraceICMP:
		m.Step = &configpb.PathStep_Answer{Answer: &configpb.PathAnswer{
			Kind: "icmp-error", Type: uint32(s.Type), Code: uint32(s.Code), Source: text(s.Addr), Mtu: uint32(s.MTU),
		}}
	case dataplane.TraceEcho:
		m.Step = &configpb.PathStep_Answer{Answer: &configpb.PathAnswer{Kind: "echo-reply"}}
	case dataplane.TraceReset:
		m.Step = &configpb.PathStep_Answer{Answer: &configpb.PathAnswer{Kind: "tcp-reset"}}
	case dataplane.TraceRedirect:
		m.Step = &configpb.PathStep_Answer{Answer: &configpb.PathAnswer{Kind: "redirect", Target: text(s.Addr)}}
	case dataplane.TraceDropped:
		m.Step = &configpb.PathStep_Dropped{Dropped: &configpb.PathDrop{Reason: s.Reason.String()}}
	case dataplane.TraceReported:
		m.Step = &configpb.PathStep_Reported{Reported: &configpb.PathFlow{}}
	}
	return m
}

func filterMessage(s *control.PathStep) *configpb.PathFilter {
	f := &configpb.PathFilter{Hook: s.Hook.String(), Interface: s.Interface, Mirror: s.ToMirror, Action: actions[s.Verdict.Kind]}
	if s.Verdict.Kind == filter.ToInstance {
		f.Instance = s.ToInstance
	}
	if s.Verdict.DSCP.Valid {
		dscp := uint32(s.Verdict.DSCP.V)
		f.Dscp = &dscp
	}
	for _, t := range s.Terms {
		term := &configpb.PathTerm{Filter: t.Filter, Term: t.Term, Policer: t.Policer, LogEvery: t.LogEvery}
		if t.Policer != "" {
			term.Colour = colours[t.Colour]
		}
		f.Term = append(f.Term, term)
	}
	return f
}

var (
	actions = map[filter.Kind]string{
		filter.Accept: "accept", filter.Discard: "discard", filter.Reject: "reject", filter.ToInstance: "to-instance", filter.ToNextHop: "to-next-hop",
	}
	colours = map[filter.Colour]string{filter.Green: "green", filter.Yellow: "yellow", filter.Red: "red"}
)

func sendingMessage(s *control.PathStep) *configpb.PathSending {
	m := &configpb.PathSending{Device: s.Device, Interface: s.Interface, Vlan: tags(s.VLAN), Mtu: uint32(s.MTU)}
	if l2, fault := packet.ParseEthernet(s.Frame); fault == packet.FaultNone {
		m.DestinationMac, m.SourceMac = l2.Dst.String(), l2.Src.String()
	}
	if l3 := s.Packet(); len(l3) >= packet.IPv4MinHeaderLen {
		m.Octets, m.Ttl = uint32(len(l3)), uint32(l3[8])
		if l3[0]>>4 == 6 {
			m.Ttl = uint32(l3[7])
		}
	}
	return m
}

func routeMessage(r *control.PathRoute) *configpb.PathRoute {
	if r == nil {
		return nil
	}
	return &configpb.PathRoute{Prefix: r.Prefix.String(), Source: r.Source, Protocol: r.Protocol, Preference: uint32(r.Preference), Via: r.Via}
}

func tags(v intf.VLAN) (ids []uint32) {
	if v.OuterTPID != 0 {
		ids = append(ids, uint32(v.OuterID))
	}
	if v.InnerTPID != 0 {
		ids = append(ids, uint32(v.InnerID))
	}
	return ids
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
