package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A document is a JSON text that has been checked and measured, but not turned into
// Go values: for each value and each member's name its place, in the order of the text.
// It is all in one piece of memory without pointers, however large the text is.
type document struct {
	data   []byte
	places []place
}

// A place is a value, or a member's name before its value.
type place struct {
	start, end uint32 // in the text
	next       uint32 // the place behind it and all that is in it
}

// maxJSON and maxDepth bound what is read: places count octets in 32 bits, and
// encoding/json refuses deeper texts too.
const (
	maxJSON  = 1<<32 - 1
	maxDepth = 10_000
)

// fewMembers is how many names of an object are compared one by one.
const fewMembers = 16

// A scanner measures one text.
type scanner struct {
	document
	at       int
	names    []uint32 // the places of the names of open objects, to find one that comes twice
	twice    bool
	repeated string // the name that an object has twice
}

// scanJSON reads a JSON text (RFC 8259). ok is false for what is none, and for
// one with an object that has a member twice: repeated says so, and name is its name. I-JSON
// forbids it (RFC 7493, 2.3; RFC 7951, 1), for readers differ in which of the two they take.
func scanJSON(data []byte) (doc *document, name string, repeated, ok bool) {
	if len(data) > maxJSON {
		return nil, "", false, false
	}
	s := scanner{document: document{data: data, places: make([]place, 0, len(data)/6+4)}}
	if !s.value(0) {
		return nil, s.repeated, s.twice, false
	}
	if s.space(); s.at != len(data) {
		return nil, "", false, false
	}
	d := s.document
	return &d, "", false, true
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// take goes past c, and reports whether it stands there.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) value(depth int) bool {
	s.space()
	if s.at >= len(s.data) || depth > maxDepth {
		return false
	}
	i := len(s.places)
	s.places = append(s.places, place{start: uint32(s.at)})
	ok := false
	switch c := s.data[s.at]; {
	case c == '{':
		ok = s.object(depth)
	case c == '[':
		ok = s.array(depth)
	case c == '"':
		ok = s.text()
	case c == 't':
		ok = s.word("true")
	case c == 'f':
		ok = s.word("false")
	case c == 'n':
		ok = s.word("null")
	default:
		ok = s.number()
	}
	s.places[i].end, s.places[i].next = uint32(s.at), uint32(len(s.places))
	return ok
}

func (s *scanner) word(w string) bool {
	if len(s.data)-s.at < len(w) || string(s.data[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) array(depth int) bool {
	s.at++
	if s.space(); s.take(']') {
		return true
	}
	for s.value(depth + 1) {
		s.space()
		switch {
		case s.take(','):
		case s.take(']'):
			return true
		default:
			return false
		}
	}
	return false
}

func (s *scanner) object(depth int) bool {
	s.at++
	if s.space(); s.take('}') {
		return true
	}
	first := len(s.names)
	var many map[string]struct{}
	for {
		if s.space(); s.at >= len(s.data) || s.data[s.at] != '"' {
			return false
		}
		i := len(s.places)
		s.places = append(s.places, place{start: uint32(s.at)})
		if !s.text() {
			return false
		}
		s.places[i].end, s.places[i].next = uint32(s.at), uint32(i+1)
		if s.names = append(s.names, uint32(i)); len(s.names)-first > fewMembers && many == nil {
			many = make(map[string]struct{}, 2*fewMembers)
			for _, n := range s.names[first : len(s.names)-1] {
				many[string(s.name(int(n)))] = struct{}{}
			}
		}
		if !s.once(first, i, many) {
			return false
		}
		if s.space(); !s.take(':') || !s.value(depth+1) {
			return false
		}
		s.space()
		switch {
		case s.take(','):
		case s.take('}'):
			s.names = s.names[:first]
			return true
		default:
			return false
		}
	}
}

// once reports whether the name at place i is the first of its kind in the object
// whose names begin with first, and notes it. Names are compared one by one while many is nil.
func (s *scanner) once(first, i int, many map[string]struct{}) bool {
	name := s.name(i)
	known := false
	if many != nil {
		_, known = many[string(name)]
		many[string(name)] = struct{}{}
	} else {
		known = slices.ContainsFunc(s.names[first:len(s.names)-1], func(n uint32) bool { return bytes.Equal(name, s.name(int(n))) })
	}
	if known {
		s.twice, s.repeated = true, string(name)
	}
	return !known
}

// text goes past a string.
func (s *scanner) text() bool {
	for s.at++; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return true
		case c < ' ':
			return false
		case c != '\\':
			continue
		}
		if s.at++; s.at >= len(s.data) {
			return false
		}
		switch s.data[s.at] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			for range 4 {
				if s.at++; s.at >= len(s.data) || !isHex(s.data[s.at]) {
					return false
				}
			}
		default:
			return false
		}
	}
	return false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// number goes past a number (RFC 8259, section 6).
func (s *scanner) number() bool {
	s.take('-')
	switch {
	case s.take('0'):
	case !s.digits():
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	begin := s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
	}
	return s.at > begin
}

// name is the name at place i, as far as possible without a copy.
func (d *document) name(i int) []byte {
	p := d.places[i]
	quoted := d.data[p.start:p.end]
	if !plainText(quoted[1 : len(quoted)-1]) {
		return []byte(unquote(quoted))
	}
	return quoted[1 : len(quoted)-1]
}

// checkUnicode finds in a JSON text what stands for no character, where readers put U+FFFD
// (RFC 7493, 2.1; RFC 7951, 1): octets that are no UTF-8, and half of a surrogate pair.
func checkUnicode(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("it is not UTF-8")
	}
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 {
			return nil
		}
		r, n := escape(data[i:])
		data = data[i+n:]
		if !utf16.IsSurrogate(r) {
			continue
		}
		low, n := escape(data)
		if utf16.DecodeRune(r, low) == utf8.RuneError {
			return fmt.Errorf("\\u%04x is half of a character", r)
		}
		data = data[n:]
	}
}

// escape is the character that s begins with as \uXXXX, 0 for none, and how many octets
// the escape there takes. It stands in a JSON text.
func escape(s []byte) (r rune, n int) {
	switch {
	case len(s) < 2 || s[0] != '\\':
		return 0, 0
	case s[1] != 'u':
		return 0, 2
	}
	v, err := strconv.ParseUint(string(s[2:6]), 16, 16)
	if err != nil {
		return 0, 2 // the scanner has passed it
	}
	return rune(v), 6
}

// plainText reports whether the inside of a string stands for itself.
func plainText(s []byte) bool {
	return !slices.ContainsFunc(s, func(c byte) bool { return c == '\\' || c >= 0x80 })
}

// unquote is the string that a JSON string stands for; what is no character becomes U+FFFD.
func unquote(quoted []byte) string {
	if inside := quoted[1 : len(quoted)-1]; plainText(inside) {
		return string(inside)
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return string(quoted) // the scanner has passed it
	}
	return s
}

// plain is the value at place i in the forms of encoding/json with UseNumber.
func (d *document) plain(i int) any {
	p := d.places[i]
	switch c := d.data[p.start]; c {
	case '{':
		m := make(map[string]any)
		for at := i + 1; at < int(p.next); at = int(d.places[at+1].next) {
			m[string(d.name(at))] = d.plain(at + 1)
		}
		return m
	case '[':
		list := make([]any, 0, 4)
		for at := i + 1; at < int(p.next); at = int(d.places[at].next) {
			list = append(list, d.plain(at))
		}
		return list
	case '"':
		return unquote(d.data[p.start:p.end])
	case 't', 'f':
		return c == 't'
	case 'n':
		return nil
	}
	return json.Number(d.data[p.start:p.end])
}

// kind is the first octet of the value's text, 0 for a value that is in no document.
func (v value) kind() byte {
	if v.doc == nil {
		return 0
	}
	return v.doc.data[v.doc.places[v.at].start]
}

func (v value) isObject() bool { return v.kind() == '{' }
func (v value) isArray() bool  { return v.kind() == '[' }

// isEmpty reports whether an object or an array has nothing in it.
func (v value) isEmpty() bool { return v.doc != nil && int(v.doc.places[v.at].next) == v.at+1 }

// plain is the value in the forms of encoding/json with UseNumber, text, or octets.
func (v value) plain() any {
	if v.doc == nil {
		return v.any
	}
	return v.doc.plain(v.at)
}

// in is the value at place i of the same document.
func (v value) in(i int) value { return value{doc: v.doc, at: i} }

// size is how many values and names there are in it, itself included.
func (v value) size() int { return int(v.doc.places[v.at].next) - v.at }

// items calls visit with each value of an array.
func (v value) items(visit func(i int, item value)) {
	places := v.doc.places
	n := 0
	for at := v.at + 1; at < int(places[v.at].next); at = int(places[at].next) {
		visit(n, v.in(at))
		n++
	}
}

// A member is one of an object. Its name may share memory with the document.
type member struct {
	name  []byte
	value value
}

// members are those of an object, as the text has them.
func (v value) members() iter.Seq[member] {
	return func(yield func(member) bool) {
		places := v.doc.places
		for at := v.at + 1; at < int(places[v.at].next); at = int(places[at+1].next) {
			if !yield(member{v.doc.name(at), v.in(at + 1)}) {
				return
			}
		}
	}
}

// has reports whether an object has a member of the name.
func (v value) has(name string) bool {
	_, ok := v.member(name)
	return ok
}

// member finds a member of an object.
func (v value) member(name string) (found value, ok bool) {
	places := v.doc.places
	for at := v.at + 1; at < int(places[v.at].next); at = int(places[at+1].next) {
		if string(v.doc.name(at)) == name {
			return v.in(at + 1), true
		}
	}
	return value{}, false
}
