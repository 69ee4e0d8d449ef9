package main

import (
	"io"

	"router/cmd/routerd/logs"
)

// noLog is a log that goes nowhere.
func noLog() *logs.Log {
	l, err := logs.New(logs.Options{Format: logs.Text, Stderr: io.Discard})
	if err != nil {
		panic(err) // only a file can fail
	}
	return l
}
