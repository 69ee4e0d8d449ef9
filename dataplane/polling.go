package dataplane

import (
	"time"

	"router/dataplane/port"
	"router/intf"
)

// SetPolling changes how workers wait for frames of a port, while they forward. A
// port that does not exist is no error.
func (e *Engine) SetPolling(id PortID, p intf.Polling) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.workers {
		w.call(func() { w.setPolling(id, p) })
	}
}

// KernelPolls reports whether the kernel looks at a port's device whenever a worker
// looks for frames.
func (e *Engine) KernelPolls(id PortID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, q := range e.portQueues[id] {
		if k, ok := q.(port.Poller); ok && k.KernelPolls() {
			return true
		}
	}
	return false
}

// setPolling tells the worker's queues of a port how they are waited for.
func (w *worker) setPolling(id PortID, p intf.Polling) {
	for i := range w.rx {
		q := &w.rx[i]
		if q.port != id || q.polling == p {
			continue
		}
		q.polling = p
		if k, ok := q.queue.(port.Poller); ok && !q.failed {
			k.BusyPoll(p == intf.PollBusy)
		}
	}
	w.choosePace()
}

// choosePace derives from the worker's queues how long it looks for work. It is
// what the most demanding of them wants.
func (w *worker) choosePace() {
	w.busy, w.patience = false, w.engine.config.Spin
	sleepers := 0
	for i := range w.rx {
		switch w.rx[i].polling {
		case intf.PollAdaptive:
		case intf.PollBusy:
			// A queue without a device would hold the processor for nothing.
			w.busy = w.busy || !w.rx[i].failed
		case intf.PollSleep:
			sleepers++
		}
	}
	if sleepers > 0 && sleepers == len(w.rx) {
		w.patience = noPatience
	}
	w.left = w.patience
}

// noPatience is that of a worker that sleeps at once.
const noPatience = time.Duration(-1)
