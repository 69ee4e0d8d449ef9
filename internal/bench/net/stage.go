package main

import (
	"fmt"
	"slices"
)

// A stage is what the helpers of package testnet want in place of a test: it
// undoes what they made at its end, unless that is to be kept.
type stage struct {
	undo []func()
	keep bool
}

// failure is what Fatalf ends a stage by.
type failure struct{ err error }

func (*stage) Helper() {}

// Cleanup implements testnet.T.
func (s *stage) Cleanup(f func()) { s.undo = append(s.undo, f) }

// Fatalf implements testnet.T.
func (s *stage) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// check ends the stage with err, if there is one.
func (s *stage) check(err error, what string, args ...any) {
	if err != nil {
		panic(failure{fmt.Errorf(what+": %w", append(args, err)...)})
	}
}

// end undoes what was made on the stage, last first.
func (s *stage) end() {
	if s.keep {
		return
	}
	for _, f := range slices.Backward(s.undo) {
		f()
	}
	s.undo = nil
}

// guarded runs f on a stage of its own and returns how it failed.
func guarded(f func(t *stage)) (err error) {
	t := &stage{}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = r.err
		default:
			panic(r)
		}
		t.end()
	}()
	f(t)
	return nil
}
