package tree

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/openconfig/gnmi/proto/gnmi"
)

// A Delta is what turns one configuration into another: for each leaf that
// differs its old and its new value, so that it can be applied forward and
// backward. An entry of a list is made and removed by its key leaves, which stand before
// what is below the entry; the order of a list that its user orders is a
// difference of the list itself, after those of its entries. The config copies of keys are left out: they follow.
//
// The zero Delta is empty. A Delta is immutable.
//
// Its encoding is a sequence of differences, each
//
//	uvarint  leading path elements that it shares with the one before
//	uvarint  further elements, each: name, number of keys, and of each key name and value
//	value    old
//	value    new
//
// A string is a uvarint length and its octets. A value is a tag, and what the tag calls for.
type Delta struct {
	data []byte
	n    int // differences
}

// The tags of values.
const (
	tagAbsent = iota // nothing
	tagString        // string
	tagNumber        // string, as JSON writes it
	tagFalse         // nothing
	tagTrue          // nothing
	tagEmpty         // nothing: the value of a leaf of type empty
	tagList          // uvarint count, values
)

var errDelta = errors.New("the difference is malformed")

// Empty reports whether the delta changes nothing.
func (d Delta) Empty() bool { return len(d.data) == 0 }

// Len is the number of differences.
func (d Delta) Len() int { return d.n }

// Bytes is the delta's encoding. It is shared and must not be changed.
func (d Delta) Bytes() []byte { return d.data }

// ParseDelta reads what Bytes gave, keeping data. It checks the form; whether the
// model has such nodes shows when the delta is used.
func ParseDelta(data []byte) (Delta, error) {
	r, n, depth := deltaReader{data: data}, 0, 0
	for ; !r.done(); n++ {
		var ok bool
		if depth, ok = r.skip(depth); !ok {
			return Delta{}, errDelta
		}
	}
	return Delta{data, n}, nil
}

// A deltaWriter encodes differences.
type deltaWriter struct {
	data []byte
	n    int
	last Path
}

// add appends a difference. p may share memory that is changed later; its
// elements may not.
func (w *deltaWriter) add(p Path, old, new any) {
	shared := 0
	for shared < len(p) && shared < len(w.last) && sameElem(p[shared], w.last[shared]) {
		shared++
	}
	w.data = binary.AppendUvarint(w.data, uint64(shared))
	w.data = binary.AppendUvarint(w.data, uint64(len(p)-shared))
	for _, e := range p[shared:] {
		w.text(e.GetName())
		keys := e.GetKey()
		w.data = binary.AppendUvarint(w.data, uint64(len(keys)))
		if len(keys) == 1 {
			for k, v := range keys {
				w.text(k)
				w.text(v)
			}
			continue
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			w.text(k)
			w.text(keys[k])
		}
	}
	w.last = append(w.last[:0], p...)
	w.value(old)
	w.value(new)
	w.n++
}

func sameElem(a, b *gnmi.PathElem) bool {
	return a == b || a.GetName() == b.GetName() && maps.Equal(a.GetKey(), b.GetKey())
}

func (w *deltaWriter) text(s string) {
	w.data = append(binary.AppendUvarint(w.data, uint64(len(s))), s...)
}

// value encodes one of the forms that plainOf gives, nil for none.
func (w *deltaWriter) value(v any) {
	switch v := v.(type) {
	case string:
		w.data = append(w.data, tagString)
		w.text(v)
	case json.Number:
		w.data = append(w.data, tagNumber)
		w.text(string(v))
	case bool:
		if v {
			w.data = append(w.data, tagTrue)
		} else {
			w.data = append(w.data, tagFalse)
		}
	case []any:
		if len(v) == 1 && v[0] == nil {
			w.data = append(w.data, tagEmpty)
			return
		}
		w.data = append(w.data, tagList)
		w.data = binary.AppendUvarint(w.data, uint64(len(v)))
		for _, e := range v {
			w.value(e)
		}
	default:
		w.data = append(w.data, tagAbsent)
	}
}

// A difference is one of a Delta. Its path is valid until the next is read, its
// elements for ever.
type difference struct {
	path     Path
	shared   int // leading elements that are those of the one before
	old, new any
}

// side is the new value, or the old one.
func (d *difference) side(backward bool) any {
	if backward {
		return d.old
	}
	return d.new
}

// A deltaReader decodes differences. A lean one gives elements of entries with one key without
// that key, which it keeps apart: for those who make no paths of them.
type deltaReader struct {
	data []byte
	path Path

	lean   bool
	keys   []leanKey                 // of path's elements
	static map[string]*gnmi.PathElem // by name
}

// A leanKey is the one key of a path's element; name is "" where it has none, or more.
type leanKey struct{ name, value string }

// full is the path of the last difference with all keys, as nobody else holds it.
func (r *deltaReader) full(p Path) Path {
	out := slices.Clone(p)
	if !r.lean {
		return out
	}
	for i := range out {
		if k := r.keys[i]; k.name != "" {
			out[i] = &gnmi.PathElem{Name: out[i].GetName(), Key: map[string]string{k.name: k.value}}
		}
	}
	return out
}

// skip goes past a difference, checking its form; the one before had depth
// elements, and this has the number that is returned.
func (r *deltaReader) skip(depth int) (int, bool) {
	shared, size := binary.Uvarint(r.data)
	if size <= 0 || shared > uint64(depth) {
		return 0, false
	}
	r.data = r.data[size:]
	n, err := r.count()
	if err != nil {
		return 0, false
	}
	for range n {
		if size, ok := r.skipText(); !ok || size == 0 {
			return 0, false
		}
		keys, err := r.count()
		if err != nil {
			return 0, false
		}
		for range 2 * keys {
			if _, ok := r.skipText(); !ok {
				return 0, false
			}
		}
	}
	depth = int(shared) + n
	return depth, depth > 0 && r.skipValue(0) && r.skipValue(0)
}

func (r *deltaReader) skipText() (size int, ok bool) {
	size, err := r.count()
	if err != nil {
		return 0, false
	}
	r.data = r.data[size:]
	return size, true
}

func (r *deltaReader) skipValue(depth int) bool {
	if r.done() {
		return false
	}
	tag := r.data[0]
	r.data = r.data[1:]
	switch tag {
	case tagAbsent:
		return depth == 0
	case tagString, tagNumber:
		_, ok := r.skipText()
		return ok
	case tagFalse, tagTrue, tagEmpty:
		return true
	case tagList:
		n, err := r.count()
		if err != nil || depth > 0 {
			return false
		}
		for range n {
			if !r.skipValue(depth + 1) {
				return false
			}
		}
		return true
	}
	return false
}

func (r *deltaReader) done() bool { return len(r.data) == 0 }

func (r *deltaReader) count() (int, error) {
	n, size := binary.Uvarint(r.data)
	// What is counted takes an octet each at least: a larger count is a lie.
	if size <= 0 || n > uint64(len(r.data)-size) {
		return 0, errDelta
	}
	r.data = r.data[size:]
	return int(n), nil
}

func (r *deltaReader) text() (string, error) {
	n, err := r.count()
	if err != nil {
		return "", err
	}
	s := string(r.data[:n])
	r.data = r.data[n:]
	return s, nil
}

func (r *deltaReader) next() (difference, error) {
	shared, size := binary.Uvarint(r.data)
	if size <= 0 || shared > uint64(len(r.path)) {
		return difference{}, errDelta
	}
	r.data = r.data[size:]
	n, err := r.count()
	if err != nil {
		return difference{}, err
	}
	r.path = r.path[:shared]
	if r.lean {
		r.keys = r.keys[:shared]
	}
	for range n {
		e, err := r.elem()
		if err != nil {
			return difference{}, err
		}
		r.path = append(r.path, e)
	}
	if len(r.path) == 0 {
		return difference{}, errDelta
	}
	d := difference{path: r.path, shared: int(shared)}
	if d.old, err = r.value(0); err != nil {
		return difference{}, err
	}
	d.new, err = r.value(0)
	return d, err
}

// octets is text that is only looked at.
func (r *deltaReader) octets() ([]byte, error) {
	n, err := r.count()
	if err != nil {
		return nil, err
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b, nil
}

// named is an element without keys; one serves for all of its name.
func (r *deltaReader) named(name []byte) *gnmi.PathElem {
	e := r.static[string(name)]
	if e == nil {
		if r.static == nil {
			r.static = make(map[string]*gnmi.PathElem)
		}
		e = &gnmi.PathElem{Name: string(name)}
		r.static[e.Name] = e
	}
	return e
}

func (r *deltaReader) elem() (*gnmi.PathElem, error) {
	name, err := r.octets()
	if err != nil {
		return nil, err
	}
	keys, err := r.count()
	if err != nil || len(name) == 0 {
		return nil, errDelta
	}
	if keys == 0 || r.lean && keys == 1 {
		e := r.named(name)
		if !r.lean {
			return e, nil
		}
		var k leanKey
		if keys == 1 {
			key, err := r.octets()
			if err != nil || len(key) == 0 {
				return nil, errDelta
			}
			k.name = r.named(key).GetName()
			if k.value, err = r.text(); err != nil {
				return nil, err
			}
		}
		r.keys = append(r.keys, k)
		return e, nil
	}
	if r.lean {
		r.keys = append(r.keys, leanKey{})
	}
	e := &gnmi.PathElem{Name: r.named(name).GetName()}
	if keys > 0 {
		e.Key = make(map[string]string, min(keys, 8))
	}
	for range keys {
		k, err := r.text()
		if err != nil {
			return nil, err
		}
		if e.Key[k], err = r.text(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (r *deltaReader) value(depth int) (any, error) {
	if r.done() {
		return nil, errDelta
	}
	tag := r.data[0]
	r.data = r.data[1:]
	switch tag {
	case tagAbsent:
		if depth > 0 {
			return nil, errDelta
		}
		return nil, nil
	case tagString:
		return r.text()
	case tagNumber:
		s, err := r.text()
		return json.Number(s), err
	case tagFalse, tagTrue:
		return tag == tagTrue, nil
	case tagEmpty:
		return []any{nil}, nil
	case tagList:
		n, err := r.count()
		if err != nil || depth > 0 {
			return nil, errDelta
		}
		list := make([]any, n)
		for i := range list {
			if list[i], err = r.value(depth + 1); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	return nil, errDelta
}
