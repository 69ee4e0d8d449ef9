package tree_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// An oracle is a configuration as a flat set of leaves and list entries, edited
// by matching the text of paths.
type oracle struct {
	leaves  map[string]string
	entries map[string]bool
}

func (o *oracle) clone() *oracle {
	return &oracle{maps.Clone(o.leaves), maps.Clone(o.entries)}
}

var lastKey = regexp.MustCompile(`\[(\w+)=([^]]*)\]$`)

// all gives the leaves, with those that every entry has: its key and the copy.
func (o *oracle) all() map[string]string {
	m := maps.Clone(o.leaves)
	for e := range o.entries {
		k := lastKey.FindStringSubmatch(e)
		m[e+"/"+k[1]], m[e+"/config/"+k[1]] = k[2], k[2]
	}
	return m
}

// ensure makes the entries that path passes through.
func (o *oracle) ensure(path string) {
	for i, c := range path {
		if c == ']' {
			o.entries[path[:i+1]] = true
		}
	}
}

// remove drops all that the pattern matches, and what is below.
func (o *oracle) remove(pattern string) {
	re := regexp.QuoteMeta(pattern)
	re = strings.ReplaceAll(re, `=\*\]`, `=[^]]*\]`)
	re = regexp.MustCompile(`(interface|unit)(/|$)`).ReplaceAllString(re, `$1\[[^]]*\]$2`)
	match := regexp.MustCompile(`^` + re + `(/|$)`)
	maps.DeleteFunc(o.leaves, func(p, _ string) bool { return match.MatchString(p) })
	maps.DeleteFunc(o.entries, func(p string, _ bool) bool { return match.MatchString(p) })
}

// A body is the leaves of a container or an entry.
type body map[string]string

func (b body) json() string {
	var list []string
	for k, v := range b {
		list = append(list, fmt.Sprintf("%q:%q", k, v))
	}
	return "{" + strings.Join(list, ",") + "}"
}

// step makes a random operation, and applies it to the oracle.
func step(r *rand.Rand, o *oracle) (kind tree.OpKind, path, value string) {
	key := func(wild bool) string {
		if wild && r.IntN(4) == 0 {
			return []string{"", "[name=*]"}[r.IntN(2)]
		}
		return fmt.Sprintf("[name=%c]", 'a'+r.IntN(3))
	}
	base := func(wild bool) string {
		p := "/interface" + key(wild)
		if r.IntN(2) == 0 {
			p += "/unit" + strings.Replace(key(wild), "name", "id", 1)
			p = strings.NewReplacer("id=a", "id=0", "id=b", "id=1", "id=c", "id=2").Replace(p)
		}
		return p
	}
	text := fmt.Sprint("t", r.IntN(50))
	switch r.IntN(8) {
	case 0:
		p := base(true)
		o.remove(p)
		return tree.Delete, p, ""
	case 1:
		p := base(true) + "/config/description"
		o.remove(p)
		return tree.Delete, p, ""
	case 2:
		p := base(true) + "/config"
		o.remove(p)
		return tree.Delete, p, ""
	case 3, 4:
		p := base(false)
		o.ensure(p)
		o.leaves[p+"/config/description"] = text
		return tree.Update, p + "/config/description", fmt.Sprintf("%q", text)
	case 5:
		p := base(false)
		o.ensure(p)
		o.remove(p + "/config")
		b := body{}
		if r.IntN(3) > 0 {
			b["description"] = text
			o.leaves[p+"/config/description"] = text
		}
		return tree.Replace, p + "/config", b.json()
	case 6:
		p := base(false)
		o.remove(p)
		o.ensure(p)
		o.leaves[p+"/config/description"] = text
		return tree.Replace, p, `{"config":` + body{"description": text}.json() + `}`
	default:
		// A list is replaced or updated as a whole.
		kind := tree.Update
		if r.IntN(3) == 0 {
			kind = tree.Replace
			o.remove("/interface")
		}
		name := string(rune('a' + r.IntN(3)))
		p := "/interface[name=" + name + "]"
		o.ensure(p + "/unit[id=1]")
		o.leaves[p+"/unit[id=1]/config/description"] = text
		return kind, "/interface", fmt.Sprintf(`[{"name":%q,"unit":[{"id":"1","config":{"description":%q}}]}]`, name, text)
	}
}

func leavesOf(t *testing.T, s *tree.Schema, d *gen.Device) map[string]string {
	t.Helper()
	list, err := tree.Walker{Schema: s, Config: d, Filter: tree.ConfigOnly}.Leaves(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := make(map[string]string)
	for _, l := range list {
		m[l.Path.String()] = l.Value.Text()
	}
	return m
}

func TestRandomOperationsAgainstOracle(t *testing.T) {
	s := schema(t)
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		running, candidate := &gen.Device{}, &gen.Device{}
		good := &oracle{map[string]string{}, map[string]bool{}}
		for range 60 {
			want := good.clone()
			var touched []tree.Path
			e := s.Editor(candidate, func(p tree.Path) { touched = append(touched, p) }).Spare(running)
			var log []string
			for range 1 + r.IntN(4) {
				kind, p, v := step(r, want)
				log = append(log, fmt.Sprint(kind, " ", p, " ", v))
				op := tree.Op{Kind: kind, Path: path(t, p)}
				if kind != tree.Delete {
					op.Value = ietf(v)
				}
				if errs := e.Apply(op); len(errs) > 0 {
					t.Fatalf("seed %d: %v: %v", seed, log, errs)
				}
			}
			if got := leavesOf(t, s, running); !maps.Equal(got, good.all()) {
				t.Fatalf("seed %d: %v changed what is shared\ngot  %v\nwant %v", seed, log, got, good.all())
			}
			if got := leavesOf(t, s, candidate); !maps.Equal(got, want.all()) {
				t.Fatalf("seed %d: after %v\ngot  %v\nwant %v", seed, log, got, want.all())
			}
			if r.IntN(3) == 0 {
				for _, p := range touched {
					s.Share(candidate, running, p)
				}
			} else {
				for _, p := range touched {
					s.Share(running, candidate, p)
				}
				good = want
			}
			if got := leavesOf(t, s, running); !maps.Equal(got, good.all()) {
				t.Fatalf("seed %d: running, after %v\ngot  %v\nwant %v", seed, log, got, good.all())
			}
			if got := leavesOf(t, s, candidate); !maps.Equal(got, good.all()) {
				t.Fatalf("seed %d: candidate, after undoing %v, touched %v\ngot  %v\nwant %v", seed, log, touched, got, good.all())
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "/", "/interface[name=ge0]/config", `/a[b=c\]d\\]`, "/a[b=c][d=e]/f", "/a[b=", "//", "/a/", "/...", "/*[x=*]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := tree.Parse(text)
		if err != nil {
			return
		}
		again, err := tree.Parse(p.String())
		if err != nil || again.String() != p.String() || len(again) != len(p) {
			t.Errorf("%q reads as %v, which reads as %v, %v", text, p, again, err)
		}
	})
}

func FuzzUpdate(f *testing.F) {
	s, err := tree.NewSchema(gen.SchemaTree["Device"], &gen.Device{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("/", []byte(base))
	f.Add("/interface[name=ge0]", []byte(`{"config":{"mru":1600},"unit":[{"id":"0"}]}`))
	f.Add("/interface", []byte(`[{"name":"x"},{"name":"y","config":null}]`))
	f.Add("/instance[name=default]/static-route[prefix=10.0.0.0/8]/next-hop[index=1]/config", []byte(`{"gateway":"192.0.2.1"}`))
	f.Add("/interface[name=ge0]/config/mru", []byte(`1e3`))
	f.Add("/interface[name=ge0]/unit[id=0]/family[type=inet]/address", []byte(`[{"prefix":"192.0.2.1/24","config":{"primary":true}}]`))
	f.Fuzz(func(t *testing.T, where string, data []byte) {
		p, err := tree.Parse(where)
		if err != nil {
			return
		}
		for _, kind := range []tree.OpKind{tree.Update, tree.Replace, tree.Delete} {
			running, candidate := newTree(t, s, base), &gen.Device{}
			s.Share(candidate, running, nil)
			var touched []tree.Path
			op := tree.Op{Kind: kind, Path: p}
			if kind != tree.Delete {
				op.Value = &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: data}}
			}
			errs := s.Editor(candidate, func(p tree.Path) { touched = append(touched, p) }).Spare(running).Apply(op)
			if len(errs) > 0 {
				for _, p := range touched {
					s.Share(candidate, running, p)
				}
				if got, want := marshal(t, s, candidate), marshal(t, s, running); got != want {
					t.Errorf("%v of %s: undone it is\n%s\nwant\n%s", kind, where, got, want)
				}
				continue
			}
			for _, p := range touched {
				s.Share(running, candidate, p)
			}
			text := marshal(t, s, candidate)
			if got := marshal(t, s, running); got != text {
				t.Errorf("%v of %s: touched paths carry\n%s\nnot\n%s", kind, where, got, text)
			}
			if again := marshal(t, s, newTree(t, s, text)); again != text {
				t.Errorf("read back it is\n%s\nnot\n%s", again, text)
			}
		}
	})
}
