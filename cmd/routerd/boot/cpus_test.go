package boot

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestCPUs(t *testing.T) {
	for _, c := range []struct {
		list string
		want []int
		says string
	}{
		{"", nil, ""},
		{"3", []int{3}, ""},
		{"5,1-3, 0", []int{5, 1, 2, 3, 0}, ""},
		{"1-", nil, "no processor"},
		{"3-1", nil, "no processor"},
		{"-1", nil, "no processor"},
		{"1,,2", nil, "no processor"},
		{"0-9999", nil, "no processor"},
		{"1,0-1", nil, "twice"},
	} {
		got, err := parseCPUs(c.list)
		if c.says == "" && (err != nil || !slices.Equal(got, c.want)) {
			t.Errorf("%q: %v, %v; want %v", c.list, got, err, c.want)
		}
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%q: error %v, want one that says %q", c.list, err, c.says)
		}
	}
	if _, err := Load([]string{"--workers", "3", "--cpus", "0,1"}); err == nil || !strings.Contains(err.Error(), "2 processors for 3 workers") {
		t.Errorf("fewer processors than workers: %v", err)
	}
	if s, err := Load([]string{"--workers", "2", "--cpus", "4,1"}); err != nil || !slices.Equal(s.CPUs, []int{4, 1}) {
		t.Errorf("%v, %v", s.CPUs, err)
	}
}

func FuzzCPUs(f *testing.F) {
	f.Add("0-3,7")
	f.Add("1,1")
	f.Add("-")
	f.Fuzz(func(t *testing.T, list string) {
		cpus, err := parseCPUs(list)
		if err == nil && slices.ContainsFunc(cpus, func(n int) bool { return n < 0 || n > maxCPU }) {
			t.Errorf("%q gives %v", list, cpus)
		}
	})
}

func TestWorkerNice(t *testing.T) {
	all := fmt.Sprint(runtime.NumCPU())
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--workers", all}, 0},
		{[]string{"--workers", all, "--worker-nice", "-10"}, -10},
		{[]string{"--worker-nice", "0"}, 0},
		{[]string{"--worker-nice", "19"}, 19},
	} {
		if s, err := Load(c.args); err != nil || s.WorkerNice != c.want {
			t.Errorf("%q: %d, %v; want %d", c.args, s.WorkerNice, err, c.want)
		}
	}
	if runtime.NumCPU() > 1 {
		if s, err := Load([]string{"--workers", "1"}); err != nil || s.WorkerNice != defaultNice {
			t.Errorf("a processor is left: %d, %v", s.WorkerNice, err)
		}
	}
	for _, bad := range []string{"-21", "20", "x"} {
		if _, err := Load([]string{"--worker-nice", bad}); err == nil || !strings.Contains(err.Error(), "want -20 to 19") {
			t.Errorf("worker-nice %s: %v", bad, err)
		}
	}
}

func TestWorkerScheduling(t *testing.T) {
	if s, err := Load(nil); err != nil || s.RoundRobin {
		t.Errorf("without a word: %v, %v", s.RoundRobin, err)
	}
	if runtime.NumCPU() > 1 {
		if s, err := Load([]string{"--workers", "1", "--worker-scheduling", "rr"}); err != nil || !s.RoundRobin {
			t.Errorf("rr: %v, %v", s.RoundRobin, err)
		}
	}
	for _, c := range []struct{ args, says string }{
		{fmt.Sprintf("--workers=%d --worker-scheduling=rr", runtime.NumCPU()), "lower workers, or use other"},
		{"--worker-scheduling=fifo", "want other or rr"},
		{"--worker-scheduling=", "want other or rr"},
	} {
		if _, err := Load(strings.Fields(c.args)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error that says %q", c.args, err, c.says)
		}
	}
}
