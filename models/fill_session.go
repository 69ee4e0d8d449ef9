package models

import (
	"net/netip"

	"github.com/openconfig/ygot/ygot"

	"router/dataplane/session"
	"router/gen"
)

// FillClass writes the state of a class of packets for the router itself.
func FillClass(dst *gen.Device, s ClassState) {
	c := s.Counters
	dst.GetOrCreateLocalClass(s.Spec.Name).State = &gen.Routerd_LocalClass_State{
		Name:           ygot.String(s.Spec.Name),
		Description:    text(s.Spec.Description),
		Rate:           ygot.Uint32(s.Spec.Rate),
		Burst:          ygot.Uint32(s.Spec.Burst),
		Origin:         policyOrigin(s.Spec.Configured),
		Packets:        ygot.Uint64(c.Packets),
		Octets:         ygot.Uint64(c.Octets),
		PolicedPackets: ygot.Uint64(c.Policed),
		DroppedPackets: ygot.Uint64(c.Dropped),
	}
}

// FillSession writes the state of a session.
func FillSession(dst *gen.Device, s SessionState) {
	m, c := s.Spec.Match, s.Counters
	st := &gen.Routerd_Session_State{
		Name:           ygot.String(s.Spec.Name),
		Description:    text(s.Spec.Description),
		Consumer:       sessionConsumer(s.Spec.Consumer),
		Class:          ygot.String(s.Spec.Class),
		LocalPrefix:    prefixText(m.Local),
		RemotePrefix:   prefixText(m.Remote),
		LaterFragments: ygot.Bool(m.Fragment),
		Origin:         policyOrigin(s.Spec.Configured),
		Packets:        ygot.Uint64(c.Packets),
		Octets:         ygot.Uint64(c.Octets),
		PolicedPackets: ygot.Uint64(c.Policed),
		DroppedPackets: ygot.Uint64(c.Dropped),
	}
	if m.Fields&session.HasProtocol != 0 {
		st.Protocol = ygot.String(protocolText(m.Protocol))
	}
	if m.Fields&session.HasLocalPort != 0 {
		if m.Protocol == protoICMP || m.Protocol == protoICMPv6 {
			st.IcmpType = ygot.Uint8(uint8(m.LocalPort))
		} else {
			st.LocalPort = ygot.Uint16(m.LocalPort)
		}
	}
	if m.Fields&session.HasRemotePort != 0 {
		st.RemotePort = ygot.Uint16(m.RemotePort)
	}
	if m.Fields&session.HasInstance != 0 {
		st.Instance = ygot.String(m.InstanceName)
	}
	if m.Fields&session.HasIfIndex != 0 {
		st.Interface = ygot.String(m.Unit.Name())
	}
	dst.GetOrCreateSession(s.Spec.Name).State = st
}

func prefixText(p netip.Prefix) *string {
	if !p.IsValid() {
		return nil
	}
	return ygot.String(p.String())
}

func policyOrigin(configured bool) gen.E_Routerd_PolicyOrigin {
	if configured {
		return gen.Routerd_PolicyOrigin_configured
	}
	return gen.Routerd_PolicyOrigin_default
}

func sessionConsumer(c session.Consumer) gen.E_Routerd_SessionConsumer {
	switch c {
	case session.ToHost:
		return gen.Routerd_SessionConsumer_host
	case session.ToRouter:
		return gen.Routerd_SessionConsumer_router
	case session.ToKernel:
		return gen.Routerd_SessionConsumer_kernel
	case session.ToReject:
		return gen.Routerd_SessionConsumer_reject
	case session.ToDiscard:
		return gen.Routerd_SessionConsumer_discard
	}
	return gen.Routerd_SessionConsumer_UNSET
}
