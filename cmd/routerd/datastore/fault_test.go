package datastore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"router/cmd/routerd/datastore/journal"
	"router/cmd/routerd/datastore/journal/faultfs"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
)

// A trial makes commits of all sorts on a file system that goes wrong at one call, and
// knows what a restart may find.
type trial struct {
	t     *testing.T
	fs    *faultfs.FS
	clock *fakeClock
	s     *Store

	acked    string // the configuration of the newest acknowledged commit
	may      string // that of a step whose answer was lost in a crash, "" for none
	pending  bool   // an acknowledged confirmed commit waits
	base     string // what it goes back to
	doubt    string // that of a step that was refused with ErrInDoubt, and nothing was written since
	doubts   int
	loss     faultfs.Loss
	refused  int
	unknown  int
	verified int
}

// step does one thing and notes what it was answered. next is the configuration after it.
func (x *trial) step(what, next string, do func() error) bool {
	if x.may != "" {
		return false // the machine has crashed
	}
	err := do()
	switch {
	case err == nil:
		x.acked, x.may, x.doubt = next, "", ""
		return true
	case errors.Is(err, faultfs.ErrCrashed):
		x.may = next
		x.unknown++
	default:
		x.refused++
		if errors.Is(err, journal.ErrInDoubt) {
			x.doubt = next // and it says so
			x.doubts++
		}
		if got := running(x.t, x.s); got != x.acked {
			x.t.Errorf("%s failed (%v) and running is\n%s\nwant\n%s", what, err, got, x.acked)
		}
	}
	return false
}

func marshalled(t *testing.T, s *Store, d *gen.Device) string {
	t.Helper()
	b, err := s.schema.Marshal(d)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func hostnameConfig(name string) string {
	return fmt.Sprintf(`{"routerd:system":{"config":{"hostname":%q}}}`, name)
}

// story is commits with compactions between, a confirmed commit that is confirmed, one that is
// cancelled, a rollback, and a rescue configuration; with heal, faults that last end half way.
func (x *trial) story(heal bool) {
	ctx := context.Background()
	set := func(name string, confirm *Confirm) func() error {
		return func() error {
			_, err := x.s.Commit(ctx, Request{User: "ann", Confirm: confirm, Comment: strings.Repeat("x", 80),
				Ops: []tree.Op{update(x.t, "/system/config/hostname", "%q", name)}})
			return err
		}
	}
	for i := range 4 {
		x.step("commit", hostnameConfig(fmt.Sprintf("a%d", i)), set(fmt.Sprintf("a%d", i), nil))
		x.s.compacting.Wait()
	}
	if heal {
		x.fs.Heal()
	}
	x.step("rescue", x.acked, func() error { return x.s.SaveRescue(ctx, "ann") })
	x.base = x.acked
	if x.step("confirmed commit", hostnameConfig("b"), set("b", &Confirm{ID: "b", Wait: time.Hour})) {
		x.pending = true
		if x.step("confirm", x.acked, func() error { _, err := x.s.Confirm(ctx, "b", "ann", "test"); return err }) {
			x.pending = false
		} else if x.may != "" {
			return // crashed: it waits, or it is confirmed
		}
	} else if x.may != "" {
		return
	}
	if x.pending && x.step("cancel", x.base, func() error { _, err := x.s.Cancel(ctx, "b", "ann", "test"); return err }) {
		x.pending = false
	}
	if x.may != "" || x.pending {
		return
	}
	x.base = x.acked
	if x.step("confirmed commit", hostnameConfig("c"), set("c", &Confirm{ID: "c", Wait: time.Hour})) {
		x.pending = true
		if x.step("cancel", x.base, func() error { _, err := x.s.Cancel(ctx, "c", "ann", "test"); return err }) {
			x.pending = false
		}
	}
	if x.may != "" || x.pending {
		return
	}
	if log := x.s.Log(); len(log) > 1 {
		want := ""
		if err := x.s.At(ctx, log[1].Number, func(d *gen.Device) { want = marshalled(x.t, x.s, d) }); err == nil {
			x.step("rollback", want, func() error { _, err := x.s.Rollback(ctx, log[1].Number, Request{}); return err })
		}
	}
	for i := range 3 {
		x.step("commit", hostnameConfig(fmt.Sprintf("d%d", i)), set(fmt.Sprintf("d%d", i), nil))
		x.s.compacting.Wait()
	}
}

func (x *trial) open() error {
	var err error
	x.s, err = openFS(x.t, x.fs, &fakeApplier{}, Options{clock: x.clock, CompactAt: 600, Keep: 5})
	return err
}

// after checks what a restart finds.
func (x *trial) after(name string) {
	x.t.Helper()
	if err := x.open(); err != nil {
		x.t.Errorf("%s: the next start: %v", name, err)
		return
	}
	got := running(x.t, x.s)
	switch {
	case got == x.acked, x.may != "" && got == x.may, x.doubt != "" && got == x.doubt:
	default:
		x.t.Errorf("%s: after a restart\n%s\nacknowledged was\n%s\nunder way\n%s", name, got, x.acked, x.may)
	}
	// A frame of the right length with holes in it may be either.
	if d := x.s.Status().Damage; len(d) > 0 && (x.loss != faultfs.Tear || !strings.Contains(d[0], "or was under way when the machine crashed")) {
		x.t.Errorf("%s: a fault that is no damage is told as damage: %q", name, d)
	}
	if x.pending && x.may == "" && x.doubt == "" {
		if _, ok := x.s.Pending(); !ok {
			x.t.Errorf("%s: the confirmed commit is not pending any more", name)
		}
	}
	if _, ok := x.s.Pending(); ok {
		x.clock.pass(2 * time.Hour)
		look(x.s)
		if now := running(x.t, x.s); now != x.base {
			x.t.Errorf("%s: the pending commit went back to\n%s\nwant\n%s", name, now, x.base)
		}
	}
	// It goes on.
	if _, err := x.s.Commit(context.Background(), Request{Ops: []tree.Op{update(x.t, "/system/config/hostname", `"last"`)}}); err != nil {
		x.t.Errorf("%s: a commit after the restart: %v", name, err)
	}
	x.s.compacting.Wait()
	x.verified++
}

// TestEveryFault makes every call of a story go wrong, in every way, and restarts the machine
// with everything lost, kept or torn that was not synced. FAULT_SEEDS=n makes n runs of the torn ones.
func TestEveryFault(t *testing.T) {
	seeds := 1
	if n, err := strconv.Atoi(os.Getenv("FAULT_SEEDS")); err == nil {
		seeds = n
	}
	stride := 1
	if testing.Short() {
		stride = 5
	}
	injected, refused, doubts, unknown, restarts := 0, 0, 0, 0, 0
	for _, fault := range faultfs.Faults {
		for n, fired := 1, true; fired; n += stride {
			fired = false
			for _, loss := range faultfs.Losses {
				for seed := range seeds {
					if loss != faultfs.Tear && seed > 0 {
						continue
					}
					name := fmt.Sprintf("call %d %v, then %v", n, fault, loss)
					r := rand.New(rand.NewPCG(uint64(n), uint64(seed)))
					x := &trial{t: t, fs: &faultfs.FS{}, clock: newClock(), acked: "{}", loss: loss}
					x.fs.Arm(n, fault)
					if err := x.open(); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					x.story(true)
					if x.fs.Fired() {
						fired = true
						injected++
					}
					x.fs.Heal()
					x.s.Close()
					x.fs = x.fs.Restart(loss, r)
					x.after(name)
					x.s.Close()
					doubts, refused, unknown, restarts = doubts+x.doubts, refused+x.refused, unknown+x.unknown, restarts+x.verified
					if t.Failed() {
						return
					}
				}
			}
		}
	}
	t.Logf("%d faults injected, %d steps refused, of these %d said to be in doubt, %d cut short by a crash, %d restarts checked; 0 acknowledged commits lost, 0 mixtures", injected, refused, doubts, unknown, restarts)
	if injected < 50 {
		t.Errorf("only %d faults were injected: this shows nothing", injected)
	}
}
