package tree

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"sync"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"
)

// A Value is what a leaf or leaf-list holds. It shares memory with the tree
// that it was read from, which is not changed in place: it stays valid after
// the tree has moved on.
type Value struct{ v reflect.Value }

// scalar follows pointers and interfaces; ok is false for an unset value.
func scalar(v reflect.Value) (reflect.Value, bool) {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return v, false
		}
		v = v.Elem()
	}
	return v, true
}

// isSet reports whether the leaf's field holds a value.
func isSet(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		return !v.IsNil()
	default:
		// Enumerations keep 0 for "unset"; an empty leaf is set when true.
		return !v.IsZero()
	}
}

// enumNames has the names of an enumeration's values by the Go type, once they have been asked
// for: a map of int64 to string, nil for a type that is no enumeration.
var enumNames sync.Map

func enumName(v reflect.Value) (string, bool) {
	if v.Kind() != reflect.Int64 {
		return "", false
	}
	t := v.Type()
	known, ok := enumNames.Load(t)
	if !ok {
		known, _ = enumNames.LoadOrStore(t, namesOf(v))
	}
	names, _ := known.(map[int64]string)
	if names == nil {
		return "", false
	}
	if name, ok := names[v.Int()]; ok {
		return name, true
	}
	return v.Interface().(ygot.GoEnum).String(), true // of no value that the model has
}

func namesOf(v reflect.Value) map[int64]string {
	if !v.Type().Implements(goEnum) {
		return nil
	}
	names := make(map[int64]string)
	for value, definition := range v.Interface().(ygot.GoEnum).ΛMap()[v.Type().Name()] {
		names[value] = definition.Name
	}
	return names
}

// Text is the value's lexical form (RFC 7950, section 9), as keys in paths use.
func (l Value) Text() string { return textOf(l.v) }

// List is the values of a leaf-list, in their order; ok is false for a leaf.
func (l Value) List() (values []Value, ok bool) {
	v, ok := scalar(l.v)
	if !ok || v.Kind() != reflect.Slice || v.Type().Elem().Kind() == reflect.Uint8 {
		return nil, false
	}
	values = make([]Value, v.Len())
	for i := range values {
		values[i] = Value{v.Index(i)}
	}
	return values, true
}

// Size is the least number of octets that the value takes in an encoding.
func (l Value) Size() int {
	v, ok := scalar(l.v)
	switch {
	case !ok:
	case v.Kind() == reflect.String, v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		return v.Len()
	}
	return 1
}

func textOf(v reflect.Value) string {
	v, ok := scalar(v)
	if !ok {
		return ""
	}
	if name, ok := enumName(v); ok {
		return name
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return base64.StdEncoding.EncodeToString(v.Bytes())
		}
	default: // the Go types of leaves end here
	}
	return fmt.Sprint(v.Interface())
}

// identityModule is the module that defines an identity, which goes before its
// name (RFC 7951, section 6.8); "" for a value of an enumeration.
func identityModule(v reflect.Value) string {
	return v.Interface().(ygot.GoEnum).ΛMap()[v.Type().Name()][v.Int()].DefiningModule
}

// Plain is the value as encoding/json writes it: RFC 7951 when ietf is set
// (64-bit numbers and decimals are strings), else plain JSON numbers.
func (l Value) Plain(ietf bool) any { return plainOf(l.v, ietf) }

func plainOf(v reflect.Value, ietf bool) any {
	v, ok := scalar(v)
	if !ok {
		return nil
	}
	if name, ok := enumName(v); ok {
		if module := identityModule(v); ietf && module != "" {
			return module + ":" + name
		}
		return name
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Bool:
		if v.Type().Name() == ygot.EmptyTypeName {
			return []any{nil}
		}
		return v.Bool()
	case reflect.Int64, reflect.Uint64, reflect.Float64:
		if ietf {
			return textOf(v)
		}
		return json.Number(textOf(v))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return json.Number(textOf(v))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return textOf(v)
		}
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plainOf(v.Index(i), ietf)
		}
		return list
	default:
		return textOf(v)
	}
}

// AppendJSON appends the value as JSON, as encoding/json writes Plain.
func (l Value) AppendJSON(b []byte, ietf bool) ([]byte, error) {
	if v, ok := scalar(l.v); ok {
		if _, enum := v.Interface().(ygot.GoEnum); !enum {
			wide := v.Kind() == reflect.Uint64 || v.Kind() == reflect.Int64
			if wide && ietf {
				b = append(b, '"')
			}
			switch v.Kind() {
			case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
				b = strconv.AppendUint(b, v.Uint(), 10)
			case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
				b = strconv.AppendInt(b, v.Int(), 10)
			default:
				return l.appendPlain(b, ietf)
			}
			if wide && ietf {
				b = append(b, '"')
			}
			return b, nil
		}
	}
	return l.appendPlain(b, ietf)
}

func (l Value) appendPlain(b []byte, ietf bool) ([]byte, error) {
	text, err := json.Marshal(l.Plain(ietf))
	return append(b, text...), err
}

// Typed is the value as a gNMI scalar (specification, section 2.3.3): decimal64
// as double_val, an enumeration as string_val, a leaf-list as leaflist_val.
func (l Value) Typed() *gnmi.TypedValue { return typedOf(l.v) }

func typedOf(v reflect.Value) *gnmi.TypedValue {
	v, ok := scalar(v)
	if !ok {
		return nil
	}
	if name, ok := enumName(v); ok {
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: name}}
	}
	switch v.Kind() {
	case reflect.Bool:
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_BoolVal{BoolVal: v.Bool()}}
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_IntVal{IntVal: v.Int()}}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_UintVal{UintVal: v.Uint()}}
	case reflect.Float64:
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_DoubleVal{DoubleVal: v.Float()}}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return &gnmi.TypedValue{Value: &gnmi.TypedValue_BytesVal{BytesVal: v.Bytes()}}
		}
		list := &gnmi.ScalarArray{Element: make([]*gnmi.TypedValue, v.Len())}
		for i := range list.Element {
			list.Element[i] = typedOf(v.Index(i))
		}
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_LeaflistVal{LeaflistVal: list}}
	default:
		return &gnmi.TypedValue{Value: &gnmi.TypedValue_StringVal{StringVal: textOf(v)}}
	}
}
