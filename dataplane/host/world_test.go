package host

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"router/internal/testnet"
	"router/intf"
	"router/intf/kernel"
)

// A world is a manager in a namespace of its own. What its TAPs send goes to
// out; the drifts that it tells of are kept.
type world struct {
	*Manager
	ns    *testnet.Namespace
	dir   string
	store *kernel.Store
	out   atomic.Pointer[func(instance uint32, ifindex intf.Index, l3 []byte)]

	mu     sync.Mutex
	drifts []string
}

func newWorld(t *testing.T, hint string) *world {
	t.Helper()
	testnet.Require(t)
	w := &world{ns: testnet.New(t, hint), dir: t.TempDir()}
	w.start(t)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

func (w *world) start(t *testing.T) {
	t.Helper()
	store, err := kernel.OpenStore(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	w.store = store
	err = w.ns.Do(func() (err error) {
		w.Manager, err = New(Config{
			RouterID: "test-" + w.ns.Name,
			Store:    store,
			Inject: func(instance uint32, ifindex intf.Index, l3 []byte) {
				if f := w.out.Load(); f != nil {
					(*f)(instance, ifindex, l3)
				}
			},
			OnDrift: func(ifindex intf.Index, unit, what string) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.drifts = append(w.drifts, unit+": "+what)
			},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) onInject(f func(instance uint32, ifindex intf.Index, l3 []byte)) { w.out.Store(&f) }

func (w *world) drifted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.drifts...)
}

func (w *world) told(sub string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.drifts {
		if strings.Contains(d, sub) {
			return true
		}
	}
	return false
}

func (w *world) ensure(t *testing.T, spec Spec) {
	t.Helper()
	if err := w.Ensure(spec); err != nil {
		t.Fatal(err)
	}
}

// ip runs iproute2 in the world's namespace and fails the test if it fails.
func (w *world) ip(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, w.ns, "ip", args...)
}

func run(t *testing.T, ns *testnet.Namespace, name string, args ...string) string {
	t.Helper()
	out, err := ns.Run(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func mac(last byte) intf.MAC { return intf.MAC{0x02, 0, 0, 0, 0, last} }

// awaitIPv6 waits for the kernel to have put an address into its local table,
// which a work queue does a little after the address was added.
func (w *world) awaitIPv6(t *testing.T, address string) {
	t.Helper()
	eventually(t, 5*time.Second, "local route of "+address, func() bool {
		return strings.Contains(w.ip(t, "-6", "route", "show", "table", "local"), "local "+address+" ")
	})
}

func addresses(list ...string) []intf.AddressSpec {
	var specs []intf.AddressSpec
	for _, s := range list {
		text, primary := strings.CutSuffix(s, " primary")
		specs = append(specs, intf.AddressSpec{Prefix: netip.MustParsePrefix(text), Primary: primary})
	}
	return specs
}

// unitSpec is a unit with both families in one namespace.
func unitSpec(index intf.Index, name, namespace string, inet, inet6 []intf.AddressSpec) Spec {
	return Spec{
		IfIndex: index, Name: name, MAC: mac(byte(index)),
		Families: []Family{
			{Family: intf.Inet, Namespace: namespace, MTU: 1500, Up: true, Addresses: inet},
			{Family: intf.Inet6, Namespace: namespace, MTU: 1500, Up: true, Addresses: inet6},
		},
	}
}

// connect makes two worlds each other's far end: what unit ua of a sends is
// received by unit ub of b, and the other way round.
func connect(a *world, ua intf.Index, b *world, ub intf.Index) {
	wire := func(to *world, unit intf.Index) func(uint32, intf.Index, []byte) {
		return func(_ uint32, _ intf.Index, l3 []byte) {
			family := intf.Inet
			if l3[0]>>4 == 6 {
				family = intf.Inet6
			}
			_ = to.Deliver(unit, family, l3)
		}
	}
	a.onInject(wire(b, ub))
	b.onInject(wire(a, ua))
}

// checksums verifies the checksums of an IP packet that is no fragment, the
// slow and obvious way.
func checksums(l3 []byte) error {
	var pseudo []byte
	var proto byte
	var l4 []byte
	if l3[0]>>4 == 4 {
		n := int(l3[0]&15) * 4
		if sum(l3[:n]) != 0xffff {
			return fmt.Errorf("IPv4 header checksum")
		}
		proto, l4 = l3[9], l3[n:]
		pseudo = append(pseudo, l3[12:20]...)
		pseudo = append(pseudo, 0, proto)
		pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(l4)))
		if proto == 1 {
			pseudo = nil
		}
	} else {
		proto, l4 = l3[6], l3[40:]
		pseudo = append(pseudo, l3[8:40]...)
		pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(l4)))
		pseudo = append(pseudo, 0, 0, 0, proto)
	}
	switch proto {
	case 1, 6, 17, 58:
		if s := sum(append(pseudo, l4...)); s != 0xffff {
			return fmt.Errorf("checksum of protocol %d: sum %#x", proto, s)
		}
	}
	return nil
}

func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i++ {
		if i%2 == 0 {
			s += uint32(b[i]) << 8
		} else {
			s += uint32(b[i])
		}
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
