// Package filters keeps filters where the fast path reads them: in two BPF
// arrays that are mapped into this process, one of flat programs and one of counts. The C
// side is filterstore.h; what the words mean is said in dataplane/filter/flat.go.
//
// A filter enters with the first family of a unit that is bound to it ([Store.Hold]) and
// leaves, readers of both kinds having passed, after the last. What is written here
// is found by nobody until the place that Hold returns stands in a unit's record, so that there is
// never half a filter. A program stands here once for all places.
//
// What the fast path has counted is added to the counts of the terms
// ([filter.Tally]), so that whoever reads those sees one sum.
package filters
