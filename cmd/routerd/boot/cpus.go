package boot

import (
	"runtime"
	"strconv"
	"strings"
)

// maxCPU is the highest number of a processor that Linux can be built for.
const maxCPU = 8191

// parseCPUs reads a list of processors as cpuset(7) writes them: numbers and ranges,
// separated by commas. The order counts; none may stand there twice.
func parseCPUs(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	var cpus []int
	seen := make(map[int]bool)
	for _, part := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 0 || last < first || last > maxCPU {
			return nil, usage("cpus %q: %q is no processor and no range of them: want such as 2-5 or 1,3", list, part)
		}
		for n := first; n <= last; n++ {
			if seen[n] {
				return nil, usage("cpus %q: processor %d stands there twice", list, n)
			}
			seen[n] = true
			cpus = append(cpus, n)
		}
	}
	return cpus, nil
}

// The values of worker-scheduling.
const (
	schedulingOther = "other"
	schedulingRR    = "rr"
)

// readScheduling reads worker-scheduling, after workers. A worker that never sleeps would
// leave nothing to the control plane if there were no other processor.
func (s *Settings) readScheduling(text string) error {
	switch text {
	case schedulingOther:
		return nil
	case schedulingRR:
		if n := runtime.NumCPU(); s.Workers >= n {
			return usage("worker-scheduling rr: %d workers could take all %d processors from everything else: lower workers, or use other", s.Workers, n)
		}
		s.RoundRobin = true
		return nil
	}
	return usage("worker-scheduling %q: want other or rr", text)
}
