package port

import "testing"

func TestPoolOfBuffersAndSpans(t *testing.T) {
	const buffers, spans = 7, 3
	p, err := NewJumboPool(make([]byte, buffers*ChunkSize+spans*SpanSize), spans)
	if err != nil {
		t.Fatal(err)
	}
	if p.Size() != buffers || p.Spans() != spans {
		t.Fatalf("%d buffers and %d spans", p.Size(), p.Spans())
	}
	seen := map[uint32]bool{}
	var taken []uint32
	for _, length := range []int{1, MaxFrame, MaxFrame + 1, MaxJumbo} {
		start, ok := p.GetFor(length)
		if !ok {
			t.Fatalf("no room for %d octets", length)
		}
		room := p.Room(start)
		if len(room) < Headroom+length || seen[start] {
			t.Fatalf("%d octets got %d at %d", length, len(room), start)
		}
		seen[start] = true
		b := Buf{Addr: start + Headroom, Len: uint16(length)}
		if f := p.Frame(b); len(f) != length || cap(f) != len(room)-Headroom {
			t.Fatalf("a frame of %d octets has %d, capacity %d of %d", length, len(f), cap(f), len(room))
		}
		if _, isSpan := p.Span(b.Addr); isSpan != (length > MaxFrame) {
			t.Fatalf("%d octets lie in a span: %v", length, isSpan)
		}
		// What gives it back may know any octet of it.
		taken = append(taken, start+uint32(len(room))-1)
	}
	if _, ok := p.GetFor(MaxJumbo + 1); ok {
		t.Error("there was room for more than a span")
	}
	for _, addr := range taken {
		p.Put(addr)
	}
	if p.Free() != buffers || p.FreeSpans() != spans {
		t.Errorf("%d buffers and %d spans came back", p.Free(), p.FreeSpans())
	}
	for i := range spans {
		span, ok := p.GetSpan()
		if n, _ := p.Span(span); !ok || p.SpanAt(n) != span {
			t.Errorf("span %d is at %d, %v", i, span, ok)
		}
	}
	if _, ok := p.GetSpan(); ok {
		t.Error("a span too many")
	}
	if _, err := NewJumboPool(make([]byte, SpanSize), 1); err == nil {
		t.Error("a pool without buffers was made")
	}
}
