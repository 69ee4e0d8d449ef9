package dataplane

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"
)

func TestInjectRingManyProducers(t *testing.T) {
	r := newInjectRing(64)
	const producers, each = 4, 5000
	var wg sync.WaitGroup
	for p := range uint32(producers) {
		wg.Go(func() {
			for i := range uint32(each) {
				data := binary.BigEndian.AppendUint32(nil, i)
				for !r.push(data, injectHead{op: opFrame, number: p}) {
					time.Sleep(time.Microsecond)
				}
			}
		})
	}
	var next [producers]uint32
	for got := 0; got < producers*each; {
		s := r.peek()
		if s == nil {
			time.Sleep(time.Microsecond)
			continue
		}
		if n := binary.BigEndian.Uint32(s.data[:s.n]); n != next[s.head.number] {
			t.Fatalf("producer %d: packet %d where %d was due", s.head.number, n, next[s.head.number])
		}
		next[s.head.number]++
		r.release()
		got++
	}
	wg.Wait()
	if r.peek() != nil {
		t.Error("something is left")
	}
}

func TestInjectRingRefusesWhenFull(t *testing.T) {
	r := newInjectRing(4)
	for round := range 3 {
		for i := range 5 {
			if got := r.push(nil, injectHead{}); got != (i < 4) {
				t.Fatalf("round %d, packet %d: %v", round, i, got)
			}
		}
		for range 4 {
			if r.peek() == nil {
				t.Fatal("a packet is missing")
			}
			r.release()
		}
		if r.peek() != nil {
			t.Fatal("a packet too many")
		}
	}
}

func TestPuntRing(t *testing.T) {
	r := newPuntRing(4)
	for round := range uint16(10) {
		for i := range uint16(4) {
			r.next().n = round*4 + i
			r.commit()
		}
		if r.next() != nil {
			t.Fatal("a full ring has room")
		}
		for i := range uint16(4) {
			if s := r.peek(); s == nil || s.n != round*4+i {
				t.Fatalf("slot %d of round %d is %v", i, round, s)
			}
			r.release()
		}
		if r.peek() != nil {
			t.Fatal("an empty ring has a slot")
		}
	}
}
