package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/rcli/command"
	"router/cmd/rcli/render"
	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

const (
	// keysAge is how long live values are offered again without asking.
	keysAge = 2 * time.Second
	// keysBound is how long the router is waited for: help must not stall.
	keysBound = 250 * time.Millisecond
	// keysMost bounds the cache.
	keysMost = 64
	// keysFew is how many keys of the configuration are so few that state is asked for
	// more: neighbours that were learnt, devices that are there.
	keysFew = 64
)

// A keyCache asks the router for keys of lists, and remembers the answers for a
// moment. It is safe for concurrent use.
type keyCache struct {
	s  *shell
	mu sync.Mutex
	m  map[keyQuery]keyAnswer
}

type keyQuery struct {
	candidate, path, key, prefix string
	limit                        int
}

type keyAnswer struct {
	at   time.Time
	list []command.Candidate
}

func newKeyCache(s *shell) *keyCache { return &keyCache{s: s, m: map[keyQuery]keyAnswer{}} }

// forget drops all answers: something was changed.
func (k *keyCache) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.m)
}

// find is command.Env's Keys.
func (k *keyCache) find(ctx context.Context, path, key, prefix string, limit int) []command.Candidate {
	q := keyQuery{k.s.session.Candidate, path, key, prefix, limit}
	return k.remember(ctx, q, func(ctx context.Context) ([]string, error) { return k.s.client.keys(ctx, q) })
}

// present is command.Env's Present.
func (k *keyCache) present(ctx context.Context, path string) []command.Candidate {
	q := keyQuery{candidate: k.s.session.Candidate, path: path}
	return k.remember(ctx, q, func(ctx context.Context) ([]string, error) {
		p, err := schema.ParsePath(path)
		if err != nil {
			return nil, err
		}
		return k.s.source().values(ctx, p)
	})
}

// remember answers a query from the cache, or by asking, within the bound. Without an
// answer there are no values, and completion goes on without them.
func (k *keyCache) remember(ctx context.Context, q keyQuery, ask func(context.Context) ([]string, error)) []command.Candidate {
	k.mu.Lock()
	a, ok := k.m[q]
	k.mu.Unlock()
	if ok && time.Since(a.at) < keysAge {
		return slices.Clone(a.list)
	}
	ctx, done := context.WithTimeout(ctx, keysBound)
	defer done()
	names, err := ask(ctx)
	if err != nil {
		return nil
	}
	list := make([]command.Candidate, len(names))
	for i, n := range names {
		list[i] = command.Candidate{Text: n}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.m) >= keysMost {
		clear(k.m)
	}
	k.m[q] = keyAnswer{time.Now(), list}
	return slices.Clone(list)
}

// keys asks for the keys of a list that begin with a prefix: of the configuration, and
// where that has few, of state too.
func (c *client) keys(ctx context.Context, q keyQuery) ([]string, error) {
	resp, err := c.configuration().Keys(c.context(ctx), &configpb.KeysRequest{Id: q.candidate, Path: q.path, Key: q.key, Prefix: q.prefix, Limit: uint32(q.limit)})
	configured := resp.GetKey()
	if err == nil && len(configured) > keysFew {
		return configured, nil
	}
	p, err := parsePath(q.path)
	if err != nil {
		return nil, err
	}
	last := p.Elem[len(p.Elem)-1]
	last.Key = map[string]string{q.key: "*"}
	p.Elem = append(p.Elem, &gpb.PathElem{Name: q.key})
	notes, err := c.get(ctx, gpb.GetRequest_ALL, p)
	if err != nil {
		return configured, nil //nolint:nilerr // there is no state of it
	}
	var names []string
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			if name := strings.Trim(string(rawValue(u.GetVal())), `"`); strings.HasPrefix(name, q.prefix) && !slices.Contains(configured, name) {
				names = append(names, name)
			}
		}
	}
	names = append(names, configured...)
	slices.SortFunc(names, render.Natural)
	names = slices.Compact(names)
	return names[:min(len(names), q.limit)], nil
}
