package dataplane

import (
	"fmt"
	"slices"
	"testing"

	"router/dataplane/port"
)

// shown takes down what a tap is shown.
type shown struct {
	name string
	list *[]string
}

func (s *shown) Frame(at int64, out bool, frame []byte) {
	if at == 0 {
		panic("no time")
	}
	*s.list = append(*s.list, fmt.Sprintf("%s %t %d", s.name, out, len(frame)))
}

func TestTapsAreShownFrames(t *testing.T) {
	x := newWorld(t, worldConfig())
	var list []string
	tap := func(name string) func() FrameTap {
		return func() FrameTap { return &shown{name, &list} }
	}
	frame := eth4(routerA, hostA, ip4{src: "192.0.2.10", dst: "198.51.100.10", payload: data(60)})
	forwarded := func() []string {
		t.Helper()
		list = nil
		x.collect()
		x.push("a", frame)
		x.run()
		if n := len(x.collect()); n != 1 {
			t.Fatalf("%d frames were forwarded", n)
		}
		return list
	}
	plain := func(name string) bool {
		for _, w := range x.e.workers {
			for i := range w.rx {
				if q := &w.rx[i]; q.port == x.ports[name] {
					if _, ok := q.queue.(*observedQueue); ok {
						return false
					}
				}
			}
			if _, ok := w.tx[x.ports[name]].queue.(*observedQueue); ok {
				return false
			}
		}
		return true
	}
	n := len(frame)
	if got := forwarded(); got != nil {
		t.Errorf("without a tap: %v", got)
	}
	stopA := x.e.Observe(x.ports["a"], tap("a"))
	stopB := x.e.Observe(x.ports["b"], tap("b"))
	again := x.e.Observe(x.ports["b"], tap("again"))
	if got, want := forwarded(), []string{fmt.Sprintf("a false %d", n), fmt.Sprintf("b true %d", n), fmt.Sprintf("again true %d", n)}; !slices.Equal(got, want) {
		t.Errorf("shown %v, want %v", got, want)
	}
	stopB()
	if got, want := forwarded(), []string{fmt.Sprintf("a false %d", n), fmt.Sprintf("again true %d", n)}; !slices.Equal(got, want) {
		t.Errorf("shown %v, want %v", got, want)
	}
	stopA()
	again()
	if got := forwarded(); got != nil || !plain("a") || !plain("b") {
		t.Errorf("behind the taps: %v, queues as before %t %t", got, plain("a"), plain("b"))
	}
	again() // once more does nothing

	// A port that goes takes its taps with it.
	stopA = x.e.Observe(x.ports["a"], tap("a"))
	if err := x.e.RemovePort(x.ports["a"]); err != nil {
		t.Error(err)
	}
	stopA()
	x.e.Observe(12345, tap("none"))()
}

// An observed queue polls as the one in it does.
func TestObservedQueuePolls(t *testing.T) {
	inner := &pollingQueue{}
	var q port.Queue = &observedQueue{Queue: inner}
	k, ok := q.(port.Poller)
	if !ok {
		t.Fatal("it is no poller")
	}
	k.BusyPoll(true)
	if !inner.on || !k.KernelPolls() {
		t.Error("the queue in it was not told")
	}
	k = &observedQueue{}
	k.BusyPoll(true)
	if k.KernelPolls() {
		t.Error("a queue that can't poll polls")
	}
}

type pollingQueue struct {
	port.Queue
	on bool
}

func (q *pollingQueue) BusyPoll(on bool)  { q.on = on }
func (q *pollingQueue) KernelPolls() bool { return q.on }
