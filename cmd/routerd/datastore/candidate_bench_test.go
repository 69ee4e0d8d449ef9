package datastore

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// BenchmarkCandidate is what work on a candidate costs, at sizes of the
// configuration: it must follow the candidate's own changes.
func BenchmarkCandidate(b *testing.B) {
	for _, units := range []int{100, 1000, 10_000} {
		s := open(b, b.TempDir(), &fakeApplier{})
		var text strings.Builder
		for i := range units {
			if i > 0 {
				text.WriteByte(',')
			}
			fmt.Fprintf(&text, `{"id":"%d","vlan":{"config":{"outer-vlan-id":%d,"inner-vlan-id":%d}},"family":[{"type":"inet","address":[{"prefix":"10.%d.%d.1/24"}]}]}`,
				i, 1+i/4000, 1+i%4000, i/250, i%250)
		}
		mustCommit(b, s, update(b, "/", `{"routerd:interface":[{"name":"ge0","unit":[%s]}]}`, text.String()))
		ctx := context.Background()
		c, leave, err := s.OpenCandidate(Private, "", "ann", "bench")
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		leaf := func() tree.Op {
			n++
			return update(b, "/interface[name=ge0]/unit[id=7]/config/description", `"d%d"`, n)
		}
		b.Run(fmt.Sprintf("units=%d/edit", units), func(b *testing.B) {
			for b.Loop() {
				if err := c.Edit(ctx, Ops(leaf())); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("units=%d/look after another's commit", units), func(b *testing.B) {
			for b.Loop() {
				mustCommit(b, s, update(b, "/interface[name=ge0]/unit[id=8]/config/description", `"o%d"`, n))
				n++
				if err := c.View(func(*gen.Device) {}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("units=%d/check", units), func(b *testing.B) {
			for b.Loop() {
				if _, err := c.Check(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("units=%d/edit and commit", units), func(b *testing.B) {
			for b.Loop() {
				if err := c.Edit(ctx, Ops(leaf())); err != nil {
					b.Fatal(err)
				}
				if _, err := c.Commit(ctx, Request{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		leave()
	}
}
