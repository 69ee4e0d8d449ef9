package tree

import (
	"container/heap"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/openconfig/ygot/ygot"
)

// Keys are the values of one key of the list at a path, whose last element has no
// keys; keys before it may be wildcards. They begin with prefix, each comes once, and
// numbers in them are ordered by value: ge2 before ge10. limit bounds them, the
// first ones come, and more reports that there were others. allow, if not nil, is
// asked whether the entry at a path may be told of. It looks at each entry once and
// makes nothing of those that don't begin with prefix, so that it is quick on long
// lists.
func (s *Schema) Keys(root ygot.GoStruct, list Path, key, prefix string, limit int, allow func(Path) bool) (keys []string, more bool, err error) {
	n := s.Root
	at := []keyPlace{{value: reflect.ValueOf(root)}}
	for i, e := range list {
		c := n.index[e.GetName()]
		if c == nil {
			return nil, false, fmt.Errorf("path %s: the model has no node %q", list, e.GetName())
		}
		n = c
		if i < len(list)-1 {
			at = n.places(at, e.GetKey())
		}
	}
	if n.Kind != List {
		return nil, false, fmt.Errorf("path %s: it is no list", list)
	}
	k := slices.IndexFunc(n.Keys, func(k *Node) bool { return k.Name == key })
	if k < 0 {
		return nil, false, fmt.Errorf("path %s: the list has no key %q", list, key)
	}
	first := firstKeys{limit: limit + 1}
	for _, p := range at {
		m := p.value.Elem().Field(n.field)
		if m.IsNil() {
			continue
		}
		n.eachKey(m, n.Keys[k], func(text string, entry func() reflect.Value) {
			if strings.HasPrefix(text, prefix) && first.wants(text) && (allow == nil || allow(p.path.Child(n.elem(entry())))) {
				first.add(text)
			}
		})
	}
	keys = first.sorted()
	if len(keys) > limit {
		return keys[:limit], true, nil
	}
	return keys, false, nil
}

// eachKey visits the entries of m, the field of list n, with the text of one key.
func (n *Node) eachKey(m reflect.Value, k *Node, visit func(text string, entry func() reflect.Value)) {
	if n.ordered || len(n.Keys) != 1 || n.mapKey.Kind() != reflect.String {
		for _, entry := range n.values(m) {
			visit(textOf(entry.Elem().Field(k.field)), func() reflect.Value { return entry })
		}
		return
	}
	// The map's key is the text: nothing of the entry is looked at.
	key := reflect.New(n.mapKey).Elem()
	it := m.MapRange()
	value := it.Value
	for it.Next() {
		key.SetIterKey(it)
		visit(key.String(), value)
	}
}

// A keyPlace is a container or an entry on the way to a list.
type keyPlace struct {
	value reflect.Value // points to its struct
	path  Path
}

// places are those of n below others.
func (n *Node) places(above []keyPlace, keys map[string]string) []keyPlace {
	var list []keyPlace
	for _, p := range above {
		f := p.value.Elem().Field(n.field)
		if f.IsNil() {
			continue
		}
		if n.Kind != List {
			list = append(list, keyPlace{f, p.path.Child(n.static())})
			continue
		}
		for _, entry := range n.find(f, keys) {
			list = append(list, keyPlace{entry, p.path.Child(n.elem(entry))})
		}
	}
	return list
}

// firstKeys keeps the first keys of many, each once: a heap with the last of them on
// top, so that most others are refused by one comparison.
type firstKeys struct {
	limit int
	heap  []string
	have  map[string]bool
}

func (f *firstKeys) Len() int           { return len(f.heap) }
func (f *firstKeys) Less(i, j int) bool { return compareKeys(f.heap[i], f.heap[j]) > 0 }
func (f *firstKeys) Swap(i, j int)      { f.heap[i], f.heap[j] = f.heap[j], f.heap[i] }
func (f *firstKeys) Push(x any)         { f.heap = append(f.heap, x.(string)) }

func (f *firstKeys) Pop() any {
	last := f.heap[len(f.heap)-1]
	f.heap = f.heap[:len(f.heap)-1]
	return last
}

// wants reports whether a key would be kept.
func (f *firstKeys) wants(key string) bool {
	return (len(f.heap) < f.limit || compareKeys(key, f.heap[0]) < 0) && !f.have[key]
}

func (f *firstKeys) add(key string) {
	if f.have == nil {
		f.have = make(map[string]bool, min(f.limit, 1024))
	}
	f.have[key] = true
	heap.Push(f, key)
	if len(f.heap) > f.limit {
		delete(f.have, heap.Pop(f).(string))
	}
}

func (f *firstKeys) sorted() []string {
	slices.SortFunc(f.heap, compareKeys)
	return f.heap
}

// compareKeys orders text so that runs of digits count as numbers.
func compareKeys(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x > 0 && y > 0 {
			m, merr := strconv.ParseUint(a[:x], 10, 64)
			n, nerr := strconv.ParseUint(b[:y], 10, 64)
			if merr == nil && nerr == nil && m != n {
				if m < n {
					return -1
				}
				return 1
			}
			if a[:x] != b[:y] {
				return strings.Compare(a[:x], b[:y])
			}
			a, b = a[x:], b[y:]
			continue
		}
		if a[0] != b[0] {
			return strings.Compare(a[:1], b[:1])
		}
		a, b = a[1:], b[1:]
	}
	return strings.Compare(a, b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
