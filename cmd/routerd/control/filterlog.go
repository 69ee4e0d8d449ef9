package control

import (
	"strconv"
	"sync"
	"time"

	"router/dataplane"
	"router/dataplane/filter"
	"router/intf"
	"router/models"
)

// A filterLog keeps the newest packets that filters logged, a slot for each.
type filterLog struct {
	mu      sync.Mutex
	entries []models.FilterLogEntry // by slot, from 0 on
	last    uint64                  // number of the newest
	news    map[uint16]struct{}     // slots that watchers are to be told of, when a timer ends
}

// logPause is how often watchers hear of the filter log at most: a stream reads what
// it is told of, and under a flood of entries it would do nothing else.
const logPause = 100 * time.Millisecond

// LogFiltered takes a packet that a filter logged.
func (r *Router) LogFiltered(rec dataplane.LogRecord) {
	e := models.FilterLogEntry{
		Time: rec.Time, Filter: rec.Filter, Term: rec.Term, Hook: rec.Hook, Unit: r.unitOf(rec.IfIndex), Verdict: verdictOf(rec),
		Src: rec.Src, Dst: rec.Dst, Protocol: rec.Protocol, Length: rec.Length,
	}
	const icmp, icmp6 = 1, 58
	if rec.Protocol != icmp && rec.Protocol != icmp6 && (rec.SrcPort != 0 || rec.DstPort != 0) {
		e.Ports, e.SrcPort, e.DstPort = true, rec.SrcPort, rec.DstPort
	}
	l := &r.filterLog
	l.mu.Lock()
	l.last++
	e.Number = l.last
	slot := e.Slot()
	if int(slot) > len(l.entries) {
		l.entries = append(l.entries, e)
	} else {
		l.entries[slot-1] = e
	}
	if l.news == nil {
		l.news = map[uint16]struct{}{}
		time.AfterFunc(logPause, r.tellLog)
	}
	l.news[slot] = struct{}{}
	l.mu.Unlock()
}

// tellLog tells watchers of new entries, the oldest first.
func (r *Router) tellLog() {
	l := &r.filterLog
	l.mu.Lock()
	var slots []uint16
	for i := range l.entries {
		// Behind the newest stand those of the round before.
		slot := uint16((l.last+uint64(i))%uint64(len(l.entries))) + 1
		if _, ok := l.news[slot]; ok {
			slots = append(slots, slot)
		}
	}
	l.news = nil
	l.mu.Unlock()
	for _, slot := range slots {
		r.events.changed(models.Object{Kind: models.FilterLog, Name: slotName(slot)})
	}
}

func slotName(slot uint16) string { return strconv.Itoa(int(slot)) }

// FilterLogSlots lists the slots that have an entry, the oldest entry first.
func (r *Router) FilterLogSlots() []string {
	l := &r.filterLog
	l.mu.Lock()
	defer l.mu.Unlock()
	slots := make([]string, 0, len(l.entries))
	for i := range l.entries {
		slots = append(slots, slotName(uint16((l.last+uint64(i))%uint64(len(l.entries)))+1))
	}
	return slots
}

// FilterLogEntry is the entry in a slot; ok is false where there is none.
func (r *Router) FilterLogEntry(slot string) (e models.FilterLogEntry, ok bool) {
	n, err := strconv.ParseUint(slot, 10, 16)
	l := &r.filterLog
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || n == 0 || n > uint64(len(l.entries)) {
		return e, false
	}
	return l.entries[n-1], true
}

func (r *Router) unitOf(i intf.Index) intf.UnitKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	if u := r.byIndex[i]; u != nil {
		return u.key
	}
	return intf.UnitKey{}
}

func verdictOf(rec dataplane.LogRecord) models.FilterVerdict {
	if rec.Policed {
		return models.VerdictPoliced
	}
	switch rec.Verdict {
	case filter.Accept:
		return models.VerdictAccept
	case filter.Discard:
		return models.VerdictDiscard
	case filter.Reject:
		return models.VerdictReject
	case filter.ToInstance:
		return models.VerdictInstance
	case filter.ToNextHop:
		return models.VerdictNextHop
	case filter.NextTerm, filter.NextFilter:
		// No packet ends there.
	}
	return models.VerdictAccept
}
