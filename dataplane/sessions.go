package dataplane

import (
	"sync/atomic"

	"router/dataplane/session"
)

// A ClassID names a class of local packets: what shares a policer and a part of
// the host's ring.
type ClassID uint16

// MaxClasses bounds the ClassIDs that may be used.
const MaxClasses = 256

// The classes of packets that no session matches.
const (
	classHost ClassID = MaxClasses + iota
	classNeighbor

	numClasses = MaxClasses + iota
)

// A SessionID names a session of the caller's.
type SessionID uint32

// A Session says who gets the packets for the router itself that Match matches
// best, at which rate.
type Session struct {
	Match    session.Match
	Consumer session.Consumer
	Class    ClassID // one that has been set; packets of one that has not are policed
}

// LocalCounters count packets for the router itself, of a session or of a class.
type LocalCounters struct {
	Packets, Octets uint64 // that matched; octets from the network-layer header on
	Policed         uint64 // of these, dropped because of the class's rate
	Dropped         uint64 // of these, dropped for any reason, rejected ones included
}

// localShare is one worker's part of LocalCounters. Only the worker writes it.
type localShare struct {
	packets, octets, policed, dropped atomic.Uint64
	_                                 [32]byte
}

type localStats []localShare

func (s localStats) sum() (c LocalCounters) {
	for i := range s {
		c.Packets += s[i].packets.Load()
		c.Octets += s[i].octets.Load()
		c.Policed += s[i].policed.Load()
		c.Dropped += s[i].dropped.Load()
	}
	return c
}

// bump adds to a counter that has one writer.
func bump(c *atomic.Uint64, n uint64) { c.Store(c.Load() + n) }

// A localClass is a class as workers use it.
type localClass struct {
	id      ClassID
	policer session.Policer
	stats   localStats
}

// A localEntry is a session as workers use it: immutable.
type localEntry struct {
	id       SessionID // 0 for what no session matches
	consumer session.Consumer
	class    *localClass
	stats    localStats
}

// sessions is the session demux of an engine.
type sessions struct {
	table *session.Table[localEntry]
	// For packets that no session matches.
	host, neighbor *localEntry

	// The writer's own, guarded by Engine.mu.
	classes map[ClassID]*localClass
	entries map[SessionID]*sessionEntry
}

type sessionEntry struct {
	match session.Match
	entry *localEntry
}

func newSessions(c Config) *sessions {
	stats := func() localStats { return make(localStats, c.Workers) }
	entry := func(id ClassID, to session.Consumer, r Rate) *localEntry {
		class := &localClass{id: id, stats: stats()}
		class.policer.SetRate(session.Rate(r))
		return &localEntry{consumer: to, class: class, stats: stats()}
	}
	return &sessions{
		table: session.New[localEntry](), host: entry(classHost, session.ToHost, c.Host), neighbor: entry(classNeighbor, session.ToRouter, c.Neighbor),
		classes: make(map[ClassID]*localClass), entries: make(map[SessionID]*sessionEntry),
	}
}

// SetClass creates class id or changes its rate. Its counters live on.
func (e *Engine) SetClass(id ClassID, r Rate) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sessions.class(id, len(e.workers)).policer.SetRate(session.Rate(r))
}

// class is the class id, one that lets nothing pass when it has not been set.
func (s *sessions) class(id ClassID, workers int) *localClass {
	c := s.classes[id]
	if c == nil {
		c = &localClass{id: id, stats: make(localStats, workers)}
		s.classes[id] = c
	}
	return c
}

// DeleteClass removes a class, which no session may name any more, with its
// counters; one that does not exist is no error.
func (e *Engine) DeleteClass(id ClassID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions.classes, id)
}

// SetSession creates session id or replaces it, with one store that packets see
// as a whole. Its counters live on. Of two sessions with equal matches, the packets
// belong to the one that was set last.
func (e *Engine) SetSession(id SessionID, s Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.sessions
	next := &sessionEntry{match: s.Match, entry: &localEntry{id: id, consumer: s.Consumer, class: x.class(s.Class, len(e.workers))}}
	old := x.entries[id]
	if old != nil {
		next.entry.stats = old.entry.stats
	} else {
		next.entry.stats = make(localStats, len(e.workers))
	}
	x.entries[id] = next
	x.table.Set(s.Match, next.entry)
	if old != nil && old.match != s.Match {
		x.table.Delete(old.match, old.entry)
	}
}

// DeleteSession removes a session with its counters; one that does not exist is
// no error.
func (e *Engine) DeleteSession(id SessionID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.sessions.entries[id]; old != nil {
		e.sessions.table.Delete(old.match, old.entry)
		delete(e.sessions.entries, id)
	}
}

// SessionCounters returns the counters of a session; ok is false when there is
// none.
func (e *Engine) SessionCounters(id SessionID) (c LocalCounters, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.sessions.entries[id]; x != nil {
		return x.entry.stats.sum(), true
	}
	return c, false
}

// ClassCounters returns the counters of a class; ok is false when there is none.
func (e *Engine) ClassCounters(id ClassID) (c LocalCounters, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.sessions.classes[id]; x != nil {
		return x.stats.sum(), true
	}
	return c, false
}
