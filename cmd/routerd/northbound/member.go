package northbound

import (
	"slices"

	"router/cmd/routerd/datastore/tree"
)

// A member is a stream's part in a feed: how far it has followed the log, and what
// it owes its client of what left the log before.
type member struct {
	f    *feed
	c    *stream
	wake chan struct{} // says that it is the member's turn to follow; has room for one
	sent chan struct{} // says that it has done so; has room for one

	// again is set when values have been read that may be newer than what stands in
	// the log: what stands there is owed, rather than followed.
	again bool

	// Guarded by the feed's logMu.
	idle bool     // it has followed the log to its end, and waits for no turn
	next uint64   // the number of the change that comes next
	owes *arrears // nil for nothing
	upTo uint64   // the newest revision of what has been read for the client
}

// wakeUp says that it is the member's turn, done that this is over.
func (m *member) wakeUp() { signal(m.wake) }
func (m *member) done()   { signal(m.sent) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// owe takes a change over that leaves the log, or that the client has newer values
// than. The feed's logMu is held.
func (m *member) owe(n *change) {
	m.next = n.number + 1
	if n.by == m {
		return
	}
	if m.owes == nil {
		m.owes = newArrears(len(m.f.watches))
	}
	m.owes.add(n, m.upTo)
}

// follow sends what is new, and asks for another turn for what has come meanwhile.
func (m *member) follow() error {
	for turns := 0; ; turns++ {
		m.f.logMu.Lock()
		if m.owes != nil || m.again {
			m.f.logMu.Unlock()
			if err := m.catchUp(); err != nil {
				return err
			}
			continue
		}
		list := slices.Clone(m.f.since(m.next))
		if len(list) == 0 || turns > 0 {
			if m.idle = len(list) == 0; !m.idle {
				m.f.s.pacer.ask(m)
			}
			m.f.logMu.Unlock()
			return nil
		}
		m.next, m.upTo = m.f.end+1, m.f.end
		m.f.logMu.Unlock()
		for _, n := range list {
			if n.by == m {
				continue
			}
			for _, msg := range n.messages {
				if err := m.c.deliver(msg); err != nil {
					return err
				}
			}
			if err := m.c.syncDone(n.ends); err != nil {
				return err
			}
		}
	}
}

// catchUp sends the newest values of what the client is owed, or a part of them.
func (m *member) catchUp() error {
	m.again = false
	var part owed
	err := m.read(true, func() error {
		f := m.f
		f.logMu.Lock()
		for _, n := range f.since(m.next) {
			m.owe(n)
		}
		m.next = f.end + 1
		if m.owes != nil {
			part = m.owes.take(marksAtOnce)
			if m.owes.empty() {
				m.owes = nil
			}
		}
		f.logMu.Unlock()
		return m.pay(part)
	})
	if err != nil {
		return err
	}
	return m.c.syncDone(part.ends)
}

// walk sends all that a watch of the feed has.
func (m *member) walk(i int, duplicates uint32) error {
	w := m.f.watches[i]
	m.again = true
	return m.read(false, func() error {
		return m.toured(w, w.pattern, func() error {
			return m.c.sample(w.subscription, duplicates, func(l tree.LeafValue, encoded []byte) (bool, error) {
				_, err := m.f.hearEncoded(i, l, encoded)
				return true, err
			})
		})
	})
}

// toured is fn, which reads and notes all that the pattern matches, with a look at what
// it has missed.
func (m *member) toured(w *watch, pattern tree.Path, fn func() error) error {
	t := newTour(w)
	t.begin()
	m.c.tour = t
	err := fn()
	m.c.tour = nil
	if err != nil {
		return err
	}
	if missed := t.end(pattern); len(missed) > 0 {
		m.f.changes.addIn(w.schema, m.c.now(), missed...)
	}
	return nil
}

// read has values read and noted by fn, in the feed's turn, and sends what the
// stream encodes meanwhile: between two pieces, when the feed is free for others.
// With turn, it takes one of the Server's turns for the work.
func (m *member) read(turn bool, fn func() error) error {
	f, c := m.f, m.c
	var held []outgoing
	lock := func() {
		if turn {
			f.s.work()
		}
		f.mu.Lock()
		f.begin(m)
		for _, w := range f.watches {
			w.mem.begin(false)
		}
	}
	unlock := func() error {
		number := f.next.number // also when nothing is published: counters are told of later
		err := f.tell()
		f.logMu.Lock()
		m.upTo = number
		f.logMu.Unlock()
		f.mu.Unlock()
		if turn {
			f.s.rest()
		}
		return err
	}
	send := func() error {
		list := held
		held = nil
		for _, msg := range list {
			if err := c.transmit(msg); err != nil {
				return err
			}
		}
		return nil
	}
	lock()
	c.hold = func(msg outgoing) { held = append(held, msg) }
	c.between = func() error {
		if c.tour != nil {
			c.tour.rest()
			defer c.tour.begin()
		}
		if len(held) == 0 {
			return nil
		}
		if err := unlock(); err != nil {
			lock()
			return err
		}
		err := send()
		lock()
		m.again = true // others may have published meanwhile what is older than what is read now
		return err
	}
	err := fn()
	c.hold, c.between = nil, nil
	if bad := unlock(); err == nil {
		err = bad
	}
	if err != nil {
		return err
	}
	return send()
}
