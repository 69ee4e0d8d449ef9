"""RFC 8200: a router of IPv6."""
from lab import *


def udp(payload=b"payload!", **fields):
    fields = {"src": H6[0], "dst": H6[1], "hlim": 64, **fields}
    return IPv6(**fields) / UDP(sport=1000, dport=2000) / Raw(payload)


def ext(*headers, body=None, **fields):
    p = IPv6(**{"src": H6[0], "dst": H6[1], "hlim": 64, **fields})
    for h in headers:
        p = p / h
    return p / (body or UDP(sport=1000, dport=2000) / Raw(b"body"))


count = 0


def case(name, p):
    """The packet leaves at the other end as it came, but for its hop limit."""
    global count
    count += 1
    p.fl = 0xF0000 + count
    want = bytearray(bytes(p))
    want[7] -= 1

    def check(i, f):
        if i != 1 or not f.haslayer(IPv6) or f[IPv6].fl != 0xF0000 + count:
            return False
        assert l3(f) == bytes(want), "sent on as %s, not %s" % (l3(f).hex(), want.hex())
        assert f.dst == FAR[1] and f.src == ROUTER[1], "link-layer addresses %s to %s" % (f.src, f.dst)
        return True

    answered(name, eth() / p, check)


def hbh(*options):
    return IPv6ExtHdrHopByHop(options=list(options))


def option(kind, n=4):
    return HBHOptUnknown(otype=kind, optlen=n, optdata=b"o" * n)


case("3 the hop limit falls by one and nothing else changes", udp())
case("7 the traffic class is kept", udp(tc=0xB9))
case("3 hop limit 2 is sent on", udp(hlim=2))
case("3 hop limit 255 is sent on", udp(hlim=255))
case("4.7 no next header is sent on", IPv6(src=H6[0], dst=H6[1], nh=59))
case("4.7 no next header and octets behind it are sent on", IPv6(src=H6[0], dst=H6[1], nh=59) / Raw(b"x" * 20))
case("3 padding of the frame is not sent on", udp(payload=b""))
for nh in (4, 41, 47, 50, 89, 103, 132, 253, 255):
    case("3 next header %d is sent on" % nh, IPv6(src=H6[0], dst=H6[1], nh=nh) / Raw(b"x" * 40))
case("4.6 destination options are not looked at", ext(IPv6ExtHdrDestOpt(options=[option(0x9E)])))
case("4.4 a routing header is not looked at but at the destination", ext(IPv6ExtHdrRouting(type=4, segleft=1, addresses=["2001:db8:2::77"])))
case("RFC 5095 a routing header 0 in transit is sent on", ext(IPv6ExtHdrRouting(type=0, segleft=1, addresses=["2001:db8:2::77"])))
case("4.5 a first fragment is sent on", ext(IPv6ExtHdrFragment(m=1, id=7)))
case("4.5 a later fragment is sent on", ext(IPv6ExtHdrFragment(offset=100, id=7)))
case("RFC 6946 an atomic fragment is sent on", ext(IPv6ExtHdrFragment(id=7)))
case("RFC 4302 an authentication header is sent on", IPv6(src=H6[0], dst=H6[1], nh=51) / Raw(bytes([59, 4]) + b"a" * 22))
case("4.1 a long chain is sent on", ext(*[IPv6ExtHdrDestOpt() for _ in range(12)]))
case("4.3 hop-by-hop padding is sent on", ext(hbh(PadN(optdata=b"\0" * 4))))
case("RFC 2711 a router alert is sent on", ext(hbh(RouterAlert(value=2))))
case("4.2 an unknown option to be skipped is skipped", ext(hbh(option(0x1E))))

silent("4.2 an unknown option to be dropped is dropped", eth() / ext(hbh(option(0x5E))), from_router)
answered("4.2 an unknown option to be reported is reported", eth() / ext(hbh(option(0x9E))), error6(4, 2, pointer=42))
answered("4.2 an unknown option behind another is reported at its place", eth() / ext(hbh(option(0x1E), option(0x9E))), error6(4, 2, pointer=48))
answered("4.2 an unknown option to be reported is reported also to a group", Ether(dst="33:33:00:00:01:01", src=FAR[0]) / ext(hbh(option(0x9E)), dst="ff0e::101"), error6(4, 2, pointer=42))
answered("4.2 an unknown option to be reported unless to a group is reported", eth() / ext(hbh(option(0xDE))), error6(4, 2, pointer=42))
silent("4.2 an unknown option to be reported unless to a group is not reported to one", Ether(dst="33:33:00:00:01:01", src=FAR[0]) / ext(hbh(option(0xDE)), dst="ff0e::101"), from_router)
answered("RFC 2675, 3 a jumbo payload beside a payload length is reported", eth() / ext(hbh(Jumbo(jumboplen=70000))), error6(4, 0, pointer=42))
answered("RFC 2675, 3 a jumbo payload of 65535 octets is reported", eth() / ext(hbh(Jumbo(jumboplen=65535))), error6(4, 0, pointer=44))

# A router does not cut; who sends does.
answered("5 what is too big is not cut but answered", eth() / udp(payload=b"z" * 1400), error6(2, 0, pointer=1400))

# For the router itself.
echo_request = lambda **f: ICMPv6EchoRequest(**f)  # noqa: E731
reply = lambda i, f: i == 0 and f.haslayer(ICMPv6EchoReply)  # noqa: E731
answered("4.4, RFC 5095 a routing header 0 with segments left is refused", eth() / ext(IPv6ExtHdrRouting(type=0, segleft=1, addresses=[H6[1]]), dst=G6[0], body=echo_request()),
         error6(4, 0, pointer=42))
silent("RFC 5095 a routing header 0 is not followed", eth() / ext(IPv6ExtHdrRouting(type=0, segleft=1, addresses=[H6[1]]), dst=G6[0], body=echo_request()), lambda i, f: i == 1 and from_router(i, f))
answered("4.4 a routing header without segments left is passed over", eth() / ext(IPv6ExtHdrRouting(type=253, segleft=0, addresses=[H6[1]]), dst=G6[0], body=echo_request()), reply)
answered("4.4 a routing header of unknown type with segments left is refused", eth() / ext(IPv6ExtHdrRouting(type=253, segleft=1, addresses=[H6[1]]), dst=G6[0], body=echo_request()),
         error6(4, 0, pointer=42))
answered("4.6 destination options before an echo are read", eth() / ext(IPv6ExtHdrDestOpt(options=[option(0x1E)]), dst=G6[0], body=echo_request()), reply)

# Not forwarded.
for src in ("::", "::1", "ff02::9", "::ffff:192.0.2.9", G6[0]):
    silent("RFC 4291, 2.5 source %s is not forwarded" % src, eth() / udp(src=src), from_router)
for dst in ("::1", "::", "ff02::5", "ff01::1", "ff0e::5"):
    silent("RFC 4291, 2.5, 2.7 destination %s is not forwarded" % dst, eth() / udp(dst=dst), from_router)
silent("RFC 4291, 2.5.6 a link-local destination is not forwarded", eth() / udp(dst="fe80::77"), lambda i, f: i == 1 and (from_router(i, f) or f.haslayer(ICMPv6ND_NS)))
silent("RFC 4291, 2.5.6 a link-local source is not forwarded", eth() / udp(src="fe80::10"), lambda i, f: i == 1 and from_router(i, f))
silent("RFC 2464 a frame for another station is ignored", Ether(dst="02:00:00:00:99:99", src=FAR[0]) / udp(), from_router)
silent("unicast in a multicast frame is not forwarded", Ether(dst="33:33:00:00:00:01", src=FAR[0]) / udp(), from_router)
silent("3 version 4", Ether(dst=ROUTER[0], src=FAR[0], type=0x86DD) / Raw(b"\x40" + bytes(udp())[1:]), from_router)
silent("3 a payload beyond the frame", eth() / udp(plen=900), from_router)
silent("3 a header that is cut off", Ether(dst=ROUTER[0], src=FAR[0], type=0x86DD) / Raw(bytes(udp())[:30]), from_router)
silent("4.3 hop-by-hop options beyond the packet", Ether(dst=ROUTER[0], src=FAR[0], type=0x86DD) / Raw(bytes(IPv6(src=H6[0], dst=H6[1], nh=0) / Raw(b"\x3b\x09" + b"\0" * 6))), from_router)
