package models

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/openconfig/goyang/pkg/yang"
	"github.com/openconfig/ygot/ytypes"

	"router/gen"
)

// A leafCheck checks one leaf of a generated struct against its YANG type.
type leafCheck struct {
	field int
	name  string
	typ   *yang.YangType
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
	for _, c := range cached.([]leafCheck) {
		f := s.Field(c.field)
		if f.Kind() == reflect.Pointer {
			if f.IsNil() {
				continue
			}
			f = f.Elem()
		}
		if err := checkValue(c.typ, f); err != nil {
			v.add(path+"/"+c.name, ruleBadValue, "%w", err)
		}
	}
	return len(*v) == before
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
		if leaf == nil || !leaf.IsLeaf() || leaf.Type.Kind == yang.Yleafref {
			continue
		}
		checks = append(checks, leafCheck{field: i, name: name, typ: leaf.Type})
	}
	return checks
}

// checkValue checks v, of one of the kinds that this model's leaves have,
// against t.
func checkValue(t *yang.YangType, v reflect.Value) error {
	if t.Kind == yang.Yunion {
		var names []string
		for _, member := range t.Type {
			if checkValue(member, v) == nil {
				return nil
			}
			names = append(names, member.Name)
		}
		return fmt.Errorf("%v is not a valid %s: write an %s", v, t.Name, strings.Join(names, " or an "))
	}
	var err error
	if k := v.Kind(); k == reflect.String {
		err = ytypes.ValidateStringRestrictions(t, v.String())
	} else if v.CanUint() {
		err = ytypes.ValidateUintRestrictions(t, v.Uint())
	}
	if err != nil {
		return fmt.Errorf("%v is not a valid %s: %w", v, t.Name, err)
	}
	return nil
}

func uintText(n uint64) string { return strconv.FormatUint(n, 10) }
