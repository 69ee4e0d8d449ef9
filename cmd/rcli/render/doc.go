// Package render draws what rcli prints: tables that fit the screen, numbers with
// units, names in the order that people expect, colour where it helps.
//
// Invariant: what goes to a file or a pipe has no escape sequence, is never cut
// and doesn't depend on anybody's terminal; and no text of the router's, such as a
// description, reaches a terminal with control characters in it.
package render
