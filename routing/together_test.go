package routing

import (
	"fmt"
	"testing"

	"router/intf"
)

// TestABatchReachesTheFIBTogether sets and deletes many routes of both families in a
// Batch, in a FIB that has room for them and in one that has room for some.
func TestABatchReachesTheFIBTogether(t *testing.T) {
	const all = 3*mostTogether + 7
	for _, room := range []int{0, all / 2} {
		t.Run(fmt.Sprintf("room for %d", room), func(t *testing.T) {
			w := start(t, onLink("10.0.0.0/24", 1), onLink("2001:db8::/64", 1))
			f, rib := w.fibs[0], w.store.RIB(0)
			f.room = room
			there := len(f.routes)
			routes := make([]Route, all)
			for i := range routes {
				routes[i] = user(fmt.Sprintf("20.%d.%d.0/24", i>>8, i&255), via("10.0.0.1"))
				if i%3 == 0 {
					routes[i] = user(fmt.Sprintf("2001:db8:%x::/48", i+1), via("2001:db8::1"))
				}
			}
			err := w.store.Batch(func() error {
				for _, r := range routes {
					if err := rib.Set(r); err != nil {
						return err
					}
				}
				return nil
			})
			want := all
			if room > 0 {
				want = room - there
			}
			if (err != nil) != (room > 0) || f.together != mostTogether {
				t.Fatalf("%v, with up to %d changes at a time", err, f.together)
			}
			active := rib.Counts(intf.Inet).Active[User] + rib.Counts(intf.Inet6).Active[User]
			if len(f.routes) != want+there || active != want || w.store.Waiting() != all-want {
				t.Fatalf("%d routes in the FIB, %d active, %d wait: want %d, %d and %d",
					len(f.routes), active, w.store.Waiting(), want+there, want, all-want)
			}
			f.room, f.together = 0, 0
			if err := w.store.Batch(func() error {
				for _, r := range routes {
					if err := rib.Delete(r.Key); err != nil {
						return err
					}
				}
				return nil
			}); err != nil || f.together != mostTogether || len(f.routes) != there {
				t.Fatalf("%v: %d routes are left, of %d, after up to %d changes at a time", err, len(f.routes), there, f.together)
			}
			w.check()
		})
	}
}
