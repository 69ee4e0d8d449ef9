package datastore

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// largeConfig is a configuration of so many units, a fifth as many instances
// and ten times as many static routes: 10 MB for 10,000.
func largeConfig(units int) string {
	const devices = 5
	var s strings.Builder
	comma := func(i int) {
		if i > 0 {
			s.WriteString(",")
		}
	}
	s.WriteString(`{"routerd:interface":[`)
	for d := range devices {
		comma(d)
		fmt.Fprintf(&s, `{"name":"ge%d","unit":[`, d)
		for i := range units / devices {
			comma(i)
			fmt.Fprintf(&s, `{"id":"%d","vlan":{"config":{"outer-vlan-id":%d}},"family":[{"type":"inet","config":{"type":"inet","instance":"vrf%d"},"address":[{"prefix":"10.%d.0.1/24"}]}]}`,
				i+1, i+1, i, d)
		}
		s.WriteString(`]}`)
	}
	s.WriteString(`],"routerd:instance":[`)
	for i := range units / devices {
		comma(i)
		fmt.Fprintf(&s, `{"name":"vrf%d","static-route":[`, i)
		for r := range 10 * devices {
			comma(r)
			fmt.Fprintf(&s, `{"prefix":"172.16.%d.0/24","next-hop":[{"index":1,"config":{"gateway":"10.%d.0.2"}}]}`, r, r%devices)
		}
		s.WriteString(`]}`)
	}
	s.WriteString(`]}`)
	return s.String()
}

// BenchmarkReplaceRoot replaces the whole configuration by one that differs in
// a leaf, as orchestrators do that hold all of it.
func BenchmarkReplaceRoot(b *testing.B) {
	for _, units := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("units=%d", units), func(b *testing.B) {
			s := open(b, b.TempDir(), &fakeApplier{})
			one := largeConfig(units)
			two := strings.Replace(one, `"outer-vlan-id":1}`, `"outer-vlan-id":4000}`, 1)
			replace := func(config string) {
				b.Helper()
				op := tree.Op{Kind: tree.Replace, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(config)}}}
				if _, err := s.Commit(context.Background(), Request{Ops: []tree.Op{op}}); err != nil {
					b.Fatal(err)
				}
			}
			replace(one)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				replace([]string{two, one}[i&1])
			}
		})
	}
}
