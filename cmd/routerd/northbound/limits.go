package northbound

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound what clients may take of the router. A field that is 0 has its
// default.
type Limits struct {
	Streams     int     // calls at once on one connection; 256
	Connections int     // connections from one address; 64
	Rate        float64 // calls a second from one address; 10,000
}

const (
	defaultStreams     = 256
	defaultConnections = 64
	defaultRate        = 10_000
	allConnections     = 2048 // from all addresses together
)

func (l Limits) withDefaults() Limits {
	if l.Streams == 0 {
		l.Streams = defaultStreams
	}
	if l.Connections == 0 {
		l.Connections = defaultConnections
	}
	if l.Rate == 0 {
		l.Rate = defaultRate
	}
	return l
}

// A limitedListener closes connections beyond what one address may have. What
// comes by a Unix socket is not limited.
type limitedListener struct {
	net.Listener
	each    int
	refused func(from string)

	mu    sync.Mutex
	count map[netip.Addr]int
	all   int
}

func limitListener(l net.Listener, each int, refused func(from string)) *limitedListener {
	return &limitedListener{Listener: l, each: each, refused: refused, count: map[netip.Addr]int{}}
}

// Accept implements [net.Listener].
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addressOf(c.RemoteAddr())
		l.mu.Lock()
		ok := l.count[from] < l.each && l.all < allConnections
		if ok {
			l.count[from]++
			l.all++
		}
		l.mu.Unlock()
		if ok {
			return &limitedConn{Conn: c, release: sync.OnceFunc(func() { l.release(from) })}, nil
		}
		l.refused(c.RemoteAddr().String())
		c.Close()
	}
}

func (l *limitedListener) release(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.count[from]--; l.count[from] <= 0 {
		delete(l.count, from)
	}
}

type limitedConn struct {
	net.Conn
	release func()
}

// Close implements [net.Conn].
func (c *limitedConn) Close() error {
	c.release()
	return c.Conn.Close()
}

// addressOf is the caller's address without its port; the zero Addr for a Unix
// socket.
func addressOf(a net.Addr) netip.Addr {
	if a == nil {
		return netip.Addr{}
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap()
}

// A rateLimit bounds the calls a second of each address.
type rateLimit struct {
	each rate.Limit

	mu   sync.Mutex
	by   map[netip.Addr]*rate.Limiter
	last time.Time // when idle limiters were dropped
}

// limiters is how many addresses have a limiter of their own before idle ones are
// dropped.
const limiters = 1024

func newRateLimit(each float64) *rateLimit {
	return &rateLimit{each: rate.Limit(each), by: map[netip.Addr]*rate.Limiter{}}
}

// allow takes one call of the address, at now.
func (r *rateLimit) allow(from netip.Addr, now time.Time) bool {
	r.mu.Lock()
	l := r.by[from]
	if l == nil {
		if len(r.by) >= limiters {
			r.drop(now)
		}
		l = rate.NewLimiter(r.each, max(1, int(2*r.each)))
		r.by[from] = l
	}
	r.mu.Unlock()
	return l.AllowN(now, 1)
}

// drop forgets the limiters that are full again: new ones would say the same.
// r.mu is held.
func (r *rateLimit) drop(now time.Time) {
	if now.Sub(r.last) < time.Second {
		return
	}
	r.last = now
	for a, l := range r.by {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(r.by, a)
		}
	}
}
