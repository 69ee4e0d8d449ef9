package conf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"router/cmd/rcli/schema"
)

// mostRange is how many nodes one pattern may stand for.
const mostRange = 10_000

// Ranges lists the paths that a path with ranges in its keys stands for: eth[0-3]
// is eth0 to eth3, [1,7-9] is 1, 7, 8 and 9, [01-10] keeps its zeros. '*' and '?' stay, for
// the router.
func Ranges(p schema.Path) ([]schema.Path, error) {
	list := []schema.Path{{Elems: slices.Clone(p.Elems), Node: p.Node}}
	for i, e := range p.Elems {
		for j, k := range e.Keys {
			values, err := members(k.Value)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", e.Name, k.Value, err)
			}
			if len(values) == 1 && values[0] == k.Value {
				continue
			}
			if len(list)*len(values) > mostRange {
				return nil, fmt.Errorf("%s stands for more than %d nodes", p.Words(), mostRange)
			}
			var next []schema.Path
			for _, at := range list {
				for _, v := range values {
					elems := slices.Clone(at.Elems)
					elems[i].Keys = slices.Clone(elems[i].Keys)
					elems[i].Keys[j].Value = v
					next = append(next, schema.Path{Elems: elems, Node: at.Node})
				}
			}
			list = next
		}
	}
	return list, nil
}

// members are what a key with ranges stands for: itself, without any.
func members(key string) ([]string, error) {
	before, rest, ok := strings.Cut(key, "[")
	if !ok {
		return []string{key}, nil
	}
	inside, after, ok := strings.Cut(rest, "]")
	if !ok {
		return nil, fmt.Errorf("the range is not closed: ] is missing")
	}
	tails, err := members(after)
	if err != nil {
		return nil, err
	}
	var out []string
	for part := range strings.SplitSeq(inside, ",") {
		list, err := interval(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			for _, tail := range tails {
				out = append(out, before+v+tail)
			}
		}
		if len(out) > mostRange {
			return nil, fmt.Errorf("it stands for more than %d keys", mostRange)
		}
	}
	return out, nil
}

func interval(part string) ([]string, error) {
	low, high, ok := strings.Cut(part, "-")
	if !ok {
		if part == "" {
			return nil, fmt.Errorf("a range has nothing between its commas")
		}
		return []string{part}, nil
	}
	if len(low) == 1 && len(high) == 1 && digits(low) == 0 && low <= high {
		var out []string
		for c := low[0]; c <= high[0]; c++ {
			out = append(out, string(rune(c)))
		}
		return out, nil
	}
	a, errA := strconv.ParseUint(low, 10, 32)
	b, errB := strconv.ParseUint(high, 10, 32)
	if errA != nil || errB != nil || a > b {
		return nil, fmt.Errorf("%s is no range: want two numbers, the lower one first", part)
	}
	if b-a >= mostRange {
		return nil, fmt.Errorf("it stands for more than %d keys", mostRange)
	}
	width := 0
	if strings.HasPrefix(low, "0") && len(low) == len(high) {
		width = len(low)
	}
	var out []string
	for n := a; n <= b; n++ {
		out = append(out, fmt.Sprintf("%0*d", width, n))
	}
	return out, nil
}
