package openconfig

import (
	"testing"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// FuzzTranslate writes any value anywhere in the view. What is taken gives
// native operations that can be carried out; done again it changes nothing; and the view of the
// result, written back, doesn't either.
func FuzzTranslate(f *testing.F) {
	f.Add("/", `{}`, byte(0), true)
	f.Add("/interfaces", `{"interface":[{"name":"ge9","config":{"mtu":65535}}]}`, byte(1), true)
	f.Add("/interfaces/interface[name=ge0]/subinterfaces/subinterface[index=0]/ipv6", `{"addresses":{"address":[{"ip":"fe80::1","config":{"prefix-length":64}}]}}`, byte(1), true)
	f.Add("/interfaces/interface[name=ge0]/subinterfaces/subinterface[index=100]", `{"openconfig-vlan:vlan":{"match":{"double-tagged":{"config":{"inner-vlan-id":1,"outer-vlan-id":2}}}}}`, byte(2), true)
	f.Add("/network-instances", `{"network-instance":[{"name":"x","config":{"type":"L3VRF"}}]}`, byte(1), false)
	f.Add("/network-instances/network-instance[name=DEFAULT]/protocols/protocol[identifier=STATIC][name=DEFAULT]/static-routes",
		`{"static":[{"prefix":"::/0","next-hops":{"next-hop":[{"index":"0","config":{"next-hop":"DROP"}}]}}]}`, byte(1), true)
	f.Add("/network-instances/network-instance[name=blue]/interfaces/interface[id=ge0.0]", `{"config":{"interface":"ge0","subinterface":0}}`, byte(2), true)
	f.Add("/interfaces/interface/subinterfaces/subinterface[index=*]", ``, byte(0), true)
	f.Fuzz(func(t *testing.T, at, json string, kind byte, much bool) {
		p, err := tree.Parse(at)
		if err != nil {
			return
		}
		v, s := view(t), nativeSchema(t)
		d := &gen.Device{}
		if much {
			d = native(t, s, furnished)
		}
		op := tree.Op{Kind: tree.OpKind(kind % 3), Path: p}
		if op.Kind != tree.Delete {
			op.Value = ietf(json)
		}
		ops, errs := v.Translate(d, []tree.Op{op})
		if len(errs) > 0 {
			return
		}
		e := s.Editor(d, func(tree.Path) {})
		for _, o := range ops {
			if errs := e.Apply(o); len(errs) > 0 {
				return // a native type is narrower, an interface's name say: refused there
			}
		}
		seen := shown(t, v, d)
		again, errs := v.Translate(d, []tree.Op{{Kind: tree.Replace, Value: ietf(seen)}})
		if len(errs) > 0 || len(again) > 0 {
			t.Fatalf("the view of what was made is refused or changes it: %v, %v\n%s", errs, again, seen)
		}
	})
}
