package host

import (
	"testing"

	"router/intf/kernel"
)

// Every namespace is looked at within some repairs, whether names change or not, and all at an
// audit.
func TestNamespacesTakeTurns(t *testing.T) {
	m := &Manager{spaces: map[string]*space{}}
	const many = 5 * spacesAtOnce
	for i := range many {
		s := &space{ns: &kernel.Namespace{}, number: m.opened.Add(1)}
		m.spaces[string(rune('0'+i))] = s
	}
	away := &space{number: m.opened.Add(1)}
	m.spaces["away"] = away
	if isDue := m.dueSpaces(true); !isDue(away) || !isDue(m.spaces["0"]) {
		t.Error("an audit leaves some out")
	}
	seen := map[*space]bool{}
	for range many/spacesAtOnce + 2 {
		isDue := m.dueSpaces(false)
		if !isDue(away) {
			t.Error("one without a namespace is not tried")
		}
		for _, s := range m.spaces {
			if isDue(s) {
				seen[s] = true
			}
		}
	}
	if len(seen) != len(m.spaces) {
		t.Errorf("%d of %d had a turn", len(seen), len(m.spaces))
	}
}
