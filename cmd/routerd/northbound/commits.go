package northbound

import (
	"slices"
	"strconv"

	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// This file shows the datastore in state: the log of commits, the commit that
// waits to be confirmed, the rescue configuration, damage, what was left out.

// datastoreState is what the datastore says of itself, after commit c.
func datastoreState(c datastore.Commit, st *datastore.Status) models.DatastoreState {
	s := models.DatastoreState{Number: c.Number, Time: c.Time, Damage: st.Damage, LeftOut: st.LeftOut}
	if p := st.Pending; p != nil {
		s.Pending = &models.PendingCommit{ID: p.ID, Commit: p.Commit, Base: p.Base, Deadline: p.Deadline, User: p.User, Late: p.Late}
	}
	if r := st.Rescue; r != nil {
		s.Rescue = &models.RescueState{Commit: r.Number, Time: r.Time, User: r.User}
	}
	return s
}

// commits visits the entries of the log that keys select, the oldest first.
func (s *source) commits(keys map[string]string, visit func(ygot.GoStruct) error) error {
	if key, one := exact(keys, "number"); one {
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
	e := models.CommitState{Number: c.Number, Time: c.Time, User: c.User, Source: c.Source, Comment: c.Comment,
		ConfirmID: c.ConfirmID, Changes: uint64(c.Changes), Paths: c.Paths}
	if c.IsRevert {
		e.RevertsTo = &c.Reverts
	}
	dev := &gen.Device{}
	models.FillCommit(dev, e)
	return dev.System.Commit[c.Number]
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
