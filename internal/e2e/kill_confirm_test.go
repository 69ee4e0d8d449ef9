package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/protobuf/types/known/durationpb"
)

// A confirmBed is a router whose hostname tells which commit runs.
type confirmBed struct {
	*testing.T
	l *lab
	s *session
}

// redial goes on after a start.
func (b *confirmBed) redial() {
	if b.s != nil {
		b.s.conn.Close()
	}
	b.s = b.l.dial()
}

func (b *confirmBed) get(path string) string {
	b.Helper()
	text, err := b.s.get(context.Background(), gpb.GetRequest_ALL, path)
	if err != nil {
		b.Fatalf("%s: %v", path, err)
	}
	return strings.Trim(text, `"`)
}

func (b *confirmBed) hostname() string { return b.get("/system/config/hostname") }

// number reads a leaf that is a 64-bit number.
func (b *confirmBed) number(path string) int64 {
	b.Helper()
	n, err := strconv.ParseInt(b.get(path), 10, 64)
	if err != nil {
		b.Fatalf("%s: %v", path, err)
	}
	return n
}

func (b *confirmBed) set(name string) {
	b.Helper()
	if err := b.s.set(context.Background(), fmt.Sprintf("/system/config/hostname %q", name)); err != nil {
		b.Fatal(err)
	}
}

func (b *confirmBed) ask(c *gnmi_ext.Commit, updates ...*gpb.Update) {
	b.Helper()
	_, err := b.s.Set(context.Background(), &gpb.SetRequest{Update: updates,
		Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_Commit{Commit: c}}}})
	if err != nil {
		b.Fatal(err)
	}
}

// try makes a confirmed commit and returns its deadline.
func (b *confirmBed) try(name, id string, wait time.Duration) time.Time {
	b.Helper()
	b.ask(&gnmi_ext.Commit{Id: id, Action: &gnmi_ext.Commit_Commit{Commit: &gnmi_ext.CommitRequest{RollbackDuration: durationpb.New(wait)}}},
		&gpb.Update{Path: path("/system/config/hostname"), Val: jsonIETF(fmt.Sprintf("%q", name))})
	return time.Unix(0, b.number("/system/state/datastore/pending-commit/deadline"))
}

func (b *confirmBed) kill() { _ = b.l.end(syscall.SIGKILL) }

// TestKillConfirmed kills the daemon while a confirmed commit waits, again and again. It is
// taken back at its first deadline, or before the next start serves anybody; what was confirmed, cancelled or rolled
// back stays so. With E2E_FULL=1 it has 40 rounds.
func TestKillConfirmed(t *testing.T) {
	l := labOf(t)
	rounds := 5
	if full() {
		rounds = 40
	}
	b := &confirmBed{T: t, l: l}
	l.start()
	b.redial()
	kills, reverted, down := 0, 0, 0
	var worst time.Duration
	for round := range rounds {
		base, try := fmt.Sprintf("base%d", round), fmt.Sprintf("try%d", round)
		id := fmt.Sprint("round", round)
		b.set(base)
		first := b.number("/system/state/datastore/commit-number")
		switch round % 5 {
		default: // killed in the window, up at the deadline
			deadline := b.try(try, id, 2500*time.Millisecond)
			for range 1 + rand.IntN(2) {
				time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
				b.kill()
				kills++
				l.start()
				b.redial()
				if got := b.hostname(); time.Now().Before(deadline) && got != try {
					t.Fatalf("round %d: %v before the deadline it is taken back: hostname %s", round, time.Until(deadline), got)
				}
			}
			for b.hostname() != base {
				if late := time.Since(deadline); late > 5*time.Second {
					t.Fatalf("round %d: not taken back %v after the deadline\n%s", round, late, l.log())
				}
				time.Sleep(5 * time.Millisecond)
			}
			at := time.Unix(0, b.number(fmt.Sprintf("/system/commit[number=%d]/time", first+2)))
			if source := b.get(fmt.Sprintf("/system/commit[number=%d]/source", first+2)); source != "confirm-timeout" {
				t.Errorf("round %d: taken back by %s", round, source)
			}
			reverted++
			worst = max(worst, at.Sub(deadline).Abs())
			if off := at.Sub(deadline).Abs(); off > time.Second {
				t.Errorf("round %d: taken back %v off the deadline", round, at.Sub(deadline))
			}
		case 1: // down at the deadline
			deadline := b.try(try, id, 300*time.Millisecond)
			b.kill()
			kills++
			time.Sleep(time.Until(deadline))
			l.start()
			b.redial()
			if got := b.hostname(); got != base {
				t.Fatalf("round %d: the first answer after the deadline has hostname %s, want %s", round, got, base)
			}
			reverted++
			down++
		case 2: // confirmed, then killed
			deadline := b.try(try, id, time.Second)
			b.ask(&gnmi_ext.Commit{Id: id, Action: &gnmi_ext.Commit_Confirm{Confirm: &gnmi_ext.CommitConfirm{}}})
			b.kill()
			kills++
			time.Sleep(time.Until(deadline))
			l.start()
			b.redial()
			if got := b.hostname(); got != try {
				t.Fatalf("round %d: confirmed, and lost: hostname %s", round, got)
			}
		case 3: // cancelled, then killed
			b.try(try, id, time.Minute)
			b.ask(&gnmi_ext.Commit{Id: id, Action: &gnmi_ext.Commit_Cancel{Cancel: &gnmi_ext.CommitCancel{}}})
			b.kill()
			kills++
			l.start()
			b.redial()
			if got := b.hostname(); got != base {
				t.Fatalf("round %d: cancelled, and back again: hostname %s", round, got)
			}
		case 4: // rolled back, then killed
			b.set(try)
			if out, code := l.rcli("rollback", strconv.FormatInt(first, 10)); code != 0 {
				t.Fatalf("rollback: exit code %d: %s", code, out)
			}
			b.kill()
			kills++
			l.start()
			b.redial()
			if got := b.hostname(); got != base {
				t.Fatalf("round %d: rolled back, and back again: hostname %s", round, got)
			}
		}
		if p, err := b.s.get(context.Background(), gpb.GetRequest_ALL, "/system/state/datastore/pending-commit/id"); err == nil && p != "" {
			t.Fatalf("round %d: %s still waits", round, p)
		}
	}
	b.s.conn.Close()
	t.Logf("%d rounds, %d kills; %d confirmed commits taken back, %d of them by the start because the deadline had passed; worst deviation from the deadline %v", rounds, kills, reverted, down, worst)
}
