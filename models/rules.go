package models

import "slices"

// The rules of the model, by their error-app-tags.
const (
	ruleAddressCanonical   = "address-canonical"
	ruleAddressFamily      = "address-family-match"
	ruleAddressLinkLocal   = "address-link-local-length"
	ruleAddressUnicast     = "address-unicast"
	ruleAddressUnique      = "address-unique-in-instance"
	ruleAdvertAutonomous   = "advert-autonomous-length"
	ruleAdvertDNS          = "advert-dns-unicast"
	ruleAdvertFits         = "advert-fits"
	ruleAdvertInet6        = "advert-inet6-only"
	ruleAdvertInterval     = "advert-interval-order"
	ruleAdvertLifetime     = "advert-lifetime-interval"
	ruleAdvertLifetimes    = "advert-prefix-lifetimes"
	ruleAdvertLink         = "advert-needs-link"
	ruleAdvertMTU          = "advert-mtu"
	ruleAdvertPrefix       = "advert-prefix-unicast"
	ruleAdvertRoute        = "advert-route-unicast"
	ruleBackupPrimary      = "backup-needs-primary"
	ruleDeviceMAC          = "device-mac-unicast"
	ruleFamilyInstance     = "family-instance-exists"
	ruleFamilyMTU          = "family-mtu-fits-mru"
	ruleGatewayLinkLocal   = "gateway-link-local-interface"
	ruleGatewayOwn         = "gateway-not-own-address"
	ruleGatewayUnicast     = "gateway-unicast"
	ruleHostNamespace      = "host-namespace-unique"
	ruleIgnoreNetwork      = "ignore-needs-network"
	ruleIncomingExists     = "incoming-interface-exists"
	ruleIncomingFamily     = "incoming-interface-family"
	ruleInet6MTU           = "inet6-mtu-minimum"
	ruleLoopbackAddress    = "loopback-host-address"
	ruleLoopbackLink       = "loopback-no-link"
	ruleLoopbackNeighbor   = "loopback-no-neighbor"
	ruleLoopbackUnit       = "loopback-unit-plain"
	ruleMulticastAction    = "multicast-action-interfaces"
	ruleMulticastRange     = "multicast-group-range"
	ruleMulticastScope     = "multicast-group-scope"
	ruleMulticastLoop      = "multicast-incoming-outgoing"
	ruleMulticastIfExists  = "multicast-interface-exists"
	ruleMulticastIfFamily  = "multicast-interface-family"
	ruleMulticastUnique    = "multicast-outgoing-unique"
	ruleMulticastSrcFamily = "multicast-source-family"
	ruleMulticastSrcGroup  = "multicast-source-group"
	ruleMulticastSource    = "multicast-source-unicast"
	ruleNeighborFamily     = "neighbor-family-match"
	ruleNeighborMAC        = "neighbor-mac-unicast"
	ruleNeighborNeedsMAC   = "neighbor-needs-mac"
	ruleNeighborOnLink     = "neighbor-on-link"
	ruleNeighborOwn        = "neighbor-not-own-address"
	ruleNexthopFamily      = "nexthop-family-match"
	ruleNexthopInstance    = "nexthop-instance-exists"
	ruleNexthopIfExists    = "nexthop-interface-exists"
	ruleNexthopIfFamily    = "nexthop-interface-family"
	ruleNexthopLoopback    = "nexthop-interface-loopback"
	ruleNexthopAlone       = "nexthop-lookup-alone"
	ruleNexthopUnique      = "nexthop-unique"
	ruleNexthopKind        = "nexthop-kind"
	ruleNexthopOwnInstance = "nexthop-instance-not-own"
	rulePeerHostPrefix     = "peer-needs-host-prefix"
	rulePeerUnicast        = "peer-unicast"
	rulePreferredUnique    = "preferred-unique"
	rulePrefixHostBits     = "prefix-host-bits-zero"
	rulePrimaryUnique      = "primary-unique"
	ruleRejectAction       = "reject-code-needs-reject"
	ruleRejectFamily       = "reject-code-family"
	ruleSessionClass       = "session-class-exists"
	ruleSessionFamily      = "session-family-match"
	ruleSessionFragment    = "session-fragment-match"
	ruleSessionInstance    = "session-instance-exists"
	ruleSessionInterface   = "session-interface-exists"
	ruleSessionNeighbor    = "session-neighbor-consumer"
	ruleSessionPort        = "session-port-protocol"
	ruleSessionRouter      = "session-router-protocol"
	ruleSessionType        = "session-type-protocol"
	ruleSessionUnique      = "session-unique"
	ruleStaticAction       = "static-action-nexthop"
	ruleStaticLoop         = "static-lookup-loop"
	ruleUnitParent         = "unit-parent-exists"
	ruleUnitUntagged       = "unit-untagged-unique"
	ruleUnitVLAN           = "unit-vlan-unique"
	ruleUnnumberedAddress  = "unnumbered-no-address"
	ruleUnnumberedExists   = "unnumbered-unit-exists"
	ruleUnnumberedLends    = "unnumbered-unit-lends"
	ruleUnnumberedLink     = "unnumbered-needs-link"
	ruleVLANDepth          = "vlan-depth"
	ruleVLANInner          = "vlan-inner-needs-outer"
)

// What YANG itself asks for, by the names that RFC 7950 (15) and RFC 6241
// (appendix A) give.
const (
	ruleKey      = "instance-required" // a key leafref with another value in config
	ruleTooMany  = "too-many-elements" // max-elements
	ruleBadValue = "invalid-value"     // type, range, length, pattern
)

// Rules lists the names of all rules that the model states by an
// error-app-tag, sorted.
func Rules() []string { return slices.Concat(allRules, filterRules, accessRules, logServerRules) }

var allRules = []string{
	ruleAddressCanonical, ruleAddressFamily, ruleAddressLinkLocal,
	ruleAddressUnicast, ruleAddressUnique, ruleBackupPrimary, ruleDeviceMAC, ruleFamilyInstance,
	ruleFamilyMTU, ruleGatewayLinkLocal, ruleGatewayOwn, ruleGatewayUnicast,
	ruleHostNamespace, ruleIgnoreNetwork, ruleIncomingExists, ruleIncomingFamily, ruleInet6MTU, ruleNeighborFamily, ruleNeighborMAC,
	ruleMulticastAction, ruleMulticastRange, ruleMulticastScope, ruleMulticastLoop,
	ruleMulticastIfExists, ruleMulticastIfFamily, ruleMulticastUnique,
	ruleMulticastSrcFamily, ruleMulticastSrcGroup, ruleMulticastSource,
	ruleNeighborNeedsMAC, ruleNeighborOwn, ruleNeighborOnLink,
	ruleNexthopFamily, ruleNexthopInstance, ruleNexthopOwnInstance,
	ruleNexthopIfExists, ruleNexthopIfFamily, ruleNexthopKind,
	ruleNexthopAlone, ruleNexthopUnique,
	rulePeerHostPrefix, rulePeerUnicast, rulePreferredUnique,
	rulePrefixHostBits, rulePrimaryUnique, ruleRejectFamily, ruleRejectAction, ruleStaticAction, ruleStaticLoop,
	ruleSessionClass, ruleSessionFamily, ruleSessionFragment, ruleSessionInstance, ruleSessionInterface,
	ruleSessionNeighbor, ruleSessionPort, ruleSessionRouter, ruleSessionType, ruleSessionUnique,
	ruleUnitParent, ruleUnitUntagged, ruleUnitVLAN, ruleVLANDepth,
	ruleVLANInner,
	ruleUnnumberedAddress, ruleUnnumberedExists, ruleUnnumberedLends, ruleUnnumberedLink,
	ruleAdvertAutonomous, ruleAdvertDNS, ruleAdvertFits, ruleAdvertInet6, ruleAdvertInterval, ruleAdvertLifetime,
	ruleAdvertLifetimes, ruleAdvertLink, ruleAdvertMTU, ruleAdvertPrefix, ruleAdvertRoute,
	ruleLoopbackAddress, ruleLoopbackLink, ruleLoopbackNeighbor, ruleLoopbackUnit, ruleNexthopLoopback,
}
