package northbound

import (
	"sync"
	"time"

	"router/gen/configpb"
)

// changing are the calls that commit, by their full methods.
var changing = map[string]bool{
	"/gnmi.gNMI/Set": true,
	configpb.Configuration_Commit_FullMethodName:     true,
	configpb.Configuration_Confirm_FullMethodName:    true,
	configpb.Configuration_Cancel_FullMethodName:     true,
	configpb.Configuration_Rollback_FullMethodName:   true,
	configpb.Configuration_LoadRescue_FullMethodName: true,
}

// A precedence gives commits the processors before those who tell of them: a commit shows
// in state while it is applied, when it is made, and in the audit log, and whoever waits for
// its end tells of all that at once. The zero precedence is ready. Its methods are safe
// for concurrent use.
type precedence struct {
	mu    sync.Mutex
	calls int
	none  chan struct{} // closed when no call is left; nil when there is none
}

// mostCommit is how long a change waits for commits to end: less than anybody notices, and
// longer than most of them take.
const mostCommit = 5 * time.Millisecond

// begin is called before a commit, end after it.
func (p *precedence) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls++; p.none == nil {
		p.none = make(chan struct{})
	}
}

func (p *precedence) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls--; p.calls == 0 {
		close(p.none)
		p.none = nil
	}
}

// wait waits until no commit is under way, for mostCommit at most.
func (p *precedence) wait() {
	p.mu.Lock()
	none := p.none
	p.mu.Unlock()
	if none == nil {
		return
	}
	timer := time.NewTimer(mostCommit)
	defer timer.Stop()
	select {
	case <-none:
	case <-timer.C:
	}
}
