package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"router/gen/configpb"
)

// errMayCut refuses a commit that nobody is there to be asked about.
var errMayCut = errors.New("nothing is committed: it may cut the connection that it is made by; say force if it shall be all the same, or commit confirmed, which is taken back by itself")

// mayCut says when a commit would take the very connection that it is made by. It asks
// whether it shall be, and refuses where there is nobody to ask, unless it is forced;
// one that waits to be confirmed comes back by itself, and is announced alone. stop is
// set when it shall not be.
func (o *options) mayCut(plan *configpb.Plan, confirmed, force bool, ask func(string) bool) (stop bool, err error) {
	if len(plan.GetCuts()) == 0 {
		return false, nil
	}
	text := "warning: this commit may cut the connection that you make it by:\n  " + strings.Join(plan.GetCuts(), "\n  ") + "\n"
	if !confirmed && !force && ask != nil {
		text += "commit confirmed takes it back by itself unless you can confirm it\n"
	}
	if _, err := fmt.Fprint(o.errOut, text); err != nil {
		return true, err
	}
	switch {
	case force, confirmed && ask == nil:
		return false, nil
	case ask == nil:
		return true, errMayCut
	}
	return !ask("Commit all the same?"), nil
}

// uncut has a commit without a candidate planned first where the connection comes by
// the network, and refuses it where it may cut that.
func (o *options) uncut(ctx context.Context, f *commitOptions, plan func(context.Context) (*configpb.Plan, error)) error {
	if o.target.address == "" || f.check || f.force {
		return nil
	}
	p, err := plan(ctx)
	if err != nil {
		return err
	}
	_, err = o.mayCut(p, f.confirmed > 0, false, nil)
	return err
}
