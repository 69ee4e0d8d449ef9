package render

import (
	"cmp"
	"net/netip"
	"strings"
)

// Natural compares names as people do: digits by their number (ge0.2 before
// ge0.10), addresses and prefixes by their value, in front of names. 0 means the same
// text.
func Natural(a, b string) int {
	kindA, prefixA := kind(a)
	kindB, prefixB := kind(b)
	if kindA != text || kindB != text {
		return cmp.Or(cmp.Compare(kindA, kindB), prefixA.Compare(prefixB), strings.Compare(a, b))
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if !digit(a[i]) || !digit(b[j]) {
			if a[i] != b[j] {
				return cmp.Compare(a[i], b[j])
			}
			i, j = i+1, j+1
			continue
		}
		x, y := number(a[i:]), number(b[j:])
		i, j = i+len(x), j+len(y)
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		// Without leading zeros the longer number is the larger one.
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(a)-i, len(b)-j), strings.Compare(a, b))
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// number is the digits that s begins with.
func number(s string) string {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return s[:n]
}

const (
	prefix = iota
	address
	text
)

// kind says what a name is, and its value when that is a prefix or an address.
func kind(s string) (int, netip.Prefix) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return prefix, p
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return address, netip.PrefixFrom(a, a.BitLen())
	}
	return text, netip.Prefix{}
}
