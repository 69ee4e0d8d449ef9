package logs

import (
	"io"
	"log/slog"
	"strings"
	"testing"
)

func ringLog(t *testing.T) *Log {
	t.Helper()
	l, err := New(Options{Level: slog.LevelInfo, Format: Text, Stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestRingKeepsWhatIsWritten(t *testing.T) {
	l := ringLog(t)
	log := slog.New(l.Handler()).With("user", "root").WithGroup("g")
	log.Debug("below the level")
	log.Warn("one", "a", 1, "b", "x y")
	list, last, lost, more := l.Since(nil, 0)
	if len(list) != 1 || last != 1 || lost != 0 {
		t.Fatalf("%+v, last %d, lost %d", list, last, lost)
	}
	r := list[0]
	want := [][2]string{{"user", "root"}, {"g.a", "1"}, {"g.b", "x y"}}
	if r.Message != "one" || r.Level != slog.LevelWarn || r.Time.IsZero() || len(r.Attrs) != len(want) {
		t.Fatalf("%+v", r)
	}
	for i, a := range want {
		if r.Attrs[i] != a {
			t.Errorf("attribute %d is %v, want %v", i, r.Attrs[i], a)
		}
	}
	select {
	case <-more:
		t.Error("nothing has come")
	default:
	}
	log.Info("two")
	<-more
	if list, last, lost, _ = l.Since(nil, last); len(list) != 1 || list[0].Message != "two" || last != 2 || lost != 0 {
		t.Errorf("%+v, last %d, lost %d", list, last, lost)
	}
	if list, _, _, _ = l.Since(nil, last); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

func TestRingIsBounded(t *testing.T) {
	l := ringLog(t)
	log := slog.New(l.Handler())
	for range 5000 {
		log.Info("short")
	}
	list, last, _, _ := l.Since(nil, 0)
	if len(list) != ringRecords || last != 5000 || cap(l.ring.list) > 8*ringRecords {
		t.Errorf("%d records, last %d, room for %d", len(list), last, cap(l.ring.list))
	}
	if _, _, lost, _ := l.Since(nil, 10); lost != 5000-10-ringRecords {
		t.Errorf("lost %d", lost)
	}
	for range 100 {
		log.Info(strings.Repeat("long", 4096), "key", strings.Repeat("v", 1<<20))
	}
	list, _, _, _ = l.Since(list[:0], 0)
	octets := 0
	for _, r := range list {
		octets += len(r.Message)
		if len(r.Attrs) > 0 {
			t.Fatal("an attribute of a megabyte was kept")
		}
	}
	if octets > ringOctets || len(list) == 0 {
		t.Errorf("%d records of %d octets", len(list), octets)
	}
}
