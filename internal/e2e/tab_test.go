package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestTabIsQuick presses Tab in front of a large configuration: 10,000 units and
// 100,000 routes at full length. From the key to the menu it takes 50 ms at most.
func TestTabIsQuick(t *testing.T) {
	units, routes, rounds, bound := 1000, 5000, 2, 500*time.Millisecond // other tests run beside this one
	if full() {
		units, routes, rounds, bound = 10000, 100000, 7, 50*time.Millisecond
	}
	l := labOf(t)
	l.start()
	file := filepath.Join(t.TempDir(), "large.json")
	if err := os.WriteFile(file, largeConfig(t, units, routes), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, filepath.Join(bin, "rcli"), "--json", "--socket", l.socket(), "load", "replace", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %.500s", err, out)
	}
	w := &world{lab: l}
	home := w.home(t)
	s := newScreen(t, []string{"HOME=" + home, "XDG_CONFIG_HOME="}, "rcli", "--socket", l.socket(), "configure")
	s.ExpectRow(`#$`)
	for _, c := range []struct{ name, line, menu string }{
		{"units", "edit interface ge0 unit ", `\* 0$`},
		{"units that begin with 77", "edit interface ge0 unit 77", `\* 770$`},
		{"routes", "edit instance default static-route ", `\* 10\.0\.0\.0/24$`},
		{"routes that begin with 10.9.1", "edit instance default static-route 10.9.1", `\* 10\.9\.1\.0/24$`},
		{"names of the model", "edit interface ge0 ", `unit`},
	} {
		var times []time.Duration
		for i := range rounds {
			s.Fresh()
			s.Type(c.line)
			s.ExpectRow(`# ` + c.line[:len(c.line)-1])
			if i > 0 {
				// What was asked a moment ago is remembered: that would be no measurement.
				time.Sleep(2200 * time.Millisecond)
			}
			start := time.Now()
			s.Key(keyTab)
			s.Expect(c.menu)
			times = append(times, time.Since(start))
		}
		slices.Sort(times)
		t.Logf("%s: median %v, most %v", c.name, times[len(times)/2], times[len(times)-1])
		if times[len(times)/2] > bound {
			t.Errorf("%s: %v from Tab to the menu, want %v", c.name, times[len(times)/2], bound)
		}
	}
}

// largeConfig is a device with many units, which need not exist, and an instance with
// many routes.
func largeConfig(t *testing.T, units, routes int) []byte {
	t.Helper()
	type object = map[string]any
	var unitList, routeList []object
	for i := range units {
		u := object{"id": strconv.Itoa(i)}
		if i > 0 {
			u["vlan"] = object{"config": object{"outer-vlan-id": 1 + i%4000, "inner-vlan-id": 1 + i/4000}}
		}
		unitList = append(unitList, u)
	}
	for i := range routes {
		routeList = append(routeList, object{"prefix": fmt.Sprintf("%d.%d.%d.0/24", 10+i/65536, i/256%256, i%256), "config": object{"action": "discard"}})
	}
	b, err := json.Marshal(object{
		"routerd:interface": []object{{"name": "ge0", "unit": unitList}},
		"routerd:instance":  []object{{"name": "default", "static-route": routeList}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
