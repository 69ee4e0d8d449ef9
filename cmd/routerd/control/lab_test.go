package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"time"

	"router/cmd/routerd/reconcile"
	"router/dataplane"
	"router/dataplane/bpf"
	"router/dataplane/host"
	"router/dataplane/memport"
	"router/dataplane/packet"
	"router/dataplane/port"
	"router/intf"
	"router/intf/kernel"
	"router/models"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// A lab is a Router on ports in memory, with a clock, links and a host stack
// that the test moves.
type lab struct {
	t       *testing.T
	router  *Router
	applier *reconcile.Applier
	engine  *dataplane.Engine
	intent  models.Intent
	dir     string

	mu       sync.Mutex
	now      time.Time
	links    map[string]kernel.Link
	queues   map[string]*memport.Queue
	openErr  map[string]error
	opened   map[string]int
	hosts    map[intf.Index]host.Spec
	spaces   map[string]int
	released []string
	stop     func()

	memory   Memory
	adopting bool   // the router waits for Adopt
	refuse   string // the device that can't be activated
	programs *programs

	pinErr            error // of all devices
	hostErr, spaceErr error // of the host's side of units, and of namespaces
}

func newLab(t *testing.T) *lab {
	t.Helper()
	return newLabWith(t, nil)
}

// newLabWith is newLab for routers with a memory.
func newLabWith(t *testing.T, memory Memory) *lab {
	t.Helper()
	l := &lab{
		memory: memory,
		t:      t, dir: t.TempDir(), now: time.Unix(1_000_000, 0), links: map[string]kernel.Link{}, queues: map[string]*memport.Queue{},
		openErr: map[string]error{}, opened: map[string]int{}, hosts: map[intf.Index]host.Spec{}, spaces: map[string]int{},
		intent: models.Intent{
			Devices: map[string]intf.DeviceSpec{}, Units: map[intf.UnitKey]intf.UnitSpec{},
			Instances: map[string]models.InstanceSpec{"default": {Name: "default"}}, Static: map[models.StaticKey]models.StaticSpec{},
			Multicast: map[models.MulticastKey]models.MulticastSpec{},
		},
	}
	l.boot()
	t.Cleanup(func() { l.stop() })
	return l
}

// boot starts a router on the lab's state directory.
func (l *lab) boot() {
	l.t.Helper()
	domain := epoch.New()
	arena, err := fib.NewHeapArena(1<<22, domain)
	if err != nil {
		l.t.Fatal(err)
	}
	config := dataplane.Config{Domain: domain, Buffers: 1024}
	if l.programs != nil {
		config.Arena, config.Tallies = arena, l.programs
	}
	l.engine, err = dataplane.New(config)
	if err != nil {
		l.t.Fatal(err)
	}
	l.router, err = New(Config{
		Log: slog.New(slog.DiscardHandler), StateDir: l.dir, Engine: l.engine, Domain: domain, Arena: arena,
		Links: l, Drivers: l, Host: hostOf{l}, Now: l.clock, Memory: l.memory, Adopting: l.adopting,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.applier = reconcile.NewApplier(l.router, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	router, engine := l.router, l.engine
	go func() {
		defer close(done)
		_ = engine.ServeControl(ctx, router.Punted)
	}()
	l.stop = func() {
		cancel()
		<-done
		if err := errors.Join(router.Close(), engine.Close()); err != nil {
			l.t.Error(err)
		}
	}
}

func (l *lab) clock() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// pass lets time go by in steps that no timer is lost in.
func (l *lab) pass(d time.Duration) {
	for end := l.clock().Add(d); l.clock().Before(end); {
		l.mu.Lock()
		l.now = l.now.Add(100 * time.Millisecond)
		l.mu.Unlock()
		l.router.tick(l.t.Context())
	}
}

func (l *lab) Get(name string) kernel.Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k, ok := l.links[name]; ok {
		return k
	}
	return kernel.Link{Name: name}
}

func (l *lab) Named(index int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, k := range l.links {
		if k.Index == index {
			return name
		}
	}
	return ""
}

func (l *lab) Claim(string, kernel.DeviceClaim) (string, error) { return "", nil }

func (l *lab) Release(name string) error {
	l.released = append(l.released, name)
	return nil
}

// plug makes a link appear; its MAC ends in n.
func (l *lab) plug(name string, n byte) {
	l.mu.Lock()
	l.opened[name+"-index"]++
	k := kernel.Link{Name: name, Index: int(n)*100 + l.opened[name+"-index"], Present: true, AdminUp: true, Carrier: true, MAC: intf.MAC{2, 0, 0, 0, 0, n}, MTU: 1500}
	l.links[name] = k
	l.mu.Unlock()
	l.router.LinkChanged(k)
}

func (l *lab) unplug(name string) {
	l.mu.Lock()
	delete(l.links, name)
	l.mu.Unlock()
	l.router.LinkChanged(kernel.Link{Name: name})
}

func (l *lab) Open(_ context.Context, s DriverSpec) (Opened, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.openErr[s.Name]; err != nil {
		return nil, err
	}
	l.opened[s.Name]++
	q := memport.New(l.engine.Pools()[0], 64)
	l.queues[s.Name] = q
	if l.programs != nil {
		return &forwarder{memDevice{q, l, s.Name}, l.programs}, nil
	}
	return memDevice{q, l, s.Name}, nil
}

type memDevice struct {
	q    *memport.Queue
	lab  *lab
	name string
}

func (d memDevice) Queues() []port.Queue        { return []port.Queue{d.q} }
func (d memDevice) Report() DriverReport        { return DriverReport{Driver: intf.DriverAFXDP, Queues: 1} }
func (d memDevice) SetClaims([]bpf.Claim) error { return nil }
func (d memDevice) Lost() map[string]uint64     { return nil }
func (d memDevice) Activate() error {
	if d.lab.refuse == d.name {
		return errors.New("refused")
	}
	return nil
}
func (d memDevice) Pin() error {
	d.lab.mu.Lock()
	defer d.lab.mu.Unlock()
	return d.lab.pinErr
}
func (d memDevice) Outlives() (bool, error) { return false, nil }
func (d memDevice) Leave() error            { return nil }
func (d memDevice) Close() error            { return nil }

type hostOf struct{ l *lab }

func (h hostOf) Ensure(s host.Spec) error {
	if h.l.hostErr != nil {
		return h.l.hostErr
	}
	h.l.hosts[s.IfIndex] = s
	return nil
}

func (h hostOf) Remove(i intf.Index) error {
	delete(h.l.hosts, i)
	return nil
}

func (h hostOf) Status(i intf.Index, _ intf.Family) (host.Status, bool) {
	s, ok := h.l.hosts[i]
	return host.Status{Name: s.Name}, ok
}

func (h hostOf) EnsureNamespaces(names []string) map[string]error {
	if h.l.spaceErr != nil {
		failed := map[string]error{}
		for _, name := range names {
			failed[name] = h.l.spaceErr
		}
		return failed
	}
	for _, name := range names {
		h.l.spaces[name]++
	}
	return nil
}

func (h hostOf) RemoveNamespaces(names []string) error {
	for _, name := range names {
		delete(h.l.spaces, name)
	}
	return nil
}

// commit changes the intent and applies the difference.
func (l *lab) commit(edit func(*models.Intent)) error {
	l.t.Helper()
	next := models.Intent{
		System: l.intent.System, Devices: maps.Clone(l.intent.Devices), Units: maps.Clone(l.intent.Units),
		Instances: maps.Clone(l.intent.Instances), Static: maps.Clone(l.intent.Static),
		Multicast: maps.Clone(l.intent.Multicast),
	}
	edit(&next)
	err := l.applier.Apply(l.t.Context(), models.Change{
		Devices: deltas(l.intent.Devices, next.Devices), Units: deltas(l.intent.Units, next.Units),
		Instances: deltas(l.intent.Instances, next.Instances), Static: deltas(l.intent.Static, next.Static),
		Multicast: deltas(l.intent.Multicast, next.Multicast),
	})
	if err == nil {
		l.intent = next
	}
	return err
}

func (l *lab) mustCommit(edit func(*models.Intent)) {
	l.t.Helper()
	if err := l.commit(edit); err != nil {
		l.t.Fatal(err)
	}
}

func deltas[K comparable, V any](a, b map[K]V) []models.Delta[K, V] {
	var list []models.Delta[K, V]
	for k, v := range a {
		if n, ok := b[k]; ok {
			if fmt.Sprintf("%#v", v) != fmt.Sprintf("%#v", n) {
				list = append(list, models.Delta[K, V]{Key: k, Old: &v, New: &n})
			}
			continue
		}
		list = append(list, models.Delta[K, V]{Key: k, Old: &v})
	}
	for k, v := range b {
		if _, ok := a[k]; !ok {
			list = append(list, models.Delta[K, V]{Key: k, New: &v})
		}
	}
	return list
}

// unit declares a device with one untagged unit that has the given addresses.
func unitOf(in *models.Intent, device, instance string, prefixes ...string) {
	in.Devices[device] = intf.DeviceSpec{Name: device, Enabled: true, MRU: 1518}
	k := intf.UnitKey{Device: device, ID: "0"}
	u := intf.UnitSpec{Key: k, Enabled: true}
	for _, f := range intf.Families {
		fs := intf.FamilySpec{Family: f, Enabled: true, Instance: instance}
		for _, text := range prefixes {
			if p := netip.MustParsePrefix(text); intf.FamilyOf(p.Addr()) == f {
				fs.Addresses = append(fs.Addresses, intf.AddressSpec{Prefix: p})
			}
		}
		if len(fs.Addresses) > 0 {
			u.Families = append(u.Families, fs)
		}
	}
	in.Units[k] = u
}

func (l *lab) unitState(device string) models.UnitState {
	l.t.Helper()
	s, ok := l.router.UnitState(intf.UnitKey{Device: device, ID: "0"})
	if !ok {
		l.t.Fatalf("unit %s.0 has no state", device)
	}
	return s
}

// receive waits for a frame from a port that want accepts.
func (l *lab) receive(device string, want func([]byte) bool) []byte {
	l.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		l.mu.Lock()
		q := l.queues[device]
		l.mu.Unlock()
		if frame, ok := q.Pop(nil); ok {
			if want(frame) {
				return frame
			}
			continue
		}
		time.Sleep(time.Millisecond)
	}
	l.t.Fatalf("the frame that was expected from %s did not come; packets %+v, drops of the router's own %v, neighbours %+v, frames not fetched yet: %d",
		device, l.engine.Totals(), l.engine.OwnDrops(), l.router.neighbors.Counters(), l.queues[device].Pending())
	return nil
}

func (l *lab) send(device string, frame []byte) {
	l.t.Helper()
	l.mu.Lock()
	q := l.queues[device]
	l.mu.Unlock()
	if !q.Push(frame, 0) {
		l.t.Fatal("no room in the port")
	}
}

// answerARP waits for a request for addr and answers it from a host.
func (l *lab) answerARP(device string, addr netip.Addr, mac intf.MAC) {
	l.t.Helper()
	req := l.receive(device, func(f []byte) bool {
		a, fault := packet.ParseARP(f[packet.EthernetHeaderLen:])
		return fault == packet.FaultNone && a.Op() == packet.ARPRequest && a.TargetIP() == addr
	})
	a := packet.ARP(req[packet.EthernetHeaderLen:])
	frame := make([]byte, 64)
	n := packet.PutEthernet(frame, a.SenderMAC(), mac, intf.VLAN{}, packet.EtherTypeARP)
	packet.PutARP(frame[n:], packet.ARPReply, mac, addr, a.SenderMAC(), a.SenderIP())
	l.send(device, frame)
}

func udp4(to, from intf.MAC, src, dst string) []byte {
	frame := make([]byte, 64)
	n := packet.PutEthernet(frame, to, from, intf.VLAN{}, packet.EtherTypeIPv4)
	ip := frame[n:]
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	copy(ip, []byte{0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, s[0], s[1], s[2], s[3], d[0], d[1], d[2], d[3], 0x10, 0, 0x20, 0, 0, 8, 0, 0})
	sum := ^packet.Sum(ip[:20], 0)
	ip[10], ip[11] = byte(sum>>8), byte(sum)
	return frame
}

var (
	mac1 = intf.MAC{2, 0, 0, 0, 0, 1}
	h1   = intf.MAC{2, 0, 0, 0, 1, 1}
	h2   = intf.MAC{2, 0, 0, 0, 1, 2}
)

func twoPorts(l *lab) {
	l.plug("ge0", 1)
	l.plug("ge1", 2)
	l.mustCommit(func(in *models.Intent) {
		unitOf(in, "ge0", "default", "192.0.2.1/24")
		unitOf(in, "ge1", "default", "198.51.100.1/24")
	})
}
