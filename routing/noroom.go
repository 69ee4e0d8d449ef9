package routing

import "slices"

// This file has the routes that should be in their FIB, which had no room for them:
// they wait, inactive, and are tried again when somebody says that there may be
// some.

// noRoom is what a Store knows of them.
type noRoom struct {
	routes int
	// list has each of their records once, in the order in which they were refused,
	// and others, that are no more or wait no more.
	list []uint32
	why  string // what the FIB said last
}

// hasNoRoom notes that the FIB has refused record j.
func (s *Store) hasNoRoom(r *RIB, n *node, j uint32, rec *record, err error) {
	rec.flags |= routeNoRoom
	r.counts[n.family()].NoRoom++
	w := &s.noRoom
	w.routes++
	w.why = err.Error()
	if rec.flags&routeListed == 0 {
		rec.flags |= routeListed
		w.list = append(w.list, j)
	}
	if len(w.list) > 2*w.routes+maxKept {
		w.list = slices.DeleteFunc(w.list, func(j uint32) bool { return !s.unlist(j) })
		for _, j := range w.list {
			s.records.at(j).flags |= routeListed
		}
	}
}

// unlist notes that record j leaves the list, and reports whether it waits. One that
// stood there twice, since it was another route's before, waits once.
func (s *Store) unlist(j uint32) bool {
	rec := s.records.at(j)
	waits := rec.flags&(routeNoRoom|routeListed) == routeNoRoom|routeListed
	rec.flags &^= routeListed
	return waits
}

// hasRoom notes that a record is not, or no more, refused.
func (s *Store) hasRoom(r *RIB, n *node, rec *record) {
	if rec.flags&routeNoRoom == 0 {
		return
	}
	rec.flags &^= routeNoRoom
	r.counts[n.family()].NoRoom--
	s.noRoom.routes--
}

// Waiting is how many routes wait for room in their FIBs, those included that are
// gone and that their FIBs had no room to let go, and those that wait for a second FIB.
func (s *Store) Waiting() int { return s.noRoom.routes + s.kept }

// retryStep is how many routes are tried before it is known whether there is room.
const retryStep = 64

// Retry has the FIBs let go what they had no room to, and gives them, and second ones, the
// routes that they had no room for, those first that have waited longest, about most of them. It
// ends when some are refused again, which it tells as other changes do. It must not be
// called in a Batch.
func (s *Store) Retry(most int) error {
	w := &s.noRoom
	if s.kept > 0 {
		if err := s.settle(); err != nil {
			return err
		}
	}
	for most > 0 && len(w.list) > 0 {
		n := min(retryStep, len(w.list))
		tried := w.list[:n]
		w.list = w.list[n:]
		for _, j := range tried {
			if s.unlist(j) {
				i := s.records.at(j).node
				s.enqueue(i, s.nodes.at(i))
				most--
			}
		}
		refused := len(w.list)
		if err := s.settle(); err != nil {
			return err
		}
		if len(w.list) > refused {
			break
		}
	}
	if w.routes == 0 {
		*w = noRoom{}
	}
	return nil
}
