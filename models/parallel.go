package models

import (
	"runtime"
	"sync"

	"router/gen"
)

// aside is how many objects are worth a goroutine of their own.
const aside = 2048

// shares cuts n things into parts, of aside at least, and most of them at most, calls work with each at
// the same time, and returns how many there were. Parts are numbered in order.
func shares(n, most int, work func(part, from, to int)) int {
	parts := max(1, min(most, n/aside))
	var wg sync.WaitGroup
	for part := range parts {
		from, to := n*part/parts, n*(part+1)/parts
		if part == parts-1 {
			work(part, from, to)
			break
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			work(part, from, to)
		}()
	}
	wg.Wait()
	return parts
}

// compile compiles what was touched, each object once, on several processors where there
// is much to do: compiling reads dev and the intent, and changes neither.
func (c *Compiled) compile(dev *gen.Device, touched []Object, v *violations) Change {
	if len(touched) < aside {
		change := c.compileSome(dev, touched, v)
		change.sort()
		return change
	}
	most := runtime.GOMAXPROCS(0) // asked once: it changes when workers come and go
	changes, found := make([]Change, most), make([]violations, most)
	parts := shares(len(touched), most, func(part, from, to int) {
		changes[part] = c.compileSome(dev, touched[from:to], &found[part])
	})
	change := changes[0]
	for i := range parts {
		*v = append(*v, found[i]...)
		if i > 0 {
			change.append(&changes[i])
		}
	}
	change.sort()
	return change
}

// checkStatics checks the static routes of a change.
func (c *Compiled) checkStatics(deltas []Delta[StaticKey, StaticSpec], v *violations) {
	if len(deltas) < aside {
		c.checkSomeStatics(deltas, v)
		return
	}
	most := runtime.GOMAXPROCS(0)
	found := make([]violations, most)
	parts := shares(len(deltas), most, func(part, from, to int) {
		c.checkSomeStatics(deltas[from:to], &found[part])
	})
	for _, some := range found[:parts] {
		*v = append(*v, some...)
	}
}

func (c *Compiled) checkSomeStatics(deltas []Delta[StaticKey, StaticSpec], v *violations) {
	for _, d := range deltas {
		if d.New != nil {
			c.checkStatic(*d.New, v)
		}
	}
}

// append adds what o changes, which c doesn't.
func (c *Change) append(o *Change) {
	if o.System != nil {
		c.System = o.System
	}
	if o.GRIBI != nil {
		c.GRIBI = o.GRIBI
	}
	c.Devices = append(c.Devices, o.Devices...)
	c.Units = append(c.Units, o.Units...)
	c.Instances = append(c.Instances, o.Instances...)
	c.Static = append(c.Static, o.Static...)
	c.Classes = append(c.Classes, o.Classes...)
	c.Sessions = append(c.Sessions, o.Sessions...)
	c.Multicast = append(c.Multicast, o.Multicast...)
	c.PrefixLists = append(c.PrefixLists, o.PrefixLists...)
	c.Policers = append(c.Policers, o.Policers...)
	c.Filters = append(c.Filters, o.Filters...)
	c.Users = append(c.Users, o.Users...)
	c.Roles = append(c.Roles, o.Roles...)
	c.LogServers = append(c.LogServers, o.LogServers...)
}
