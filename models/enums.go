package models

import (
	"slices"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
	"router/intf"
	"router/routing"
	"router/routing/neighbor"
)

// This file turns our enumerations into those of the model, one value each.

func familyType(f intf.Family) gen.E_Routerd_FamilyType {
	switch f {
	case intf.Inet:
		return gen.Routerd_FamilyType_inet
	case intf.Inet6:
		return gen.Routerd_FamilyType_inet6
	}
	return gen.Routerd_FamilyType_UNSET
}

func operStatus(s intf.OperStatus) gen.E_Routerd_OperStatus {
	switch s {
	case intf.OperUp:
		return gen.Routerd_OperStatus_up
	case intf.OperDown:
		return gen.Routerd_OperStatus_down
	case intf.OperPending:
		return gen.Routerd_OperStatus_pending
	}
	return gen.Routerd_OperStatus_UNSET
}

// rpfChecks pairs the checks; the order is that of intf.
var rpfChecks = [...]gen.E_Routerd_RpfCheck{
	intf.RPFNone:     gen.Routerd_RpfCheck_none,
	intf.RPFLoose:    gen.Routerd_RpfCheck_loose,
	intf.RPFStrict:   gen.Routerd_RpfCheck_strict,
	intf.RPFFeasible: gen.Routerd_RpfCheck_feasible,
}

func rpfCheck(c intf.RPFCheck) gen.E_Routerd_RpfCheck {
	if int(c) < len(rpfChecks) {
		return rpfChecks[c]
	}
	return gen.Routerd_RpfCheck_UNSET
}

func rpfCheckOf(g gen.E_Routerd_RpfCheck) intf.RPFCheck {
	return intf.RPFCheck(max(slices.Index(rpfChecks[:], g), 0))
}

func interfaceType(t intf.DeviceType) gen.E_Routerd_InterfaceType {
	switch t {
	case intf.Ethernet:
		return gen.Routerd_InterfaceType_ethernet
	case intf.Loopback:
		return gen.Routerd_InterfaceType_loopback
	}
	return gen.Routerd_InterfaceType_UNSET
}

func attach(a intf.Attach) gen.E_Routerd_Attach {
	switch a {
	case intf.Exclusive:
		return gen.Routerd_Attach_exclusive
	case intf.Shared:
		return gen.Routerd_Attach_shared
	}
	return gen.Routerd_Attach_UNSET
}

func driver(d intf.Driver) gen.E_Routerd_Driver {
	switch d {
	case intf.DriverAuto:
		return gen.Routerd_Driver_auto
	case intf.DriverAFXDP:
		return gen.Routerd_Driver_af_xdp
	case intf.DriverAFPacket:
		return gen.Routerd_Driver_af_packet
	}
	return gen.Routerd_Driver_UNSET
}

func polling(p intf.Polling) gen.E_Routerd_Polling {
	switch p {
	case intf.PollAdaptive:
		return gen.Routerd_Polling_adaptive
	case intf.PollBusy:
		return gen.Routerd_Polling_busy
	case intf.PollSleep:
		return gen.Routerd_Polling_sleep
	}
	return gen.Routerd_Polling_UNSET
}

func scheduling(s intf.Scheduling) gen.E_Routerd_Scheduling {
	switch s {
	case intf.SchedOther:
		return gen.Routerd_Scheduling_other
	case intf.SchedFIFO:
		return gen.Routerd_Scheduling_fifo
	case intf.SchedRoundRobin:
		return gen.Routerd_Scheduling_rr
	case intf.SchedBatch:
		return gen.Routerd_Scheduling_batch
	case intf.SchedIdle:
		return gen.Routerd_Scheduling_idle
	case intf.SchedDeadline:
		return gen.Routerd_Scheduling_deadline
	}
	return gen.Routerd_Scheduling_UNSET
}

func driverInUse(d intf.Driver) gen.E_Routerd_DriverInUse {
	switch d {
	case intf.DriverAuto:
	case intf.DriverAFXDP:
		return gen.Routerd_DriverInUse_af_xdp
	case intf.DriverAFPacket:
		return gen.Routerd_DriverInUse_af_packet
	}
	return gen.Routerd_DriverInUse_UNSET
}

func xdpMode(m XDPMode) gen.E_Routerd_XdpMode {
	switch m {
	case XDPNone:
		return gen.Routerd_XdpMode_none
	case XDPNative:
		return gen.Routerd_XdpMode_native
	case XDPGeneric:
		return gen.Routerd_XdpMode_generic
	}
	return gen.Routerd_XdpMode_UNSET
}

func tpidState(t uint16) gen.E_Routerd_Tpid {
	switch t {
	case 0x8100:
		return gen.Routerd_Tpid_0x8100
	case 0x88a8:
		return gen.Routerd_Tpid_0x88a8
	case 0x9100:
		return gen.Routerd_Tpid_0x9100
	case 0x9200:
		return gen.Routerd_Tpid_0x9200
	case 0x9300:
		return gen.Routerd_Tpid_0x9300
	}
	return gen.Routerd_Tpid_UNSET
}

func addressStatus(s AddressStatus) gen.E_Routerd_AddressStatus {
	switch s {
	case AddressPreferred:
		return gen.Routerd_AddressStatus_preferred
	case AddressTentative:
		return gen.Routerd_AddressStatus_tentative
	case AddressDuplicate:
		return gen.Routerd_AddressStatus_duplicate
	case AddressPending:
		return gen.Routerd_AddressStatus_pending
	}
	return gen.Routerd_AddressStatus_UNSET
}

func neighborState(s neighbor.State) gen.E_Routerd_NeighborState {
	switch s {
	case neighbor.Incomplete:
		return gen.Routerd_NeighborState_incomplete
	case neighbor.Reachable:
		return gen.Routerd_NeighborState_reachable
	case neighbor.Stale:
		return gen.Routerd_NeighborState_stale
	case neighbor.Delay:
		return gen.Routerd_NeighborState_delay
	case neighbor.Probe:
		return gen.Routerd_NeighborState_probe
	case neighbor.Failed:
		return gen.Routerd_NeighborState_failed
	case neighbor.Permanent:
		return gen.Routerd_NeighborState_permanent
	}
	return gen.Routerd_NeighborState_UNSET
}

func routeAction(a Action) gen.E_Routerd_RouteAction {
	switch a {
	case Forward:
		return gen.Routerd_RouteAction_forward
	case Reject:
		return gen.Routerd_RouteAction_reject
	case Discard:
		return gen.Routerd_RouteAction_discard
	case Receive:
		return gen.Routerd_RouteAction_receive
	}
	return gen.Routerd_RouteAction_UNSET
}

// rejectCodes pairs the codes; the order is that of routing.
var rejectCodes = [routing.NumRejectCodes]gen.E_Routerd_RejectCode{
	routing.RejectNone:        gen.Routerd_RejectCode_UNSET,
	routing.RejectNet:         gen.Routerd_RejectCode_net_unreachable,
	routing.RejectHost:        gen.Routerd_RejectCode_host_unreachable,
	routing.RejectAdmin:       gen.Routerd_RejectCode_admin_prohibited,
	routing.RejectNoRoute:     gen.Routerd_RejectCode_no_route,
	routing.RejectProtocol:    gen.Routerd_RejectCode_protocol_unreachable,
	routing.RejectPort:        gen.Routerd_RejectCode_port_unreachable,
	routing.RejectHostUnknown: gen.Routerd_RejectCode_host_unknown,
	routing.RejectNetAdmin:    gen.Routerd_RejectCode_net_prohibited,
	routing.RejectHostAdmin:   gen.Routerd_RejectCode_host_prohibited,
	routing.RejectNetTOS:      gen.Routerd_RejectCode_net_unreachable_tos,
	routing.RejectHostTOS:     gen.Routerd_RejectCode_host_unreachable_tos,
	routing.RejectPrecedence:  gen.Routerd_RejectCode_precedence_violation,
	routing.RejectCutoff:      gen.Routerd_RejectCode_precedence_cutoff,
	routing.RejectScope:       gen.Routerd_RejectCode_beyond_scope,
	routing.RejectSource:      gen.Routerd_RejectCode_source_policy,
	routing.RejectRoute:       gen.Routerd_RejectCode_reject_route,
}

func rejectCode(c routing.RejectCode) gen.E_Routerd_RejectCode {
	if int(c) < len(rejectCodes) {
		return rejectCodes[c]
	}
	return gen.Routerd_RejectCode_UNSET
}

func rejectCodeOf(g gen.E_Routerd_RejectCode) routing.RejectCode {
	return routing.RejectCode(max(slices.Index(rejectCodes[:], g), 0))
}

func routeSource(s routing.Source) gen.E_Routerd_RouteSource {
	switch s {
	case routing.User:
		return gen.Routerd_RouteSource_user
	case routing.Permanent:
		return gen.Routerd_RouteSource_permanent
	case routing.InterfaceLocal:
		return gen.Routerd_RouteSource_interface_local
	case routing.InterfaceDestination:
		return gen.Routerd_RouteSource_interface_destination
	case routing.Interface:
		return gen.Routerd_RouteSource_interface
	case routing.Clone:
		return gen.Routerd_RouteSource_clone
	}
	return gen.Routerd_RouteSource_UNSET
}

func routeProtocol(p routing.Protocol) gen.E_Routerd_RouteProtocol {
	switch p {
	case routing.System:
		return gen.Routerd_RouteProtocol_system
	case routing.Direct:
		return gen.Routerd_RouteProtocol_direct
	case routing.Neighbor:
		return gen.Routerd_RouteProtocol_neighbor
	case routing.Static:
		return gen.Routerd_RouteProtocol_static
	case routing.Feed:
		return gen.Routerd_RouteProtocol_feed
	case routing.StaticGroup:
		return gen.Routerd_RouteProtocol_static_multicast
	case routing.Cache:
		return gen.Routerd_RouteProtocol_cache
	case routing.GRIBI:
		return gen.Routerd_RouteProtocol_gribi
	}
	return gen.Routerd_RouteProtocol_UNSET
}

func nextHopType(k routing.Kind) gen.E_Routerd_NextHopType {
	switch k {
	case routing.Forward:
		return gen.Routerd_NextHopType_forward
	case routing.Resolve:
		return gen.Routerd_NextHopType_resolve
	case routing.Receive:
		return gen.Routerd_NextHopType_receive
	case routing.Broadcast:
		return gen.Routerd_NextHopType_broadcast
	case routing.LinkLocal:
		return gen.Routerd_NextHopType_link_local
	case routing.Reject:
		return gen.Routerd_NextHopType_reject
	case routing.Discard:
		return gen.Routerd_NextHopType_discard
	case routing.Lookup:
		return gen.Routerd_NextHopType_lookup
	case routing.Indirect:
		return gen.Routerd_NextHopType_indirect
	case routing.Group:
		return gen.Routerd_NextHopType_group
	case routing.Choice: // no route has one
	case routing.Multicast:
		return gen.Routerd_NextHopType_multicast
	case routing.Flood:
		return gen.Routerd_NextHopType_flood
	case routing.BySource:
		return gen.Routerd_NextHopType_by_source
	}
	return gen.Routerd_NextHopType_UNSET
}

// ribState counts the routes of a RIB by source.
func ribState(afi gen.E_Routerd_FamilyType, r RIBState) *gen.Routerd_Instance_Rib_State {
	return &gen.Routerd_Instance_Rib_State{
		Afi:                  afi,
		TotalRoutes:          ygot.Uint32(r.Total),
		ActiveRoutes:         ygot.Uint32(r.Active),
		WaitingRoutes:        ygot.Uint32(r.Waiting),
		User:                 ygot.Uint32(r.BySource[routing.User]),
		Permanent:            ygot.Uint32(r.BySource[routing.Permanent]),
		InterfaceLocal:       ygot.Uint32(r.BySource[routing.InterfaceLocal]),
		InterfaceDestination: ygot.Uint32(r.BySource[routing.InterfaceDestination]),
		Interface:            ygot.Uint32(r.BySource[routing.Interface]),
		Clone:                ygot.Uint32(r.BySource[routing.Clone]),
	}
}

// deviceCounters and unitCounters say the same in two of ygot's types.
func deviceCounters(c Counters) *gen.Routerd_Interface_State_Counters {
	return &gen.Routerd_Interface_State_Counters{
		InPkts:           ygot.Uint64(c.InUnicast + c.InMulticast + c.InBroadcast),
		InOctets:         ygot.Uint64(c.InOctets),
		InUnicastPkts:    ygot.Uint64(c.InUnicast),
		InMulticastPkts:  ygot.Uint64(c.InMulticast),
		InBroadcastPkts:  ygot.Uint64(c.InBroadcast),
		InDiscards:       ygot.Uint64(c.InDiscards),
		InErrors:         ygot.Uint64(c.InErrors),
		InUnknownProtos:  ygot.Uint64(c.InUnknownProtos),
		OutPkts:          ygot.Uint64(c.OutUnicast + c.OutMulticast + c.OutBroadcast),
		OutOctets:        ygot.Uint64(c.OutOctets),
		OutUnicastPkts:   ygot.Uint64(c.OutUnicast),
		OutMulticastPkts: ygot.Uint64(c.OutMulticast),
		OutBroadcastPkts: ygot.Uint64(c.OutBroadcast),
		OutDiscards:      ygot.Uint64(c.OutDiscards),
		OutErrors:        ygot.Uint64(c.OutErrors),
	}
}

func unitCounters(c Counters) *gen.Routerd_Interface_Unit_State_Counters {
	u := gen.Routerd_Interface_Unit_State_Counters(*deviceCounters(c))
	return &u
}
