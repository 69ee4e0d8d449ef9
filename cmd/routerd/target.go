package main

import (
	"context"

	"router/cmd/routerd/control"
	"router/cmd/routerd/logs"
	"router/cmd/routerd/reconcile"
	"router/models"
)

// A target is all that a commit drives: the packet path, and what stands beside
// it. It is a reconcile.Target, of one goroutine at a time.
type target struct {
	*control.Router
	logs *logs.Remotes
	todo map[string]*models.LogServerSpec // syslog servers noted since the last publication
}

func newTarget(r *control.Router, l *logs.Remotes) *target {
	return &target{Router: r, logs: l, todo: map[string]*models.LogServerSpec{}}
}

// Do implements reconcile.Target.
func (t *target) Do(ctx context.Context, s reconcile.Step) error {
	if s.Kind == reconcile.LogServer {
		t.todo[s.Name] = s.New.LogServer
		return nil
	}
	return t.Router.Do(ctx, s)
}

// Publish implements reconcile.Target.
func (t *target) Publish(ctx context.Context) error {
	// What can fail goes first: syslog servers can't.
	if err := t.Router.Publish(ctx); err != nil {
		return err
	}
	t.publishLogs()
	return nil
}

// Settle implements reconcile.Target.
func (t *target) Settle(ctx context.Context) error {
	err := t.Router.Settle(ctx)
	t.publishLogs()
	return err
}

func (t *target) publishLogs() {
	t.logs.SetHostname(t.SystemSpec().Hostname)
	for name, spec := range t.todo {
		t.logs.Set(name, spec)
	}
	clear(t.todo)
}
