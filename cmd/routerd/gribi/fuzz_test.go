package gribi

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	aft "github.com/openconfig/gribi/v1/proto/gribi_aft"
	spb "github.com/openconfig/gribi/v1/proto/service"
)

// A simple server holds entries as text, and looks through all of them to say
// whether an operation may be. All addresses are reachable in it.
type simple struct {
	nexthops map[string]string           // "instance index": what it says
	groups   map[string]simpleGroup      // "instance id"
	routes   map[string]string           // "instance prefix": the group
	holders  map[string]map[*client]bool // "kind key"
}

type simpleGroup struct {
	members []string // keys of next hops
	backup  string   // key of a group, empty for none
}

// An act is an operation that the model understands.
type act struct {
	verb     spb.AFTOperation_Operation
	kind     byte // n, g, r
	instance string
	key      string   // index, id, prefix
	says     string   // of a next hop: an address, or "lookup INSTANCE"
	members  []string // of a group: indexes
	backup   string   // of a group
	at       string   // of a route: the instance of its group
	group    string   // of a route
}

func (s *simple) ways(group string) (primary, backup []string) {
	g := s.groups[group]
	list := func(g simpleGroup) (ways []string) {
		for _, m := range g.members {
			if w := s.nexthops[m]; !slices.Contains(ways, w) {
				ways = append(ways, w)
			}
		}
		slices.Sort(ways)
		return ways
	}
	primary = list(g)
	if g.backup != "" {
		for _, w := range list(s.groups[g.backup]) {
			if !slices.Contains(primary, w) {
				backup = append(backup, w)
			}
		}
	}
	return primary, backup
}

// valid says whether everything that is there may be.
func (s *simple) valid() bool {
	for key, g := range s.groups {
		if g.backup != "" && (g.backup == key || s.groups[g.backup].backup != "") {
			return false
		}
		primary, backup := s.ways(key)
		lookups := func(list []string) (n int) {
			for _, w := range list {
				if strings.HasPrefix(w, "lookup") {
					n++
				}
			}
			return n
		}
		if lookups(primary) > 0 && len(primary)+len(backup) > 1 || lookups(backup) > 0 && len(backup) > 1 {
			return false
		}
		for _, m := range g.members {
			if s.nexthops[m] == "" {
				return false
			}
		}
		if _, ok := s.groups[g.backup]; g.backup != "" && !ok {
			return false
		}
	}
	for key, group := range s.routes {
		if _, ok := s.groups[group]; !ok {
			return false
		}
		instance, _, _ := strings.Cut(key, " ")
		primary, backup := s.ways(group)
		g := s.groups[group]
		all := append(append(primary, backup...), s.says(g)...)
		if g.backup != "" {
			all = append(all, s.says(s.groups[g.backup])...)
		}
		if slices.Contains(all, "lookup "+instance) {
			return false
		}
	}
	return true
}

func (s *simple) says(g simpleGroup) (list []string) {
	for _, m := range g.members {
		list = append(list, s.nexthops[m])
	}
	return list
}

func (s *simple) clone() *simple {
	c := newSimple()
	for k, v := range s.nexthops {
		c.nexthops[k] = v
	}
	for k, v := range s.groups {
		c.groups[k] = v
	}
	for k, v := range s.routes {
		c.routes[k] = v
	}
	for k, v := range s.holders {
		c.holders[k] = map[*client]bool{}
		for h := range v {
			c.holders[k][h] = true
		}
	}
	return c
}

func newSimple() *simple {
	return &simple{map[string]string{}, map[string]simpleGroup{}, map[string]string{}, map[string]map[*client]bool{}}
}

// apply is what s becomes by an act, or s itself and false.
func (s *simple) apply(c *client, a act) (*simple, bool) {
	next, key := s.clone(), a.instance+" "+a.key
	id := string(a.kind) + key
	_, there := s.holders[id]
	switch a.verb {
	case spb.AFTOperation_DELETE:
		if !there {
			return s, true
		}
		next.take(a.kind, key)
		if !next.valid() {
			return s, false // whoever else holds it
		}
		if len(s.holders[id]) > 0 && !c.params.single {
			kept := s.clone()
			delete(kept.holders[id], c)
			if len(kept.holders[id]) > 0 {
				return kept, true
			}
		}
		return next, true
	case spb.AFTOperation_REPLACE:
		if !there {
			return s, false
		}
	case spb.AFTOperation_ADD, spb.AFTOperation_INVALID:
	}
	switch a.kind {
	case 'n':
		next.nexthops[key] = a.says
	case 'g':
		g := simpleGroup{}
		for _, m := range a.members {
			g.members = append(g.members, a.instance+" "+m)
		}
		if a.backup != "" {
			g.backup = a.instance + " " + a.backup
		}
		next.groups[key] = g
	case 'r':
		next.routes[key] = a.at + " " + a.group
	}
	if !next.valid() {
		return s, false
	}
	if next.holders[id] == nil || c.params.single {
		next.holders[id] = map[*client]bool{}
	}
	next.holders[id][c] = true
	return next, true
}

func (s *simple) take(kind byte, key string) {
	delete(s.holders, string(kind)+key)
	switch kind {
	case 'n':
		delete(s.nexthops, key)
	case 'g':
		delete(s.groups, key)
	case 'r':
		delete(s.routes, key)
	}
}

// leave removes what only c holds, as far as nothing refers to it.
func (s *simple) leave(c *client) *simple {
	next := s.clone()
	gone := map[string]bool{}
	for id, h := range next.holders {
		if h[c] {
			delete(h, c)
			gone[id] = len(h) == 0
		}
	}
	for _, kind := range []byte{'r', 'g', 'g', 'n'} {
		for id := range gone {
			if _, there := next.holders[id]; !gone[id] || !there || id[0] != kind {
				continue
			}
			try := next.clone()
			if try.take(kind, id[1:]); try.valid() {
				next.take(kind, id[1:])
			}
		}
	}
	return next
}

func (a act) message(id uint64) *spb.AFTOperation {
	number := func(s string) (n uint64) {
		_, _ = fmt.Sscan(s, &n)
		return n
	}
	var o *spb.AFTOperation
	switch a.kind {
	case 'n':
		nh := &aft.Afts_NextHop{}
		if instance, ok := strings.CutPrefix(a.says, "lookup "); ok {
			nh.NetworkInstance = stringValue(instance)
		} else {
			nh = address(a.says)
		}
		o = hop(a.verb, number(a.key), nh)
	case 'g':
		weights := map[uint64]uint64{}
		for _, m := range a.members {
			weights[number(m)] = 1
		}
		o = grp(a.verb, number(a.key), number(a.backup), weights)
	default:
		o = entry(a.verb, a.key, number(a.group))
		if e := o.GetIpv4(); e != nil {
			e.Ipv4Entry.NextHopGroupNetworkInstance = stringValue(a.at)
		} else {
			o.GetIpv6().Ipv6Entry.NextHopGroupNetworkInstance = stringValue(a.at)
		}
	}
	o.Id, o.NetworkInstance = id, a.instance
	return o
}

// play does what the bytes say, in a world of few entries.
func play(t *testing.T, script []byte) {
	next := func(n int) int {
		if len(script) == 0 {
			return 0
		}
		b := script[0]
		script = script[1:]
		return int(b) % n
	}
	pick := func(list ...string) string { return list[next(len(list))] }
	r := newFakeRouter()
	s := New(Options{Router: r})
	single := next(2) == 0
	newClient := func() *client {
		s.lastID++
		c := &client{id: s.lastID, negotiated: true, params: params{single: single, fib: true}, election: uint128{low: 1}, end: func() {}}
		s.clients[c.id] = c
		s.roll.primary = c
		return c
	}
	clients := []*client{newClient(), newClient()}
	model := newSimple()
	for step := uint64(1); len(script) > 0; step++ {
		c := next(2)
		if single {
			s.roll.primary = clients[c]
		}
		if next(20) == 0 {
			s.disconnect(clients[c])
			model = model.leave(clients[c])
			clients[c] = newClient()
		} else {
			a := act{verb: spb.AFTOperation_Operation(1 + next(3)), kind: "nngggrrr"[next(8)], instance: pick("default", "red")}
			switch a.kind {
			case 'n':
				a.key, a.says = pick("1", "2", "3"), pick("192.0.2.8", "192.0.2.9", "198.51.100.9", "lookup default", "lookup red")
			case 'g':
				a.key = pick("1", "2", "3", "4")
				for _, m := range []string{"1", "2", "3"} {
					if next(2) == 0 {
						a.members = append(a.members, m)
					}
				}
				if len(a.members) == 0 {
					a.members = []string{"1"}
				}
				if next(3) == 0 {
					a.backup = pick("1", "2", "3", "4")
				}
			case 'r':
				a.key, a.at, a.group = pick("10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"), pick("default", "red"), pick("1", "2", "3", "4")
			}
			m := a.message(step)
			if single {
				m.ElectionId = &spb.Uint128{Low: 1}
			}
			results, err := s.program(clients[c], []*spb.AFTOperation{m})
			if err != nil || len(results) != 1 {
				t.Fatalf("%v: %v, %v", m, results, err)
			}
			after, ok := model.apply(clients[c], a)
			if got := results[0].GetStatus() == spb.AFTResult_FIB_PROGRAMMED; got != ok {
				t.Fatalf("step %d, %+v: %v, want success %v\n%+v", step, a, results[0], ok, model)
			}
			model = after
		}
		compare(t, step, s, r, model)
	}
	if s.removeAll(func(*instance) bool { return true }) || s.table.count != 0 {
		t.Fatalf("a flush leaves %d entries", s.table.count)
	}
	compare(t, 0, s, r, newSimple())
	if n := r.store.NextHops(); n > 3 { // of the two networks, and what discards
		t.Errorf("%d next hops are left in the router", n)
	}
}

// compare compares the entries and the router's routes with the model.
func compare(t *testing.T, step uint64, s *Server, r *fakeRouter, model *simple) {
	t.Helper()
	got := map[string]bool{}
	for name, in := range s.table.instances {
		for i := range in.nexthops {
			got[fmt.Sprintf("n%s %d", name, i)] = true
		}
		for i := range in.groups {
			got[fmt.Sprintf("g%s %d", name, i)] = true
		}
		for f := range in.routes {
			for p := range in.routes[f] {
				got[fmt.Sprintf("r%s %v", name, p)] = true
			}
		}
	}
	if len(got) != len(model.holders) || len(got) != s.table.count {
		t.Fatalf("step %d: entries %v, counted %d, want %v", step, got, s.table.count, model.holders)
	}
	for id := range model.holders {
		if !got[id] {
			t.Fatalf("step %d: entry %s is not there", step, id)
		}
	}
	routes := 0
	for _, instance := range []string{"default", "red"} {
		for prefix, ways := range r.programmed(instance) {
			routes++
			group, ok := model.routes[instance+" "+prefix]
			if !ok {
				t.Fatalf("step %d: the router has a route %s %s", step, instance, prefix)
			}
			primary, backup := model.ways(group)
			in, _, _ := strings.Cut(group, " ")
			usable := func(list []string) (texts []string) {
				for _, w := range list {
					switch other, lookup := strings.CutPrefix(w, "lookup "); {
					case lookup:
						texts = append(texts, fmt.Sprintf("lookup in instance %d", r.instances[other].index))
					case in == "default":
						// No programmed prefix covers an address in use. What red
						// has leads to no link.
						texts = append(texts, fmt.Sprintf("indirect %s in instance 0", w))
					}
				}
				slices.Sort(texts)
				return texts
			}
			want := usable(primary)
			if len(want) == 0 {
				want = usable(backup)
			}
			if !slices.Equal(ways, want) && in == "default" {
				t.Fatalf("step %d: %s %s goes by %v, want %v", step, instance, prefix, ways, want)
			}
		}
	}
	if routes != len(model.routes) {
		t.Fatalf("step %d: %d routes in the router, want %d", step, routes, len(model.routes))
	}
}

func TestAgainstSimple(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 30
	}
	for seed := range rounds {
		rnd := rand.New(rand.NewPCG(uint64(seed), 7))
		script := make([]byte, 3000)
		for i := range script {
			script[i] = byte(rnd.UintN(256))
		}
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { play(t, script) }) {
			return
		}
	}
}

func FuzzOperations(f *testing.F) {
	f.Add([]byte("a next hop, a group of it, a route by that, and the client goes"))
	f.Add([]byte{1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 1, 1, 1, 0, 1, 0, 5, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 600 { // the model is slow
			return
		}
		play(t, script)
	})
}

// FuzzParse has messages that say anything: they are refused or understood.
func FuzzParse(f *testing.F) {
	for _, o := range []*spb.AFTOperation{hop(add, 1, address("192.0.2.9")), grp(add, 1, 2, map[uint64]uint64{1: 1}), entry(add, "10.0.0.0/8", 1), entry(del, "2001:db8::/32", 1)} {
		f.Add(o.GetOp() == add, uint8(1), o.GetIpv4().GetPrefix(), "default", uint64(1))
	}
	f.Fuzz(func(t *testing.T, adds bool, kind uint8, text, instance string, n uint64) {
		verb := del
		if adds {
			verb = add
		}
		var o *spb.AFTOperation
		switch kind % 4 {
		case 0:
			o = hop(verb, n, address(text))
		case 1:
			o = hop(verb, n, &aft.Afts_NextHop{InterfaceRef: &aft.Afts_NextHop_InterfaceRef{Interface: stringValue(text), Subinterface: uintValue(n)}})
		case 2:
			o = grp(verb, n, n, map[uint64]uint64{1: n})
		default:
			o = entry(verb, text, n)
		}
		o.NetworkInstance = instance
		parsed, err := parse(o)
		if err == nil && parsed.kind == routeEntry && (!parsed.prefix.IsValid() || parsed.prefix != parsed.prefix.Masked()) {
			t.Errorf("%v became the prefix %v", o, parsed.prefix)
		}
	})
}
