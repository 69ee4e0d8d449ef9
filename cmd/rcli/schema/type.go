package schema

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/openconfig/goyang/pkg/yang"
)

// A Type is the type of a leaf, as help shows it and values are checked by it.
type Type struct {
	Name  string   // of the typedef, or the built-in one
	Enum  []string // names, of an enumeration or a boolean
	Union []*Type

	kind    yang.TypeKind
	ranges  yang.YangRange
	length  yang.YangRange
	pattern []string
	path    string // of a leafref
}

func newType(y *yang.YangType) *Type {
	t := &Type{Name: y.Name, kind: y.Kind, ranges: y.Range, length: y.Length, pattern: y.Pattern, path: y.Path}
	//exhaustive:ignore the other kinds have no names
	switch y.Kind {
	case yang.Yenum:
		t.Enum = enumNames(y.Enum)
	case yang.Ybits:
		t.Enum = enumNames(y.Bit)
	case yang.Ybool:
		t.Enum = []string{"true", "false"}
	case yang.Yunion:
		for _, m := range y.Type {
			t.Union = append(t.Union, newType(m))
		}
	}
	return t
}

// enumNames are the names in the order of their values.
func enumNames(e *yang.EnumType) []string {
	if e == nil {
		return nil
	}
	var names []string
	for name := range e.ToInt {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return int(e.ToInt[a] - e.ToInt[b]) })
	return names
}

// Names are all names that a value may be, those of a union's members too.
func (t *Type) Names() []string {
	names := slices.Clone(t.Enum)
	for _, m := range t.Union {
		names = append(names, m.Names()...)
	}
	return names
}

// secret reports whether values are kept from whoever reads them.
func (t *Type) secret() bool { return t.Name == "crypt-hash" }

// Numeric reports whether values are numbers.
func (t *Type) Numeric() bool { return t.kind >= yang.Yint8 && t.kind <= yang.Yuint64 }

// Place is how help writes a value: <86..9600>, <ip-prefix>; "" for a type that has
// names alone.
func (t *Type) Place() string {
	switch {
	case len(t.Union) > 0:
		var list []string
		for _, m := range t.Union {
			if p := strings.Trim(m.Place(), "<>"); p != "" && !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
		// The typedef says it shorter than its members' patterns.
		if t.Name != "union" && len(list) > 1 {
			return "<" + t.Name + ">"
		}
		if len(list) == 0 {
			return ""
		}
		return "<" + strings.Join(list, "|") + ">"
	case len(t.Enum) > 0:
		return ""
	case t.Numeric():
		return "<" + rangeText(t.ranges) + ">"
	}
	return "<" + t.Name + ">"
}

// Describe says in a few words what a value is: its type, and bounds.
func (t *Type) Describe() string {
	switch {
	case t.Numeric():
		return t.Name + " " + rangeText(t.ranges)
	case len(t.length) > 0 && t.kind == yang.Ystring:
		return t.Name + ", " + rangeText(t.length) + " characters"
	}
	return t.Name
}

func rangeText(r yang.YangRange) string {
	var parts []string
	for _, x := range r {
		low, high := x.Min.String(), x.Max.String()
		if x.Max.Value == math.MaxUint64 && !x.Max.Negative {
			high = "max"
		}
		if low == high {
			parts = append(parts, low)
		} else {
			parts = append(parts, low+".."+high)
		}
	}
	return strings.Join(parts, "|")
}

// Check says what is wrong with a value in its lexical form, as far as a client can
// tell; the router has the last word.
func (t *Type) Check(value string) error {
	switch {
	case len(t.Union) > 0:
		for _, m := range t.Union {
			if m.Check(value) == nil {
				return nil
			}
		}
		return fmt.Errorf("%s is no %s%s", Brief(value), t.Name, oneOf(t.Names()))
	case t.kind == yang.Ybits:
		for _, w := range strings.Fields(value) {
			if !slices.Contains(t.Enum, w) {
				return fmt.Errorf("%s is no %s%s", Brief(w), t.Name, oneOf(t.Enum))
			}
		}
	case len(t.Enum) > 0:
		if !slices.Contains(t.Enum, value) {
			return fmt.Errorf("%s is no %s%s", Brief(value), t.Name, oneOf(t.Enum))
		}
	case t.Numeric():
		n, err := yang.ParseInt(value)
		if err != nil {
			return fmt.Errorf("%s is no number: want %s", Brief(value), rangeText(t.ranges))
		}
		if !slices.ContainsFunc(t.ranges, func(r yang.YRange) bool { return !n.Less(r.Min) && !r.Max.Less(n) }) && len(t.ranges) > 0 {
			return fmt.Errorf("%s is out of range: want %s", value, rangeText(t.ranges))
		}
	default:
		return t.checkText(value)
	}
	return nil
}

func (t *Type) checkText(value string) error {
	n := yang.FromInt(int64(len([]rune(value))))
	if len(t.length) > 0 && !slices.ContainsFunc(t.length, func(r yang.YRange) bool { return !n.Less(r.Min) && !r.Max.Less(n) }) {
		return fmt.Errorf("%s has %s characters: want %s", Brief(value), n, rangeText(t.length))
	}
	for _, p := range t.pattern {
		if re := anchored(p); re != nil && !re.MatchString(value) {
			return fmt.Errorf("%s is no %s", Brief(value), t.Name)
		}
	}
	return nil
}

// oneOf lists a few names.
// patterns are the expressions that were compiled, by their text: a large configuration
// has the same few ten thousand times.
var patterns sync.Map // of string to *regexp.Regexp

// anchored is the expression of one of YANG's patterns, which mean the whole value; nil
// for what Go's syntax lacks, which is the router's to check.
func anchored(pattern string) *regexp.Regexp {
	if re, ok := patterns.Load(pattern); ok {
		return re.(*regexp.Regexp)
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		re = nil
	}
	patterns.Store(pattern, re)
	return re
}

func oneOf(names []string) string {
	if len(names) == 0 || len(names) > 12 {
		return ""
	}
	return ": want " + strings.Join(names, ", ")
}
