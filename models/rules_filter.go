package models

// The rules of filters, prefix lists and policers, by their error-app-tags.
const (
	ruleFilterArgument     = "filter-action-argument"
	ruleFilterExcept       = "filter-except-alone"
	ruleFilterExists       = "filter-exists"
	ruleFilterBound        = "filter-family-match"
	ruleFilterFamily       = "filter-needs-family"
	ruleFilterFieldFamily  = "filter-field-family"
	ruleFilterFlags        = "filter-flags-contradict"
	ruleFilterFragment     = "filter-fragment-fields"
	ruleFilterHook         = "filter-hook-action"
	ruleFilterHop          = "filter-next-hop-unicast"
	ruleFilterHopFamily    = "filter-next-hop-family"
	ruleFilterHopUnit      = "filter-next-hop-interface"
	ruleFilterICMP         = "filter-icmp-protocol"
	ruleFilterICMPCode     = "filter-icmp-code-type"
	ruleFilterICMPFamily   = "filter-icmp-family"
	ruleFilterInstance     = "filter-instance-exists"
	ruleFilterList         = "filter-list-exists"
	ruleFilterLoop         = "filter-next-loop"
	ruleFilterLoopback     = "filter-loopback-hook"
	ruleFilterMask         = "filter-mask"
	ruleFilterMirror       = "filter-mirror-loopback"
	ruleFilterNext         = "filter-next-exists"
	ruleFilterPolicer      = "filter-policer-exists"
	ruleFilterPorts        = "filter-port-protocol"
	ruleFilterPrefixFamily = "filter-prefix-family"
	ruleFilterRange        = "filter-range"
	ruleFilterRejectFamily = "filter-reject-family"
	ruleFilterReset        = "filter-reset-tcp"
	ruleFilterTCP          = "filter-tcp-protocol"
	ruleFilterUnit         = "filter-interface-exists"
	rulePolicerDrop        = "policer-drop-alone"
	rulePolicerFields      = "policer-type-fields"
	rulePolicerPeak        = "policer-peak-rate"
	rulePolicerRate        = "policer-needs-rate"
	rulePolicerYellow      = "policer-yellow"
)

var filterRules = []string{
	ruleFilterArgument, ruleFilterExcept, ruleFilterExists, ruleFilterBound, ruleFilterFamily,
	ruleFilterFieldFamily, ruleFilterFlags, ruleFilterFragment, ruleFilterHook, ruleFilterHop,
	ruleFilterHopFamily, ruleFilterHopUnit, ruleFilterICMP, ruleFilterICMPCode, ruleFilterICMPFamily,
	ruleFilterInstance, ruleFilterList, ruleFilterLoop, ruleFilterLoopback, ruleFilterMask, ruleFilterMirror, ruleFilterNext,
	ruleFilterPolicer, ruleFilterPorts, ruleFilterPrefixFamily, ruleFilterRange, ruleFilterRejectFamily,
	ruleFilterReset, ruleFilterTCP, ruleFilterUnit, rulePolicerDrop, rulePolicerFields, rulePolicerPeak,
	rulePolicerRate, rulePolicerYellow,
}
