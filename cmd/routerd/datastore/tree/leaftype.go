package tree

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/openconfig/goyang/pkg/yang"
	"github.com/openconfig/ygot/util"
	"github.com/openconfig/ygot/ygot"
	"github.com/openconfig/ygot/ytypes"

	"router/models/inet"
)

// A leafType checks and decodes the values of one YANG type.
type leafType struct {
	kind    yang.TypeKind
	ranges  yang.YangRange
	lengths yang.YangRange
	match   []*regexp.Regexp
	pattern []string          // as the model writes them, for messages
	quick   func(string) bool // recognises what the only pattern matches; nil for none
	members []*leafType
}

// text is a value in its lexical form, which fits every type: from a key in a
// path, or a default.
type text string

func fromText(s string) any { return text(s) }

// octets is the value of a binary leaf that came as such.
type octets []byte

// patterns holds what compilePattern made: hundreds of leaves share a few
// typedefs, and a compiled pattern takes kilobytes.
var patterns sync.Map // of patternKey to *regexp.Regexp

type patternKey struct {
	text  string
	posix bool
}

func compilePattern(text string, posix bool) (*regexp.Regexp, error) {
	key := patternKey{text, posix}
	if re, ok := patterns.Load(key); ok {
		return re.(*regexp.Regexp), nil
	}
	compile := regexp.Compile
	if posix {
		compile = regexp.CompilePOSIX
	}
	re, err := compile(text)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", text, err)
	}
	patterns.Store(key, re)
	return re, nil
}

func newLeafType(t *yang.YangType) (*leafType, error) {
	l := &leafType{kind: t.Kind, ranges: t.Range, lengths: t.Length, pattern: t.Pattern}
	texts, posix := util.SanitizedPattern(t)
	for _, p := range texts {
		re, err := compilePattern(p, posix)
		if err != nil {
			return nil, err
		}
		l.match = append(l.match, re)
	}
	if posix {
		l.pattern = t.POSIXPattern
	}
	if len(t.Pattern) == 1 && len(l.match) == 1 && len(l.lengths) == 0 {
		l.quick = inet.Quick(t.Pattern[0])
	}
	for _, m := range t.Type {
		c, err := newLeafType(m)
		if err != nil {
			return nil, err
		}
		l.members = append(l.members, c)
	}
	return l, nil
}

// set decodes value into the field of leaf n in the struct that holder points
// to. value is a string, json.Number, bool, []any, nil, octets, or text. A leaf-list
// takes []any or one value and replaces what is there.
func (n *Node) set(holder reflect.Value, value any) error {
	field := holder.Elem().Field(n.field)
	if n.Kind == Leaf {
		return n.setOne(holder, field, value)
	}
	values, ok := value.([]any)
	if !ok {
		return fmt.Errorf("a leaf-list takes an array, not %s", describe(value))
	}
	if len(values) == 0 {
		field.SetZero() // RFC 7950, section 7.7: there is no empty leaf-list
		return nil
	}
	list := reflect.MakeSlice(field.Type(), 0, len(values))
	scratch := reflect.New(n.Parent.typ)
	known := make(map[string]struct{}, len(values))
	for i, v := range values {
		one := scratch.Elem().Field(n.field)
		if err := n.setElem(scratch, v); err != nil {
			return fmt.Errorf("value %d: %w", i+1, err)
		}
		list = reflect.Append(list, one.Index(0))
		if known[textOf(one.Index(0))] = struct{}{}; len(known) <= i {
			return fmt.Errorf("value %d: %s %s", i+1, describe(v), standsTwice) // RFC 7950, section 7.7
		}
	}
	field.Set(list)
	return nil
}

// setElem makes the leaf-list a list of the one value.
func (n *Node) setElem(holder reflect.Value, value any) error {
	field := holder.Elem().Field(n.field)
	field.SetZero()
	t := field.Type().Elem()
	if n.union != nil {
		return n.setUnion(holder, field, value)
	}
	if err := n.leaf.check(value, t); err != nil {
		return err
	}
	if v, ok := n.leaf.scalar(value, t); ok {
		list := reflect.MakeSlice(field.Type(), 1, 1)
		list.Index(0).Set(v)
		field.Set(list)
		return nil
	}
	if err := ytypes.Unmarshal(n.entry, holder.Interface(), []any{plainJSON(n.leaf, value)}); err != nil {
		return fmt.Errorf("%s is no value of this type", describe(value))
	}
	return nil
}

// setUnion decodes a value of a union into its leaf, or into the one entry of its
// leaf-list.
func (n *Node) setUnion(holder, field reflect.Value, value any) error {
	t := field.Type()
	if n.Kind == LeafList {
		t = t.Elem()
	}
	v, err := n.union.value(n.leaf, value, t)
	switch {
	case err == nil && n.Kind == LeafList:
		list := reflect.MakeSlice(field.Type(), 1, 1)
		list.Index(0).Set(v)
		field.Set(list)
		return nil
	case err == nil:
		field.Set(v)
		return nil
	case !errors.Is(err, errSlow):
		return err
	}
	plain := plainJSON(n.leaf, value)
	if n.Kind == LeafList {
		plain = []any{plain}
	}
	if err := ytypes.Unmarshal(n.entry, holder.Interface(), plain); err != nil {
		return fmt.Errorf("%s is no value of this type", describe(value))
	}
	if n.Kind == LeafList {
		n.union.learn(field.Index(0))
	} else {
		n.union.learn(field)
	}
	return nil
}

func (n *Node) setOne(holder, field reflect.Value, value any) error {
	t := field.Type()
	if n.union != nil {
		field.SetZero()
		return n.setUnion(holder, field, value)
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if _, known := value.(checked); !known {
		if err := n.leaf.check(value, t); err != nil {
			return err
		}
	}
	if v, ok := n.leaf.scalar(value, t); ok {
		assign(field, v)
		return nil
	}
	// Unions of several Go types, empty and decimal64 are rare: ygot
	// knows how to pick the generated type.
	field.SetZero()
	if err := ytypes.Unmarshal(n.entry, holder.Interface(), plainJSON(n.leaf, value)); err != nil {
		return fmt.Errorf("%s is no value of this type", describe(value))
	}
	return nil
}

// scalar is the Go value of type t for a value that passed check; ok is false
// for the types that are left to ygot.
func (l *leafType) scalar(value any, t reflect.Type) (v reflect.Value, ok bool) {
	v = reflect.New(t).Elem()
	switch {
	case t.Kind() == reflect.String:
		s, _ := stringOf(value)
		v.SetString(s)
	case t.Kind() == reflect.Bool && l.kind == yang.Ybool:
		b, ok := value.(bool)
		if !ok {
			b = value.(text) == "true"
		}
		v.SetBool(b)
	case t.Implements(goEnum):
		s, _ := stringOf(value)
		v.SetInt(enumValues(t)[localName(s)])
	case l.kind == yang.Ybinary:
		v.SetBytes(binaryOf(value))
	case t.Kind() >= reflect.Int8 && t.Kind() <= reflect.Int64:
		n, _ := parseInteger(lexical(value))
		i, _ := n.Int()
		v.SetInt(i)
	case t.Kind() >= reflect.Uint8 && t.Kind() <= reflect.Uint64:
		n, _ := parseInteger(lexical(value))
		v.SetUint(n.Value)
	default:
		return v, false
	}
	return v, true
}

func assign(field, v reflect.Value) {
	if field.Kind() != reflect.Pointer {
		field.Set(v)
		return
	}
	p := reflect.New(field.Type().Elem())
	p.Elem().Set(v)
	field.Set(p)
}

var goEnum = reflect.TypeFor[ygot.GoEnum]()

// check reports why value is none of this type. t is the Go type that holds
// such values; it tells the names of an enumeration.
func (l *leafType) check(value any, t reflect.Type) error {
	switch l.kind {
	case yang.Yint8, yang.Yint16, yang.Yint32, yang.Yint64, yang.Yuint8, yang.Yuint16, yang.Yuint32, yang.Yuint64:
		return l.checkInt(value)
	case yang.Ystring:
		return l.checkString(value)
	case yang.Ybool:
		switch v := value.(type) {
		case bool:
			return nil
		case text:
			if v == "true" || v == "false" {
				return nil
			}
		}
		return fmt.Errorf("must be true or false, not %s", describe(value))
	case yang.Yenum, yang.Yidentityref:
		return checkEnum(value, t)
	case yang.Yunion:
		return l.checkUnion(value, t)
	case yang.Ydecimal64:
		s := lexical(value)
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return fmt.Errorf("must be a decimal number, not %s", describe(value))
		}
		return nil
	case yang.Ybinary:
		return l.checkBinary(value)
	case yang.Yempty:
		if a, ok := value.([]any); ok && len(a) == 1 && a[0] == nil {
			return nil
		}
		return fmt.Errorf("an empty leaf is written [null], not %s", describe(value))
	case yang.Ybits, yang.YinstanceIdentifier, yang.Yleafref, yang.Ynone:
	}
	return fmt.Errorf("values of YANG type %v are not supported", l.kind)
}

func (l *leafType) checkInt(value any) error {
	wide := l.kind == yang.Yint64 || l.kind == yang.Yuint64
	switch value.(type) {
	case json.Number, text:
	case string:
		// RFC 7951, section 6.1: only 64-bit numbers are strings.
		if !wide {
			return fmt.Errorf("must be a number, not the string %s", describe(value))
		}
	default:
		return fmt.Errorf("must be a number, not %s", describe(value))
	}
	num, err := parseInteger(lexical(value))
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("must be a whole number, not %s", describe(value))
	}
	if err == nil && (len(l.ranges) == 0 || slices.ContainsFunc(l.ranges, func(r yang.YRange) bool { return !num.Less(r.Min) && !r.Max.Less(num) })) {
		return nil
	}
	return fmt.Errorf("%s is outside the range %s", lexical(value), l.ranges)
}

// parseInteger reads a number in the lexical form of YANG's integers: decimal digits after
// an optional sign (RFC 7950, 9.2.1; octal and hexadecimal are for defaults in a model). The error is
// strconv.ErrRange where 64 bits don't hold it.
func parseInteger(s string) (yang.Number, error) {
	digits := s
	if s != "" && (s[0] == '+' || s[0] == '-') {
		digits = s[1:]
	}
	v, err := strconv.ParseUint(digits, 10, 64)
	return yang.Number{Value: v, Negative: s != digits && s[0] == '-' && v != 0}, err
}

func (l *leafType) checkBinary(value any) error {
	b := binaryOf(value)
	if b == nil {
		return fmt.Errorf("must be octets or a base64 string, not %s", describe(value))
	}
	return l.checkLength(len(b), "octets")
}

// binaryOf is the octets that value stands for, nil for none.
func binaryOf(value any) []byte {
	if o, ok := value.(octets); ok {
		return append([]byte{}, o...)
	}
	s, ok := stringOf(value)
	if !ok {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// checkLength holds a length, counted in unit, against the type's.
func (l *leafType) checkLength(n int, unit string) error {
	size := yang.FromUint(uint64(n))
	if len(l.lengths) == 0 || slices.ContainsFunc(l.lengths, func(r yang.YRange) bool { return !size.Less(r.Min) && !r.Max.Less(size) }) {
		return nil
	}
	return fmt.Errorf("is %d %s long; allowed are %s", n, unit, l.lengths)
}

// notYANG reports whether YANG strings can't have r: control characters but tab,
// line feed and carriage return, and noncharacters (RFC 7950, 9.4).
func notYANG(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe
}

func (l *leafType) checkString(value any) error {
	s, ok := stringOf(value)
	if !ok {
		return fmt.Errorf("must be a string, not %s", describe(value))
	}
	if l.quick != nil && l.quick(s) {
		return nil
	}
	if !utf8.ValidString(s) {
		return errors.New("must be valid UTF-8")
	}
	if i := strings.IndexFunc(s, notYANG); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		return fmt.Errorf("has the character %U, which YANG does not allow in a string", r)
	}
	if err := l.checkLength(utf8.RuneCountInString(s), "characters"); err != nil {
		return err
	}
	for i, re := range l.match {
		if !re.MatchString(s) {
			return fmt.Errorf("%s does not match the pattern %s", describe(value), l.pattern[i])
		}
	}
	return nil
}

func (l *leafType) checkUnion(value any, t reflect.Type) error {
	if s, ok := stringOf(value); ok {
		for _, m := range l.members {
			if m.quick != nil && m.quick(s) {
				return nil
			}
		}
	}
	var first error
	for _, m := range l.members {
		err := m.check(value, t)
		if err == nil {
			return nil
		}
		if m.kind == yang.Yenum || m.kind == yang.Yidentityref {
			// The names live in a Go type that only ygot can pick; it decides.
			if _, ok := stringOf(value); ok && t.Kind() == reflect.Interface {
				return nil
			}
		}
		if first == nil {
			first = err
		}
	}
	return fmt.Errorf("fits none of the allowed types; the first says: %w", first)
}

func checkEnum(value any, t reflect.Type) error {
	if !t.Implements(goEnum) {
		return fmt.Errorf("%s is no name of this enumeration", describe(value))
	}
	names := enumValues(t)
	if s, ok := stringOf(value); ok {
		if _, ok := names[localName(s)]; ok {
			return nil
		}
	}
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	return fmt.Errorf("%s is none of %s", describe(value), strings.Join(list, ", "))
}

// enums remembers, by type, what enumValues found.
var enums sync.Map // reflect.Type -> map[string]int64

// enumValues maps the names of the generated enumeration type t to its values. The
// map is shared.
func enumValues(t reflect.Type) map[string]int64 {
	if m, ok := enums.Load(t); ok {
		return m.(map[string]int64)
	}
	e := reflect.Zero(t).Interface().(ygot.GoEnum)
	defs := e.ΛMap()[t.Name()]
	m := make(map[string]int64, len(defs))
	for v, d := range defs {
		m[d.Name] = v
	}
	enums.Store(t, m)
	return m
}

// localName drops the module's name before an identity (RFC 7951, section 6.8).
func localName(s string) string {
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		return s[i+1:]
	}
	return s
}

func stringOf(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case text:
		return string(v), true
	case checked:
		return string(v), true
	}
	return "", false
}

func lexical(v any) string {
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	s, _ := stringOf(v)
	return s
}

// plainJSON is the value in the form in which encoding/json decodes RFC 7951,
// which is what ygot takes.
func plainJSON(l *leafType, value any) any {
	switch v := value.(type) {
	case json.Number:
		if l.kind == yang.Yint64 || l.kind == yang.Yuint64 || l.kind == yang.Ydecimal64 {
			return v.String()
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case text:
		if l.kind != yang.Yunion {
			return string(v)
		}
		if f, err := strconv.ParseFloat(string(v), 64); err == nil {
			return f
		}
		return string(v)
	}
	return value
}

// describe shows a value in a message, shortened.
func describe(v any) string {
	const most = 60
	if t, ok := v.(text); ok {
		v = string(t)
	}
	if _, ok := v.(octets); ok {
		return "octets"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "that value"
	}
	s := string(b)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	switch v.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "the array " + s
	}
	return s
}
