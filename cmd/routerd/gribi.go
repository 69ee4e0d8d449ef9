package main

import (
	"context"
	"log/slog"
	"sync"

	"router/cmd/routerd/control"
	"router/cmd/routerd/gribi"
	"router/cmd/routerd/northbound"
	"router/models"
)

// A programmer is the router as the gRIBI server wants it, and tells watchers of
// the server's state.
type programmer struct {
	router *control.Router

	mu       sync.Mutex
	watchers map[int]func()
	next     int
}

var _ gribi.Tables = control.Tables{}

// Program implements gribi.Router.
func (p *programmer) Program(change, after func(gribi.Tables)) {
	as := func(f func(gribi.Tables)) func(control.Tables) {
		if f == nil {
			return nil
		}
		return func(t control.Tables) { f(t) }
	}
	p.router.Program(as(change), as(after))
}

// Changed implements gribi.Router.
func (p *programmer) Changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, fn := range p.watchers {
		fn()
	}
}

// watch calls fn at each change of the server's state until stop is called. fn
// doesn't block.
func (p *programmer) watch(fn func()) (stop func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := p.next
	p.next++
	if p.watchers == nil {
		p.watchers = map[int]func(){}
	}
	p.watchers[id] = fn
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.watchers, id)
	}
}

// startGRIBI makes the gRIBI server, which follows the configuration from now on.
func (d *daemon) startGRIBI(run context.Context, stateDir string, log *slog.Logger) {
	d.programmer = &programmer{router: d.router}
	d.gribi = gribi.New(gribi.Options{Router: d.programmer, Log: log, Dir: stateDir, Caller: func(ctx context.Context) string {
		name, _ := northbound.Caller(ctx)
		return name
	}})
	stop := d.router.Watch(func(e control.Event) {
		if e.Object.Kind == models.GRIBI || e.Object.Kind == models.Instance && !e.Route.IsValid() {
			d.gribi.Look()
		}
	})
	d.closing(func() error { stop(); return d.gribi.Close() })
	d.task(func() { d.gribi.Run(run) })
}
