package access

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"router/models"
)

// ErrCredentials is the answer to credentials that are wrong, whatever is wrong
// with them: who guesses learns nothing.
var ErrCredentials = errors.New("user name and password, or certificate, are not right")

// A ThrottledError says that too many logins have failed to look at another.
type ThrottledError struct{ Wait time.Duration }

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many logins have failed: wait %v", e.Wait.Round(time.Second))
}

// longest bounds user names and passwords, in octets; bcrypt looks at no more of
// a password.
const longest = 72

// cacheTime is for how long a password that was right needs no comparison.
const cacheTime = time.Minute

// Password finds the user that gave its name and password from address. It takes
// as long for a user that isn't there. The error is ErrCredentials, a
// [*ThrottledError], or that of ctx.
func (g *Guard) Password(ctx context.Context, user, password string, from netip.Addr) (*Subject, error) {
	g.mu.Lock()
	a, hash := g.accountFor(user)
	g.mu.Unlock()
	if a != nil && g.cache.has(user, password, hash, g.now()) {
		return g.loggedIn(user, hash, from, true)
	}
	if wait := g.throttle.wait(user, from, g.now()); wait > 0 {
		g.throttled.Add(1)
		return nil, &ThrottledError{Wait: wait}
	}
	select {
	case g.hashing <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	compared := password
	if len(compared) > longest {
		compared = compared[:longest]
	}
	err := g.compare([]byte(string(hash)), []byte(compared))
	<-g.hashing
	if err != nil || a == nil || len(password) > longest {
		g.fail(user, from)
		return nil, ErrCredentials
	}
	s, err := g.loggedIn(user, hash, from, false)
	if err != nil {
		return nil, err
	}
	g.cache.add(user, password, hash, g.now())
	g.throttle.succeed(user, from)
	return s, nil
}

// accountFor is the account that may log in by a password, and the hash to
// compare with. Without an account that is the costliest hash there is, whose
// outcome is not looked at. g.mu is held.
func (g *Guard) accountFor(user string) (*account, models.Secret) {
	if a := g.users[user]; a != nil && a.spec.Enabled && a.spec.PasswordHash != "" {
		return a, a.spec.PasswordHash
	}
	stand := models.Secret(standInHash)
	for _, a := range g.users {
		// The cost stands in the same two characters of each: $2b$12$...
		if h := a.spec.PasswordHash; h != "" && costOf(h) > costOf(stand) {
			stand = h
		}
	}
	return nil, stand
}

// standInHash is of no password: who made it threw that away.
const standInHash = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"

func costOf(h models.Secret) string {
	_, rest, _ := strings.Cut(string(h)[1:], "$")
	cost, _, _ := strings.Cut(rest, "$")
	return cost
}

// loggedIn is the subject, if the user still has that hash.
func (g *Guard) loggedIn(user string, hash models.Secret, from netip.Addr, known bool) (*Subject, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.users[user]
	if a == nil || !a.spec.Enabled || a.spec.PasswordHash != hash {
		return nil, ErrCredentials
	}
	if !known {
		g.note(a, from)
	}
	return g.subject(a, models.AuthPassword, ""), nil
}

// note takes a login down. g.mu is held.
func (g *Guard) note(a *account, from netip.Addr) {
	a.logins++
	a.lastLogin, a.lastFrom = g.now(), from.String()
	g.watchers.Tell(a.spec.Name)
}

func (g *Guard) fail(user string, from netip.Addr) {
	g.failed.Add(1)
	g.throttle.fail(user, from, g.now())
	g.mu.Lock()
	defer g.mu.Unlock()
	if a := g.users[user]; a != nil {
		a.failed++
		g.watchers.Tell(user)
	}
}

// NoCredentials counts a call that proved nothing.
func (g *Guard) NoCredentials() { g.failed.Add(1) }

// Certificate finds the user that one of a verified certificate's names stands
// for; ok is false when none does. fresh says that it came with a new connection.
func (g *Guard) Certificate(names []string, from netip.Addr, fresh bool) (s *Subject, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, cert := range names {
		a := g.users[g.byCert[cert]]
		if a == nil || !a.spec.Enabled {
			continue
		}
		if fresh {
			g.note(a, from)
		}
		return g.subject(a, models.AuthCertificate, cert), true
	}
	return nil, false
}

// A passwordCache knows which passwords were right a short while ago, by their
// HMAC under a key that never leaves the process.
type passwordCache struct {
	key [sha256.Size]byte

	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time
}

// cacheSize bounds the cache; it holds only what was right.
const cacheSize = 1024

func newPasswordCache() *passwordCache {
	c := &passwordCache{until: map[[sha256.Size]byte]time.Time{}}
	// It never fails (crypto/rand).
	_, _ = rand.Read(c.key[:])
	return c
}

func (c *passwordCache) sum(user, password string, hash models.Secret) (out [sha256.Size]byte) {
	m := hmac.New(sha256.New, c.key[:])
	for _, part := range []string{user, password, string(hash)} {
		fmt.Fprintf(m, "%d:", len(part))
		m.Write([]byte(part))
	}
	m.Sum(out[:0])
	return out
}

func (c *passwordCache) has(user, password string, hash models.Secret, now time.Time) bool {
	sum := c.sum(user, password, hash)
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Before(c.until[sum])
}

func (c *passwordCache) add(user, password string, hash models.Secret, now time.Time) {
	sum := c.sum(user, password, hash)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.until) >= cacheSize {
		clear(c.until)
	}
	c.until[sum] = now.Add(cacheTime)
}

func (c *passwordCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.until)
}
