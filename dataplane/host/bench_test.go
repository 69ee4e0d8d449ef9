package host

import (
	"fmt"
	"testing"

	"router/internal/testnet"
	"router/intf"
	"router/intf/kernel"
)

// benchManager is a manager in a namespace of its own that drops what it is
// given to inject.
func benchManager(b *testing.B) *Manager {
	b.Helper()
	testnet.Require(b)
	ns := testnet.New(b, "bench")
	store, err := kernel.OpenStore(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	var m *Manager
	err = ns.Do(func() (err error) {
		m, err = New(Config{RouterID: "bench", Store: store, Inject: func(uint32, intf.Index, []byte) {}})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := m.Close(); err != nil {
			b.Error(err)
		}
	})
	return m
}

// BenchmarkDeliver writes packets for a port that nobody listens on.
func BenchmarkDeliver(b *testing.B) {
	m := benchManager(b)
	if err := m.Ensure(unitSpec(1, "ge0.0", "", addresses("192.0.2.1/24"), nil)); err != nil {
		b.Fatal(err)
	}
	packet := unhex("45000040 00000000 4011f656 c6336401 c0000201 00090009002c0000" + fmt.Sprintf("%072d", 0))
	b.SetBytes(int64(len(packet)))
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Deliver(1, intf.Inet, packet); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUnits is a unit's life while a hundred others stand beside it.
func BenchmarkUnits(b *testing.B) {
	spec := func(i int) Spec {
		return unitSpec(intf.Index(i), fmt.Sprintf("ge0.%d", i), "",
			addresses(fmt.Sprintf("10.0.%d.1/24", i)), addresses(fmt.Sprintf("2001:db8:%x::1/64", i), "fe80::1/64"))
	}
	m := benchManager(b)
	for i := 1; i <= 100; i++ {
		if err := m.Ensure(spec(i)); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("make and remove", func(b *testing.B) {
		for b.Loop() {
			if err := m.Ensure(spec(200)); err != nil {
				b.Fatal(err)
			}
			if err := m.Remove(200); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ensure without a change", func(b *testing.B) {
		for b.Loop() {
			if err := m.Ensure(spec(7)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
