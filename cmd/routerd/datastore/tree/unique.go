package tree

import (
	"encoding/json"
	"slices"
)

// fewMembers is how many members of an object are compared one by one.
const fewMembers = 16

// An openValue is an object or array whose end has not been seen yet.
type openValue struct {
	object bool
	name   bool // the next string is a member's name
	few    []string
	many   map[string]struct{} // in place of few, beyond fewMembers
}

// taken notes a member's name and reports whether it stood there before.
func (o *openValue) taken(name string) bool {
	if o.many != nil {
		_, ok := o.many[name]
		o.many[name] = struct{}{}
		return ok
	}
	if slices.Contains(o.few, name) {
		return true
	}
	if o.few = append(o.few, name); len(o.few) > fewMembers {
		o.many = make(map[string]struct{}, 2*fewMembers)
		for _, n := range o.few {
			o.many[n] = struct{}{}
		}
	}
	return false
}

// repeatedMember finds a name that an object of the JSON text has twice, which
// I-JSON forbids (RFC 7493, 2.3; RFC 7951, 1): readers differ in which of the
// two they take. data must be valid JSON.
func repeatedMember(data []byte) (name string, found bool) {
	var open []openValue
	for i := 0; i < len(data); i++ {
		var top *openValue
		if len(open) > 0 {
			top = &open[len(open)-1]
		}
		switch data[i] {
		case '{':
			open = append(open, openValue{object: true, name: true})
		case '[':
			open = append(open, openValue{})
		case '}', ']':
			open = open[:len(open)-1]
		case ',':
			top.name = top.object
		case '"':
			end := i + 1
			for data[end] != '"' {
				if data[end] == '\\' {
					end++
				}
				end++
			}
			if top != nil && top.name {
				top.name = false
				if name := memberName(data[i : end+1]); top.taken(name) {
					return name, true
				}
			}
			i = end
		}
	}
	return "", false
}

// memberName is the name in quotes.
func memberName(quoted []byte) string {
	if !slices.Contains(quoted, '\\') {
		return string(quoted[1 : len(quoted)-1])
	}
	var s string
	if json.Unmarshal(quoted, &s) != nil {
		return string(quoted) // not JSON, which the caller excludes
	}
	return s
}
