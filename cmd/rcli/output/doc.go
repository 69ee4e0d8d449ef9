// Package output is what stands between a command and the screen: the stages
// behind a pipe sign that choose lines of its text (match, except, count, find, last,
// save), and those that show its result as data in another form (fields, as, display).
//
// A command writes text, or, where a stage asks for it, hands over values: JSON with
// the path that it stands at. Either way it streams: no stage holds more than it must
// (last its lines, a table its first rows), so that a million routes can go through.
//
// Invariant: what a stage is wrong about is said before the command runs.
package output
