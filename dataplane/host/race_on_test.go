//go:build race

package host

// raceEnabled: sync.Pool drops items at random, so allocations mean nothing.
const raceEnabled = true
