package journal

import (
	"time"

	"router/cmd/routerd/datastore/tree"
)

// A Commit is one numbered change of the running configuration.
type Commit struct {
	Number  uint64    // counts from 1; 0 is the empty configuration
	Time    time.Time // when it was made durable
	User    string    // who asked for it, "" when not known
	Source  string    // through what: "gnmi", "socket", "confirm-timeout"
	Comment string

	// ConfirmID is the id by which a confirmed commit is confirmed or cancelled,
	// "" for an ordinary one.
	ConfirmID string
	// Reverts is the commit whose configuration this one went back to, when
	// it is a rollback or the revert of a confirmed commit; valid if IsRevert.
	Reverts  uint64
	IsRevert bool

	Changes int      // how many leaves it changed
	Paths   []string // where: of containers, lists and entries, the first few; shared, not to be changed
}

// A Kind is what a record says. The set is closed; the values are stored.
type Kind uint8

// The kinds.
const (
	Committed   Kind = 1 // a commit was made
	Confirmed   Kind = 2 // the pending commit was confirmed
	Rescheduled Kind = 3 // the deadline of the pending commit was moved
	Snapshot    Kind = 4 // the whole configuration after a commit; in files of its own
)

func (k Kind) String() string {
	switch k {
	case Committed:
		return "commit"
	case Confirmed:
		return "confirm"
	case Rescheduled:
		return "reschedule"
	case Snapshot:
		return "snapshot"
	}
	return "unknown"
}

// A Deadline is the moment at which a confirmed commit is taken back. It is
// kept by two clocks, so that neither a step of the wall clock nor a restart of the machine
// puts it off: the machine's time since boot counts as long as the machine hasn't been
// booted anew, and else the wall clock, but never longer than Wait.
type Deadline struct {
	Wall time.Time     `json:"wall"`
	Wait time.Duration `json:"wait"`           // from when it was set
	Boot string        `json:"boot,omitempty"` // which run of the machine, "" when not known
	Up   time.Duration `json:"up,omitempty"`   // the machine's time since boot at the deadline
}

// A Record is what one frame of a journal holds.
type Record struct {
	Kind   Kind
	Commit // of the commit; for other kinds Number is the newest commit's, and User, Source and Time say who did it

	// ID is the id of the confirmed commit that this record makes pending
	// (Committed with a Deadline), ends (Confirmed, or Committed with Ends) or moves.
	ID       string
	Deadline *Deadline
	Ends     bool

	// Delta is the change. It has no content in the formats before this one.
	Delta tree.Delta
	// Ops are the change in the first format; nil else.
	Ops []tree.Op
}
