package fib

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// change is one route to set, or with nh 0 to delete. The address is
// left-aligned in 128 bits for both families; bits after length are zero.
type change struct {
	hi, lo uint64
	nh     uint32
	length uint8
}

// window returns 64 bits of the address from bit depth on.
func (c *change) window(depth uint) uint64 {
	if depth < 64 {
		return c.hi<<depth | c.lo>>(64-depth)
	}
	return c.lo << (depth - 64)
}

// slot returns the six bits of the address at depth.
func (c *change) slot(depth uint) uint { return uint(c.window(depth) >> (64 - stride)) }

// compare orders changes as Walk does: by address, shorter prefixes first.
func (c change) compare(d change) int {
	switch {
	case c.hi != d.hi:
		if c.hi < d.hi {
			return -1
		}
		return 1
	case c.lo != d.lo:
		if c.lo < d.lo {
			return -1
		}
		return 1
	}
	return int(c.length) - int(d.length)
}

// family returns 0 for IPv4, 1 for IPv6.
func family(addr netip.Addr) int {
	if addr.Is4() {
		return 0
	}
	return 1
}

// route turns a prefix into a change; bits of the address past its length do
// not count.
func route(p netip.Prefix, nh uint32) (f int, c change, err error) {
	if !p.IsValid() {
		return 0, change{}, fmt.Errorf("fib: prefix %s is not valid", p)
	}
	c = split(p.Addr())
	n := uint(p.Bits())
	c.hi &= ^(^uint64(0) >> n)
	c.lo &= ^(^uint64(0) >> (max(n, 64) - 64))
	c.nh, c.length = nh, uint8(n)
	return family(p.Addr()), c, nil
}

// split returns a change with only an address.
func split(addr netip.Addr) (c change) {
	if addr.Is4() {
		b := addr.As4()
		c.hi = uint64(binary.BigEndian.Uint32(b[:])) << 32
		return c
	}
	b := addr.As16()
	c.hi, c.lo = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	return c
}

// with returns c with the bits of path, which is left-aligned, from depth on.
func (c change) with(depth uint, path uint64) change {
	if depth < 64 {
		c.hi |= path >> depth
		c.lo |= path << (64 - depth)
	} else {
		c.lo |= path >> (depth - 64)
	}
	return c
}

// prefix turns a change's address and length into a prefix.
func (c change) prefix(v6 bool) netip.Prefix {
	if !v6 {
		v := uint32(c.hi >> 32)
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), int(c.length))
	}
	var b [16]byte
	for i := range 8 {
		b[i] = byte(c.hi >> (56 - 8*i))
		b[8+i] = byte(c.lo >> (56 - 8*i))
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), int(c.length))
}
