// Package health looks at the parts of the router, and remembers when one of them
// was found not to do what it is there for.
//
// Invariant: a check that hangs holds up nobody but itself. That it hangs is what
// is wrong, and is said.
package health

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"router/models"
)

const (
	// Interval is how often everything is looked at.
	Interval = 10 * time.Second
	// settle is how long after a Kick everything is looked at: for events in a row
	// once.
	settle = 500 * time.Millisecond
	// Patience is how long a check may take before its component counts as stuck.
	Patience = 3 * time.Second
	// maxEvents is how many events are remembered.
	maxEvents = 100
	// maxArtifact bounds what is kept with an event, in octets.
	maxArtifact = 64 << 10
)

// A Finding is what a check has found.
type Finding struct {
	Reason string // what is wrong; empty: nothing
	Detail string // more of it, in lines; it becomes an artifact of the event
}

// A Check looks at one component. It returns what it has found by the time that
// ctx ends, if it can.
type Check struct {
	Name string
	Look func(ctx context.Context) Finding
}

// An Artifact is something that was kept with an event.
type Artifact struct {
	ID   string
	Name string // of a file for it
	Text []byte
}

// An Event is that a component was found unhealthy.
type Event struct {
	ID           string
	Component    string
	Created      time.Time
	Reason       string
	Acknowledged bool
	Artifacts    []Artifact
}

// A Monitor keeps what was found. Its methods may be called from any goroutine.
type Monitor struct {
	checks []Check
	log    *slog.Logger
	now    func() time.Time
	kick   chan struct{}

	mu       sync.Mutex
	parts    []models.HealthState // in the order of checks
	looks    []chan struct{}      // likewise: closed when the look under way ends; nil for none
	events   []Event              // oldest first
	number   uint64
	watchers map[int]func()
	next     int
}

// New makes a monitor of the checks, whose names are distinct.
func New(checks []Check, now func() time.Time, log *slog.Logger) *Monitor {
	checks = slices.Clone(checks)
	slices.SortFunc(checks, func(a, b Check) int { return strings.Compare(a.Name, b.Name) })
	m := &Monitor{checks: checks, log: log, now: now, kick: make(chan struct{}, 1), looks: make([]chan struct{}, len(checks)), watchers: map[int]func(){}}
	for _, c := range checks {
		m.parts = append(m.parts, models.HealthState{Name: c.Name})
	}
	return m
}

// Run looks at everything now, every Interval and soon after each Kick, until ctx
// ends.
func (m *Monitor) Run(ctx context.Context) {
	tick := time.NewTicker(Interval)
	defer tick.Stop()
	for {
		var wg sync.WaitGroup
		for i := range m.checks {
			wg.Go(func() { m.look(ctx, i) })
		}
		wg.Wait()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			continue
		case <-m.kick:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(settle):
		}
	}
}

// Kick has everything looked at soon: something may have changed. It never waits.
func (m *Monitor) Kick() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// Look looks at a component now, and returns what is known then; ok is false when
// there is none of the name.
func (m *Monitor) Look(ctx context.Context, name string) (s models.HealthState, ok bool) {
	i, ok := m.index(name)
	if !ok {
		return s, false
	}
	m.look(ctx, i)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.parts[i], true
}

func (m *Monitor) index(name string) (int, bool) {
	return slices.BinarySearchFunc(m.checks, name, func(c Check, name string) int { return strings.Compare(c.Name, name) })
}

// look runs check i and notes what it has found. While a look is under way there is
// no second one.
func (m *Monitor) look(ctx context.Context, i int) {
	limited, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	m.mu.Lock()
	done := m.looks[i]
	if done == nil {
		done = make(chan struct{})
		m.looks[i] = done
		go func() {
			f := m.checks[i].Look(limited)
			if limited.Err() == nil {
				m.note(ctx, i, f)
			}
			m.mu.Lock()
			m.looks[i] = nil
			m.mu.Unlock()
			close(done)
		}()
	}
	m.mu.Unlock()
	select {
	case <-done:
		if ctx.Err() != nil || limited.Err() == nil {
			return
		}
	case <-limited.Done():
	}
	m.note(ctx, i, Finding{Reason: fmt.Sprintf("it does not answer within %v", Patience)})
}

// note takes down what a check has found. What a look that was given up finds says
// nothing.
func (m *Monitor) note(ctx context.Context, i int, f Finding) {
	if ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.parts[i]
	healthy, now := f.Reason == "", m.now()
	changed := !p.Known || p.Healthy != healthy
	if !changed && p.Reason == f.Reason {
		return
	}
	if changed {
		p.LastChange = now
	}
	if !healthy && changed {
		m.number++
		e := Event{ID: p.Name + "-" + strconv.FormatUint(m.number, 10) + "-" + strconv.FormatInt(now.Unix(), 36), Component: p.Name, Created: now, Reason: f.Reason}
		if f.Detail != "" {
			e.Artifacts = append(e.Artifacts, artifact(e.ID, "detail.txt", []byte(f.Detail)))
		}
		m.events = append(m.events, e)
		if n := len(m.events) - maxEvents; n > 0 {
			m.events = slices.Delete(m.events, 0, n)
		}
		p.Events++
		p.LastEvent = e.ID
		m.log.Warn("a component is unhealthy", "component", p.Name, "reason", f.Reason)
	}
	if healthy && p.Known && changed {
		m.log.Info("a component is healthy again", "component", p.Name)
	}
	p.Known, p.Healthy, p.Reason = true, healthy, f.Reason
	for _, fn := range m.watchers {
		fn()
	}
}

func artifact(event, name string, text []byte) Artifact {
	return Artifact{ID: event + "/" + name, Name: name, Text: text[:min(len(text), maxArtifact)]}
}

// Components is what is known of all components, by name.
func (m *Monitor) Components() []models.HealthState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.parts)
}

// Component is what is known of one; ok is false when there is none of the name.
func (m *Monitor) Component(name string) (s models.HealthState, ok bool) {
	i, ok := m.index(name)
	if !ok {
		return s, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.parts[i], true
}

// Events lists the events of a component, or of all of them if name is empty,
// oldest first; those that were acknowledged only if they are wanted.
func (m *Monitor) Events(name string, acknowledged bool) []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Event
	for i := range m.events {
		if e := &m.events[i]; (name == "" || e.Component == name) && (acknowledged || !e.Acknowledged) {
			list = append(list, e.clone())
		}
	}
	return list
}

func (e *Event) clone() Event {
	c := *e
	c.Artifacts = slices.Clone(e.Artifacts)
	return c
}

// event finds an event. The caller holds mu.
func (m *Monitor) event(id string) *Event {
	for i := range m.events {
		if m.events[i].ID == id {
			return &m.events[i]
		}
	}
	return nil
}

// Event is the event of an id; ok is false when it isn't remembered.
func (m *Monitor) Event(id string) (e Event, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.event(id); p != nil {
		return p.clone(), true
	}
	return e, false
}

// Acknowledge notes that somebody has seen to an event of a component; ok is false
// when it isn't remembered.
func (m *Monitor) Acknowledge(component, id string) (e Event, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.event(id)
	if p == nil || p.Component != component {
		return e, false
	}
	p.Acknowledged = true
	return p.clone(), true
}

// Add keeps one more artifact with an event; one of the name that is there stays as
// it is.
func (m *Monitor) Add(id, name string, text []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.event(id)
	if p == nil || slices.ContainsFunc(p.Artifacts, func(a Artifact) bool { return a.Name == name }) {
		return
	}
	p.Artifacts = append(p.Artifacts, artifact(id, name, text))
}

// Artifact is the artifact of an id; ok is false when it isn't kept.
func (m *Monitor) Artifact(id string) (a Artifact, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.events {
		for _, a := range m.events[i].Artifacts {
			if a.ID == id {
				return a, true
			}
		}
	}
	return a, false
}

// Watch calls fn after each change, until stop is called. fn must neither wait nor
// call the monitor.
func (m *Monitor) Watch(fn func()) (stop func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := m.next
	m.next++
	m.watchers[id] = fn
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, id)
	}
}
