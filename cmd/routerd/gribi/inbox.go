package gribi

import (
	"sync"

	spb "github.com/openconfig/gribi/v1/proto/service"
)

// maxWaiting is how many operations of a client may wait before no more is read
// from its stream; the client then waits by the stream's flow control.
const maxWaiting = 4096

// An inbox is the requests of a client that wait. One goroutine puts, another
// takes.
type inbox struct {
	mu      sync.Mutex
	change  sync.Cond
	list    []*spb.ModifyRequest
	waiting int // operations in list
	err     error
}

func newInbox() *inbox {
	b := &inbox{}
	b.change.L = &b.mu
	return b
}

// put adds a request when there is room. It reports false when the inbox is
// closed.
func (b *inbox) put(m *spb.ModifyRequest) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.err == nil && b.waiting > 0 && b.waiting+len(m.GetOperation()) > maxWaiting {
		b.change.Wait()
	}
	if b.err != nil {
		return false
	}
	b.list = append(b.list, m)
	b.waiting += max(len(m.GetOperation()), 1)
	b.change.Broadcast()
	return true
}

// close ends the inbox: after what is in it, take answers err. The first one
// counts.
func (b *inbox) close(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
	b.change.Broadcast()
}

// drop closes the inbox and forgets what is in it.
func (b *inbox) drop(err error) {
	b.mu.Lock()
	b.err = err
	b.list, b.waiting = nil, 0
	b.mu.Unlock()
	b.change.Broadcast()
}

// take waits for requests and returns all that are there, or why none will come
// any more.
func (b *inbox) take() ([]*spb.ModifyRequest, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.list) == 0 && b.err == nil {
		b.change.Wait()
	}
	if len(b.list) == 0 {
		return nil, b.err
	}
	list := b.list
	b.list, b.waiting = nil, 0
	b.change.Broadcast()
	return list, nil
}
