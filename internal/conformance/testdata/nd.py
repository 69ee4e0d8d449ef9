"""RFC 4861: neighbour discovery as a router has it."""
from lab import *

SOLICITED, ALL = "ff02::1:ff00:1", "33:33:ff:00:00:01"


def ns(tgt=G6[0], src=H6[0], dst=SOLICITED, hlim=255, lladdr=True, **fields):
    p = Ether(dst=ALL if dst == SOLICITED else ROUTER[0], src=FAR[0]) / IPv6(src=src, dst=dst, hlim=hlim) / ICMPv6ND_NS(tgt=tgt, **fields)
    return p / ICMPv6NDOptSrcLLAddr(lladdr=FAR[0]) if lladdr else p


def is_na(i, f, tgt=G6[0]):
    return i == 0 and f.haslayer(ICMPv6ND_NA) and f[ICMPv6ND_NA].tgt == tgt


def full(i, f):
    if not is_na(i, f):
        return False
    a = f[ICMPv6ND_NA]
    assert (a.R, a.S, a.O) == (1, 1, 1), "flags R%d S%d O%d" % (a.R, a.S, a.O)
    assert f[IPv6].hlim == 255, "hop limit %d" % f[IPv6].hlim
    assert f[IPv6].dst == H6[0] and f.dst == FAR[0], "to %s %s" % (f[IPv6].dst, f.dst)
    assert f[IPv6].src == G6[0], "from %s" % f[IPv6].src
    assert f[ICMPv6NDOptDstLLAddr].lladdr == ROUTER[0], "no link-layer address"
    assert checksum6(f), "the checksum is wrong"
    return True


answered("7.2.4 a solicitation is answered by a full advertisement", ns(), full)
answered("7.2.4 a solicitation to the address itself is answered", ns(dst=G6[0]), lambda i, f: is_na(i, f) and f[ICMPv6ND_NA].S == 1)
answered("7.2.4 a solicitation without link-layer address is answered", ns(dst=G6[0], lladdr=False), is_na)
answered("7.2.4 a probe for a duplicate is answered to all nodes", ns(src="::", lladdr=False),
         lambda i, f: is_na(i, f) and f[IPv6].dst == "ff02::1" and f[ICMPv6ND_NA].S == 0 and f[ICMPv6ND_NA].R == 1)

ignored = "7.1.1 ignored: a solicitation with "


def other():
    """A question that can be told from the solicitations that are tried."""
    p = Ether(dst=ROUTER[0], src=FAR[0]) / IPv6(src="2001:db8:1::99", dst=G6[0], hlim=255) / ICMPv6ND_NS(tgt=G6[0]) / ICMPv6NDOptSrcLLAddr(lladdr=FAR[0])
    return p, lambda i, f: is_na(i, f) and f[IPv6].dst == "2001:db8:1::99"


def for_us(i, f):
    return is_na(i, f) and f[IPv6].dst != "2001:db8:1::99"


def cut(p):
    """The message with less of it than its length says that there is."""
    ip = p[IPv6]
    ip.plen = 20
    ip.payload = Raw(bytes(ip.payload)[:20])
    return p


silent(ignored + "hop limit 254", ns(hlim=254), for_us, after=other)
silent(ignored + "a wrong checksum", ns(cksum=1), for_us, after=other)
silent(ignored + "code 1", ns(code=1), for_us, after=other)
silent(ignored + "20 octets", cut(ns(lladdr=False)), for_us, after=other)
silent(ignored + "a multicast target", ns(tgt="ff02::1"), lambda i, f: i == 0 and f.haslayer(ICMPv6ND_NA) and f[IPv6].dst != "2001:db8:1::99", after=other)
silent(ignored + "an option of length 0", ns(lladdr=False) / Raw(b"\x01\x00" + b"\0" * 6), for_us, after=other)
silent(ignored + "the unspecified source and a link-layer address", ns(src="::"), for_us, after=other)
silent(ignored + "the unspecified source, not to the solicited-node group", ns(src="::", dst=G6[0], lladdr=False), for_us, after=other)
for who, tgt in (("another host", "2001:db8:1::77"), ("a host of another link", H6[1]), ("our address on another link", G6[1])):
    silent("7.2.4 no advertisement for %s" % who, ns(tgt=tgt, dst="ff02::1"), lambda i, f: i == 0 and f.haslayer(ICMPv6ND_NA) and f[IPv6].dst != "2001:db8:1::99", after=other)


def fragments(p, *sizes):
    """The payload of a packet in fragments, or in one that is all of it."""
    ip = p[IPv6]
    body, out, at = bytes(ip.payload), [], 0
    # The checksum is made by scapy while it is still one packet.
    body = bytes(IPv6(bytes(ip)).payload)
    for k, n in enumerate(sizes):
        h = IPv6(src=ip.src, dst=ip.dst, hlim=ip.hlim) / IPv6ExtHdrFragment(nh=58, id=0x6980, offset=at // 8, m=int(k < len(sizes) - 1))
        out.append(Ether(dst=p.dst, src=p.src) / h / Raw(body[at:at + n]))
        at += n
    return out


silent("RFC 6980, 5 a solicitation in fragments is ignored", fragments(ns(dst=G6[0]), 16, 16), for_us, after=other)
silent("RFC 6980, 5 a solicitation in one fragment is ignored", fragments(ns(dst=G6[0]), 32), for_us, after=other)


# Resolution.
def udp(dst, mark):
    return eth() / IPv6(src=H6[0], dst=dst, hlim=64, fl=mark) / UDP(sport=1000, dport=2000) / Raw(b"waits")


def asked(i, f):
    if i != 1 or not f.haslayer(ICMPv6ND_NS) or f[ICMPv6ND_NS].tgt != "2001:db8:2::50":
        return False
    assert f[IPv6].dst == "ff02::1:ff00:50" and f.dst == "33:33:ff:00:00:50", "to %s %s" % (f[IPv6].dst, f.dst)
    assert f[IPv6].hlim == 255 and checksum6(f), "hop limit or checksum"
    assert f[ICMPv6NDOptSrcLLAddr].lladdr == ROUTER[1], "no link-layer address"
    return True


def na(tgt, hlim=255, s=1, o=1, src=None, dst=G6[1], **fields):
    return Ether(dst=ROUTER[1], src=FAR[1]) / IPv6(src=src or tgt, dst=dst, hlim=hlim) / ICMPv6ND_NA(tgt=tgt, R=0, S=s, O=o, **fields) / ICMPv6NDOptDstLLAddr(lladdr=FAR[1])


def passes(mark):
    return lambda i, f: i == 1 and f.haslayer(UDP) and f[IPv6].fl == mark


got = answered("7.2.2 an unknown neighbour is asked for", udp("2001:db8:2::50", 0x50), asked)
if got:
    us = got[IPv6].src
    for what, p in (("hop limit 254", na("2001:db8:2::50", hlim=254, dst=us)), ("a wrong checksum", na("2001:db8:2::50", dst=us, cksum=1)),
                    ("code 1", na("2001:db8:2::50", dst=us, code=1)),
                    ("the solicited flag and a multicast destination", na("2001:db8:2::50", dst="ff02::1"))):
        silent("7.1.2 ignored: an advertisement with " + what, p, passes(0x50), at=1)
    answered("7.2.5 the answer releases what waited", na("2001:db8:2::50", dst=us), passes(0x50), at=1)
send(na("2001:db8:2::66", s=0, dst="ff02::1"), at=1)
answered("7.2.5 an advertisement that nobody asked for makes no neighbour", udp("2001:db8:2::66", 0x66),
         lambda i, f: i == 1 and f.haslayer(ICMPv6ND_NS) and f[ICMPv6ND_NS].tgt == "2001:db8:2::66")
silent("8.1 a redirect changes nothing", [eth() / IPv6(src="fe80::10", dst=G6[0], hlim=255) / ICMPv6ND_Redirect(tgt="2001:db8:1::66", dst=H6[1]), udp(H6[1], 0x88)],
       lambda i, f: i == 0 and f.haslayer(UDP))

# Router solicitations; ge0 advertises.
rs = lambda **f: Ether(dst="33:33:00:00:00:02", src=FAR[0]) / IPv6(**{"src": "fe80::10", "dst": "ff02::2", "hlim": 255, **f}) / ICMPv6ND_RS()  # noqa: E731


def ra(i, f):
    if i != 0 or not f.haslayer(ICMPv6ND_RA):
        return False
    assert f[IPv6].hlim == 255 and f[IPv6].src.startswith("fe80::") and checksum6(f), f.summary()
    assert f[ICMPv6ND_RA].routerlifetime > 0, "lifetime 0"
    assert f[ICMPv6NDOptPrefixInfo].prefix == "2001:db8:1::", "no prefix"
    return True


# An advertisement to all may be due anyway; a second one within three seconds is not (6.2.6).
answered("6.2.6 a solicitation is answered by an advertisement", rs() / ICMPv6NDOptSrcLLAddr(lladdr=FAR[0]), ra, wait=6)
silent("6.2.5 no advertisement where none is configured", Ether(dst="33:33:00:00:00:02", src=FAR[1]) / IPv6(src="fe80::10", dst="ff02::2", hlim=255) / ICMPv6ND_RS(),
       lambda i, f: i == 1 and f.haslayer(ICMPv6ND_RA), at=1, after=other)
