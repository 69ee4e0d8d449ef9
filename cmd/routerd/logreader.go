package main

import (
	"router/cmd/routerd/logs"
	"router/cmd/routerd/northbound"
)

// A logReader is the log as the gNMI server's listeners want it.
type logReader struct{ log *logs.Log }

// Since implements northbound.LogReader.
func (r logReader) Since(dst []northbound.LogRecord, number uint64) (list []northbound.LogRecord, last, lost uint64, more <-chan struct{}) {
	records, last, lost, more := r.log.Since(nil, number)
	for _, rec := range records {
		dst = append(dst, northbound.LogRecord(rec))
	}
	return dst, last, lost, more
}
