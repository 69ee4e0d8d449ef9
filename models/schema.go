package models

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/openconfig/goyang/pkg/yang"
	"github.com/openconfig/ygot/util"
	"github.com/openconfig/ygot/ytypes"

	"router/gen"
	"router/models/inet"
)

// A leafCheck checks one leaf of a generated struct against its YANG type.
type leafCheck struct {
	field int
	name  string
	most  uint64 // values of a leaf-list; 0 for any number
	valueCheck
}

// A valueCheck checks a value against a YANG type. ygot would prepare the
// patterns anew for each value.
type valueCheck struct {
	typ      *yang.YangType // without patterns
	patterns []*regexp.Regexp
	quick    func(string) bool // recognises what the only pattern matches; nil for none
	members  []valueCheck      // of a union
}

// leafChecks remembers, by struct type, what checkLeaves found in the schema.
var leafChecks sync.Map // reflect.Type -> []leafCheck

// checkLeaves checks the leaves of container, a pointer to a generated struct
// or nil, against the ranges, lengths and patterns of the schema, and reports
// whether all of them hold. It doesn't descend. ygot's own Validate is whole
// subtrees only, and much slower.
func checkLeaves(container any, path string, v *violations) bool {
	s := reflect.ValueOf(container)
	if s.IsNil() {
		return true
	}
	s = s.Elem()
	cached, ok := leafChecks.Load(s.Type())
	if !ok {
		cached, _ = leafChecks.LoadOrStore(s.Type(), leafChecksOf(s.Type()))
	}
	before := len(*v)
	list := cached.([]leafCheck)
	for i := range list {
		c := &list[i]
		f := s.Field(c.field)
		if f.Kind() == reflect.Pointer {
			if f.IsNil() {
				continue
			}
			f = f.Elem()
		}
		if f.Kind() == reflect.Slice {
			c.checkList(f, path, v)
			continue
		}
		if err := c.check(f); err != nil {
			v.add(path+"/"+c.name, ruleBadValue, "%w", err)
		}
	}
	return len(*v) == before
}

// checkList checks a leaf-list: each of its values, and their number.
func (c *leafCheck) checkList(list reflect.Value, path string, v *violations) {
	if c.most > 0 && uint64(list.Len()) > c.most {
		v.add(path+"/"+c.name, ruleTooMany, "%d values: %d at most", list.Len(), c.most)
	}
	for i := range list.Len() {
		if err := c.check(list.Index(i)); err != nil {
			v.add(path+"/"+c.name, ruleBadValue, "%w", err)
		}
	}
}

// leafChecksOf lists the leaves of a generated struct that have a restriction.
func leafChecksOf(t reflect.Type) []leafCheck {
	entry := gen.SchemaTree[t.Name()]
	if entry == nil {
		return nil
	}
	var checks []leafCheck
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("path")
		leaf := entry.Dir[name]
		if leaf == nil || !leaf.IsLeaf() && !leaf.IsLeafList() || leaf.Type.Kind == yang.Yleafref {
			continue
		}
		check := leafCheck{field: i, name: name, valueCheck: newValueCheck(leaf.Type)}
		if leaf.IsLeafList() && leaf.ListAttr.MaxElements != 0 && leaf.ListAttr.MaxElements != math.MaxUint64 {
			check.most = leaf.ListAttr.MaxElements
		}
		checks = append(checks, check)
	}
	return checks
}

func newValueCheck(t *yang.YangType) valueCheck {
	plain := *t
	plain.Pattern, plain.POSIXPattern = nil, nil
	c := valueCheck{typ: &plain}
	patterns, posix := util.SanitizedPattern(t)
	if len(t.Pattern) == 1 && !posix && len(t.Length) == 0 {
		c.quick = inet.Quick(t.Pattern[0])
	}
	for _, p := range patterns {
		// The schema is part of the program, and a test compiles all of it.
		c.patterns = append(c.patterns, regexp.MustCompile(p))
	}
	for _, member := range t.Type {
		c.members = append(c.members, newValueCheck(member))
	}
	return c
}

// check checks v, of one of the kinds that this model's leaves have.
func (c *valueCheck) check(v reflect.Value) error {
	var err error
	switch {
	case len(c.members) > 0:
		if err = c.checkMembers(v); err == nil {
			return nil
		}
	case v.Kind() == reflect.String:
		if c.quick != nil && c.quick(v.String()) {
			return nil
		}
		err = ytypes.ValidateStringRestrictions(c.typ, v.String())
		for _, p := range c.patterns {
			if err == nil && !p.MatchString(v.String()) {
				err = fmt.Errorf("write what matches %v", p)
			}
		}
	case v.CanUint():
		err = ytypes.ValidateUintRestrictions(c.typ, v.Uint())
	}
	if err != nil {
		return fmt.Errorf("%v is not a valid %s: %w", v, c.typ.Name, err)
	}
	return nil
}

// checkMembers checks v against a union: one member has to take it.
func (c *valueCheck) checkMembers(v reflect.Value) error {
	if v.Kind() == reflect.String {
		s := v.String()
		for i := range c.members {
			if quick := c.members[i].quick; quick != nil && quick(s) {
				return nil
			}
		}
	}
	names := make([]string, 0, len(c.members))
	for i := range c.members {
		member := &c.members[i]
		if member.check(v) == nil {
			return nil
		}
		names = append(names, member.typ.Name)
	}
	return fmt.Errorf("write an %s", strings.Join(names, " or an "))
}

func uintText(n uint64) string { return strconv.FormatUint(n, 10) }
