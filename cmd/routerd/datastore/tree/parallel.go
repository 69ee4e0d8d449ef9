package tree

import (
	"reflect"
	"runtime"
	"sync"
)

// This file shares large lists out among processors: a configuration of 10 MB is written, and
// compared with what stands there, for most of a second.

// asideSize is how many values an array has whose entries are made on several processors, and
// asideEntries how many entries lists have that are compared so: what takes some milliseconds by
// itself. Tests have less.
var (
	asideSize    = 4096
	asideEntries = 256
)

// aside calls work with the numbers below n in consecutive parts, at the same time, and
// returns when all are done. part counts from 0, below parts.
func aside(n, parts int, work func(part, from, to int)) {
	var wg sync.WaitGroup
	for part := range parts {
		wg.Go(func() { work(part, n*part/parts, n*(part+1)/parts) })
	}
	wg.Wait()
}

// listAside is list for a large array, and a list that is empty, of whose entries nothing is
// reported as touched. Entries know nothing of each other until they are put into the list.
func (m *merger) listAside(n *Node, at reflect.Value, t *trail, v value) {
	var items []value
	v.items(func(_ int, item value) { items = append(items, item) })
	type entry struct {
		made, key reflect.Value
		at        trail
		ok        bool
	}
	entries := make([]entry, len(items))
	errs := make([][]*Error, runtime.GOMAXPROCS(0)) // asked once: it changes when workers come and go
	aside(len(items), len(errs), func(part, from, to int) {
		own := *m.Editor
		own.errs = nil
		sub := merger{Editor: &own, replace: m.replace, covered: true}
		for i := from; i < to; i++ {
			e := &entries[i]
			if e.made, e.key, e.at, e.ok = sub.item(n, t, i, items[i]); e.ok {
				sub.members(n, e.made, reflect.Value{}, e.made, &e.at, items[i])
			}
		}
		errs[part] = own.errs
	})
	for _, some := range errs {
		m.errs = append(m.errs, some...)
	}
	field := at.Elem().Field(n.field)
	for i := range entries {
		switch e := &entries[i]; {
		case !e.ok:
		case n.get(field, e.key).IsValid():
			m.fail(Invalid, e.at.Path(), standsTwice)
		default:
			n.put(field, e.key, e.made)
		}
	}
}

// A twin is an entry of a list as two trees have it; old is invalid where there was none.
type twin struct {
	key, old, now reflect.Value
	same          bool
}

// twins are the entries of the list n that now has, beside those of old.
func (n *Node) twins(old, now reflect.Value) []twin {
	list := make([]twin, 0, now.Len())
	for it := now.MapRange(); it.Next(); {
		list = append(list, twin{key: it.Key(), now: it.Value()})
	}
	compare := func(_, from, to int) {
		for i := from; i < to; i++ {
			p := &list[i]
			p.old = old.MapIndex(p.key)
			p.same = p.old.IsValid() && n.same(p.old, p.now)
		}
	}
	if len(list) >= asideEntries {
		aside(len(list), runtime.GOMAXPROCS(0), compare)
	} else {
		compare(0, 0, len(list))
	}
	return list
}
