package datastore

import (
	"context"
	"fmt"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// BenchmarkTenThousandRoutes sets 10,000 static routes in one request, an
// operation each, and deletes them again, on a configuration of 10,000 units,
// 2,000 instances and 100,000 static routes, without a dataplane.
func BenchmarkTenThousandRoutes(b *testing.B) {
	const units, routes = 10_000, 10_000
	s := open(b, b.TempDir(), &fakeApplier{})
	commit := func(ops []tree.Op) {
		b.Helper()
		if _, err := s.Commit(context.Background(), Request{Ops: ops}); err != nil {
			b.Fatal(err)
		}
	}
	commit([]tree.Op{{Kind: tree.Replace, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(largeConfig(units))}}}})
	var set, gone []tree.Op
	for r := range routes {
		path := fmt.Sprintf("/instance[name=vrf0]/static-route[prefix=100.%d.%d.0/24]", r/256, r%256)
		set = append(set, update(b, path, `{"next-hop":[{"index":1,"config":{"gateway":"10.0.0.2"}}]}`))
		gone = append(gone, tree.Op{Kind: tree.Delete, Path: set[r].Path})
	}
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			commit(set)
			b.StopTimer()
			commit(gone)
			b.StartTimer()
		}
	})
	b.Run("delete", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			commit(set)
			b.StartTimer()
			commit(gone)
		}
	})
}
