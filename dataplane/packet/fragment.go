package packet

import "encoding/binary"

// IPv4 options (RFC 791, 3.1).
const (
	ipv4OptionEnd    = 0
	ipv4OptionNop    = 1
	ipv4OptionCopied = 0x80 // the option goes into every fragment
)

// A Fragmenter cuts an IPv4 packet into fragments that fit an MTU (RFC 791,
// 2.3 and 3.2). It is a value, writes into buffers of its caller, and reads the
// packet until the last fragment is out.
type Fragmenter struct {
	pkt     IPv4
	mtu     int
	done    int // octets of payload already out
	options [IPv4MaxHeaderLen - IPv4MinHeaderLen]byte
	copied  int // octets of options that later fragments carry
}

// NewFragmenter prepares the fragments of pkt, which CheckIPv4 has returned.
// It does not look at the DF flag. The fault is FaultOption for options that
// can't be parsed, and FaultTotalLength for an MTU (octets of the IPv4 packet)
// that has no room for the header and eight octets, or a packet that is itself a
// fragment of more than 65,535 octets, whose pieces would have no offset.
func NewFragmenter(pkt IPv4, mtu int) (Fragmenter, Fault) {
	f := Fragmenter{pkt: pkt, mtu: mtu}
	if mtu < pkt.HeaderLen()+8 || pkt.FragmentOffset()+len(pkt) > 0xffff {
		return f, FaultTotalLength
	}
	opts := pkt.Options()
	for len(opts) > 0 {
		switch opts[0] {
		case ipv4OptionEnd:
			opts = nil
			continue
		case ipv4OptionNop:
			opts = opts[1:]
			continue
		}
		if len(opts) < 2 || opts[1] < 2 || int(opts[1]) > len(opts) {
			return f, FaultOption
		}
		n := int(opts[1])
		if opts[0]&ipv4OptionCopied != 0 {
			f.copied += copy(f.options[f.copied:], opts[:n])
		}
		opts = opts[n:]
	}
	// The rest of the last word is already "end of options".
	f.copied = (f.copied + 3) &^ 3
	return f, FaultNone
}

// Next writes the next fragment to dst and returns its length; 0 says that the
// last one is out, or that dst is smaller than the fragment. MTU octets are
// always enough. Identification, TTL and flags are those of the packet; a
// fragment of a fragment keeps its place in the whole.
func (f *Fragmenter) Next(dst []byte) int {
	payload := f.pkt.Payload()[f.done:]
	if len(payload) == 0 {
		return 0
	}
	first := f.done == 0
	hl := IPv4MinHeaderLen + f.copied
	if first {
		hl = f.pkt.HeaderLen()
	}
	n := f.mtu - hl
	last := n >= len(payload)
	if last {
		n = len(payload)
	} else {
		n &^= 7
	}
	if len(dst) < hl+n {
		return 0
	}
	h := IPv4(dst[:hl+n])
	if first {
		copy(h, f.pkt[:hl])
	} else {
		copy(h, f.pkt[:IPv4MinHeaderLen])
		copy(h[IPv4MinHeaderLen:hl], f.options[:f.copied])
		h[0] = 0x40 | byte(hl/4)
	}
	copy(h[hl:], payload[:n])
	binary.BigEndian.PutUint16(h[2:4], uint16(hl+n))
	field := binary.BigEndian.Uint16(f.pkt[6:8]) & (ipv4DF | ipv4MF) // and not the reserved bit
	field |= uint16(f.pkt.FragmentOffset()+f.done) / 8
	if !last {
		field |= ipv4MF
	}
	binary.BigEndian.PutUint16(h[6:8], field)
	h.SetChecksum()
	f.done += n
	return hl + n
}
