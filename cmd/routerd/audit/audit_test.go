package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"router/models"
)

func lines(t *testing.T, file string) (list []entry) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var e entry
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		list = append(list, e)
	}
	return list
}

func TestRecordsAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	for run := range 2 {
		l, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		told := map[uint64]int{}
		stop := l.Watch(func(n uint64) { told[n]++ })
		r := models.AuditRecord{User: "ann", Auth: models.AuthPassword, Method: "gnmi.gNMI/Subscribe", Paths: []string{"/interface"}, Status: "open"}
		r.Number = l.Add(r)
		r.Status = "OK"
		l.Finish(r)
		if got, ok := l.Record(r.Number); !ok || got.Status != "OK" || got.Paths[0] != "/interface" {
			t.Errorf("%+v, %v", got, ok)
		}
		if told[r.Number] != 2 {
			t.Errorf("told %v", told)
		}
		stop()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l.Add(r)
		if l.Lost() != 1 {
			t.Error("a record after the end is not counted")
		}
		if got := lines(t, filepath.Join(dir, fileName)); len(got) != 2*(run+1) || got[0].Status != "open" || got[1].Status != "OK" || got[1].User != "ann" {
			t.Errorf("%+v", got)
		}
	}
	if st, err := os.Stat(filepath.Join(dir, fileName)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
}

func TestFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(Options{Dir: dir, fileSize: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2000 {
				l.Add(models.AuditRecord{Method: fmt.Sprintf("x/%d.%d", w, i)})
			}
		})
	}
	wg.Wait()
	if n := l.Numbers(); len(n) != models.AuditSize || n[len(n)-1] != 8000 {
		t.Errorf("%d records in memory, the last %d", len(n), n[len(n)-1])
	}
	if _, ok := l.Record(1); ok {
		t.Error("the oldest record is still there")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	size, last := int64(0), uint64(0)
	for i := fileCount; i >= 0; i-- {
		for _, e := range lines(t, l.path(i)) {
			if e.Number <= last {
				t.Fatalf("%d after %d", e.Number, last)
			}
			last = e.Number
		}
		st, err := os.Stat(l.path(i))
		if err != nil {
			t.Fatal(err)
		}
		size += st.Size()
	}
	if len(files) != fileCount+1 || size > (fileCount+1)*11_000 {
		t.Errorf("%d files of %d octets", len(files), size)
	}
}

// A disk that takes nothing holds up nobody.
func TestUnwritable(t *testing.T) {
	l, err := Open(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	l.file.Close()
	for range 3 * queueSize {
		l.Add(models.AuditRecord{Method: "x"})
	}
	_ = l.Close()
	if l.Lost() == 0 {
		t.Error("nothing was lost, though nothing could be written")
	}
	if _, err := Open(Options{Dir: "/proc/nowhere"}); err == nil || !strings.HasPrefix(err.Error(), "audit log: ") {
		t.Errorf("%v", err)
	}
}
