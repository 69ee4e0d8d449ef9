package command

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"router/cmd/rcli/schema"
)

// A Type is what a value is. The zero value is any text.
type Type struct {
	fixed    fixed
	leaf     string // path of a leaf of the model, whose type, help and live values apply
	enum     []Candidate
	min, max int64
	units    string
}

type fixed uint8

const (
	text fixed = iota
	address
	prefix
	addressOrPrefix
	integer
	enumeration
	duration
	file
	modelLeaf
)

// Types that are not the model's.
var (
	Text            = Type{}
	Address         = Type{fixed: address}
	Prefix          = Type{fixed: prefix}
	AddressOrPrefix = Type{fixed: addressOrPrefix}
	Duration        = Type{fixed: duration} // 500ms, 1m30s
	File            = Type{fixed: file}     // of this machine; "-" for standard input or output
)

// Integer is a number between two bounds, included.
func Integer(low, high int64, units string) Type {
	return Type{fixed: integer, min: low, max: high, units: units}
}

// Enum is one of a few words.
func Enum(words ...Candidate) Type { return Type{fixed: enumeration, enum: words} }

// Leaf is what the leaf of the model at a schema path takes, /instance/config/name:
// its type, range and description, and, where it is a key or names one, the values
// that are there now.
func Leaf(path string) Type { return Type{fixed: modelLeaf, leaf: path} }

// node is the leaf of the model; nil for other types.
func (t Type) node() *schema.Node {
	if t.fixed != modelLeaf {
		return nil
	}
	n, err := schema.Find(t.leaf)
	if err != nil {
		return nil // NewTable refuses such a type
	}
	return n
}

// Check says what is wrong with a value.
func (t Type) Check(v string) error {
	switch t.fixed {
	case text, file:
		return nil
	case address:
		if _, err := netip.ParseAddr(v); err != nil {
			return fmt.Errorf("%q is no address: want a form such as 192.0.2.1 or 2001:db8::1", v)
		}
	case prefix:
		if _, err := netip.ParsePrefix(v); err != nil {
			return fmt.Errorf("%q is no prefix: want a form such as 192.0.2.0/24 or 2001:db8::/64", v)
		}
	case addressOrPrefix:
		_, err := netip.ParseAddr(v)
		if _, perr := netip.ParsePrefix(v); err != nil && perr != nil {
			return fmt.Errorf("%q: want a prefix or an address, as 192.0.2.0/24 or 2001:db8::1", v)
		}
	case integer:
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < t.min || n > t.max {
			return fmt.Errorf("%q: want a number from %d to %d", v, t.min, t.max)
		}
	case enumeration:
		if !slices.ContainsFunc(t.enum, func(c Candidate) bool { return c.Text == v }) {
			return fmt.Errorf("%q: want %s", v, either(t.names()))
		}
	case duration:
		if d, err := time.ParseDuration(v); err != nil || d < 0 {
			return fmt.Errorf("%q is no time: want a form such as 500ms, 10s or 1m30s", v)
		}
	case modelLeaf:
		if n := t.node(); n != nil && n.Type != nil {
			return n.Type.Check(v)
		}
	}
	return nil
}

// either lists words: a, b or c.
func either(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// strong reports whether a word that passes Check is surely a value, even where it
// could abbreviate a keyword.
func (t Type) strong() bool {
	switch t.fixed {
	case address, prefix, addressOrPrefix, integer, duration:
		return true
	case text, enumeration, file, modelLeaf:
	}
	return false
}

// names are the words that a value may be.
func (t Type) names() []string {
	var list []string
	for _, c := range t.enum {
		list = append(list, c.Text)
	}
	if n := t.node(); n != nil && n.Type != nil {
		list = append(list, n.Type.Names()...)
	}
	return list
}

// place is how help writes a value.
func (t Type) place() string {
	switch t.fixed {
	case text:
		return "<text>"
	case address:
		return "<address>"
	case prefix:
		return "<prefix>"
	case addressOrPrefix:
		return "<prefix>"
	case integer:
		return fmt.Sprintf("<%d..%d>", t.min, t.max)
	case enumeration:
		return ""
	case duration:
		return "<time>"
	case file:
		return "<file>"
	case modelLeaf:
		if n := t.node(); n != nil && n.Type != nil {
			return n.Type.Place()
		}
	}
	return "<text>"
}

// describe says what a value is, "" when place says all.
func (t Type) describe() string {
	if n := t.node(); n != nil {
		return n.ValueHelp()
	}
	return t.units
}

// expand completes an abbreviated word of the type.
func (t Type) expand(v string, quoted bool) string {
	if quoted || v == "" || t.Check(v) == nil {
		return v
	}
	var found []string
	for _, n := range t.names() {
		if strings.HasPrefix(n, v) {
			found = append(found, n)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return v
}

// candidates are the values that begin with start.
func (t Type) candidates(ctx context.Context, env *Env, start string) []Candidate {
	var list []Candidate
	switch t.fixed {
	case text, address, prefix, addressOrPrefix, integer, duration:
	case enumeration:
		for _, c := range t.enum {
			if strings.HasPrefix(c.Text, start) {
				list = append(list, c)
			}
		}
	case file:
		list = files(start)
	case modelLeaf:
		if n := t.node(); n != nil {
			list = leafValues(ctx, env, n, schema.Path{}, start)
		}
	}
	return list
}

// files are the files of this machine whose names begin with start.
func files(start string) []Candidate {
	const most = 200
	dir, base := filepath.Split(start)
	at := dir
	if at == "" {
		at = "."
	}
	entries, err := os.ReadDir(at)
	if err != nil {
		return nil
	}
	var list []Candidate
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || strings.HasPrefix(name, ".") && base == "" {
			continue
		}
		c := Candidate{Text: dir + name, Live: true}
		if e.IsDir() {
			c.Text, c.Part = c.Text+"/", true
		}
		if list = append(list, c); len(list) == most {
			break
		}
	}
	return list
}
