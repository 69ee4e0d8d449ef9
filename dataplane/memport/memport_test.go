package memport

import (
	"bytes"
	"errors"
	"testing"

	"router/dataplane/port"
)

func pool(t testing.TB, buffers int) *port.Pool {
	t.Helper()
	p, err := port.NewPool(make([]byte, buffers*port.ChunkSize))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFramesPassInOrderAndBuffersReturn(t *testing.T) {
	p := pool(t, 8)
	var q port.Queue = New(p, 4)
	mem := q.(*Queue)
	frames := [][]byte{[]byte("one"), []byte("two"), bytes.Repeat([]byte{7}, port.MaxFrame)}
	for i, f := range frames {
		if !mem.Push(f, port.Flag(i)) {
			t.Fatalf("frame %d was not taken", i)
		}
	}
	bufs := make([]port.Buf, 8)
	n := q.Receive(bufs)
	if n != len(frames) || p.Free() != 8-n {
		t.Fatalf("received %d frames, %d buffers free", n, p.Free())
	}
	for i, b := range bufs[:n] {
		if !bytes.Equal(p.Frame(b), frames[i]) || b.Flags != port.Flag(i) || b.Addr != b.Addr&^(port.ChunkSize-1)+port.Headroom {
			t.Errorf("frame %d came as %+v", i, b)
		}
	}
	if took := q.Transmit(bufs[:n]); took != n || p.Free() != 8 {
		t.Fatalf("transmitted %d frames, %d buffers free", took, p.Free())
	}
	for i, want := range frames {
		if got, ok := mem.Pop(nil); !ok || !bytes.Equal(got, want) {
			t.Errorf("frame %d left as %q", i, got)
		}
	}
}

func TestFullRingsRefuse(t *testing.T) {
	p := pool(t, 8)
	q := New(p, 2)
	for i := range 3 {
		if got, want := q.Push([]byte{1}, 0), i < 2; got != want {
			t.Errorf("push %d: %v", i, got)
		}
	}
	bufs := make([]port.Buf, 3)
	for i := range bufs {
		chunk, _ := p.Get()
		bufs[i] = port.Buf{Addr: chunk, Len: 60}
	}
	if n := q.Transmit(bufs); n != 2 || p.Free() != 7 {
		t.Errorf("took %d of 3 frames, %d buffers free", n, p.Free())
	}
}

func TestFunctionsAndFailure(t *testing.T) {
	p := pool(t, 4)
	made, seen := 0, 0
	q := NewFunc(p, func(frame []byte) int {
		if made == 3 {
			return 0
		}
		made++
		frame[0] = byte(made)
		return 60
	}, func(frame []byte) { seen += int(frame[0]) })
	bufs := make([]port.Buf, 8)
	n := q.Receive(bufs)
	if n != 3 || p.Free() != 1 {
		t.Fatalf("received %d, %d buffers free", n, p.Free())
	}
	q.Transmit(bufs[:n])
	if seen != 1+2+3 || p.Free() != 4 {
		t.Fatalf("the sink saw %d, %d buffers free", seen, p.Free())
	}
	q.Fail(port.ErrGone)
	if !errors.Is(q.Err(), port.ErrGone) || q.Receive(bufs) != 0 {
		t.Fatal("a failed queue works on")
	}
}
