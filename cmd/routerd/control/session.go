package control

import (
	"fmt"
	"maps"
	"slices"

	"router/dataplane"
	"router/dataplane/session"
	"router/models"
)

// A localClass is a class of packets for the router itself, as applied.
type localClass struct {
	want    *models.ClassSpec
	applied bool
	id      dataplane.ClassID
}

// A localSession is a session as applied.
type localSession struct {
	want    *models.SessionSpec
	applied bool
	id      dataplane.SessionID
}

// localPolicy is who gets the packets for the router itself.
type localPolicy struct {
	classes  map[string]*localClass
	sessions map[string]*localSession
	usedIDs  [dataplane.MaxClasses]bool
	nextID   dataplane.SessionID
	kernel   int // how many sessions want packets to be the kernel's
}

// startPolicy puts the default policy in place, which is there before anything is
// declared.
func (r *Router) startPolicy() error {
	r.policy = localPolicy{classes: map[string]*localClass{}, sessions: map[string]*localSession{}}
	empty := models.NewCompiled().Intent()
	for _, name := range slices.Sorted(maps.Keys(empty.Classes)) {
		spec := empty.Classes[name]
		r.wantClass(name, &spec)
		if err := r.buildClass(name); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(empty.Sessions)) {
		spec := empty.Sessions[name]
		r.wantSession(name, &spec)
		if err := r.buildSession(name); err != nil {
			return err
		}
	}
	clear(r.dirty.classes)
	clear(r.dirty.sessions)
	return nil
}

func (r *Router) wantClass(name string, spec *models.ClassSpec) {
	c := r.policy.classes[name]
	if c == nil {
		c = &localClass{}
		r.policy.classes[name] = c
	}
	c.want = spec
	r.dirty.classes[name] = struct{}{}
}

func (r *Router) wantSession(name string, spec *models.SessionSpec) {
	s := r.policy.sessions[name]
	if s == nil {
		r.policy.nextID++
		s = &localSession{id: r.policy.nextID}
		r.policy.sessions[name] = s
	}
	s.want = spec
	r.dirty.sessions[name] = struct{}{}
}

func (r *Router) buildClass(name string) error {
	c := r.policy.classes[name]
	if c == nil || c.want == nil {
		return nil
	}
	if !c.applied {
		i := slices.Index(r.policy.usedIDs[:], false)
		if i < 0 {
			return fmt.Errorf("local-class %s: the router has no room for another class: delete one", name)
		}
		r.policy.usedIDs[i], c.id, c.applied = true, dataplane.ClassID(i), true
	}
	r.engine.SetClass(c.id, dataplane.Rate{PerSecond: c.want.Rate, Burst: c.want.Burst})
	r.events.changed(models.Object{Kind: models.Class, Name: name})
	return nil
}

func (r *Router) buildSession(name string) error {
	s := r.policy.sessions[name]
	if s == nil || s.want == nil {
		return nil
	}
	m := s.want.Match.Match
	if m.Fields&session.HasInstance != 0 {
		in := r.instances[s.want.Match.InstanceName]
		if in == nil || !in.applied {
			return fmt.Errorf("session %s: instance %s does not exist: declare it or name another one", name, s.want.Match.InstanceName)
		}
		m.Instance = in.index
	}
	if m.Fields&session.HasIfIndex != 0 {
		t := r.tree.Unit(s.want.Match.Unit)
		if t == nil {
			return fmt.Errorf("session %s: interface %s does not exist: declare the unit or name another one", name, s.want.Match.Unit.Name())
		}
		m.IfIndex = t.Index
	}
	class := r.policy.classes[s.want.Class]
	if class == nil || !class.applied {
		return fmt.Errorf("session %s: class %s does not exist: declare it or name another one", name, s.want.Class)
	}
	r.engine.SetSession(s.id, dataplane.Session{Match: m, Consumer: s.want.Consumer, Class: class.id})
	s.applied = true
	r.events.changed(models.Object{Kind: models.Session, Name: name})
	return nil
}

func (r *Router) clearSession(name string) error {
	s := r.policy.sessions[name]
	if s == nil || s.want != nil {
		return nil
	}
	r.engine.DeleteSession(s.id)
	delete(r.policy.sessions, name)
	r.events.changed(models.Object{Kind: models.Session, Name: name})
	return nil
}

func (r *Router) clearClass(name string) error {
	c := r.policy.classes[name]
	if c == nil || c.want != nil {
		return nil
	}
	if c.applied {
		r.engine.DeleteClass(c.id)
		r.policy.usedIDs[c.id] = false
	}
	delete(r.policy.classes, name)
	r.events.changed(models.Object{Kind: models.Class, Name: name})
	return nil
}

// Classes lists the classes of packets for the router itself, sorted.
func (r *Router) Classes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.policy.classes))
}

// Sessions lists the sessions, sorted.
func (r *Router) Sessions() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.policy.sessions))
}

// ClassState is the state of a class; ok is false when there is none.
func (r *Router) ClassState(name string) (s models.ClassState, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.policy.classes[name]
	if c == nil || c.want == nil || !c.applied {
		return s, false
	}
	n, ok := r.engine.ClassCounters(c.id)
	return models.ClassState{Spec: *c.want, Counters: models.LocalCounters(n)}, ok
}

// SessionState is the state of a session; ok is false when there is none.
func (r *Router) SessionState(name string) (s models.SessionState, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.policy.sessions[name]
	if x == nil || x.want == nil || !x.applied {
		return s, false
	}
	n, ok := r.engine.SessionCounters(x.id)
	return models.SessionState{Spec: *x.want, Counters: models.LocalCounters(n)}, ok
}
