package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"
)

// auditInterval is how often Monitor reads everything again, whether or not
// there were events.
const auditInterval = 30 * time.Second

// A Monitor follows the links of one namespace and their addresses. Links that
// a router made itself (see Mark) are left out.
type Monitor struct {
	ns     *Namespace
	log    *slog.Logger
	conn   *Conn
	eth    *ethtool
	watch  *Watch
	audits time.Duration

	mu    sync.Mutex
	links map[string]Link
}

// NewMonitor reads the links of the namespace and subscribes to their events.
// Run must follow; Close releases it.
func NewMonitor(ns *Namespace, log *slog.Logger) (*Monitor, error) {
	m := &Monitor{ns: ns, log: log, audits: auditInterval, links: map[string]Link{}}
	var err error
	// Subscribed before reading, so that no change falls between the two.
	if m.watch, err = ns.Watch(false); err != nil {
		return nil, err
	}
	if m.conn, err = ns.Dial(); err == nil {
		err = ns.Do(func() (err error) {
			m.eth, err = dialEthtool()
			return err
		})
	}
	if err == nil {
		_, err = m.read()
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Close ends Run and releases the sockets. It is to be called once.
func (m *Monitor) Close() {
	m.watch.Close()
	if m.conn != nil {
		m.conn.Close()
	}
	if m.eth != nil {
		m.eth.close()
	}
}

// Get is the link with a name as it was last seen. A link that is not there
// has Present false; its Reason says so.
func (m *Monitor) Get(name string) Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, ok := m.links[name]; ok {
		return l
	}
	return Link{Name: name}
}

// Links are all links as they were last seen, ordered by index.
func (m *Monitor) Links() []Link {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]Link, 0, len(m.links))
	for _, l := range m.links {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Link) int { return a.Index - b.Index })
	return list
}

// Run calls changed for each link that appears, changes or, with Present
// false, goes away, until ctx ends or Close is called; then it returns nil.
// changed is called from one goroutine. A link that went and came back between
// two looks is seen by its new Index.
func (m *Monitor) Run(ctx context.Context, changed func(Link)) error {
	wake := make(chan struct{}, 1)
	errs := make(chan error, 1)
	go func() { errs <- m.receive(wake) }()
	defer func() {
		m.watch.Close()
		<-errs
	}()
	tick := time.NewTicker(m.audits)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-errs:
			errs <- nil // for the deferred wait
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return err
		case <-wake:
		case <-tick.C:
		}
		list, err := m.read()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			m.log.Warn("links could not be read; retried at the next event or audit", "err", err)
			continue
		}
		for _, l := range list {
			changed(l)
		}
	}
}

// receive turns any number of events into one wake-up: what counts is what
// stands when it is read.
func (m *Monitor) receive(wake chan<- struct{}) error {
	for {
		events, err := m.watch.Next()
		if errors.Is(err, ErrOverrun) {
			m.log.Warn("link events were lost; all links are read again")
		} else if err != nil {
			return err
		} else if len(events) == 0 {
			continue
		}
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// read looks at the kernel and returns what is different from the last time.
func (m *Monitor) read() ([]Link, error) {
	list, err := m.conn.Links()
	if err != nil {
		return nil, err
	}
	addresses, err := m.conn.Addresses(0)
	if err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	own := map[int][]netip.Prefix{}
	for _, a := range addresses {
		own[a.Index] = append(own[a.Index], a.Prefix)
	}
	now := make(map[string]Link, len(list))
	for _, l := range list {
		if _, ours := ParseMark(l.Alias); ours {
			continue
		}
		l.Addresses = own[l.Index]
		slices.SortFunc(l.Addresses, netip.Prefix.Compare)
		if l.Kind != "tun" { // its channels are the queues, its speed a fiction
			if rx, tx := m.eth.channels(l.Name); rx > 0 && tx > 0 {
				l.RxQueues, l.TxQueues = rx, tx
			}
			l.Speed = m.eth.speed(l.Name)
		}
		now[l.Name] = l
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	diff := diffLinks(m.links, now)
	m.links = now
	return diff, nil
}

// diffLinks lists what changed from old to now, those that are gone first,
// each group by name.
func diffLinks(old, now map[string]Link) []Link {
	var absent, present []Link
	for name := range old {
		if _, ok := now[name]; !ok {
			absent = append(absent, Link{Name: name})
		}
	}
	for name, l := range now {
		if before, ok := old[name]; !ok || !l.equal(before) {
			present = append(present, l)
		}
	}
	byName := func(a, b Link) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	}
	slices.SortFunc(absent, byName)
	slices.SortFunc(present, byName)
	return append(absent, present...)
}
