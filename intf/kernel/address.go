package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"router/intf"
)

// An Address is one address of a link.
type Address struct {
	Index      int          // the link's
	Prefix     netip.Prefix // host bits kept; the length belongs to Peer where there is one
	Peer       netip.Addr   // far end of a point-to-point link; zero elsewhere
	Deprecated bool         // IPv6: not chosen as a source while there is another (RFC 4862, 5.5.4)
	Secondary  bool         // read only: IPv4, not the first of its subnet
	Protocol   uint8        // IFA_PROTO (Linux 5.18); 0 where the kernel does not keep it
}

// Attributes of if_addr.h that x/sys/unix lacks.
const (
	ifaProto = 11
	// ifaddrLen is sizeof(struct ifaddrmsg).
	ifaddrLen = 8
)

func parseAddress(b []byte) (Address, error) {
	if len(b) < ifaddrLen {
		return Address{}, fmt.Errorf("address message of %d octets: want at least %d", len(b), ifaddrLen)
	}
	bits := int(b[1])
	flags := uint32(b[2])
	a := Address{Index: int(int32(binary.NativeEndian.Uint32(b[4:])))}
	var local, address netip.Addr
	for typ, v := range attributes(b[ifaddrLen:]) {
		switch typ {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(v)
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(v)
		case unix.IFA_FLAGS:
			flags = u32(v)
		case ifaProto:
			if len(v) > 0 {
				a.Protocol = v[0]
			}
		}
	}
	if !local.IsValid() {
		local = address
	} else if address.IsValid() && address != local {
		a.Peer = address
	}
	a.Prefix = netip.PrefixFrom(local, bits)
	if !a.Prefix.IsValid() {
		return Address{}, fmt.Errorf("address message of family %d has no address of %d bits", b[0], bits)
	}
	// IFA_F_SECONDARY and IFA_F_TEMPORARY share a bit.
	a.Secondary = local.Is4() && flags&unix.IFA_F_SECONDARY != 0
	a.Deprecated = !local.Is4() && flags&unix.IFA_F_DEPRECATED != 0
	return a, nil
}

// Addresses lists the addresses of one link in the kernel's order, or of all
// links of the namespace when index is 0.
func (c *Conn) Addresses(index int) ([]Address, error) {
	b := make(message, ifaddrLen)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	msgs, err := c.request(unix.RTM_GETADDR, unix.NLM_F_DUMP, b)
	if gone(err) {
		return nil, fmt.Errorf("link %d: %w", index, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var list []Address
	for _, m := range msgs {
		a, err := parseAddress(m)
		if err != nil {
			return nil, err
		}
		if index == 0 || a.Index == index {
			list = append(list, a)
		}
	}
	return list, nil
}

// PutAddress adds an address, or updates its preference when the link has it
// already. IPv6 addresses are used at once: no duplicate address detection by
// the kernel, the router does its own.
func (c *Conn) PutAddress(a Address) error {
	b := addressMessage(a)
	if a.Prefix.Addr().Is4() {
		if a.Prefix.Bits() < 31 && !a.Peer.IsValid() {
			brd := broadcast(a.Prefix).As4()
			b.bytes(unix.IFA_BROADCAST, brd[:])
		}
	} else {
		b.u32(unix.IFA_FLAGS, unix.IFA_F_NODAD)
		const forever = 0xffffffff
		cache := make([]byte, 16) // struct ifa_cacheinfo
		if !a.Deprecated {
			binary.NativeEndian.PutUint32(cache, forever)
		}
		binary.NativeEndian.PutUint32(cache[4:], forever)
		b.bytes(unix.IFA_CACHEINFO, cache)
	}
	b.u8(ifaProto, Protocol)
	if err := c.change(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, b); err != nil {
		return fmt.Errorf("address %s on link %d: %w", a.Prefix, a.Index, err)
	}
	return nil
}

// DeleteAddress removes an address; one that is gone already is no error.
func (c *Conn) DeleteAddress(a Address) error {
	if err := c.change(unix.RTM_DELADDR, 0, addressMessage(a)); err != nil && !gone(err) {
		return fmt.Errorf("remove address %s from link %d: %w", a.Prefix, a.Index, err)
	}
	return nil
}

func addressMessage(a Address) message {
	b := make(message, ifaddrLen, 64)
	b[0] = af(intf.FamilyOf(a.Prefix.Addr()))
	b[1] = uint8(a.Prefix.Bits())
	if a.Prefix.Addr().IsLinkLocalUnicast() {
		b[3] = unix.RT_SCOPE_LINK
	}
	binary.NativeEndian.PutUint32(b[4:], uint32(a.Index))
	local := a.Prefix.Addr().AsSlice()
	b.bytes(unix.IFA_LOCAL, local)
	if a.Peer.IsValid() {
		local = a.Peer.AsSlice()
	}
	b.bytes(unix.IFA_ADDRESS, local)
	return b
}

// broadcast is the last address of an IPv4 prefix.
func broadcast(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	host := ^uint32(0) >> p.Bits()
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])|host)
	return netip.AddrFrom4(a)
}

// af is the kernel's number of a family.
func af(f intf.Family) uint8 {
	if f == intf.Inet {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
