package openconfig

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"router/gen"
	"router/gen/openconfig"
)

// Names that OpenConfig fixes where the native tree has one of its own.
const (
	defaultInstance  = "default" // native
	ocDefault        = "DEFAULT" // the instance of type DEFAULT_INSTANCE
	staticProtocol   = "STATIC"
	protocolInstance = "DEFAULT" // the name of the one protocol entry of that kind
	dropIndex        = "0"       // of the next hop DROP, which has no native entry
)

// tagLength is what OpenConfig's mtu of an interface leaves out of the
// largest frame: one VLAN tag. An untagged frame of 1,514 octets is one of
// 1,518 with a tag.
const tagLength = 4

// ocInstance is the OpenConfig name of a native instance. A native instance
// that is itself called DEFAULT has none.
func ocInstance(native string) (string, bool) {
	switch native {
	case defaultInstance:
		return ocDefault, true
	case ocDefault:
		return "", false
	}
	return native, true
}

// nativeInstance is the inverse of ocInstance.
func nativeInstance(name string) (string, bool) {
	switch name {
	case ocDefault:
		return defaultInstance, true
	case defaultInstance:
		return "", false
	}
	return name, true
}

// unitID is the native unit id of a subinterface's index.
func unitID(index uint32) string { return strconv.FormatUint(uint64(index), 10) }

// subIndex is the inverse of unitID. A unit below another one ("100.1") is no
// subinterface.
func subIndex(id string) (uint32, bool) {
	n, err := strconv.ParseUint(id, 10, 32)
	return uint32(n), err == nil && unitID(uint32(n)) == id
}

// splitUnit parts a native unit name, "ge0.100" or "ge0", into device and
// subinterface; ok is false for a unit below another one.
func splitUnit(name string) (device string, sub uint32, ok bool) {
	device, id, dotted := strings.Cut(name, ".")
	if !dotted {
		return device, 0, true
	}
	sub, ok = subIndex(id)
	return device, sub, ok
}

// unitName is the inverse of splitUnit.
func unitName(device string, sub uint32) string { return device + "." + unitID(sub) }

// sameUnit reports whether two native unit names mean the same unit.
func sameUnit(a, b string) bool {
	if !strings.Contains(a, ".") {
		a += ".0"
	}
	if !strings.Contains(b, ".") {
		b += ".0"
	}
	return a == b
}

// splitPrefix parts a native address, "192.0.2.1/24".
func splitPrefix(s string) (ip string, length uint8, ok bool) {
	ip, bits, ok := strings.Cut(s, "/")
	n, err := strconv.ParseUint(bits, 10, 8)
	return ip, uint8(n), ok && err == nil
}

// canonicalAddr is the one spelling of an address that the router keeps (RFC
// 5952); ok is false for what is no address.
func canonicalAddr(s string) (string, bool) {
	a, err := netip.ParseAddr(s)
	return a.String(), err == nil
}

func canonicalPrefix(s string) (string, bool) {
	p, err := netip.ParsePrefix(s)
	return p.String(), err == nil
}

// families are the two that a subinterface has containers for.
var families = []gen.E_Routerd_FamilyType{gen.Routerd_FamilyType_inet, gen.Routerd_FamilyType_inet6}

// afi is OpenConfig's identity of a family.
func afi(f gen.E_Routerd_FamilyType) oc.E_OpenconfigTypes_ADDRESS_FAMILY {
	if f == gen.Routerd_FamilyType_inet6 {
		return oc.OpenconfigTypes_ADDRESS_FAMILY_IPV6
	}
	return oc.OpenconfigTypes_ADDRESS_FAMILY_IPV4
}

// value is *p, or the zero value where p is nil.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// ptr is a pointer to a copy of v.
func ptr[T any](v T) *T { return &v }

// sortedKeys lists the keys of a map in their order.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
