package datastore

import (
	"fmt"
	"strings"
	"testing"

	"context"
	"router/cmd/routerd/datastore/tree"
)

// terms is a filter's list of n terms like those of access lists.
func terms(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"name":"t%d","match":{"config":{"source-prefix":["10.%d.%d.0/24"],"destination-prefix":["172.16.%d.%d/32"],"protocol":["%s"],"destination-port":[%d,"%d-%d"]}},"action":{"config":{"disposition":"%s"}}}`,
			i, i/256, i%256, i/256, i%256, []string{"tcp", "udp"}[i%2], 1+i%1000, 2000+i%1000, 4000+i%1000, []string{"accept", "discard"}[i%2])
	}
	return "[" + b.String()[1:] + "]"
}

// prefixes is a list of n.
func prefixes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%d.%d.%d.0/24"`, 20+i/65536, i/256%256, i%256)
	}
	return "[" + b.String()[1:] + "]"
}

// BenchmarkFilter commits filters, without a dataplane behind it.
func BenchmarkFilter(b *testing.B) {
	const size = 10_000
	put := func(b *testing.B, s *Store, kind tree.OpKind, path, body string) {
		b.Helper()
		if _, err := s.Commit(context.Background(), Request{Ops: []tree.Op{{Kind: kind, Path: mustPath(b, path), Value: ietf("%s", body)}}}); err != nil {
			b.Fatal(err)
		}
	}
	open := func(b *testing.B, body string) *Store {
		s := open(b, b.TempDir(), &fakeApplier{})
		put(b, s, tree.Update, "/filter[name=f]", `{"config":{"family":"inet"},"term":`+body+`}`)
		return s
	}
	body := terms(size)
	b.Run("load", func(b *testing.B) {
		s := open(b, "[]")
		for b.Loop() {
			put(b, s, tree.Replace, "/filter[name=f]/term", body)
		}
	})
	b.Run("one-term", func(b *testing.B) {
		s := open(b, body)
		for i := 0; b.Loop(); i++ {
			put(b, s, tree.Update, "/filter[name=f]/term[name=t5000]/match/config/destination-port", fmt.Sprintf("[%d]", 1+i%60000))
		}
	})
	b.Run("prefix-list", func(b *testing.B) {
		s := open(b, "[]")
		list := `{"config":{"prefix":` + prefixes(100_000) + `}}`
		for b.Loop() {
			put(b, s, tree.Replace, "/prefix-list[name=l]", list)
		}
	})
	b.Run("one-prefix", func(b *testing.B) {
		s := open(b, "[]")
		put(b, s, tree.Replace, "/prefix-list[name=l]", `{"config":{"prefix":`+prefixes(100_000)+`}}`)
		for i := 0; b.Loop(); i++ {
			put(b, s, tree.Update, "/prefix-list[name=l]/config/prefix", fmt.Sprintf(`["200.%d.%d.0/24"]`, i/256, i%256))
		}
	})
}
