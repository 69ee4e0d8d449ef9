package openconfig

import (
	"fmt"
	"strings"
	"testing"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// large is a native configuration with n units, each in an instance of its own
// name modulo 100, and n static routes.
func large(t testing.TB, n int) *gen.Device {
	t.Helper()
	var units, routes []string
	for i := range n {
		units = append(units, fmt.Sprintf(`{"id":"%d","vlan":{"config":{"outer-vlan-id":%d,"inner-vlan-id":%d}},"family":[{"type":"inet","config":{"type":"inet","instance":"i%d"},"address":[{"prefix":"10.%d.%d.1/24"}]}]}`,
			i, 1+i/4000, 1+i%4000, i%100, i/250, i%250))
		routes = append(routes, fmt.Sprintf(`{"prefix":"100.%d.%d.0/24","next-hop":[{"index":0,"config":{"gateway":"10.0.0.2"}}]}`, i/250, i%250))
	}
	var instances []string
	for i := range 100 {
		instances = append(instances, fmt.Sprintf(`{"name":"i%d"}`, i))
	}
	return native(t, nativeSchema(t), `{"interface":[{"name":"ge0","unit":[`+strings.Join(units, ",")+`]}],"instance":[{"name":"default","static-route":[`+
		strings.Join(routes, ",")+`]},`+strings.Join(instances, ",")+`]}`)
}

// edits of one thing each.
func edits(t testing.TB) map[string][]tree.Op {
	const static = "/network-instances/network-instance[name=DEFAULT]/protocols/protocol[identifier=STATIC][name=DEFAULT]/static-routes/static[prefix=100.0.7.0/24]"
	return map[string][]tree.Op{
		"description": {{Kind: tree.Update, Path: path(t, "/interfaces/interface[name=ge0]/subinterfaces/subinterface[index=7]/config/description"), Value: ietf(`"x"`)}},
		"by its root": {{Kind: tree.Update, Value: ietf(`{"openconfig-interfaces:interfaces":{"interface":[{"name":"ge0","subinterfaces":{"subinterface":[{"index":7,"config":{"description":"y"}}]}}]}}`)}},
		"address":     {{Kind: tree.Replace, Path: path(t, "/interfaces/interface[name=ge0]/subinterfaces/subinterface[index=7]/ipv4/addresses"), Value: ietf(`{"address":[{"ip":"192.0.2.1","config":{"prefix-length":24}}]}`)}},
		"route":       {{Kind: tree.Update, Path: path(t, static+"/next-hops/next-hop[index=0]/config/next-hop"), Value: ietf(`"10.0.0.3"`)}},
		"no route":    {{Kind: tree.Delete, Path: path(t, static)}},
		"place":       {{Kind: tree.Delete, Path: path(t, "/network-instances/network-instance[name=i7]/interfaces/interface[id=ge0.7]")}},
		"instance":    {{Kind: tree.Update, Path: path(t, "/network-instances/network-instance[name=i7]/config/description"), Value: ietf(`"x"`)}},
	}
}

// The cost of an edit follows the edit: it projects and changes a handful of
// leaves whatever else there is, and allocates as much in a large configuration as in a small one.
func TestCostFollowsTheEdit(t *testing.T) {
	v := view(t)
	small, big := large(t, 100), large(t, 5000)
	for name, ops := range edits(t) {
		t.Run(name, func(t *testing.T) {
			run := func(d *gen.Device) func() {
				return func() {
					made, errs := v.Translate(d, ops)
					if len(errs) > 0 || len(made) == 0 || len(made) > 4 {
						t.Fatalf("%d operations, errors %v", len(made), errs)
					}
				}
			}
			few, many := testing.AllocsPerRun(5, run(small)), testing.AllocsPerRun(5, run(big))
			if many > few*1.2+20 {
				t.Errorf("%.0f allocations in a small configuration, %.0f in a large one", few, many)
			}
		})
	}
}

func BenchmarkTranslate(b *testing.B) {
	v := view(b)
	d := large(b, 10_000)
	for name, ops := range edits(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, errs := v.Translate(d, ops); len(errs) > 0 {
					b.Fatal(errs)
				}
			}
		})
	}
}
