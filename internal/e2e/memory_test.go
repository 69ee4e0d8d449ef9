package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// A residence is how much memory a process has in RAM, in octets.
type residence struct{ all, anonymous, peak uint64 }

func (r residence) String() string {
	return fmt.Sprintf("%.1f MB resident (%.1f MB anonymous), peak %.1f MB", float64(r.all)/1e6, float64(r.anonymous)/1e6, float64(r.peak)/1e6)
}

// resident reads what /proc says of the daemon.
func (l *lab) resident() (r residence) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", l.daemon.Process.Pid))
	l.check(err)
	for name, to := range map[string]*uint64{"VmRSS:": &r.all, "RssAnon:": &r.anonymous, "VmHWM:": &r.peak} {
		_, rest, ok := strings.Cut(string(text), name)
		if !ok {
			l.Fatalf("/proc/PID/status has no %s", name)
		}
		if _, err := fmt.Sscanf(rest, "%d kB", to); err != nil {
			l.Fatalf("/proc/PID/status: %s %v", name, err)
		}
		*to *= 1024
	}
	return r
}

// The goal for an idle router with ten interfaces, in octets.
const idleGoal = 60 << 20

// TestMemory measures the idle daemon: with nothing configured, and with ten
// interfaces up that have an IPv4 and an IPv6 address each.
func TestMemory(t *testing.T) {
	l := labOf(t)
	var interfaces []string
	for i := range 10 {
		l.wire(fmt.Sprintf("h%d", i), fmt.Sprintf("ge%d", i))
		interfaces = append(interfaces, fmt.Sprintf(`{"name":"ge%d","unit":[{"id":"0","family":[
			{"type":"inet","address":[{"prefix":"10.%d.0.1/24"}]},{"type":"inet6","address":[{"prefix":"2001:db8:%d::1/64"}]}]}]}`, i, i, i+1))
	}
	settle := 2 * time.Second
	if full() {
		settle = 30 * time.Second
	}
	l.start()
	time.Sleep(settle)
	t.Logf("nothing configured: %v", l.resident())
	l.load(`{"routerd:interface":[` + strings.Join(interfaces, ",") + `]}`)
	time.Sleep(settle)
	r := l.resident()
	t.Logf("ten interfaces: %v", r)
	if r.all > idleGoal {
		t.Errorf("the goal is %d MB", idleGoal>>20)
	}
}
