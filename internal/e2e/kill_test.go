package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

// The parts of a configuration that commit n of TestKill sets: a hostname, ten
// descriptions, and an address that moves. Half a commit would show.
func killedOps(n uint64) []string {
	ops := []string{
		fmt.Sprintf("/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=%s]", killedAddress(n-1)),
		fmt.Sprintf("/system/config/hostname %q", fmt.Sprintf("h%d", n)),
		fmt.Sprintf("/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=%s]/config/prefix %q", killedAddress(n), killedAddress(n)),
	}
	for i := range 10 {
		ops = append(ops, fmt.Sprintf("/interface[name=ge%d]/config/description %q", i, fmt.Sprintf("d%d", n)))
	}
	return ops
}

func killedAddress(n uint64) string { return fmt.Sprintf("10.%d.%d.1/24", n/250%250, n%250) }

// killedConfig is the whole configuration after commit n, decoded.
func killedConfig(t *testing.T, template string, n uint64) any {
	text := strings.NewReplacer(`"h0"`, fmt.Sprintf(`"h%d"`, n), `"d0"`, fmt.Sprintf(`"d%d"`, n), killedAddress(0), killedAddress(n)).Replace(template)
	return decoded(t, text)
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// TestKill kills the daemon during a stream of commits, again and again: what
// runs after each restart is exactly the commit that was acknowledged last, or
// the one that was under way, whole; and it is applied. With E2E_FULL=1 it has
// 50 rounds.
func TestKill(t *testing.T) {
	l := labOf(t)
	l.wire("h0", "ge0")
	rounds := 5
	if full() {
		rounds = 50
	}
	ctx := context.Background()
	l.start()
	s := l.dial()
	var devices []string
	for i := range 10 {
		devices = append(devices, fmt.Sprintf(`{"name":"ge%d","config":{"description":"d0"}}`, i))
	}
	err := s.set(ctx, `/ {"routerd:system":{"config":{"hostname":"h0"}},"routerd:interface":[`+strings.Join(devices, ",")+`]}`,
		fmt.Sprintf(`/interface[name=ge0]/unit[id=0] {"family":[{"type":"inet","address":[{"prefix":%q}]}]}`, killedAddress(0)))
	if err != nil {
		t.Fatal(err)
	}
	template, err := s.get(ctx, gpb.GetRequest_CONFIG, "/")
	if err != nil {
		t.Fatal(err)
	}

	n := uint64(0) // the running commit
	inFlight := 0
	for round := range rounds {
		var acked atomic.Uint64
		acked.Store(n)
		ended := make(chan uint64) // with the commit that was asked for last
		go func() {
			for i := n + 1; ; i++ {
				if s.set(ctx, killedOps(i)...) != nil {
					ended <- i
					return
				}
				acked.Store(i)
			}
		}()
		for acked.Load() == n {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(rand.IntN(60_000)) * time.Microsecond)
		_ = l.end(syscall.SIGKILL)
		asked := <-ended
		s.conn.Close()

		l.start()
		s = l.dial()
		text, err := s.get(ctx, gpb.GetRequest_CONFIG, "/")
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		got := decoded(t, text)
		switch last := acked.Load(); {
		case same(got, killedConfig(t, template, last)):
			n = last
		case asked == last+1 && same(got, killedConfig(t, template, asked)):
			n = asked
			inFlight++
		default:
			t.Fatalf("round %d: commit %d was acknowledged, %d under way; running is neither:\n%s", round, last, asked, text)
		}
		// What runs is also applied: the address that stood before is gone.
		state, err := s.get(ctx, gpb.GetRequest_STATE, "/interface[name=ge0]/unit[id=0]/family[type=inet]")
		if err != nil || !strings.Contains(state, killedAddress(n)) || strings.Count(state, ".1/24") != strings.Count(state, killedAddress(n)) {
			t.Fatalf("round %d: commit %d is not what is applied: %v\n%s", round, n, err, state)
		}
		if host := l.space("router").Describe(l); strings.Count(host, "/24") != 1 || !strings.Contains(host, killedAddress(n)) {
			t.Fatalf("round %d: the host side does not have %s alone:\n%s", round, killedAddress(n), host)
		}
	}
	s.conn.Close()
	t.Logf("%d rounds, %d commits; after %d kills the commit under way had been made", rounds, n, inFlight)
}
