package routing

import (
	"fmt"
	"net/netip"
	"testing"

	"router/intf"
)

// shown is what is to be seen of each prefix of each instance: its routes, where
// they lead, and the members of their groups.
func (w *world) shown() map[string]string {
	all := map[string]string{}
	for instance, rib := range w.store.ribs {
		for _, f := range intf.Families {
			rib.Walk(f, func(e Entry) bool {
				members := w.store.Members(e.ID)
				e.ID = 0
				all[fmt.Sprint(instance, " ", e.Prefix)] += fmt.Sprintf("%+v %+v\n", e, members)
				return true
			})
		}
	}
	return all
}

// checkTold checks that whoever watches routes was told of each prefix that
// shows something else than before.
func (w *world) checkTold(before map[string]string) {
	w.tb.Helper()
	now := w.shown()
	for prefix := range before {
		if _, ok := now[prefix]; !ok {
			now[prefix] = "" // gone
		}
	}
	for prefix, text := range now {
		if before[prefix] != text && w.plane.told[prefix] == 0 {
			w.tb.Errorf("nobody was told that %s changed\nfrom %s\nto   %s", prefix, before[prefix], text)
		}
	}
}

// Routes whose gateway is found elsewhere are told one by one while they are few,
// and as a table when they are many.
func TestPathsAreTold(t *testing.T) {
	for _, n := range []int{1, pathsTold, pathsTold + 1} {
		t.Run(fmt.Sprint(n, " routes"), func(t *testing.T) {
			w := start(t, onLink("10.0.0.0/24", 1), user("20.0.0.0/8", via("10.0.0.1")))
			var tables []string
			w.store.config.OnRoutes = func(instance uint32, f intf.Family) { tables = append(tables, fmt.Sprint(instance, " ", f)) }
			w.set(0, user("30.0.0.0/8", via("20.0.0.1")))
			for i := range n - 1 {
				w.set(0, user(netip.PrefixFrom(netip.AddrFrom4([4]byte{40, byte(i >> 8), byte(i), 0}), 24).String(), via("20.0.0.1")))
			}
			clear(w.plane.told)
			tables = nil
			// The gateway stays resolved, by another neighbour.
			w.set(0, user("20.0.0.0/8", via("10.0.0.2")))
			if n <= pathsTold {
				if len(w.plane.told) != n+1 || len(tables) != 0 {
					t.Errorf("%d prefixes and tables %v told of %d", len(w.plane.told), tables, n+1)
				}
			} else if fmt.Sprint(tables) != "[0 inet 0 inet6]" {
				t.Errorf("tables %v told", tables)
			}
		})
	}
}
