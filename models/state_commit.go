package models

import (
	"time"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// This file has the state of the configuration's store: the log of commits, the
// commit that waits to be confirmed, the rescue configuration, damage.

// A CommitState is an entry of the log of commits.
type CommitState struct {
	Number    uint64
	Time      time.Time
	User      string // "" when not known
	Source    string
	Comment   string
	ConfirmID string  // "" for an ordinary commit
	RevertsTo *uint64 // nil when it brought nothing back
	Changes   uint64
	Paths     []string // where it changed something; shared, not to be changed
}

// A DatastoreState is the state of the configuration's store.
type DatastoreState struct {
	Number uint64    // of the newest commit
	Time   time.Time // when it was made, zero before the first
	Damage []string  // shared, not to be changed
	// LeftOut is what this version of the model has refused at the start; shared, not to
	// be changed.
	LeftOut []string

	Pending *PendingCommit // nil for none
	Rescue  *RescueState   // nil for none
}

// A PendingCommit is a confirmed commit that waits.
type PendingCommit struct {
	ID           string
	Commit, Base uint64
	Deadline     time.Time
	User         string // "" when not known
	Late         string // "" before the deadline
}

// A RescueState says when the rescue configuration was saved.
type RescueState struct {
	Commit uint64
	Time   time.Time
	User   string // "" when not known
}

// FillDatastore writes the state of the store into that of the system, leaving the
// rest of it as it is.
func FillDatastore(dst *gen.Device, s DatastoreState) {
	st := dst.GetOrCreateSystem().GetOrCreateState().GetOrCreateDatastore()
	st.CommitNumber, st.LastCommitTime, st.Damage = ygot.Uint64(s.Number), moment(s.Time), s.Damage
	st.LeftOut = s.LeftOut
	st.PendingCommit, st.Rescue = nil, nil
	if p := s.Pending; p != nil {
		st.PendingCommit = &gen.Routerd_System_State_Datastore_PendingCommit{
			Id: text(p.ID), CommitNumber: ygot.Uint64(p.Commit), BaseCommitNumber: ygot.Uint64(p.Base),
			Deadline: moment(p.Deadline), User: text(p.User), LateReason: text(p.Late),
		}
	}
	if r := s.Rescue; r != nil {
		st.Rescue = &gen.Routerd_System_State_Datastore_Rescue{CommitNumber: ygot.Uint64(r.Commit), SaveTime: moment(r.Time), User: text(r.User)}
	}
}

// FillCommit writes an entry of the log.
func FillCommit(dst *gen.Device, s CommitState) {
	e := dst.GetOrCreateSystem().GetOrCreateCommit(s.Number)
	e.Time, e.User, e.Source, e.Comment = moment(s.Time), text(s.User), text(s.Source), text(s.Comment)
	e.ConfirmId, e.RevertsTo = text(s.ConfirmID), s.RevertsTo
	e.Changes, e.ChangedPath = ygot.Uint64(s.Changes), s.Paths
}
