package health

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// a patient is a component that does what the test says.
type patient struct {
	mu     sync.Mutex
	reason string
	hangs  chan struct{} // not nil: it hangs until this is closed
}

func (p *patient) set(reason string, hangs chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reason, p.hangs = reason, hangs
}

func (p *patient) check(name string) Check {
	return Check{name, func(context.Context) Finding {
		p.mu.Lock()
		reason, hangs := p.reason, p.hangs
		p.mu.Unlock()
		if hangs != nil {
			<-hangs
		}
		f := Finding{Reason: reason}
		if reason != "" {
			f.Detail = strings.Repeat("more of "+reason+"\n", 10)
		}
		return f
	}}
}

func TestMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, host := &patient{}, &patient{}
		m := New([]Check{host.check("host"), disk.check("disk")}, time.Now, quiet)
		changes := 0
		defer m.Watch(func() { changes++ })()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if s, _ := m.Component("disk"); s.Known {
			t.Errorf("before a look: %+v", s)
		}
		go m.Run(ctx)
		time.Sleep(time.Second)
		if s, ok := m.Component("disk"); !ok || !s.Known || !s.Healthy || s.Events != 0 || changes != 2 {
			t.Errorf("%+v, %v, %d changes", s, ok, changes)
		}

		disk.set("full", nil)
		time.Sleep(Interval)
		s, _ := m.Component("disk")
		if s.Healthy || s.Reason != "full" || s.Events != 1 || changes != 3 {
			t.Errorf("%+v, %d changes", s, changes)
		}
		began := s.LastChange
		disk.set("fuller", nil)
		time.Sleep(Interval)
		if s, _ = m.Component("disk"); s.Reason != "fuller" || s.Events != 1 || s.LastChange != began {
			t.Errorf("another reason is the same event: %+v", s)
		}
		e, ok := m.Event(s.LastEvent)
		if !ok || e.Reason != "full" || len(e.Artifacts) != 1 {
			t.Fatalf("%+v, %v", e, ok)
		}
		if a, ok := m.Artifact(e.Artifacts[0].ID); !ok || !strings.Contains(string(a.Text), "more of full") {
			t.Errorf("%+v, %v", a, ok)
		}
		m.Add(e.ID, "detail.txt", []byte("other"))
		m.Add(e.ID, "stacks.txt", make([]byte, 2*maxArtifact))
		if e, _ = m.Event(e.ID); len(e.Artifacts) != 2 || string(e.Artifacts[0].Text) == "other" || len(e.Artifacts[1].Text) != maxArtifact {
			t.Errorf("%d artifacts", len(e.Artifacts))
		}
		if _, ok := m.Acknowledge("host", e.ID); ok {
			t.Error("acknowledged as another component's")
		}
		if _, ok := m.Acknowledge("disk", e.ID); !ok || len(m.Events("disk", false)) != 0 || len(m.Events("", true)) != 1 {
			t.Errorf("%v, %+v", ok, m.Events("", true))
		}

		disk.set("", nil)
		if s, ok := m.Look(ctx, "disk"); !ok || !s.Healthy || s.Reason != "" || s.Events != 1 {
			t.Errorf("a look: %+v, %v", s, ok)
		}
		disk.set("slow", nil)
		m.Kick()
		m.Kick()
		time.Sleep(time.Second)
		if s, _ := m.Component("disk"); s.Healthy {
			t.Errorf("after a kick: %+v", s)
		}
		if _, ok := m.Look(ctx, "none"); ok {
			t.Error("a look at nothing")
		}
	})
}

// TestHangs has a check that doesn't come back: the others go on, and it is
// looked at again once it does.
func TestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, well := &patient{hangs: make(chan struct{})}, &patient{}
		m := New([]Check{stuck.check("stuck"), well.check("well")}, time.Now, quiet)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go m.Run(ctx)
		time.Sleep(Patience + time.Second)
		s, _ := m.Component("stuck")
		if s.Healthy || !strings.Contains(s.Reason, "does not answer") {
			t.Errorf("%+v", s)
		}
		if s, _ := m.Component("well"); !s.Healthy {
			t.Errorf("%+v", s)
		}
		well.set("not any more", nil)
		time.Sleep(2 * Interval)
		if s, _ := m.Component("well"); s.Healthy {
			t.Errorf("nobody looks while the other hangs: %+v", s)
		}
		if s, _ := m.Component("stuck"); s.Events != 1 {
			t.Errorf("%+v", s)
		}
		h := stuck.hangs
		stuck.set("", nil)
		close(h)
		time.Sleep(2 * Interval)
		if s, _ := m.Component("stuck"); !s.Healthy {
			t.Errorf("it answers again: %+v", s)
		}
	})
}

// TestBounded makes more events than are kept.
func TestBounded(t *testing.T) {
	p := &patient{}
	m := New([]Check{p.check("x")}, time.Now, quiet)
	for i := range 3 * maxEvents {
		p.set([]string{"ill", ""}[i%2], nil)
		m.Look(t.Context(), "x")
	}
	if n := len(m.Events("", true)); n != maxEvents {
		t.Errorf("%d events", n)
	}
	if s, _ := m.Component("x"); s.Events != 3*maxEvents/2 {
		t.Errorf("%+v", s)
	}
}
