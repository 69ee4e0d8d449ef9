package datastore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// BenchmarkScale makes commits on a configuration of so many units, a fifth as many instances
// and ten times as many static routes, fsync included, without a dataplane.
func BenchmarkScale(b *testing.B) {
	for _, units := range []int{100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("units=%d", units), func(b *testing.B) {
			dir := b.TempDir()
			s := open(b, dir, &fakeApplier{})
			req := func(ops ...tree.Op) {
				b.Helper()
				if _, err := s.Commit(context.Background(), Request{Ops: ops}); err != nil {
					b.Fatal(err)
				}
			}
			begin := time.Now()
			req(tree.Op{Kind: tree.Replace, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: []byte(largeConfig(units))}}})
			b.Logf("%d units: the first commit, of everything, took %v", units, time.Since(begin))
			b.Run("leaf", func(b *testing.B) {
				var took []time.Duration
				for i := 0; b.Loop(); i++ {
					begin := time.Now()
					req(update(b, "/interface[name=ge3]/unit[id=7]/config/description", `"%d"`, i))
					took = append(took, time.Since(begin))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
			})
			b.Run("10000-routes", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					var routes []string
					for r := range 10_000 {
						routes = append(routes, fmt.Sprintf(`{"prefix":"%d.%d.%d.0/24","config":{"action":"discard"}}`, 30+i%100, r>>8, r&255))
					}
					req(update(b, "/instance[name=default]/static-route", "[%s]", strings.Join(routes, ",")))
				}
			})
			b.Run("route", func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					req(update(b, fmt.Sprintf("/instance[name=default]/static-route[prefix=200.%d.%d.0/24]/config/action", i>>8&255, i&255), `"%s"`, []string{"discard", "reject"}[i>>16&1]))
				}
			})
			b.Run("rollback", func(b *testing.B) {
				for b.Loop() {
					if _, err := s.Rollback(context.Background(), s.Last().Number-1, Request{}); err != nil {
						b.Fatal(err)
					}
				}
			})
			s.Close()
			b.Run("open", func(b *testing.B) {
				for b.Loop() {
					s, err := Open(context.Background(), Options{Dir: dir, Applier: &fakeApplier{}})
					if err != nil {
						b.Fatal(err)
					}
					if err := s.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
