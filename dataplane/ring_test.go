package dataplane

import (
	"bytes"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"router/dataplane/port"
	"router/intf"
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

// sequence is n octets that tell where they stand.
func sequence(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

func TestRingsCarryPacketsOfSeveralSlots(t *testing.T) {
	sizes := []int{0, 1, slotSize, slotSize + 1, 2 * slotSize, port.MaxJumbo, 64}
	punts, injects := newPuntRing(16), newInjectRing(16)
	for round := range 50 {
		size := sizes[round%len(sizes)]
		want := sequence(size)
		for range 2 {
			if s := punts.next(size); s == nil {
				t.Fatalf("no room for two packets of %d octets", size)
			}
			punts.commit(want)
			if !injects.push(want, injectHead{number: uint32(round)}) {
				t.Fatalf("no room for two packets of %d octets", size)
			}
		}
		for range 2 {
			if s, got := punts.peek(); s == nil || !bytes.Equal(got, want) {
				t.Fatalf("a punted packet of %d octets changed on its way", size)
			}
			punts.release()
			s, got := injects.peek(), make([]byte, size)
			if s == nil || int(s.n) != size || s.head.number != uint32(round) {
				t.Fatalf("the head of an injected packet of %d octets changed on its way", size)
			}
			if injects.copyTo(got); !bytes.Equal(got, want) {
				t.Fatalf("an injected packet of %d octets changed on its way", size)
			}
			injects.release()
		}
	}
	for used := 0; ; used += slotsFor(port.MaxJumbo) {
		took := injects.push(sequence(port.MaxJumbo), injectHead{})
		if took != (used+slotsFor(port.MaxJumbo) <= 16) {
			t.Fatalf("%d of 16 slots are used, and a packet of %d was taken: %v", used, slotsFor(port.MaxJumbo), took)
		}
		if (punts.next(port.MaxJumbo) != nil) != took {
			t.Fatalf("%d of 16 slots are used, and a slot was given: %v", used, !took)
		}
		if !took {
			break
		}
		punts.commit(sequence(port.MaxJumbo))
	}
}

func TestInjectRingManyProducersOfLongPackets(t *testing.T) {
	r := newInjectRing(16)
	const producers, each = 3, 2000
	var wg sync.WaitGroup
	for p := range uint32(producers) {
		wg.Go(func() {
			for i := range uint32(each) {
				data := bytes.Repeat(binary.BigEndian.AppendUint32(nil, i), 1+int(i+p)%5*slotSize/4)
				for !r.push(data, injectHead{op: opFrame, number: p}) {
					time.Sleep(time.Microsecond)
				}
			}
		})
	}
	var next [producers]uint32
	b := make([]byte, port.MaxJumbo)
	for got := 0; got < producers*each; {
		s := r.peek()
		if s == nil {
			time.Sleep(time.Microsecond)
			continue
		}
		r.copyTo(b)
		want := binary.BigEndian.AppendUint32(nil, next[s.head.number])
		for i := 0; i < int(s.n); i += 4 {
			if !bytes.Equal(b[i:i+4], want) {
				t.Fatalf("producer %d, packet %d: octet %d is another's", s.head.number, next[s.head.number], i)
			}
		}
		next[s.head.number]++
		r.release()
		got++
	}
	wg.Wait()
}

func TestPuntRing(t *testing.T) {
	r := newPuntRing(4)
	for round := range uint32(10) {
		for i := range uint32(4) {
			r.next(0).ifindex = intf.Index(round*4 + i)
			r.commit(nil)
		}
		if r.next(0) != nil {
			t.Fatal("a full ring has room")
		}
		for i := range uint32(4) {
			if s, _ := r.peek(); s == nil || s.ifindex != intf.Index(round*4+i) {
				t.Fatalf("slot %d of round %d is %v", i, round, s)
			}
			r.release()
		}
		if s, _ := r.peek(); s != nil {
			t.Fatal("an empty ring has a slot")
		}
	}
}
