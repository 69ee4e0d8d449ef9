"""RFC 4443: the ICMPv6 of a router."""
from lab import *


def udp(payload=b"payload!", **fields):
    fields = {"src": H6[0], "dst": H6[1], "hlim": 64, **fields}
    return IPv6(**fields) / UDP(sport=1000, dport=2000) / Raw(payload)


def is_reply(i, f, src=G6[0], at=0):
    return i == at and f.haslayer(ICMPv6EchoReply) and f[IPv6].src == src


def exact(i, f):
    if not is_reply(i, f):
        return False
    r = f[ICMPv6EchoReply]
    assert r.id == 5 and r.seq == 6 and bytes(r.data) == b"d" * 1000, "not what was sent"
    assert checksum6(f) and f[IPv6].dst == H6[0], f.summary()
    return True


LL = "fe80::10"
answered("4.2 an echo is answered", eth() / IPv6(src=H6[0], dst=G6[0]) / ICMPv6EchoRequest(id=5, seq=6, data=b"d" * 1000), exact)
answered("4.2 an echo to the address of another link is answered from there", eth() / IPv6(src=H6[0], dst=G6[1]) / ICMPv6EchoRequest(), lambda i, f: is_reply(i, f, G6[1]))
answered("4.2 an echo to all nodes is answered from a unicast address", Ether(dst="33:33:00:00:00:01", src=FAR[0]) / IPv6(src=H6[0], dst="ff02::1", hlim=1) / ICMPv6EchoRequest(),
         lambda i, f: i == 0 and f.haslayer(ICMPv6EchoReply) and not f[IPv6].src.startswith("ff"))
silent("2.3 an echo with a wrong checksum is not answered", eth() / IPv6(src=H6[0], dst=G6[0]) / ICMPv6EchoRequest(cksum=1, id=99), lambda i, f: f.haslayer(ICMPv6EchoReply), after=echo)
silent("2.4 (b) an unknown informational message is not answered", eth() / IPv6(src=H6[0], dst=G6[0]) / ICMPv6Unknown(type=200), from_router, after=solicit)
silent("2.4 (a) an unknown error is not answered", eth() / IPv6(src=H6[0], dst=G6[0]) / ICMPv6Unknown(type=100), from_router, after=solicit)

p = udp(hlim=1, payload=b"q" * 1400)


def exceeded(i, f):
    if not error6(3, 0)(i, f):
        return False
    ip = l3(f)
    assert f[IPv6].src == G6[0], "from %s (2.2)" % f[IPv6].src
    assert f[IPv6].dst == H6[0], "to %s" % f[IPv6].dst
    assert len(ip) == 1280, "%d octets, not 1280 (2.4 (c))" % len(ip)
    assert ip[48:] == bytes(p)[: len(ip) - 48], "the quoted packet is not as it was"
    return True


answered("3.3, 2.4 (c) hop limit 1 is answered by time exceeded", eth() / p, exceeded)
answered("3.3 hop limit 0 is answered by time exceeded", eth() / udp(hlim=0), error6(3, 0))
answered("3.2 what is too big is answered with the MTU", eth() / udp(payload=b"z" * 1400), error6(2, 0, pointer=1400))
answered("3.1 no route", eth() / udp(dst="2001:db8:99::1"), error6(1, 0))
answered("3.1 a reject route", eth() / udp(dst="2001:db8:66::1"), error6(1, 3))
silent("3.1 a discard route is not answered", eth() / udp(dst="2001:db8:77::1"), from_router)
answered("3.1 beyond the scope of the source", eth() / udp(src=LL), lambda i, f: i == 0 and (error6(1, 2)(i, f) or f.haslayer(ICMPv6ND_NS) and f[ICMPv6ND_NS].tgt == LL))
answered("3.1 a closed port", eth() / udp(dst=G6[0]), error6(1, 4))
answered("3.4 an unknown next header", eth() / IPv6(src=H6[0], dst=G6[0], nh=253) / Raw(b"x" * 16), error6(4, 1, pointer=6))
answered("3.4 an unknown destination option that asks for it", eth() / IPv6(src=H6[0], dst=G6[0]) / IPv6ExtHdrDestOpt(options=[HBHOptUnknown(otype=0x9E, optlen=4, optdata=b"abcd")]) / ICMPv6EchoRequest(),
         error6(4, 2, pointer=42))

about = "2.4 (e) no error about "
silent(about + "an ICMPv6 error", eth() / IPv6(src=H6[0], dst=H6[1], hlim=1) / ICMPv6DestUnreach() / Raw(bytes(udp())), from_router)
silent(about + "an ICMPv6 error behind options", eth() / IPv6(src=H6[0], dst=H6[1], hlim=1) / IPv6ExtHdrDestOpt() / ICMPv6DestUnreach() / Raw(bytes(udp())), from_router)
silent(about + "a redirect", eth() / IPv6(src=H6[0], dst=H6[1], hlim=1) / ICMPv6ND_Redirect(), from_router)
silent(about + "a multicast destination", eth() / udp(dst="ff0e::1", hlim=1), from_router)
silent(about + "a link-layer multicast", Ether(dst="33:33:00:00:00:01", src=FAR[0]) / udp(hlim=1), from_router)
silent(about + "a link-layer broadcast", Ether(dst="ff:ff:ff:ff:ff:ff", src=FAR[0]) / udp(hlim=1), from_router)
silent(about + "the unspecified source", eth() / udp(src="::", dst="2001:db8:99::1"), from_router)
silent(about + "a multicast source", eth() / udp(src="ff02::9", dst="2001:db8:99::1"), from_router)
answered("2.4 (e) an error about an echo", eth() / IPv6(src=H6[0], dst=H6[1], hlim=1) / ICMPv6EchoRequest(), error6(3, 0))


def asked(i, f):
    if i != 1 or not f.haslayer(ICMPv6ND_NS) or f[ICMPv6ND_NS].tgt != "2001:db8:2::51":
        return False
    return True


answered("3.1 a neighbour that does not answer is asked for", eth() / udp(dst="2001:db8:2::51"), asked)
answered("3.1 a neighbour that does not answer is address unreachable", eth() / udp(dst="2001:db8:2::52"), error6(1, 3), wait=8)

# Last, as it uses up the rate.
drain()
send(*[eth() / udp(hlim=1) for _ in range(1500)])
p, known = mark4()
send(p)
n, deadline = 0, time.monotonic() + 5
while True:
    got = receive(deadline)
    if got is None or known(*got):
        break
    n += bool(error6(3, 0)(*got))
report("2.4 (f) errors are limited", 0 < n < 1000, "%d errors about 1500 packets" % n)
