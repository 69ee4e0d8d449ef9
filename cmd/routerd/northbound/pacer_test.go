package northbound

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// A turnTaker is a member that does nothing with its turns but count them.
type turnTaker struct {
	*member
	taken int
}

// takers are members that ask for another turn in each, until quit is closed; what a turn
// takes is said by work. Those that stall never end their first one.
func takers(p *pacer, count, stalled int, work time.Duration, quit <-chan struct{}) []*turnTaker {
	var list []*turnTaker
	for i := range count {
		m := &turnTaker{member: &member{wake: make(chan struct{}, 1), sent: make(chan struct{}, 1)}}
		list = append(list, m)
		go func() {
			for {
				select {
				case <-quit:
					return
				case <-m.wake:
				}
				m.taken++
				if i < stalled {
					<-quit
					return
				}
				time.Sleep(work)
				p.ask(m.member)
				m.done()
			}
		}()
	}
	for _, m := range list {
		p.ask(m.member)
	}
	return list
}

// crowdedPacer is one with so many members that they take turns.
func crowdedPacer() *pacer {
	p := newPacer()
	p.members.Store(fewMembers + 1)
	return p
}

func TestTurnsAreFairAndBounded(t *testing.T) {
	for _, test := range []struct {
		name           string
		count, stalled int
		work           time.Duration
	}{
		{"one", 1, 0, 50 * time.Microsecond},
		{"few", 4, 0, 50 * time.Microsecond},
		{"many", 50, 0, 50 * time.Microsecond},
		{"many, half of whom don't read", 50, 25, 50 * time.Microsecond},
		{"slow ones", 50, 0, 10 * mostTurn},
		{"hundreds", 700, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, quit := crowdedPacer(), make(chan struct{})
				const seconds = 10
				list := takers(p, test.count, test.stalled, test.work, quit)
				time.Sleep(seconds * time.Second)
				close(quit)
				time.Sleep(10 * time.Second) // until all who still wait have been asked
				synctest.Wait()
				var taken []int
				all := 0
				for i, m := range list {
					all += m.taken
					if i >= test.stalled {
						taken = append(taken, m.taken)
					} else if m.taken != 1 {
						t.Errorf("who doesn't end its turn has had %d", m.taken)
					}
				}
				if least, most := slices.Min(taken), slices.Max(taken); most-least > 1+most/100 {
					t.Errorf("turns are from %d to %d", least, most)
				}
				limit := seconds*int(p.limit.Limit()) + p.limit.Burst() + p.most
				// Each who doesn't end its turn costs the others mostTurn, once.
				want := min(limit, int(float64(len(taken))*seconds/(test.work+time.Microsecond).Seconds())) / 2
				if test.work > mostTurn {
					want = 0 // nobody waits for slow ones, but they are not faster either
				}
				if all > limit || all < want {
					t.Errorf("%d turns in %d s: want %d at most, and %d at least", all, seconds, limit, want)
				}
			})
		})
	}
}

// A change that comes alone is told without delay, to as many as turnsAtOnce allows.
func TestTurnsAfterQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := crowdedPacer()
		for range 3 {
			time.Sleep(time.Second)
			begin := time.Now()
			m := &member{wake: make(chan struct{}, 1), sent: make(chan struct{}, 1)}
			for range p.limit.Burst() {
				p.ask(m)
				<-m.wake
				m.done()
			}
			if waited := time.Since(begin); waited > 0 {
				t.Errorf("%v for %d turns after a second of quiet", waited, p.limit.Burst())
			}
		}
	})
}

// Few members wait for nothing, however often they ask.
func TestFewNeedNoTurns(t *testing.T) {
	p := newPacer()
	p.members.Store(fewMembers)
	m := &member{wake: make(chan struct{}, 1), sent: make(chan struct{}, 1)}
	for i := range 10 * p.limit.Burst() {
		p.ask(m)
		if len(m.wake) != 1 {
			t.Fatalf("the member is not woken at once when it asks for the %d. time", i+1)
		}
		<-m.wake
	}
}

func TestTurnOfWhoHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := crowdedPacer()
		p.limit.AllowN(time.Now(), p.limit.Burst())
		gone := &member{wake: make(chan struct{}, 1), sent: make(chan struct{}, 1)}
		stays := &member{wake: make(chan struct{}, 1), sent: make(chan struct{}, 1)}
		p.ask(gone)
		p.ask(stays)
		p.drop(gone)
		<-stays.wake
		stays.done()
		synctest.Wait()
		if len(gone.wake) > 0 {
			t.Error("who has left is told that it is its turn")
		}
		if p.giving != 0 || p.queue != nil {
			t.Errorf("%d goroutines give turns, %d wait, when nobody asks", p.giving, len(p.queue))
		}
	})
}

func TestPrecedence(t *testing.T) {
	for _, test := range []struct {
		name    string
		commits []time.Duration // how long each takes
		waits   time.Duration
	}{
		{"no commit", nil, 0},
		{"a short one", []time.Duration{time.Millisecond}, time.Millisecond},
		{"several at once", []time.Duration{time.Millisecond, 3 * time.Millisecond, 2 * time.Millisecond}, 3 * time.Millisecond},
		{"a long one", []time.Duration{time.Minute}, mostCommit},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var p precedence
				for range 2 {
					begin := time.Now()
					for _, takes := range test.commits {
						p.begin()
						time.AfterFunc(takes, p.end)
					}
					p.wait()
					if waited := time.Since(begin); waited != test.waits {
						t.Errorf("waited %v, want %v", waited, test.waits)
					}
					time.Sleep(2 * time.Minute)
				}
			})
		})
	}
}

// A feed of many members doesn't look more often than it can tell all of them; one of few looks
// at once. Either way each change is counted, and all have the last value in the end.
func TestCrowdedFeedLooksLessOften(t *testing.T) {
	for _, count := range []int{fewMembers, 5 * fewMembers} {
		t.Run(fmt.Sprintf("%d members", count), func(t *testing.T) {
			b := newBed(t, func(o *Options) { o.Volatile = time.Hour })
			onChange := &gnmi.Subscription{Mode: gnmi.SubscriptionMode_ON_CHANGE}
			const path = "/interface/config/description"
			var clients []*client
			for range count {
				clients = append(clients, b.watch(subs(t, live, onChange, path)))
			}
			for _, c := range clients {
				c.waitSync(t)
			}
			var f *feed
			for _, f = range b.server.feeds.by {
			}
			const changes = 200
			begin := time.Now()
			for i := range changes {
				b.set("/interface[name=ge0]/config/description", fmt.Sprintf(`"%d"`, i))
			}
			b.agree("after all", subs(t, live, onChange, path), clients...)
			pause := b.server.pacer.pause()
			if crowded := count > fewMembers; crowded != (pause > 0) {
				t.Fatalf("the pause is %v with %d members", pause, count)
			}
			f.logMu.Lock()
			looks := f.end
			f.logMu.Unlock()
			if pause == 0 {
				return
			}
			if most := 2 + uint64(time.Since(begin)/pause); looks > most {
				t.Errorf("%d looks at %d changes in %v: want %d at most", looks, changes, time.Since(begin), most)
			}
			for i, c := range clients {
				c.mu.Lock()
				if told := uint64(c.updates); told > looks {
					t.Errorf("client %d has %d updates of %d looks", i, told, looks)
				}
				c.mu.Unlock()
			}
		})
	}
}
