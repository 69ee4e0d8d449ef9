package northbound

import (
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"router/gen/configpb"
)

// A LogRecord is a record of the router's log.
type LogRecord struct {
	Time    time.Time
	Level   slog.Level
	Message string
	Attrs   [][2]string // keys and values
}

// A LogReader has the newest records of the router's log. Its methods are safe for
// concurrent use.
type LogReader interface {
	// Since appends the records that came after number, 0 for all that are kept, to
	// dst, the oldest first, with the number of the last one; lost is how many came after
	// number and are gone. more is closed when another one comes.
	Since(dst []LogRecord, number uint64) (list []LogRecord, last, lost uint64, more <-chan struct{})
}

// logLevels are the levels by the names of the service.
var logLevels = map[string]slog.Level{
	"": slog.LevelDebug, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warning": slog.LevelWarn, "error": slog.LevelError,
}

// levelText is the name of the level that a record counts as.
func levelText(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return "debug"
	case l < slog.LevelWarn:
		return "info"
	case l < slog.LevelError:
		return "warning"
	}
	return "error"
}

// recordsAtOnce is how many records a message takes.
const recordsAtOnce = 128

// Log streams records.
func (v *stateService) Log(req *configpb.LogRecordsRequest, stream grpc.ServerStreamingServer[configpb.LogRecords]) error {
	level, ok := logLevels[req.GetLevel()]
	if !ok {
		return failf(codes.InvalidArgument, "level %s: want debug, info, warning or error", req.GetLevel())
	}
	if v.s.opt.LogReader == nil {
		return failf(codes.Unimplemented, "this router keeps no log for clients")
	}
	if err := v.s.mayReadAll(stream.Context(), nil); err != nil {
		return failf(codes.PermissionDenied, "the log has something of everything in it, and your roles don't permit to read everything")
	}
	list, last, _, more := v.s.opt.LogReader.Since(nil, 0)
	kept := atLeast(nil, list, level)
	if n := int(req.GetLines()); n > 0 && len(kept) > n {
		kept = kept[len(kept)-n:]
	}
	if err := sendRecords(stream, kept, 0); err != nil || !req.GetFollow() {
		return err
	}
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-v.s.done:
			return errStopping
		case <-more:
		}
		var lost uint64
		list, last, lost, more = v.s.opt.LogReader.Since(list[:0], last)
		kept = atLeast(kept[:0], list, level)
		if err := sendRecords(stream, kept, lost); err != nil {
			return err
		}
	}
}

func atLeast(dst []*configpb.LogRecord, list []LogRecord, level slog.Level) []*configpb.LogRecord {
	for _, r := range list {
		if r.Level < level {
			continue
		}
		m := &configpb.LogRecord{Time: r.Time.UnixNano(), Level: levelText(r.Level), Message: r.Message}
		for _, a := range r.Attrs {
			m.Attribute = append(m.Attribute, &configpb.LogAttribute{Key: a[0], Value: a[1]})
		}
		dst = append(dst, m)
	}
	return dst
}

func sendRecords(stream grpc.ServerStreamingServer[configpb.LogRecords], list []*configpb.LogRecord, lost uint64) error {
	for len(list) > 0 || lost > 0 {
		n := min(len(list), recordsAtOnce)
		if err := stream.Send(&configpb.LogRecords{Record: list[:n], Lost: lost}); err != nil {
			return err
		}
		list, lost = list[n:], 0
	}
	return nil
}
