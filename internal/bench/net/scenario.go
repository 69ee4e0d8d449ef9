package main

import (
	"fmt"
	"net/netip"
)

// A scenario is one thing to measure, on every device that can do it.
type scenario struct {
	Name string `json:"name"`
	Kind kind   `json:"kind"`
	V6   bool   `json:"v6"`
	// Table is how many routes there are: a number of synthetic ones, or "real".
	Table string `json:"table"`
	// Sizes are the frames' lengths in octets without FCS, in turn; none: the
	// smallest there are.
	Sizes []int `json:"sizes,omitempty"`
	// Terms of a filter that packets pass at each port that can have one.
	Terms     int  `json:"terms,omitempty"`
	Instances int  `json:"instances,omitempty"` // each with a VLAN at both ports; 0: untagged
	Latency   bool `json:"latency,omitempty"`   // few packets, and how long each takes
}

// A kind is what a scenario is about: the table of the report that it is in.
type kind string

const (
	routes    kind = "routes"
	mixed     kind = "imix"
	filters   kind = "filters"
	instances kind = "instances"
	latency   kind = "latency"
)

// realTable names the table of the Internet.
const realTable = "real"

// imix is the Internet mix of 64, 594 and 1518 octets, 7 : 4 : 1, without FCS.
func imix(v6 bool) []int {
	s := smallest(v6)
	return []int{s, 590, s, s, 590, s, 1514, s, 590, s, 590, s}
}

// smallest is the shortest frame without FCS that holds a UDP header.
func smallest(v6 bool) int {
	if v6 {
		return 62
	}
	return 60
}

// size is the length of the longest frame, tag not counted.
func (s *scenario) size() int {
	if s.Latency && s.V6 {
		return 80 // with room for the time
	}
	n := smallest(s.V6)
	for _, size := range s.Sizes {
		n = max(n, size)
	}
	return n
}

// scenarios are all there are, in an order in which tables mostly grow.
func scenarios() []scenario {
	var all []scenario
	for _, v6 := range []bool{false, true} {
		family := familyName(v6)
		largest := "1000000"
		if v6 {
			largest = "200000"
		}
		add := func(s scenario) {
			s.V6 = v6
			all = append(all, s)
		}
		table := func(n string) {
			add(scenario{Name: fmt.Sprintf("%s/routes=%s", family, n), Kind: routes, Table: n})
		}
		table("1")
		table("1000")
		add(scenario{Name: family + "/imix", Kind: mixed, Table: "1000", Sizes: imix(v6)})
		add(scenario{Name: family + "/latency", Kind: latency, Table: "1000", Latency: true})
		table("10000")
		if !v6 {
			table("100000")
		}
		table(largest)
		table(realTable)
		for _, n := range []int{1, 10, 100} {
			add(scenario{Name: fmt.Sprintf("%s/instances=%d", family, n), Kind: instances, Table: "1000", Instances: n})
		}
		for _, n := range []int{0, 10, 100, 1000} {
			add(scenario{Name: fmt.Sprintf("%s/terms=%d", family, n), Kind: filters, Table: "1", Terms: n})
		}
	}
	return all
}

func familyName(v6 bool) string {
	if v6 {
		return "inet6"
	}
	return "inet"
}

// A route leads to a neighbour by its number.
type route struct {
	prefix  netip.Prefix
	gateway int
}
