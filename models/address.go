package models

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"router/intf"
)

// parseAddr reads an address that the schema found well-formed, and reports a
// spelling that isn't the canonical one. ok says that a can be used.
func parseAddr(text, path string, v *violations) (a netip.Addr, ok bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		v.add(path, ruleBadValue, "%q is not an IPv4 or IPv6 address: write one, without a zone", text)
		return netip.Addr{}, false
	}
	if want := a.String(); want != text {
		v.add(path, ruleAddressCanonical, "%s is not the canonical spelling: write %s", text, want)
	}
	return a, true
}

// parsePrefix is parseAddr for a prefix, which may have host bits.
func parsePrefix(text, path string, v *violations) (p netip.Prefix, ok bool) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		v.add(path, ruleBadValue, "%q is not an IPv4 or IPv6 prefix: write an address, a slash and a length", text)
		return netip.Prefix{}, false
	}
	var want [64]byte
	if want := p.AppendTo(want[:0]); string(want) != text {
		v.add(path, ruleAddressCanonical, "%s is not the canonical spelling: write %s", text, want)
	}
	return p, true
}

var (
	errUnspecified = errors.New("the unspecified address or one of this network (0.0.0.0/8, ::)")
	errLoopback    = errors.New("a loopback address")
	errMulticast   = errors.New("a multicast address")
	errLimited     = errors.New("the limited broadcast address")
	errMapped      = errors.New("an IPv4 address mapped into IPv6")
)

// notUnicast says why a node on a link can't have the address a, or nil
// (RFC 1122 3.2.1.3, RFC 4291 2.5).
func notUnicast(a netip.Addr) error {
	switch {
	case a.Is4In6():
		return errMapped
	case a.IsUnspecified(), a.Is4() && a.As4()[0] == 0:
		return errUnspecified
	case a.IsLoopback():
		return errLoopback
	case a.IsMulticast():
		return errMulticast
	case a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return errLimited
	}
	return nil
}

// notInterfaceAddress says why p can't be an address of the router, or nil.
func notInterfaceAddress(p netip.Prefix) error {
	if err := notUnicast(p.Addr()); err != nil {
		return err
	}
	if p.Bits() == 0 {
		return errors.New("an address in a network of length 0, which is everything")
	}
	// /31 and /127 have no network address (RFC 3021, RFC 6164).
	if p.Addr().BitLen()-p.Bits() < 2 {
		return nil
	}
	if p.Addr() == p.Masked().Addr() {
		if p.Addr().Is6() {
			return fmt.Errorf("the subnet-router anycast address of %v", p.Masked())
		}
		return fmt.Errorf("the address of the network %v itself", p.Masked())
	}
	if p.Addr().Is4() && p.Addr() == lastAddr(p) {
		return fmt.Errorf("the broadcast address of %v", p.Masked())
	}
	return nil
}

// lastAddr is the highest address in an IPv4 prefix.
func lastAddr(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}

// isLinkLocal6 reports whether a is in fe80::/10. IPv4's 169.254/16 is an
// ordinary network to the router.
func isLinkLocal6(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() }

// parseMAC reads a MAC address that the schema found well-formed.
func parseMAC(text string) (intf.MAC, error) {
	m, err := net.ParseMAC(text)
	if err != nil || len(m) != 6 {
		return intf.MAC{}, errors.New("not six octets in hexadecimal")
	}
	return intf.MAC(m), nil
}

// notUnicastMAC says why m can't be the address of one node, or nil.
func notUnicastMAC(m intf.MAC) error {
	switch {
	case m.IsZero():
		return errors.New("all zero")
	case m == intf.Broadcast:
		return errors.New("the broadcast address")
	case m.IsMulticast():
		return errors.New("a group address")
	}
	return nil
}
