package dataplane

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"router/dataplane/memport"
	"router/dataplane/port"
	"router/intf"
)

// A poller is a queue that notes what is asked of it.
type poller struct {
	*memport.Queue
	busy []bool
}

func (p *poller) BusyPoll(on bool)  { p.busy = append(p.busy, on) }
func (p *poller) KernelPolls() bool { return len(p.busy) > 0 && p.busy[len(p.busy)-1] }

// TestPollingDecidesWhenAWorkerSleeps has two ports on one worker: the more
// demanding one decides.
func TestPollingDecidesWhenAWorkerSleeps(t *testing.T) {
	for _, c := range []struct {
		name   string
		spin   time.Duration
		ports  [2]intf.Polling
		sleeps bool
	}{
		{"adaptive looks on", time.Hour, [2]intf.Polling{intf.PollAdaptive, intf.PollAdaptive}, false},
		{"adaptive gives up", -1, [2]intf.Polling{intf.PollAdaptive, intf.PollAdaptive}, true},
		{"both sleep", time.Hour, [2]intf.Polling{intf.PollSleep, intf.PollSleep}, true},
		{"one sleeps, one looks on", time.Hour, [2]intf.Polling{intf.PollSleep, intf.PollAdaptive}, false},
		{"one is busy", -1, [2]intf.Polling{intf.PollSleep, intf.PollBusy}, false},
	} {
		for _, later := range []bool{false, true} {
			t.Run(map[bool]string{false: c.name, true: c.name + ", set later"}[later], func(t *testing.T) {
				e, err := New(Config{Workers: 1, Buffers: 512, Spin: c.spin})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := e.Close(); err != nil {
						t.Error(err)
					}
				})
				w := e.workers[0]
				var ids []PortID
				for i, name := range []string{"a", "b"} {
					o := PortOptions{Polling: c.ports[i]}
					if later {
						// From the other end.
						o.Polling = intf.PollSleep - c.ports[i]
					}
					id, err := e.AddPort(name, []port.Queue{memport.NewFunc(w.pool, nil, nil)}, o)
					if err != nil {
						t.Fatal(err)
					}
					ids = append(ids, id)
				}
				if later {
					for i, id := range ids {
						e.SetPolling(id, c.ports[i])
					}
				}
				if slept := sleepsWithin(w, !c.sleeps); slept != c.sleeps {
					t.Errorf("the worker sleeps: %v, want %v", slept, c.sleeps)
				}
			})
		}
	}
}

// sleepsWithin waits for a worker to sleep: long when that is what should happen.
func sleepsWithin(w *worker, short bool) bool {
	wait := 10 * time.Second
	if short {
		wait = 50 * time.Millisecond
	}
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		if w.sleeping.Load() {
			return true
		}
	}
	return false
}

func TestQueuesLearnOfBusyPolling(t *testing.T) {
	e, err := newEngine(Config{Workers: 1, Buffers: 512})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	q := &poller{Queue: memport.NewFunc(e.workers[0].pool, nil, nil)}
	id, err := e.AddPort("a", []port.Queue{q}, PortOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if e.KernelPolls(id) || len(q.busy) > 0 {
		t.Errorf("asked before anybody wanted it: %v", q.busy)
	}
	for _, p := range []intf.Polling{intf.PollBusy, intf.PollBusy, intf.PollSleep} {
		e.SetPolling(id, p)
		if e.KernelPolls(id) != (p == intf.PollBusy) || e.workers[0].busy != (p == intf.PollBusy) {
			t.Errorf("%v: the kernel polls: %v, the worker is busy: %v", p, e.KernelPolls(id), e.workers[0].busy)
		}
	}
	if len(q.busy) != 2 {
		t.Errorf("the queue was told %v, want once on and once off", q.busy)
	}
	e.SetPolling(id, intf.PollBusy)
	if err := e.RemovePort(id); err != nil {
		t.Error(err)
	}
	if e.workers[0].busy {
		t.Error("a worker without a port is busy")
	}
}

// TestRealTimeIsTheWorkersAlone starts a worker with a real-time policy. Where the test
// may not, the worker has its niceness instead.
func TestRealTimeIsTheWorkersAlone(t *testing.T) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil || before.Policy != unix.SCHED_NORMAL {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatalf("the test has a policy of its own: %+v, %v", before, err)
		}
		t.Skipf("the test has a policy of its own: %+v, %v", before, err)
	}
	had := threads(t) // a test before may have left one that has ended
	var log bytes.Buffer
	e, err := New(Config{Workers: 1, Buffers: 256, Nice: 7, RoundRobin: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	want := Thread{Scheduling: intf.SchedRoundRobin, Nice: 7}
	if refused := strings.Contains(log.String(), "SCHED_RR"); refused {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatal(log.String())
		}
		want.Scheduling = intf.SchedOther
	} else {
		want.Nice = 0 // sched_getattr(2) gives none with this policy
	}
	if got := e.Threads(); len(got) != 1 || got[0] != want {
		t.Errorf("the worker has %+v, want %+v", got, want)
	}
	of := int(e.workers[0].tid.Load())
	for tid, a := range threads(t) {
		if tid != of && a.Policy != unix.SCHED_NORMAL && had[tid].Policy != a.Policy {
			t.Errorf("thread %d (the worker's is %d) has policy %d", tid, of, a.Policy)
		}
	}
}

// TestCollectorHasThreadsOfItsOwn checks how many threads may run Go code: what workers
// bring along, and never a number with which the collector takes of everybody's time.
func TestCollectorHasThreadsOfItsOwn(t *testing.T) {
	for n, want := range map[int]int{1: 4, 2: 4, 3: 4, 4: 4, 5: 5, 6: 7, 7: 7, 8: 8, 17: 17} {
		if got := wholeMarkers(n); got != want {
			t.Errorf("%d: %d, want %d", n, got, want)
		}
		// As runtime/mgcpacer.go has it in startCycle: utilError, and what follows of it.
		share := 0.25 * float64(want)
		if off := float64(int(share+0.5))/share - 1; off < -0.3 || off > 0.3 {
			t.Errorf("%d: with %d the collector has no whole threads", n, want)
		}
	}
	before := runtime.GOMAXPROCS(0)
	e, err := New(Config{Workers: 2, Buffers: 256})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := runtime.GOMAXPROCS(0), wholeMarkers(before+2); got != want {
		t.Errorf("%d threads beside two workers, want %d", got, want)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("%d threads when they are gone, %d before", got, before)
	}
}

// TestNiceIsTheWorkersAlone starts a worker that goes before others, and looks at
// the threads of the process: its own has the priority, those made since do not.
func TestNiceIsTheWorkersAlone(t *testing.T) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil || before.Policy != unix.SCHED_NORMAL {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatalf("the test has a policy of its own: %+v, %v", before, err)
		}
		t.Skipf("the test has a policy of its own: %+v, %v", before, err)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, int(before.Nice)); err != nil {
		t.Fatal(err)
	}
	had := threads(t) // a test before may have left one that has ended
	e, err := New(Config{Workers: 1, Buffers: 256, Nice: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var of int
	e.workers[0].call(func() { of = unix.Gettid() })
	for tid, a := range threads(t) {
		want := before.Nice
		if tid == of {
			want = 7
		} else if old, ok := had[tid]; ok {
			want = old.Nice
		}
		if a.Nice != want {
			t.Errorf("thread %d (the worker's is %d) has nice %d, want %d", tid, of, a.Nice, want)
		}
	}
}

// threads are those of the process.
func threads(t *testing.T) map[int]unix.SchedAttr {
	t.Helper()
	names, err := filepath.Glob("/proc/self/task/*")
	if err != nil || len(names) < 2 {
		t.Fatalf("%d threads, %v", len(names), err)
	}
	list := make(map[int]unix.SchedAttr)
	for _, name := range names {
		tid, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		// It may have ended meanwhile.
		if a, err := unix.SchedGetAttr(tid, 0); err == nil {
			list[tid] = *a
		}
	}
	return list
}
