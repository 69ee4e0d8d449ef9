package boot

import (
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
