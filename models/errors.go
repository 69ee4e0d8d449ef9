package models

import (
	"cmp"
	"fmt"
	"slices"
)

// A PathError is one violation of the model by the node at Path.
type PathError struct {
	Path string // gNMI path of the culprit
	Rule string // the YANG error-app-tag
	Err  error
}

// Error is the path, what is wrong there, and the rule's name.
func (e PathError) Error() string {
	return fmt.Sprintf("%s: %v (%s)", e.Path, e.Err, e.Rule)
}

// Unwrap is the violation without path and rule.
func (e PathError) Unwrap() error { return e.Err }

// sortErrors orders violations by path, so that equal input gives equal output.
func sortErrors(errs []PathError) {
	slices.SortStableFunc(errs, func(a, b PathError) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule))
	})
}

// A violations collects PathErrors.
type violations []PathError

func (v *violations) add(path, rule, format string, args ...any) {
	*v = append(*v, PathError{Path: path, Rule: rule, Err: fmt.Errorf(format, args...)})
}

// below puts those from the first on below path, which their own paths go on from.
func (v *violations) below(first int, path string) {
	for i := range (*v)[first:] {
		e := &(*v)[first+i]
		e.Path = path + e.Path
	}
}
