package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"router/internal/testnet/traffic"
)

// results are what a run found, as they stand in the file.
type results struct {
	Date    string `json:"date"`
	Commit  string `json:"commit"`
	Machine string `json:"machine"`
	Kernel  string `json:"kernel"`
	Note    string `json:"note,omitempty"`
	Took    string `json:"took"`
	// Absent are devices that the machine doesn't have, and why.
	Absent    map[string]string `json:"absent,omitempty"`
	Scenarios []outcome         `json:"scenarios"`
}

// An outcome is what a scenario found.
type outcome struct {
	scenario
	Rounds  int      `json:"rounds"` // 0: there was no time for it
	Figures []figure `json:"figures,omitempty"`
}

// A figure is what a device did in a scenario, round by round.
type figure struct {
	Device string    `json:"device"`
	Mpps   []float64 `json:"mpps,omitempty"`
	Gbps   []float64 `json:"gbps,omitempty"`  // of frames, preamble and FCS not counted
	Share  []float64 `json:"share,omitempty"` // of the packets that came in, how many went the way that is measured
	// Of a scenario of latency: microseconds by round, packets lost in all, and how
	// many packets of all rounds took up to so many nanoseconds.
	P50       []float64   `json:"p50,omitempty"`
	P99       []float64   `json:"p99,omitempty"`
	P999      []float64   `json:"p999,omitempty"`
	Lost      int64       `json:"lost,omitempty"`
	Histogram [][2]uint64 `json:"histogram,omitempty"`

	latency traffic.Latency
}

// take adds what one round found.
func (f *figure) take(s *scenario, r traffic.Result, sent uint64) {
	if !s.Latency {
		f.Mpps = append(f.Mpps, r.Mpps())
		if r.Elapsed > 0 {
			f.Gbps = append(f.Gbps, 8*float64(r.Octets)/r.Elapsed.Seconds()/1e9)
		}
		return
	}
	for q, to := range map[float64]*[]float64{0.5: &f.P50, 0.99: &f.P99, 0.999: &f.P999} {
		*to = append(*to, float64(r.Latency.Quantile(q).Nanoseconds())/1000)
	}
	f.Lost += int64(sent) - int64(r.Packets)
	for i, n := range r.Latency {
		f.latency[i] += n
	}
	f.Histogram = f.Histogram[:0]
	for i, n := range f.latency {
		if n > 0 {
			f.Histogram = append(f.Histogram, [2]uint64{uint64(traffic.Upper(i).Nanoseconds()), n})
		}
	}
}

// median of the rounds, 0 for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// of is the figure of a device, nil when it has none.
func (o *outcome) of(device string) *figure {
	for i := range o.Figures {
		if o.Figures[i].Device == device {
			return &o.Figures[i]
		}
	}
	return nil
}

// newResults describes the machine.
func newResults(note string) *results {
	r := &results{Date: time.Now().UTC().Format(time.DateOnly), Note: note, Machine: fmt.Sprintf("%d x %s", runtime.NumCPU(), processor()), Kernel: "unknown"}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		r.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(out))
	}
	return r
}

// processor is the name of the first one.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// write replaces the file by the results.
func (r *results) write(name string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	tmp := name + ".new"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

// read is what write wrote.
func read(name string) (*results, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: run makes it", err)
	}
	r := &results{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}
