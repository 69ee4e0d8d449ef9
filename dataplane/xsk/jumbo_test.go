package xsk

import (
	"testing"
	"time"

	"router/dataplane/bpf"
	"router/dataplane/port"
	"router/internal/testnet"
)

// Between a queue of jumbo frames and one without, too: they share the pool.
func TestJumboFramesPass(t *testing.T) {
	const mtu = 9582
	for _, c := range []struct {
		name    string
		jumbo   [2]bool
		longest int
	}{
		{"both ways", [2]bool{true, true}, mtu + 14},
		{"plain frames beside them", [2]bool{true, false}, port.MaxFrame},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorldOf(t, 1, bpf.Native, mtu, port.MaxJumbo)
			pool := newPool(t, 2048)
			umem := NewUMEM(pool)
			a, b := w.openWith(t, umem, 0, Config{Jumbo: c.jumbo[0]}), w.openWith(t, umem, 1, Config{Jumbo: c.jumbo[1]})
			stop, done := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				forward(pool, []port.Queue{a, b}, []port.Queue{b, a}, stop)
			}()
			time.Sleep(20 * time.Millisecond) // for the first Receives, which give buffers
			wires := [2]*testnet.Wire{testnet.NewWire(t, w.hosts[0]), testnet.NewWire(t, w.hosts[1])}
			// Around every bound of a buffer, and more frames than there are spans.
			for _, size := range []int{64, 1514, 1790, 1791, 1792, 1793, 2048, 3583, 3584, 3585, 3840, 3841, 5000, 5376, 5377, 7000, 7168, 7169, 8960, 8961, 9018, 9216, 9596} {
				if size > c.longest {
					continue
				}
				for i := range 4 {
					from := i % 2
					want := testFrame(size, size+i)
					if err := wires[from].Send(want); err != nil {
						t.Fatal(err)
					}
					wires[1-from].Expect(t, want)
				}
			}
			if !c.jumbo[1] {
				if err := wires[0].Send(testFrame(5000, 1)); err != nil {
					t.Fatal(err)
				}
				for end := time.Now().Add(20 * time.Second); b.Stats().TxDropped == 0; time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						t.Fatal("a frame that a plain socket can't send is not counted")
					}
				}
			}
			close(stop)
			<-done
			if s := a.Stats(); s.RxDropped+s.TxDropped+s.RxOversize != 0 {
				t.Errorf("dropped frames: %+v", s)
			}
			for _, q := range []*Queue{a, b} {
				if err := q.Close(); err != nil {
					t.Error(err)
				}
			}
			if pool.Free() != pool.Size() || pool.FreeSpans() != pool.Spans() {
				t.Errorf("%d of %d buffers and %d of %d spans are lost after closing",
					pool.Size()-pool.Free(), pool.Size(), pool.Spans()-pool.FreeSpans(), pool.Spans())
			}
		})
	}
}
