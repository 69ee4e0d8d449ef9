package tree

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"router/gen"
)

func keysOf(t testing.TB, dev *gen.Device, list, key, prefix string, limit int, allow func(Path) bool) ([]string, bool) {
	t.Helper()
	s, err := NewSchema(gen.SchemaTree["Device"], &gen.Device{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(list)
	if err != nil {
		t.Fatal(err)
	}
	keys, more, err := s.Keys(dev, p, key, prefix, limit, allow)
	if err != nil {
		t.Fatal(err)
	}
	return keys, more
}

func TestKeys(t *testing.T) {
	dev := &gen.Device{}
	for _, name := range []string{"ge10", "ge2", "xe0", "ge1"} {
		for _, id := range []string{"0", "100", "7"} {
			dev.GetOrCreateInterface(name).GetOrCreateUnit(id)
		}
	}
	for _, c := range []struct {
		name, list, key, prefix string
		limit                   int
		want                    string
		more                    bool
	}{
		{"all, by number", "/interface", "name", "", 10, "ge1 ge2 ge10 xe0", false},
		{"prefix", "/interface", "name", "ge1", 10, "ge1 ge10", false},
		{"limit", "/interface", "name", "", 2, "ge1 ge2", true},
		{"of one entry", "/interface[name=ge2]/unit", "id", "", 10, "0 7 100", false},
		{"of all entries, once", "/interface[name=*]/unit", "id", "", 10, "0 7 100", false},
		{"of an absent entry", "/interface[name=ge3]/unit", "id", "", 10, "", false},
		{"an empty list", "/instance", "name", "", 10, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys, more := keysOf(t, dev, c.list, c.key, c.prefix, c.limit, nil)
			if strings.Join(keys, " ") != c.want || more != c.more {
				t.Errorf("%q %v, want %q %v", keys, more, c.want, c.more)
			}
		})
	}
	t.Run("only what is allowed", func(t *testing.T) {
		keys, _ := keysOf(t, dev, "/interface[name=*]/unit", "id", "", 10, func(p Path) bool { return p.String() == "/interface[name=ge2]/unit[id=7]" })
		if !slices.Equal(keys, []string{"7"}) {
			t.Errorf("%q", keys)
		}
	})
	t.Run("nonsense", func(t *testing.T) {
		s, err := NewSchema(gen.SchemaTree["Device"], &gen.Device{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range [][2]string{{"/system", "name"}, {"/interface", "colour"}, {"/nothing", "x"}, {"/", "x"}} {
			p, err := Parse(c[0])
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Keys(dev, p, c[1], "", 1, nil); err == nil {
				t.Errorf("%s %s: accepted", c[0], c[1])
			}
		}
	})
}

// BenchmarkKeys is what Tab asks with 10,000 units and 100,000 routes.
func BenchmarkKeys(b *testing.B) {
	s, err := NewSchema(gen.SchemaTree["Device"], &gen.Device{})
	if err != nil {
		b.Fatal(err)
	}
	dev := &gen.Device{}
	ge0 := dev.GetOrCreateInterface("ge0")
	for i := range 10000 {
		ge0.GetOrCreateUnit(strconv.Itoa(i))
	}
	in := dev.GetOrCreateInstance("default")
	for i := range 100000 {
		in.GetOrCreateStaticRoute(fmt.Sprintf("10.%d.%d.0/24", i/256, i%256))
	}
	for _, c := range []struct{ list, key, prefix string }{
		{"/interface[name=ge0]/unit", "id", ""}, {"/interface[name=ge0]/unit", "id", "99"},
		{"/instance[name=default]/static-route", "prefix", ""}, {"/instance[name=default]/static-route", "prefix", "10.77."},
	} {
		p, err := Parse(c.list)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.key+" "+c.prefix, func(b *testing.B) {
			for b.Loop() {
				if keys, _, err := s.Keys(dev, p, c.key, c.prefix, 256, nil); err != nil || len(keys) == 0 {
					b.Fatal(keys, err)
				}
			}
		})
	}
}
