package gribi

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"router/intf"
)

// This file brings back what a former run had (docs/decisions/0023-gribi.md), and has it written
// down.

// restoredAtOnce is how many operations of a former run are carried out at a time.
const restoredAtOnce = 4096

// refusalsTold bounds how many entries that can't be restored are logged.
const refusalsTold = 5

// Restore brings back the entries and the election that a former run has kept, and keeps from now
// on. It is called once, when the configuration is in place and before clients are served. What can't be
// read or put in place is logged, and left out. With forget nothing is brought back.
func (s *Server) Restore(forget bool) {
	if s.opt.Dir == "" {
		return
	}
	if forget {
		s.forget()
	}
	begin := s.opt.Now()
	k, left := openKeeper(s.opt.FS, s.opt.Dir, s.log, s.opt.Now, func() { notify(s.tend) })
	defer s.opt.Router.Changed()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.table.keep = k }()
	if len(left) == 0 {
		return
	}
	enabled := true
	s.opt.Router.Program(nil, func(t Tables) { enabled = t.Settings().Enabled })
	refused := s.replay(left, enabled)
	notify(s.tend) // they end some time
	if refused > 0 || !enabled {
		k.anew()
	}
	s.log.Info("gribi entries of the former run are restored", "entries", s.table.count, "refused", refused, "took", s.opt.Now().Sub(begin))
}

// replay carries out what a former run has left, or only reads its election, and returns how many
// operations were refused.
func (s *Server) replay(left []byte, entries bool) (refused int) {
	former := &client{params: params{single: true, preserve: true}}
	s.table.former, s.restored = former, s.opt.Now()
	var list []operation
	flush := func() {
		s.opt.Router.Program(func(t Tables) {
			for i := range list {
				err := s.table.apply(t, former, &list[i])
				if err == nil {
					continue
				}
				if refused++; refused <= refusalsTold {
					s.log.Warn("a gribi entry of the former run is left out", "instance", list[i].instance, "err", err)
				}
			}
		}, nil)
		list = list[:0]
	}
	_, _, err := scanFile(left, func(o *operation, e *elected) {
		switch {
		case e != nil:
			s.roll.known, s.roll.single, s.roll.highest = true, e.single, e.id
		case entries:
			if list = append(list, *o); len(list) == restoredAtOnce {
				flush()
			}
		}
	})
	flush()
	if err != nil {
		// It was read before: this can't be.
		s.log.Error("what was kept of gribi has changed while it was read", "err", err)
	}
	return refused
}

// forget puts what a former run has kept aside.
func (s *Server) forget() {
	path := filepath.Join(s.opt.Dir, keepName)
	if _, err := s.opt.FS.ReadFile(path); err != nil {
		return
	}
	aside := filepath.Join(s.opt.Dir, "flushed-"+keepName+"-"+s.opt.Now().UTC().Format(asideFormat))
	if err := s.opt.FS.Rename(path, aside); err != nil {
		s.log.Error("what was kept of gribi is not put aside", "err", err)
	}
}

// Close flushes what outlives the process. Nothing is kept any more.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.table.keep.close()
	s.table.keep = nil
	if err != nil {
		return fmt.Errorf("gribi: %w", err)
	}
	return nil
}

func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lookAfter looks after the file, and returns how long nothing is to be done.
func (s *Server) lookAfter() time.Duration {
	s.mu.Lock()
	k := s.table.keep
	s.mu.Unlock()
	anew, again := k.tend(s.opt.Now())
	if anew {
		s.mu.Lock()
		if s.table.keep == nil {
			s.mu.Unlock()
			return never // closed
		}
		k.begin()
		all := s.snapshot()
		s.mu.Unlock()
		k.finish(all)
	}
	if why := k.reason(); why != s.told {
		s.told = why
		s.opt.Router.Changed()
	}
	return again
}

// snapshot is a frame of all that is kept: what is referred to comes first. The caller
// holds s.mu.
func (s *Server) snapshot() []byte {
	b := newFrame()
	if s.roll.known {
		b = appendElection(b, s.roll.single, s.roll.highest)
	}
	instances := slices.SortedFunc(maps.Values(s.table.instances), func(a, b *instance) int { return cmp.Compare(a.name, b.name) })
	for _, in := range instances {
		for _, n := range in.nexthops {
			if n.kept() {
				b = appendSet(b, &operation{kind: nexthopEntry, instance: in.name, index: n.index, via: n.via})
			}
		}
		for _, backup := range []bool{false, true} {
			for _, g := range in.groups {
				if g.kept() && (g.backup != nil) == backup {
					b = appendSet(b, g.operation())
				}
			}
		}
	}
	for _, in := range instances {
		for f := range intf.Families {
			for p, r := range in.routes[f] {
				if r.kept() {
					b = appendSet(b, &operation{kind: routeEntry, instance: in.name, prefix: p, group: r.group.id, groupInstance: r.group.in.name, metadata: r.metadata})
				}
			}
		}
	}
	return b
}

// operation is what made the group what it is.
func (g *group) operation() *operation {
	o := &operation{kind: groupEntry, instance: g.in.name, index: g.id, color: g.color}
	if g.backup != nil {
		o.hasBackup, o.backup = true, g.backup.id
	}
	for _, m := range g.members {
		o.members = append(o.members, share{m.nexthop.index, m.weight})
	}
	return o
}

// staleUntil is when a former run's entries end that no client has sent again; ok is false
// when they stay. The caller holds s.mu.
func (s *Server) staleUntil() (until time.Time, ok bool) {
	if s.table.stale == 0 || s.claimed {
		return until, false
	}
	var most time.Duration
	s.opt.Router.Program(nil, func(t Tables) { most = time.Duration(t.Settings().RestartTime) * time.Second })
	return s.restored.Add(most), most > 0
}

// expire ends a former run's entries when it is time, and returns how long it isn't.
func (s *Server) expire() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.staleUntil()
	if !ok {
		return never
	}
	if wait := until.Sub(s.opt.Now()); wait > 0 {
		return wait
	}
	n := s.table.stale
	former := s.table.former
	s.remove(func(*instance) bool { return true }, func(h *holders) bool { return h.one == former })
	s.disown(former)
	s.log.Warn("gribi entries of the former run are removed: no client has taken them over", "entries", n)
	defer s.opt.Router.Changed()
	return never
}

// disown makes what a former run has left nobody's: what others' entries go by.
func (s *Server) disown(former *client) {
	for _, in := range s.table.instances {
		for f := range in.routes {
			for p, r := range in.routes[f] {
				if r.one == former {
					s.table.keep.removeRoute(in.name, p)
					r.leave(former)
				}
			}
		}
		for id, g := range in.groups {
			if g.one == former {
				s.table.keep.remove(removeGroupRecord, in.name, id)
				g.leave(former)
			}
		}
		for i, n := range in.nexthops {
			if n.one == former {
				s.table.keep.remove(removeNexthopRecord, in.name, i)
				n.leave(former)
			}
		}
	}
	s.table.keep.write()
	s.table.former, s.table.stale = nil, 0
}
