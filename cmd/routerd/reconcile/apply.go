package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"router/cmd/routerd/trace"
	"router/models"
)

// A Target is what plans are applied to.
type Target interface {
	// Do notes that a step is wanted. It is idempotent, and changes nothing when
	// it fails.
	Do(ctx context.Context, s Step) error
	// Publish puts in place what was noted since. When it fails, some of it may
	// be in place: noting the inverse steps and publishing again undoes that.
	Publish(ctx context.Context) error
	// Settle is Publish for start-up and undoing: what can't be put in place now is noted
	// in state and tried again, and holds up nothing else. The error tells of it.
	Settle(ctx context.Context) error
	// Failed notes in state that Do has refused s, where nobody else can be told, and has it
	// tried again.
	Failed(s Step, err error)
}

// An Applier applies changes to a target, one at a time.
type Applier struct {
	target Target
	log    *slog.Logger
}

// NewApplier returns an Applier for target.
func NewApplier(target Target, log *slog.Logger) *Applier { return &Applier{target, log} }

// Start puts the stored configuration in place, as far as it can be: what can't
// be now is noted in its state, logged, and tried again.
func (a *Applier) Start(ctx context.Context, intent *models.Intent) error {
	if err := a.start(ctx, intent); err != nil {
		a.log.Error("part of the stored configuration is not in place", "err", err)
	}
	return nil
}

func (a *Applier) start(ctx context.Context, intent *models.Intent) error {
	var errs []error
	for _, s := range Plan(everything(intent)) {
		if err := a.target.Do(ctx, s); err != nil {
			a.target.Failed(s, err)
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, a.target.Settle(ctx))...)
}

// everything is the change from nothing to intent.
func everything(intent *models.Intent) models.Change {
	return models.Change{
		System:    &models.Delta[struct{}, models.SystemSpec]{New: &intent.System},
		GRIBI:     &models.Delta[struct{}, models.GRIBISpec]{New: &intent.GRIBI},
		Devices:   additions(intent.Devices),
		Units:     additions(intent.Units),
		Instances: additions(intent.Instances),
		Static:    additions(intent.Static),
		Classes:   additions(intent.Classes),
		Sessions:  additions(intent.Sessions),

		PrefixLists: additions(intent.PrefixLists),
		Policers:    additions(intent.Policers),
		Filters:     additions(intent.Filters),
		Multicast:   additions(intent.Multicast),
		Users:       additions(intent.Users),
		Roles:       additions(intent.Roles),
		LogServers:  additions(intent.LogServers),
	}
}

func additions[K comparable, V any](m map[K]V) []models.Delta[K, V] {
	deltas := make([]models.Delta[K, V], 0, len(m))
	for k, v := range m {
		deltas = append(deltas, models.Delta[K, V]{Key: k, New: &v})
	}
	return deltas
}

// Apply applies a change whole. When it fails, what was done is undone, and the
// error says why it failed, and what could not be undone if anything.
func (a *Applier) Apply(ctx context.Context, change models.Change) error {
	return Apply(ctx, Plan(change), a.target, a.log)
}

// Revert undoes a change that Apply applied.
func (a *Applier) Revert(ctx context.Context, change models.Change) error {
	steps := Plan(change)
	return undo(ctx, steps, a.target)
}

// Apply works through a plan. When a step or the publication fails, it undoes
// the steps before it, the last first.
func Apply(ctx context.Context, plan []Step, target Target, log *slog.Logger) error {
	var span trace.Span // of steps of a kind, which stand together
	debug := log.Enabled(ctx, slog.LevelDebug)
	for i, s := range plan {
		if trace.Enabled() && (i == 0 || s.Kind != plan[i-1].Kind || s.Op != plan[i-1].Op) {
			span.End()
			_, span = trace.Start(ctx, "step "+s.Op.String()+" "+s.Kind.String())
			span.Int("steps", alike(plan[i:]))
		}
		if debug {
			log.Debug("step", "step", s.String())
		}
		if err := target.Do(ctx, s); err != nil {
			span.Done(err)
			return errors.Join(err, undo(ctx, plan[:i], target))
		}
	}
	span.End()
	_, span = trace.Start(ctx, "publish")
	err := target.Publish(ctx)
	span.Done(err)
	if err != nil {
		return errors.Join(err, undo(ctx, plan, target))
	}
	return nil
}

// alike counts the first steps of plan that do the same with objects of a kind.
func alike(plan []Step) int {
	n := 1
	for n < len(plan) && plan[n].Kind == plan[0].Kind && plan[n].Op == plan[0].Op {
		n++
	}
	return n
}

// undo takes the inverse steps, the last first. It goes on when one fails: as
// much as can be is as it was.
func undo(ctx context.Context, done []Step, target Target) error {
	// A client that has gone away must not leave the router half changed.
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for i := len(done) - 1; i >= 0; i-- {
		s := done[i].Inverse()
		if err := target.Do(ctx, s); err != nil {
			target.Failed(s, err)
			errs = append(errs, err)
		}
	}
	errs = append(errs, target.Settle(ctx))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("undoing it: %w", err)
	}
	return nil
}
