package northbound

import (
	"slices"
	"strconv"
	"time"

	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// This file shows the datastore in state: the log of commits, the commit that
// waits to be confirmed, the rescue configuration, damage.

// fillDatastore writes what the datastore says of itself, after commit c.
func fillDatastore(dst *gen.Routerd_System_State_Datastore, c datastore.Commit, st *datastore.Status) {
	dst.CommitNumber = ygot.Uint64(c.Number)
	dst.LastCommitTime = stamp(c.Time)
	dst.Damage = st.Damage
	if p := st.Pending; p != nil {
		dst.PendingCommit = &gen.Routerd_System_State_Datastore_PendingCommit{
			Id: ygot.String(p.ID), CommitNumber: ygot.Uint64(p.Commit), BaseCommitNumber: ygot.Uint64(p.Base),
			Deadline: stamp(p.Deadline), User: nonempty(p.User), LateReason: nonempty(p.Late),
		}
	}
	if r := st.Rescue; r != nil {
		dst.Rescue = &gen.Routerd_System_State_Datastore_Rescue{
			CommitNumber: ygot.Uint64(r.Number), SaveTime: stamp(r.Time), User: nonempty(r.User),
		}
	}
}

func stamp(t time.Time) *uint64 {
	if t.IsZero() {
		return nil
	}
	return ygot.Uint64(uint64(t.UnixNano()))
}

func nonempty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// commits visits the entries of the log with the key, or all, the oldest first.
func (s *source) commits(key string, visit func(ygot.GoStruct) error) error {
	if key != "" && key != "*" {
		n, err := strconv.ParseUint(key, 10, 64)
		if err != nil {
			return nil // no commit stands under such a key
		}
		c, ok := s.store.LogEntry(n)
		if !ok {
			return nil
		}
		return visit(logEntry(c))
	}
	for _, c := range slices.Backward(s.store.Log()) {
		if err := visit(logEntry(c)); err != nil {
			return err
		}
	}
	return nil
}

func logEntry(c datastore.Commit) *gen.Routerd_System_Commit {
	e := &gen.Routerd_System_Commit{
		Number: ygot.Uint64(c.Number), Time: stamp(c.Time), User: nonempty(c.User), Source: nonempty(c.Source), Comment: nonempty(c.Comment),
		ConfirmId: nonempty(c.ConfirmID), Changes: ygot.Uint64(uint64(c.Changes)), ChangedPath: c.Paths,
	}
	if c.IsRevert {
		e.RevertsTo = ygot.Uint64(c.Reverts)
	}
	return e
}

// commitPaths are where an event of the datastore shows in state.
func commitPaths(e datastore.Event) []tree.Path {
	list := []tree.Path{{{Name: "system"}, {Name: "state"}, {Name: "datastore"}}}
	at := func(n uint64) tree.Path {
		return tree.Path{{Name: "system"}, keyed("commit", "number", strconv.FormatUint(n, 10))}
	}
	if e.Kind == datastore.Committed {
		list = append(list, at(e.Commit.Number))
	}
	if e.Dropped > 0 {
		list = append(list, at(e.Dropped))
	}
	return list
}
