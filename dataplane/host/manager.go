// Package host ties the router to the Linux stack: one TAP for each unit that
// has an IP family, in the network namespace of its routing instance, carrying
// the family's addresses and MTU. What the router receives for itself goes
// into the TAP (Deliver); what local programs send comes out of it (Inject)
// and is forwarded by the router's own FIB.
//
// Its invariants: a TAP exists only as long as the process that made it; what
// is not ours is never changed; what is ours and was changed by someone is put
// right within a second, and said so; a change of one address disturbs no
// other.
//
// Source: the kernel's Documentation/networking/tuntap.rst; RFC 7600 for the
// address that stands for the router as a neighbour. See
// docs/decisions/0006-host-stack.md.
package host

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"router/intf"
	"router/intf/kernel"
)

// A Config is what a Manager needs. Store and Inject are required.
type Config struct {
	// RouterID tells this router's links from another's on the same machine.
	// It holds no colon, and is the same after a restart.
	RouterID string
	Store    *kernel.Store
	Log      *slog.Logger // nil discards

	// Inject takes an IP packet that a local program sent: through the unit's
	// TAP, to be looked up in the instance of its family. l3 is valid during
	// the call. It is called from one goroutine per TAP.
	Inject func(instance uint32, ifindex intf.Index, l3 []byte)

	// OnDrift, if set, is told that something was not as it was left and has
	// been put right, or what prevents that. It is called without locks held,
	// from a goroutine of the manager or the one that called Audit.
	OnDrift func(ifindex intf.Index, unit, what string)
}

// A Spec is the intended host side of one unit.
type Spec struct {
	IfIndex  intf.Index
	Name     string   // the unit's, "ge0.100"
	MAC      intf.MAC // the device's
	Families []Family // at most one of each kind; at least one
}

// A Family is the host side of one family of a unit.
type Family struct {
	Family    intf.Family
	Namespace string // below /run/netns; "" is the daemon's own
	Instance  uint32 // index of the routing instance
	MTU       uint16 // octets of the network-layer packet; IPv6 needs 1280
	Up        bool
	// Addresses are those to be had now: a tentative or duplicate one is left
	// out by the caller. The link-local address is one of them, as the kernel
	// makes none here.
	Addresses []intf.AddressSpec
}

// ErrNotInPlace says that a unit has no TAP for a family at the moment.
var ErrNotInPlace = errors.New("no TAP in place")

// A Manager keeps the TAPs of one router. Its methods may be called from any
// goroutine; Deliver takes no lock.
type Manager struct {
	cfg    Config
	log    *slog.Logger
	names  *kernel.Namespaces
	own    *kernel.Namespace // where the daemon was when New was called
	paths  sync.Map          // intf.Index: *path, for Deliver
	kick   chan struct{}     // something may have drifted
	stop   chan struct{}
	done   chan struct{}
	events sync.WaitGroup // watchers of spaces, readers and diggers of TAPs

	opened  atomic.Uint32 // spaces so far
	diggers chan struct{} // as many TAPs are being closed as there are tokens in it

	mu     sync.Mutex
	closed bool
	units  map[intf.Index]*unit
	spaces map[string]*space
	users  map[string]int  // units that want a namespace
	pinned map[string]bool // namespaces that are wanted even without a unit
	drifts []drift         // to be told once the lock is released

	namesAt time.Time // when names of namespaces had changed, at the last repair
	turn    uint32    // counts the repairs that looked at some of the spaces
}

// maxDiggers bounds the threads that wait for the kernel to remove TAPs.
const maxDiggers = 8

// A unit is one Spec and the TAPs that serve it, by namespace.
type unit struct {
	spec Spec
	taps map[string]*tap
	path *path
}

type drift struct {
	ifindex    intf.Index
	unit, what string
}

// New makes a manager; the namespace of the calling thread is the daemon's
// own. Nothing is touched until Ensure.
func New(cfg Config) (*Manager, error) {
	switch {
	case cfg.RouterID == "" || strings.ContainsAny(cfg.RouterID, ":\x00"):
		return nil, fmt.Errorf("router id %q: must be given, without a colon", cfg.RouterID)
	case cfg.Store == nil || cfg.Inject == nil:
		return nil, errors.New("host: a store and an inject function are required")
	}
	own, err := kernel.Own()
	if err != nil {
		return nil, err
	}
	m := &Manager{
		cfg:   cfg,
		log:   cfg.Log,
		names: kernel.NewNamespaces(cfg.Store),
		own:   own,
		kick:  make(chan struct{}, 1),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),

		diggers: make(chan struct{}, maxDiggers),

		units:  map[intf.Index]*unit{},
		spaces: map[string]*space{},
		users:  map[string]int{},
		pinned: map[string]bool{},
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	go m.watchDrift()
	return m, nil
}

// Ensure brings the unit's TAPs to what spec says, changing only what differs,
// new before old. If it fails the spec is kept and tried again every second,
// until Remove or another Ensure.
func (m *Manager) Ensure(spec Spec) error {
	if err := spec.check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return errors.New("host: the manager is closed")
	}
	u := m.units[spec.IfIndex]
	if u == nil {
		u = &unit{taps: map[string]*tap{}, path: &path{}}
		m.units[spec.IfIndex] = u
		m.paths.Store(spec.IfIndex, u.path)
	}
	// The caller may go on using its slices.
	spec.Families = slices.Clone(spec.Families)
	for i := range spec.Families {
		f := &spec.Families[i]
		f.Addresses = slices.Clone(f.Addresses)
	}
	u.spec = spec
	_, err := m.place(u, settled)
	return err
}

// place makes the unit's TAPs what its spec says. It returns what it had to
// put right.
func (m *Manager) place(u *unit, look depth) (fixed []string, err error) {
	wants := u.spec.split()
	var errs []error
	for name, want := range wants {
		t := u.taps[name]
		if t == nil {
			t = &tap{manager: m}
			u.taps[name] = t
			m.users[name]++
		}
		t.want = want
		s, err := m.space(name)
		if err == nil {
			var did []string
			did, err = t.converge(s, look)
			fixed = append(fixed, did...)
		}
		t.reason = ""
		if err != nil {
			t.reason = err.Error()
			errs = append(errs, fmt.Errorf("unit %s: host interface: %w", u.spec.Name, err))
		}
	}
	// New paths first, so that no packet meets the gap.
	u.publish()
	for name, t := range u.taps {
		if _, ok := wants[name]; !ok {
			errs = append(errs, t.abandon())
			delete(u.taps, name)
			m.users[name]--
			m.letGo(name)
		}
	}
	return fixed, errors.Join(errs...)
}

// Remove takes the unit's TAPs away. A unit that is not there is no error. The
// links may be seen for a moment longer, without addresses.
func (m *Manager) Remove(ifindex intf.Index) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.remove(ifindex)
}

func (m *Manager) remove(ifindex intf.Index) error {
	u := m.units[ifindex]
	if u == nil {
		return nil
	}
	m.paths.Delete(ifindex)
	delete(m.units, ifindex)
	var errs []error
	for name, t := range u.taps {
		errs = append(errs, t.abandon())
		m.users[name]--
		m.letGo(name)
	}
	return errors.Join(errs...)
}

// EnsureNamespaces has namespaces exist, even without a unit in them; those that
// are absent are made. It returns what went wrong, by name.
func (m *Manager) EnsureNamespaces(names []string) map[string]error {
	m.mu.Lock()
	defer m.mu.Unlock()
	failed := map[string]error{}
	if m.closed {
		for _, name := range names {
			failed[name] = errors.New("host: the manager is closed")
		}
		return failed
	}
	fresh := make([]*space, len(names))
	errs := make([]error, len(names))
	atOnce(len(names), func(i int) {
		if s := m.spaces[names[i]]; s != nil {
			if s.ns == nil {
				errs[i] = m.reopen(s)
			}
			return
		}
		fresh[i], errs[i] = m.newSpace(names[i])
	})
	for i, name := range names {
		if errs[i] != nil {
			failed[name] = errs[i]
			continue
		}
		if fresh[i] != nil {
			m.spaces[name] = fresh[i]
		}
		m.pinned[name] = true
	}
	return failed
}

// RemoveNamespaces undoes EnsureNamespaces: those that the router made are
// removed, those that were there are left. One with units in it stays.
func (m *Manager) RemoveNamespaces(names []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		delete(m.pinned, name)
		m.letGo(name)
		return name == "" || m.spaces[name] != nil
	})
	return m.removeNames(names)
}

func (m *Manager) removeNames(names []string) error {
	errs := make([]error, len(names))
	atOnce(len(names), func(i int) { errs[i] = m.names.Remove(names[i]) })
	return errors.Join(errs...)
}

// atOnce calls f for 0 to n-1, up to eight at a time, and returns when all is
// done. Making and removing a namespace is mostly waiting for the kernel, milliseconds each.
func atOnce(n int, f func(i int)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, 8) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// Cleanup removes the namespaces that an earlier life of this router made and
// that nothing wants now. To be called once the stored configuration has been
// applied.
func (m *Manager) Cleanup() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.removeNames(slices.DeleteFunc(m.names.All(), func(name string) bool { return m.spaces[name] != nil }))
}

// Close removes every TAP and every namespace that the router made, and ends
// all goroutines.
func (m *Manager) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	m.mu.Unlock()

	close(m.stop)
	<-m.done

	m.mu.Lock()
	var errs []error
	for ifindex := range m.units {
		errs = append(errs, m.remove(ifindex))
	}
	clear(m.pinned)
	for name := range m.spaces {
		m.letGo(name)
	}
	errs = append(errs, m.removeNames(m.names.All()))
	m.mu.Unlock()

	m.events.Wait()
	return errors.Join(append(errs, m.own.Close())...)
}

// A Status is where the host side of one family of a unit stands.
type Status struct {
	Name      string // of the TAP; "" when there is none
	Namespace string // "" is the daemon's own
	Reason    string // why it is not in place; "" when it is

	// Foreign are addresses that someone else gave to the TAP. They are left,
	// but the router does not know them and nothing reaches them.
	Foreign []netip.Prefix
}

// Status reports on one family of a unit; ok is false when no such family is
// intended.
func (m *Manager) Status(ifindex intf.Index, family intf.Family) (s Status, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.units[ifindex]
	if u == nil {
		return Status{}, false
	}
	for _, f := range u.spec.Families {
		if f.Family != family {
			continue
		}
		s.Namespace = f.Namespace
		if t := u.taps[f.Namespace]; t != nil {
			s.Reason, s.Foreign = t.reason, slices.Clone(t.foreign)
			if t.dev != nil {
				s.Name = t.dev.name
			}
		}
		return s, true
	}
	return Status{}, false
}

// Observe lists the units that the manager keeps, with their specs as they
// were given last. The specs' slices are not to be changed.
func (m *Manager) Observe() map[intf.Index]Spec {
	m.mu.Lock()
	defer m.mu.Unlock()
	specs := make(map[intf.Index]Spec, len(m.units))
	for ifindex, u := range m.units {
		specs[ifindex] = u.spec
	}
	return specs
}

func (s Spec) check() error {
	if s.IfIndex == 0 || s.Name == "" || len(s.Families) == 0 || s.MAC.IsZero() || s.MAC.IsMulticast() {
		return fmt.Errorf("unit %q: host interface needs an if_index, a name, a family and a unicast MAC address", s.Name)
	}
	var seen [len(intf.Families)]bool
	for _, f := range s.Families {
		if int(f.Family) >= len(seen) || seen[f.Family] {
			return fmt.Errorf("unit %s: family %s stands twice or is unknown", s.Name, f.Family)
		}
		seen[f.Family] = true
		least := uint16(68) // RFC 791, 3.2
		if f.Family == intf.Inet6 {
			least = minMTU6
		}
		if f.MTU < least {
			return fmt.Errorf("unit %s: MTU %d of family %s: must be at least %d", s.Name, f.MTU, f.Family, least)
		}
		had := map[netip.Addr]bool{}
		for _, a := range f.Addresses {
			addr := a.Prefix.Addr()
			switch {
			case !a.Prefix.IsValid() || intf.FamilyOf(addr) != f.Family || addr.Zone() != "":
				return fmt.Errorf("unit %s: address %s is none of family %s", s.Name, a.Prefix, f.Family)
			case a.Peer.IsValid() && intf.FamilyOf(a.Peer) != f.Family:
				return fmt.Errorf("unit %s: peer %s is none of family %s", s.Name, a.Peer, f.Family)
			case had[addr]:
				return fmt.Errorf("unit %s: address %s stands twice", s.Name, addr)
			}
			had[addr] = true
		}
	}
	return nil
}
