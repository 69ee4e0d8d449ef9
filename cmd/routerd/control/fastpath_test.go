package control

import (
	"errors"
	"sync"
	"testing"
	"time"

	"router/dataplane/layout"
	"router/models"
)

// programs are the fast path of a lab's devices.
type programs struct {
	mu     sync.Mutex
	err    error           // of Forward
	loaded map[string]bool // devices that forward
	tries  map[string]int  // calls of Forward
	places uint32
}

func (p *programs) NewTally() (uint32, error) {
	p.places++
	return p.places, nil
}

func (p *programs) Tally(uint32) (t [layout.TallyWords]uint64)          { return t }
func (p *programs) Kept(uint32) (t [layout.TallyWords]uint64, m uint32) { return t, 0 }
func (p *programs) FreeTally(uint32)                                    {}

// drop has all devices forward no more, as when the kernel has no memory for other programs.
func (p *programs) drop(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	clear(p.loaded)
}

func (p *programs) tried(device string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tries[device]
}

// forwarder is a device with a fast path.
type forwarder struct {
	memDevice
	programs *programs
}

func (f *forwarder) Forward(uint32) error {
	p := f.programs
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries[f.name]++
	p.loaded[f.name] = p.err == nil
	return p.err
}

func (f *forwarder) StopForwarding() error {
	f.programs.mu.Lock()
	defer f.programs.mu.Unlock()
	delete(f.programs.loaded, f.name)
	return nil
}

func (f *forwarder) Forwarding() error {
	f.programs.mu.Lock()
	defer f.programs.mu.Unlock()
	if !f.programs.loaded[f.name] {
		return errors.New("not loaded")
	}
	return nil
}

func (f *forwarder) OpenEgress(uint32) (int, error) { return 1, nil }
func (f *forwarder) CloseEgress(uint32) error       { return nil }

// TestFastPathComesBack: a device whose program could not be exchanged forwards again
// when it can be, whatever else happens or not, and is asked ever more rarely until then.
func TestFastPathComesBack(t *testing.T) {
	l := newLab(t)
	l.stop()
	l.programs = &programs{loaded: make(map[string]bool), tries: make(map[string]int)}
	l.boot()
	l.plug("ge0", 1)
	l.mustCommit(func(in *models.Intent) { unitOf(in, "ge0", "default", "192.0.2.1/24") })
	reason := func() string {
		t.Helper()
		d, _ := l.router.DeviceState("ge0")
		return d.FastPath.Receives
	}
	if got := reason(); got != "" || l.programs.tried("ge0") != 1 {
		t.Fatalf("not forwarding from the start: %q after %d attempts", got, l.programs.tried("ge0"))
	}
	l.pass(time.Minute)
	if n := l.programs.tried("ge0"); n != 1 {
		t.Errorf("tried %d times in a minute without need", n-1)
	}
	l.programs.drop(errors.New("cannot allocate memory"))
	if reason() == "" {
		t.Error("state does not say that the device does not forward")
	}
	l.pass(time.Hour)
	if n := l.programs.tried("ge0"); n < 5 || n > 15 {
		t.Errorf("tried %d times in an hour without memory", n-1)
	}
	if got := reason(); got != "cannot allocate memory" {
		t.Errorf("state says %q", got)
	}
	l.programs.drop(nil)
	l.pass(fastRetryMost)
	if got := reason(); got != "" {
		t.Errorf("it does not forward again: %q", got)
	}
	// Again, and soon this time.
	l.programs.drop(nil)
	l.pass(time.Minute)
	if got := reason(); got != "" {
		t.Errorf("it does not forward again after a minute: %q", got)
	}
}
