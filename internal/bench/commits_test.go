package bench

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// commits is how many commits are made beside the flow, and flowTime how long
// the flow lasts.
const (
	commits  = 1000
	flowTime = 15 * time.Second
)

// BenchmarkCommits sends 10,000 packets a second through two interfaces, evenly,
// for 15 seconds, while rcli makes 1,000 commits that give a third interface
// another address and take it away. It reports how many packets were lost.
func BenchmarkCommits(b *testing.B) {
	x := newBench(b)
	x.run("ip", "link", "add", "ge2", "type", "veth", "peer", "name", "ge2-peer")
	x.run("ip", "link", "set", "ge2-peer", "up")
	flow := x.flow(false)
	var sent, received, made uint64
	var longest time.Duration
	for b.Loop() {
		x.withRouterd("af-xdp", func() {
			rcli := func(args ...string) ([]byte, error) {
				return exec.Command(filepath.Join(x.dir, "rcli"), append([]string{"--socket", filepath.Join(x.dir, "sock")}, args...)...).CombinedOutput()
			}
			path := "/interface[name=ge2]/unit[id=0]/family[type=inet]"
			if out, err := rcli("set", path+"/config/type", "inet"); err != nil {
				b.Fatalf("rcli: %v\n%s", err, out)
			}
			done := make(chan error, 1)
			go func() {
				var args []string
				for i := range commits / 2 {
					address := fmt.Sprintf("10.%d.%d.1/24", i/256, i%256)
					args = append(args, "-c", fmt.Sprintf("set %s/address[prefix=%s]/config/prefix %s", path, address, address),
						"-c", fmt.Sprintf("delete %s/address[prefix=%s]", path, address))
				}
				time.Sleep(time.Second)
				start := time.Now()
				out, err := rcli(args...)
				if err != nil {
					err = fmt.Errorf("rcli: %w\n%s", err, out)
				}
				longest = max(longest, time.Since(start))
				done <- err
			}()
			r, err := x.stations[1].Measure(func() error {
				n, err := flow.Pace(0, 10000, flowTime)
				sent += n
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			if longest > flowTime-time.Second {
				b.Fatalf("the commits took %v, and the flow was over before", longest)
			}
			received += r.Packets
			made += commits
			out, err := rcli("get", "/system/state/datastore/commit-number")
			if err != nil || strings.TrimSpace(string(out)) == `"0"` {
				b.Fatalf("rcli: %v\n%s", err, out)
			}
			b.Logf("commit number %s; %d packets sent, %d received; %d commits in %v", strings.TrimSpace(string(out)), sent, received, made, longest)
		})
	}
	b.ReportMetric(float64(sent-received), "lost")
	b.ReportMetric(float64(sent), "sent")
	b.ReportMetric(float64(made), "commits")
}
