"""RFC 8200, 4.5, RFC 5722, RFC 6946 and RFC 7112: fragments for the router itself."""
from lab import *

ids = 0


def pieces(size, cuts, ident=None, data=None):
    """An echo of size octets to the router in fragments: cuts are pairs of where
    they begin and end, in octets of the fragmented part. Returns the frames and
    the echo's id."""
    global ids
    ids += 1
    whole = IPv6(bytes(IPv6(src=H6[0], dst=G6[0]) / ICMPv6EchoRequest(id=ids, data=data or bytes(i & 255 for i in range(size - 8)))))
    body, out = bytes(whole.payload), []
    for begin, end in cuts:
        h = IPv6ExtHdrFragment(nh=58, offset=begin // 8, m=int(end < size), id=ident or 0x57220000 + ids)
        out.append(eth() / IPv6(src=H6[0], dst=G6[0]) / h / Raw(body[begin:end]))
    return out, ids


def reply(ident):
    """The reply, or its first fragment, which scapy leaves in octets."""

    def want(i, f):
        if i == 0 and f.haslayer(IPv6ExtHdrFragment) and f[IPv6ExtHdrFragment].offset == 0:
            b = bytes(f[IPv6ExtHdrFragment].payload)
            return b[0] == 129 and int.from_bytes(b[4:6], "big") == ident
        return i == 0 and f.haslayer(ICMPv6EchoReply) and f[ICMPv6EchoReply].id == ident

    return want


def whole(name, size, cuts, order=None):
    frames, ident = pieces(size, cuts)
    answered(name, [frames[k] for k in order] if order else frames, reply(ident))


def never(name, size, cuts):
    frames, ident = pieces(size, cuts)
    silent(name, frames, reply(ident), after=echo)


whole("RFC 8200, 4.5 two fragments", 400, [(0, 200), (200, 400)])
whole("RFC 8200, 4.5 three fragments, the last one first", 400, [(0, 80), (80, 240), (240, 400)], order=[2, 0, 1])
whole("RFC 8200, 4.5 fragments of eight octets", 64, [(k, k + 8) for k in range(0, 64, 8)])
whole("RFC 8200, 4.5 a packet of more than an MTU", 4000, [(0, 1400), (1400, 2800), (2800, 4000)])
never("RFC 8200, 4.5 a piece is missing", 400, [(0, 80), (160, 400)])
never("RFC 5722 overlap in the middle", 400, [(0, 208), (200, 400)])
never("RFC 5722 overlap at the end", 400, [(0, 200), (192, 400)])
whole("RFC 8200, 4.5 a fragment twice", 400, [(0, 200), (0, 200), (200, 400)])
frames, ident = pieces(400, [(0, 200), (192, 392), (200, 400)])
silent("RFC 5722 what comes after an overlap does not make the packet whole", frames, reply(ident), after=echo)
whole("RFC 5722 the next packet is whole", 400, [(0, 200), (200, 400)])

# RFC 6946: an atomic fragment is a packet of its own.
whole("RFC 6946, 4 an atomic fragment", 400, [(0, 400)])
first, other_id = pieces(400, [(0, 200)], ident=0x6946)
send(*first)
atomic, ident = pieces(400, [(0, 400)], ident=0x6946)
answered("RFC 6946, 4 an atomic fragment beside others of its identification", atomic, reply(ident))
rest, _ = pieces(400, [(200, 400)], ident=0x6946)
answered("RFC 6946, 4 the others are still there",
         [eth() / IPv6(src=H6[0], dst=G6[0]) / IPv6ExtHdrFragment(nh=58, offset=25, m=0, id=0x6946) / Raw(bytes(i & 255 for i in range(192, 392)))], reply(other_id))

# Forms.
h = IPv6ExtHdrFragment(nh=17, offset=0, m=1, id=0x8200)
answered("RFC 8200, 4.5 a fragment that is no multiple of eight octets", eth() / IPv6(src=H6[0], dst=G6[0]) / h / Raw(b"x" * 13), error6(4, 0, pointer=4))
h = IPv6ExtHdrFragment(nh=17, offset=8191, m=0, id=0x8201)
answered("RFC 8200, 4.5 a fragment beyond 65,535 octets", eth() / IPv6(src=H6[0], dst=G6[0]) / h / Raw(b"x" * 16), error6(4, 0, pointer=42))
h = IPv6ExtHdrFragment(nh=60, offset=0, m=1, id=0x8202)
silent("RFC 7112, 5 a first fragment without the whole chain", [
    eth() / IPv6(src=H6[0], dst=G6[0]) / h / Raw(bytes([58, 2]) + b"\x01\x04\0\0\0\0"),
    eth() / IPv6(src=H6[0], dst=G6[0]) / IPv6ExtHdrFragment(nh=60, offset=1, m=0, id=0x8202) / Raw(b"\x01\x0e" + b"\0" * 14 + bytes(8))],
    lambda i, f: i == 0 and f.haslayer(ICMPv6EchoReply), after=echo)

# IPv4.
ping = IP(src=H4[0], dst=G4[0], id=0x815) / ICMP(id=815) / Raw(bytes(i & 255 for i in range(392)))
four = fragment(ping, 200)
answered("RFC 815 IPv4 fragments in any order", [eth() / p for p in four[::-1]], lambda i, f: i == 0 and f.haslayer(ICMP) and f[ICMP].type == 0 and f[ICMP].id == 815)
silent("RFC 1858 an IPv4 fragment of offset 8 alone", eth() / IP(src=H4[0], dst=G4[0], id=0x816, frag=1, proto=6) / Raw(b"x" * 16), from_router)
