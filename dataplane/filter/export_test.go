package filter

import "router/intf"

// CompileWithLoop compiles a filter, into a loop if it has at most so many terms.
func CompileWithLoop(s *Spec, upTo int) (*Program, error) { return compile(s, upTo) }

// A Maker makes random filters and packets.
type Maker struct{ *maker }

// NewMaker makes the same ones for the same seed.
func NewMaker(seed uint64, f intf.Family) Maker { return Maker{newMaker(seed, f)} }

// Spec is a filter of n terms, all of which accept.
func (m Maker) Spec(n int) *Spec { return m.spec(n) }

// Packet is a packet, and what is known of it.
func (m Maker) Packet() ([]byte, *Meta) { return m.packet() }

// MAC is a link-layer address.
func (m Maker) MAC() intf.MAC { return m.mac() }

// FlatConstants are those that C must agree on, by their names there.
var FlatConstants = map[string]int{
	"FLAT_HEADER": flatHeader, "FLAT_COLUMN": flatColumn, "FLAT_TERM": flatTerm, "FLAT_STRIDE": flatStride,
	"FLAT_STRIDE_SHIFT": flatStrideShift, "FLAT_STRIDE_BITS": flatStrideBits, "FILTER_TRIE_STEPS": maxTrieSteps + 1,
	"FILTER_COLUMNS": int(numFields),
	"FLAT_POLICER":   flatPolicer, "FLAT_POLICER_COLOUR": flatPolicerColour,
	"TWO_COLOUR": int(TwoColour), "SINGLE_RATE": int(SingleRate), "TWO_RATE": int(TwoRate),
	"FORM_ONE": flatOne, "FORM_WHOLE": flatWhole, "FORM_RANKED": flatRanked,
	"FIELD_PROTOCOL": int(fieldProtocol), "FIELD_SRC_PORT": int(fieldSrcPort), "FIELD_DST_PORT": int(fieldDstPort),
	"FIELD_TCP_FLAGS": int(fieldTCPFlags), "FIELD_ICMP": int(fieldICMP), "FIELD_FRAGMENT": int(fieldFragment),
	"FIELD_DSCP": int(fieldDSCP), "FIELD_LENGTH": int(fieldLength), "FIELD_TTL": int(fieldTTL),
	"FIELD_OPTIONS": int(fieldOptions), "FIELD_ETHER_TYPE": int(fieldEtherType), "FIELD_VLAN": int(fieldVLAN),
	"FIELD_INNER_VLAN": int(fieldInnerVLAN), "FIELD_MARK": int(fieldMark), "FIELD_LOSS_PRIORITY": int(fieldLossPriority),
	"FIELD_FORWARDING_CLASS": int(fieldForwardingClass), "FIELD_INTERFACE": int(fieldInterface), "FIELD_GROUP": int(fieldGroup),
	"FIELD_SRC_MAC": int(fieldSrcMAC), "FIELD_DST_MAC": int(fieldDstMAC), "FIELD_SRC": int(fieldSrc), "FIELD_DST": int(fieldDst),
	"FIELD_SRC_HI": int(fieldSrcHi), "FIELD_DST_HI": int(fieldDstHi), "FIELD_VALUES": int(numValues),
	"KIND_ACCEPT": int(Accept), "KIND_DISCARD": int(Discard), "KIND_REJECT": int(Reject), "KIND_NEXT_TERM": int(NextTerm),
	"KIND_NEXT_FILTER": int(NextFilter), "KIND_INSTANCE": int(ToInstance), "KIND_NEXT_HOP": int(ToNextHop),
	"DOES_DSCP": int(doesDSCP), "DOES_LOSS": int(doesLoss), "DOES_CLASS": int(doesClass), "DOES_MARK": int(doesMark),
	"DOES_MIRROR": int(doesMirror), "DOES_LOG": int(doesLog), "DOES_POLICE": int(doesPolice),
	"UP_NONE": int(HandupNone), "UP_REJECT": int(HandupReject), "UP_LOG": int(HandupLog), "UP_MIRROR": int(HandupMirror),
	"UP_POLICER": int(HandupPolicer), "UP_MAC": int(HandupMAC), "UP_OPTIONS": int(HandupOptions), "UP_STEPS": int(HandupSteps),
	"UP_SHORT": int(HandupShort), "UP_IMAGE": int(HandupImage),
}
