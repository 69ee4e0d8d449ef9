package tree

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/openconfig/goyang/pkg/yang"
)

// A union picks the member of a YANG union that takes a value, and makes the Go
// value that ygot has for it. ygot can do so itself, at many times the cost: the
// types of enumerations come from the generated struct, the others are learned from
// what ygot made.
type union struct {
	enums []reflect.Type // of its enumerations, in the model's order

	mu    sync.Mutex
	known map[yang.TypeKind]reflect.Type
}

// newUnion finds the enumerations of leaf n.
func newUnion(n *Node) *union {
	u := &union{known: map[yang.TypeKind]reflect.Type{}}
	if s, ok := reflect.New(n.Parent.typ).Interface().(interface {
		ΛEnumTypeMap() map[string][]reflect.Type
	}); ok {
		u.enums = s.ΛEnumTypeMap()[n.SchemaPath()]
	}
	return u
}

var errSlow = errors.New("ygot has to be asked")

// value is the Go value of value, as an entry of interface type t. It is errSlow
// where ygot has to make the first of its kind.
func (u *union) value(l *leafType, value any, t reflect.Type) (reflect.Value, error) {
	enum := 0
	var first error
	for _, m := range l.members {
		if m.kind == yang.Yenum || m.kind == yang.Yidentityref {
			if enum >= len(u.enums) {
				return reflect.Value{}, errSlow
			}
			et := u.enums[enum]
			enum++
			if s, ok := stringOf(value); ok {
				if n, ok := enumValues(et)[localName(s)]; ok {
					v := reflect.New(et).Elem()
					v.SetInt(n)
					return v, nil
				}
			}
			continue
		}
		if err := m.check(value, t); err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		u.mu.Lock()
		ct := u.known[m.kind]
		u.mu.Unlock()
		if ct == nil {
			return reflect.Value{}, errSlow
		}
		return m.convert(value, ct)
	}
	return reflect.Value{}, u.refusal(value, first)
}

// convert makes the value of a number or a string type.
func (l *leafType) convert(value any, t reflect.Type) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	switch {
	case v.Kind() == reflect.String:
		s, _ := stringOf(value)
		v.SetString(s)
	case v.CanUint():
		n, err := parseInteger(lexical(value))
		if err != nil {
			return v, errSlow
		}
		v.SetUint(n.Value)
	default:
		return v, errSlow
	}
	return v, nil
}

// learn remembers the type of what ygot has made.
func (u *union) learn(v reflect.Value) {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	kinds := map[reflect.Kind]yang.TypeKind{
		reflect.String: yang.Ystring, reflect.Uint8: yang.Yuint8, reflect.Uint16: yang.Yuint16, reflect.Uint32: yang.Yuint32, reflect.Uint64: yang.Yuint64,
	}
	if !v.IsValid() {
		return
	}
	if k, ok := kinds[v.Kind()]; ok {
		u.mu.Lock()
		u.known[k] = v.Type()
		u.mu.Unlock()
	}
}

// refusal says what the union would have taken.
func (u *union) refusal(value any, first error) error {
	var names []string
	for _, t := range u.enums {
		for name := range enumValues(t) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	_, number := value.(json.Number)
	switch {
	case len(names) == 0 && first != nil:
		return fmt.Errorf("fits none of the allowed types; the first says: %w", first)
	case number && first != nil:
		return first
	case first == nil:
		return fmt.Errorf("%s is none of %s", describe(value), strings.Join(names, ", "))
	}
	return fmt.Errorf("%s is neither a number nor one of %s", describe(value), strings.Join(names, ", "))
}
