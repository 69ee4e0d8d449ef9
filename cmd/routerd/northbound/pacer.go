package northbound

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// A pacer says when members send what is new. One change is news for all members of a
// feed, and each has a client, a connection and system calls of its own: woken together, they
// take all processors from the commits that follow. So they take turns, in the order that
// they asked in, and take only so many in a second. Who waits for its turn gets more
// with it: the changes that have come meanwhile go out in one write.
//
// Few members need no turns: commits don't feel them.
//
// A turn is an allowance, not a lock. Who doesn't end it within mostTurn, since its client
// doesn't read, is waited for no longer, and asks for no other before it has ended.
//
// The zero pacer is not valid. Its methods are safe for concurrent use and don't block.
type pacer struct {
	limit   *rate.Limiter
	most    int          // goroutines that give turns: fewer than processors
	members atomic.Int32 // of all feeds

	mu     sync.Mutex
	queue  []*member
	giving int // goroutines that give turns; none while nobody waits
}

const (
	// fewMembers are told of each change at once.
	fewMembers = 4
	// pauseEach is how much longer a feed waits from one look to the next for each member
	// that there is, and mostPause how long at most: none of them is told sooner.
	pauseEach = 200 * time.Microsecond
	mostPause = 20 * time.Millisecond

	// turnsEach is how many turns a second there are for each processor. A turn takes some
	// 100 µs with what the runtime and the kernel do for it: a twentieth of the time. Where
	// the clients are on the same machine, they take more than that.
	turnsEach = 500
	// turnsAtOnce are the turns for each processor that may follow each other without a
	// pause, after one: a change that comes alone is told to many at once.
	turnsAtOnce = 32
	// mostTurn is for how long others wait for the end of a turn.
	mostTurn = time.Millisecond
)

func newPacer() *pacer {
	n := runtime.GOMAXPROCS(0)
	return &pacer{limit: rate.NewLimiter(rate.Limit(turnsEach*n), turnsAtOnce*n), most: max(1, n-1)}
}

// pause is for how long a feed that has looked doesn't look again, nor while a commit is under
// way; 0 is for not at all. What changes several times meanwhile is told of once.
func (p *pacer) pause() time.Duration {
	n := p.members.Load()
	if n <= fewMembers {
		return 0
	}
	return min(time.Duration(n)*pauseEach, mostPause)
}

// ask has m woken when its turn has come.
func (p *pacer) ask(m *member) {
	if p.members.Load() <= fewMembers {
		m.wakeUp()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, m)
	if p.giving < min(p.most, len(p.queue)) {
		p.giving++
		go p.give()
	}
}

// drop forgets m, which has left.
func (p *pacer) drop(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = slices.DeleteFunc(p.queue, func(o *member) bool { return o == m })
}

// next is who is next, nil for nobody: then the caller must give no more turns.
func (p *pacer) next() *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.queue = nil
		p.giving--
		return nil
	}
	m := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return m
}

// give gives turns until nobody waits for one.
func (p *pacer) give() {
	patience := time.NewTimer(mostTurn)
	defer patience.Stop()
	for m := p.next(); m != nil; m = p.next() {
		time.Sleep(p.limit.Reserve().Delay())
		select {
		case <-m.sent: // of a turn that took long
		default:
		}
		m.wakeUp()
		patience.Reset(mostTurn)
		select {
		case <-m.sent:
		case <-patience.C:
		}
	}
}
