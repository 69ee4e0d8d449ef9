package packet

// NextHeaderField is the offset of the field that announces the header at offset
// off, which Upper has returned for h: a parameter problem points to it (RFC 4443,
// 3.4).
func (h IPv6) NextHeaderField(off int) int {
	field, at := 6, IPv6HeaderLen
	for at < off {
		n := 8
		switch h[field] {
		case ProtocolFragment:
		case ProtocolAH:
			n += int(h[at+1]) * 4
		default:
			n += int(h[at+1]) * 8
		}
		field, at = at, at+n
	}
	return field
}
