package neighbor

import "time"

// Timers and counts of the protocols.
const (
	ReachableTime     = 30 * time.Second // x 0.5 to 1.5 (RFC 4861, 10)
	RetransTimer      = time.Second      // between solicitations (RFC 4861, 10)
	DelayTime         = 5 * time.Second  // DELAY_FIRST_PROBE_TIME (RFC 4861, 10)
	MulticastSolicits = 3                // MAX_MULTICAST_SOLICIT (RFC 4861, 10)
	UnicastSolicits   = 3                // MAX_UNICAST_SOLICIT (RFC 4861, 10)
	DADTransmits      = 1                // DupAddrDetectTransmits (RFC 4862, 5.1)
	Announcements     = 2                // ANNOUNCE_NUM (RFC 5227, 1.1); for IPv6, RFC 4861, 7.2.6 allows three
	AnnounceInterval  = 2 * time.Second  // ANNOUNCE_INTERVAL (RFC 5227, 1.1)
	DefendInterval    = 10 * time.Second // DEFEND_INTERVAL (RFC 5227, 1.1)
)

// Times that no RFC sets.
const (
	// StaleTime is how long an entry may be stale and unused before it is removed.
	// It outlasts the 5 minutes of a switch's table, so that a quiet host costs
	// one exchange of solicitations at most every 20 minutes.
	StaleTime = 20 * time.Minute
	// TrustTime is how long an address that a former run had in use may wait for its
	// link and still be used without a search: until a device that was reset has its
	// carrier again.
	TrustTime = 10 * time.Second
	// FailedTime is how long packets for a host that did not answer are rejected
	// before the host is asked for again.
	FailedTime = 3 * time.Second
	// RetryMin and RetryMax bound the pause after which a held neighbour that
	// failed is asked for again; the pause doubles each time.
	RetryMin = time.Second
	RetryMax = time.Minute
)

// tickBatch bounds the timers that one Tick serves, and with it the actions.
const tickBatch = 4096

// Limits bound what other hosts can make a Table hold (RFC 6583). Static
// entries and held ones, which configuration bounds, don't count.
type Limits struct {
	QueuePerNeighbor  int     // packets that wait for one neighbour (RFC 4861, 7.2.2 asks for one or more); at most MaxQueue
	Packets           int     // packets that wait in all
	UnresolvedPerUnit int     // incomplete entries of a unit; as many again can be failed ones
	Unresolved        int     // the same in all
	UnitRate          float64 // new unresolved entries a second on a unit
	UnitBurst         float64 // of which so many may come at once
	LearnedPerUnit    int     // entries of a unit that a request made, and that were never verified
	Entries           int     // entries in all
}

// MaxQueue is the most packets that can wait for one neighbour.
const MaxQueue = 3

// DefaultLimits let a unit come up in front of a full /22 at once, and hold some
// 50 MB at the very worst (173 octets an entry, and the packets). 1,000 new
// destinations a second is as much as a scan gets to send solicitations for.
var DefaultLimits = Limits{
	QueuePerNeighbor:  MaxQueue,
	Packets:           4096,
	UnresolvedPerUnit: 1024,
	Unresolved:        8192,
	UnitRate:          1000,
	UnitBurst:         1000,
	LearnedPerUnit:    4096,
	Entries:           262144,
}
