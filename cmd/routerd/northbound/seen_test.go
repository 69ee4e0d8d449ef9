package northbound

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestSeenAgainstMap compares what a seen says with what two maps say.
func TestSeenAgainstMap(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 2))
		var s seen
		known, revisions := map[string]string{}, map[string]uint64{}
		for round := range 30 {
			// A scope, and values for some of the leaves below it.
			scope := ""
			switch r.IntN(4) {
			case 0:
				scope = "/interface"
			case 1:
				scope = fmt.Sprintf("/interface[name=%d]", r.IntN(8))
			case 2:
				scope = fmt.Sprintf("/interface[name=%d]/config", r.IntN(8))
			}
			now := map[string]string{}
			for i := range 8 {
				for _, leaf := range []string{"/name", "/config/mru", "/config/description", "/unit[id=0]/config/id", "/unit[id=1]/state/id"} {
					p := fmt.Sprintf("/interface[name=%d]%s", i, leaf)
					in := scope == "" || p == scope || strings.HasPrefix(p, scope+"/") || strings.HasPrefix(p, scope+"[")
					if in && r.IntN(3) > 0 {
						now[p] = fmt.Sprint(r.IntN(3))
					}
				}
			}
			s.rev++
			if r.IntN(4) == 0 {
				// A round that fails leaves nothing behind.
				s.begin(true)
				for path, v := range known {
					s.note(p(t, path).Elem, str(v))
				}
			}
			s.begin(true)
			for _, path := range slices.Sorted(maps.Keys(now)) {
				rev, news := s.note(p(t, path).Elem, str(now[path]))
				if want := known[path] != now[path]; news != want {
					t.Fatalf("seed %d, round %d: %s is news: %v, want %v", seed, round, path, news, want)
				}
				if news {
					revisions[path] = s.rev
				}
				if rev != revisions[path] {
					t.Fatalf("seed %d, round %d: %s has revision %d, want %d", seed, round, path, rev, revisions[path])
				}
				known[path] = now[path]
			}
			gone := map[string]bool{}
			for _, l := range s.sweep(p(t, scope).Elem, r.IntN(2) == 0) {
				gone[l.path.String()] = true
				if l.born > s.rev || l.born == 0 && strings.HasPrefix(l.path.String(), "/interface[") {
					t.Fatalf("seed %d, round %d: %s was born in revision %d", seed, round, l.path, l.born)
				}
			}
			for path := range known {
				in := scope == "" || strings.HasPrefix(path, scope+"/") || strings.HasPrefix(path, scope+"[")
				_, still := now[path]
				deleted := gone[path] || in && gone[scope]
				if in && deleted == still || !in && deleted {
					t.Fatalf("seed %d, round %d: %s, scope %s: deleted %v, still there %v", seed, round, path, scope, deleted, still)
				}
				if deleted {
					delete(known, path)
				}
			}
		}
	}
}

func TestIntersect(t *testing.T) {
	tests := []struct {
		pattern, path, want string // want "" for nothing
		filter              bool
	}{
		{"/", "/interface[name=a]", "/interface[name=a]", false},
		{"/interface[name=*]/config", "/interface[name=a]", "/interface[name=a]/config", false},
		{"/interface/config", "/interface[name=a]/config", "/interface[name=a]/config", false},
		{"/interface[name=b]", "/interface[name=a]/config", "", false},
		{"/interface[name=b]/config", "/interface", "/interface[name=b]/config", false},
		{"/interface[name=b]/config/mru", "/interface[name=b]", "/interface[name=b]/config/mru", false},
		{"/*/config", "/interface[name=a]/config", "/interface[name=a]/config", false},
		{"/.../description", "/interface[name=a]", "/interface[name=a]", true},
		{"/system", "/interface[name=a]", "", false},
		{"/interface[name=a]/state", "/interface[name=a]/config", "", false},
	}
	for _, tc := range tests {
		q, filter, ok := intersect(p(t, tc.pattern).Elem, p(t, tc.path).Elem)
		got := ""
		if ok {
			got = q.String()
		}
		if got != tc.want || filter != tc.filter {
			t.Errorf("%s and %s: %q, %v; want %q, %v", tc.pattern, tc.path, got, filter, tc.want, tc.filter)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, tc := range []struct {
		pattern, path string
		want          bool
	}{
		{"/", "/system/config/hostname", true},
		{"/.../hostname", "/system/config/hostname", true},
		{"/.../hostname", "/system/config", false},
		{"/interface[name=*]", "/interface[name=a]/config", true},
		{"/interface[name=b]", "/interface[name=a]/config", false},
		{"/*/config", "/system/config/hostname", true},
	} {
		if got := matches(p(t, tc.pattern).Elem, p(t, tc.path).Elem); got != tc.want {
			t.Errorf("%s matches %s: %v", tc.pattern, tc.path, got)
		}
	}
}
