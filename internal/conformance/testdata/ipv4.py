"""RFC 1812, sections 4 and 5: a router of IPv4."""
from lab import *


def raw(text):
    """Options as they stand in the header, which scapy pads."""
    return [IPOption(bytes.fromhex(text))]


def udp(payload=b"payload!", **fields):
    fields = {"src": H4[0], "dst": H4[1], "ttl": 64, "id": 0x1234, **fields}
    return IP(**fields) / UDP(sport=1000, dport=2000) / Raw(payload)


def forwarded(p, **changed):
    """The packet leaves at the other end as it came, but for TTL and checksum."""
    want = IP(bytes(p))
    for k, v in {"ttl": want.ttl - 1, **changed}.items():
        setattr(want, k, v)
    del want.chksum
    want = bytes(IP(bytes(want)))

    def check(i, f):
        if i != 1 or not f.haslayer(IP) or f[IP].id != p.id:
            return False
        assert l3(f) == want, "sent on as %s, not %s" % (l3(f).hex(), want.hex())
        assert f.dst == FAR[1] and f.src == ROUTER[1], "link-layer addresses %s to %s" % (f.src, f.dst)
        return True

    return check


def case(name, p, **changed):
    answered(name, eth() / p, forwarded(p, **changed))


case("5.3.1 TTL falls by one and nothing else changes", udp())
case("5.3.2 type of service is kept", udp(tos=0xB9))
case("4.2.2.3 the reserved flag is kept", udp(flags="evil"))
case("4.2.2.5 DF is kept", udp(flags="DF"))
case("4.2.2.7 a first fragment is not reassembled", udp(flags="MF", payload=b"x" * 64))
case("4.2.2.7 a later fragment is sent on", IP(src=H4[0], dst=H4[1], id=9, frag=4, proto=17) / Raw(b"later"))
case("5.2.2 padding of the frame is not sent on", udp(payload=b"", id=0x777))
for proto in (2, 47, 50, 51, 89, 132, 253, 255):
    case("4.2.2 protocol %d is sent on" % proto, IP(src=H4[0], dst=H4[1], id=proto + 1, proto=proto) / Raw(b"x" * 40))
case("5.3.1 TTL 2 is sent on", udp(ttl=2))
case("5.3.1 TTL 255 is sent on", udp(ttl=255))

# Errors, and what they look like.
p = udp(ttl=1, payload=b"y" * 1000, tos=0x08)


def exceeded(i, f):
    if not error4(11, 0)(i, f):
        return False
    q = bytes(f[ICMP].payload)
    assert valid4(f), "the header checksum is wrong"
    assert f[IP].dst == H4[0], "sent to %s" % f[IP].dst
    assert f[IP].len <= 576, "%d octets are too many (4.3.2.3)" % f[IP].len
    assert f[IP].len == 576, "%d octets, though there is more to quote (4.3.2.3)" % f[IP].len
    assert q[: f[IP].len - 28] == bytes(p)[: f[IP].len - 28], "the quoted packet is not as it was (4.3.2.3)"
    assert f[IP].tos >> 5 in (6, 7), "precedence %d (4.3.2.5)" % (f[IP].tos >> 5)
    assert f[IP].ttl >= 64, "TTL %d" % f[IP].ttl
    whole = IP(l3(f))
    was = whole[ICMP].chksum
    del whole[ICMP].chksum
    assert IP(bytes(whole))[ICMP].chksum == was, "the ICMP checksum is wrong"
    return True


answered("5.3.1, 4.3.2 TTL 1 is answered by time exceeded", eth() / p, exceeded)
answered("5.3.1 TTL 0 is answered by time exceeded", eth() / udp(ttl=0), error4(11, 0))
answered("5.2.7.1 no route is answered by net unreachable", eth() / udp(dst="100.64.0.1"), error4(3, 0))
answered("5.2.7.1 a reject route is answered by host unreachable", eth() / udp(dst="203.0.113.1"), error4(3, 1))
silent("5.2.7.1 a discard route is not answered", eth() / udp(dst="203.0.114.1"), from_router)
answered("5.2.7.1 what is too big with DF is answered with the MTU", eth() / udp(flags="DF", payload=b"z" * 1400),
         lambda i, f: error4(3, 4)(i, f) and f[ICMP].nexthopmtu == 1400)
answered("4.3.3.5 a malformed option is answered by a parameter problem",
         eth() / udp(options=raw("07070300000000")),
         lambda i, f: error4(12, 0)(i, f) and f[ICMP].ptr == 22)

# No errors (4.3.2.7).
about = "4.3.2.7 no error about "
silent(about + "an ICMP error", eth() / IP(src=H4[0], dst=H4[1], ttl=1) / ICMP(type=3, code=1) / IP(src=H4[1], dst=H4[0]) / UDP(), from_router)
silent(about + "an ICMP redirect", eth() / IP(src=H4[0], dst=H4[1], ttl=1) / ICMP(type=5, gw="192.0.2.9") / IP(src=H4[1], dst=H4[0]) / UDP(), from_router)
silent(about + "a fragment but the first", eth() / IP(src=H4[0], dst=H4[1], ttl=1, frag=2, proto=17) / Raw(b"x" * 16), from_router)
answered("4.3.2.7 an error about a first fragment", eth() / udp(ttl=1, flags="MF", payload=b"x" * 16), error4(11, 0))
answered("4.3.2.7 an error about an echo", eth() / IP(src=H4[0], dst=H4[1], ttl=1) / ICMP(), error4(11, 0))
silent(about + "a link-layer broadcast", eth(dst="ff:ff:ff:ff:ff:ff") / udp(ttl=1), from_router)
silent(about + "a link-layer multicast", eth(dst="01:00:5e:01:02:03") / udp(ttl=1), from_router)
silent(about + "a multicast destination", eth() / udp(dst="239.1.1.1", ttl=1), from_router)
silent(about + "the limited broadcast", eth() / udp(dst="255.255.255.255", ttl=1), from_router)
for src in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"):
    silent(about + "what comes from %s" % src, eth() / udp(src=src, dst="100.64.0.1"), from_router)

# Not forwarded.
for src in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", G4[0]):
    silent("5.3.7 source %s is not forwarded" % src, eth() / udp(src=src), from_router)
for dst in ("0.0.0.0", "127.0.0.1", "240.0.0.1"):
    silent("5.3.7 destination %s is not forwarded" % dst, eth() / udp(dst=dst), from_router)
silent("5.3.4 unicast in a broadcast frame is not forwarded", eth(dst="ff:ff:ff:ff:ff:ff") / udp(), from_router)
silent("5.3.4 unicast in a multicast frame is not forwarded", eth(dst="01:00:5e:01:02:03") / udp(), from_router)
silent("5.3.5.1 the limited broadcast is not forwarded", eth(dst="ff:ff:ff:ff:ff:ff") / udp(dst="255.255.255.255"), from_router)
silent("5.3.5.2, RFC 2644 another link's broadcast is not forwarded", eth() / udp(dst="198.51.100.255"), from_router)
silent("5.2.1.3 a frame for another station is ignored", eth(dst="02:00:00:00:99:99") / udp(), from_router)
silent("5.2.2 a wrong header checksum", eth() / udp(chksum=0x1234), from_router)
silent("5.2.2 version 5", eth() / Raw(b"\x55" + bytes(udp())[1:]), from_router)
silent("5.2.2 header length 4 words", eth() / Raw(bytes(udp(ihl=4, chksum=None))), from_router)
silent("5.2.2 total length beyond the frame", eth() / udp(len=400), from_router)
silent("5.2.2 total length below the header's", eth() / udp(len=19), from_router)
silent("RFC 7126 a source route is not followed", eth() / udp(options=raw("830704c633644d")), from_router)

# Options.
rr = udp(options=raw("070b04" + "00" * 9))


def recorded(i, f):
    if i != 1 or not f.haslayer(UDP):
        return False
    o = l3(f)[20:32]
    assert o[:7] == b"\x07\x0b\x08" + socket.inet_aton(G4[1]), "options are %s (4.2.2.2)" % o.hex()
    assert valid4(f), "the checksum is wrong"
    return True


answered("4.2.2.2 record route gets the outgoing address", eth() / rr, recorded)


def timed(i, f):
    if i != 1 or not f.haslayer(UDP):
        return False
    o = l3(f)[20:32]
    ms = int.from_bytes(o[4:8], "big")
    now = int(time.time() * 1000) % 86400000
    assert o[2] == 9 and abs(ms - now) < 60000, "options are %s at %d" % (o.hex(), now)
    return True


answered("RFC 791 a timestamp is milliseconds since midnight UT", eth() / udp(options=raw("440c0500" + "00" * 8)), timed)
case("4.2.2.1 unknown options are sent on", udp(options=raw("9e040102")))
case("RFC 2113 a router alert is sent on", udp(options=raw("94040000")))

# Fragmentation.
pieces = []


def cut(i, f):
    if i != 1 or not f.haslayer(IP) or f[IP].id != 0x4321:
        return False
    pieces.append(f)
    if f[IP].flags.MF:
        return False
    body = b"".join(l3(x)[20:] for x in sorted(pieces, key=lambda x: x[IP].frag))
    assert body == bytes(big)[20:], "the pieces don't make the packet"
    assert all(x[IP].len <= 1400 and valid4(x) and x[IP].ttl == 63 for x in pieces), "a piece is wrong"
    assert pieces[0][IP].len > 1392, "a first piece of %d octets wastes room" % pieces[0][IP].len
    return True


big = udp(payload=bytes(i & 255 for i in range(1472)), id=0x4321)
answered("4.2.2.7, 5.3.3 what is too big without DF is cut", eth() / big, cut)

# The router itself.
answered("4.3.3.6 an echo is answered", eth() / IP(src=H4[0], dst=G4[0]) / ICMP(id=5, seq=6) / Raw(b"d" * 500),
         lambda i, f: i == 0 and f.haslayer(ICMP) and f[ICMP].type == 0 and f[IP].src == G4[0] and f[ICMP].id == 5
         and f[ICMP].seq == 6 and bytes(f[ICMP].payload)[:500] == b"d" * 500)
answered("4.3.3.6 an echo to the address of another link is answered from there", eth() / IP(src=H4[0], dst=G4[1]) / ICMP(),
         lambda i, f: i == 0 and f.haslayer(ICMP) and f[ICMP].type == 0 and f[IP].src == G4[1])
answered("5.3.1 what is for the router may have TTL 1", eth() / IP(src=H4[0], dst=G4[0], ttl=1) / ICMP(),
         lambda i, f: i == 0 and f.haslayer(ICMP) and f[ICMP].type == 0)
answered("4.2.2.8 an echo in fragments is answered", [eth() / x for x in fragment(IP(src=H4[0], dst=G4[0], id=77) / ICMP(id=77) / Raw(b"f" * 1000), 400)][::-1],
         lambda i, f: i == 0 and f.haslayer(ICMP) and f[ICMP].type == 0 and f[ICMP].id == 77)
silent("4.3.3.6 an echo with a wrong checksum is not answered", eth() / IP(src=H4[0], dst=G4[0]) / ICMP(chksum=1), lambda i, f: f.haslayer(ICMP) and f[ICMP].id == 0 and f[ICMP].type == 0, after=echo)
answered("5.2.7.1 a closed port is answered by port unreachable", eth() / udp(dst=G4[0]), error4(3, 3))
silent("4.3.3.2 a redirect changes nothing",
       eth() / IP(src=H4[0], dst=G4[0]) / ICMP(type=5, code=1, gw="192.0.2.66") / IP(src=G4[0], dst=H4[1]) / UDP(),
       lambda i, f: f.haslayer(ARP) and f[ARP].pdst == "192.0.2.66")

# ARP.
question = Ether(dst="ff:ff:ff:ff:ff:ff", src=FAR[0]) / ARP(op=1, hwsrc=FAR[0], psrc=H4[0], pdst=G4[0])
is_reply = lambda i, f: i == 0 and f.haslayer(ARP) and f[ARP].op == 2  # noqa: E731
answered("RFC 826 the router answers for its address", question,
         lambda i, f: is_reply(i, f) and f[ARP].hwsrc == ROUTER[0] and f[ARP].psrc == G4[0] and f[ARP].pdst == H4[0] and f.dst == FAR[0])
answered("RFC 5227 the router answers a probe", Ether(dst="ff:ff:ff:ff:ff:ff", src=FAR[0]) / ARP(op=1, hwsrc=FAR[0], psrc="0.0.0.0", pdst=G4[0]), is_reply)
for who, dst in (("another host", "192.0.2.77"), ("a host of another link", H4[1]), ("its address on another link", G4[1])):
    silent("RFC 1812, 3.3.2 the router does not answer for %s" % who, Ether(dst="ff:ff:ff:ff:ff:ff", src=FAR[0]) / ARP(op=1, hwsrc=FAR[0], psrc=H4[0], pdst=dst),
           is_reply, after=solicit)


def asked(i, f):
    if i != 1 or not f.haslayer(ARP) or f[ARP].op != 1 or f[ARP].pdst != "198.51.100.50":
        return False
    assert f.dst == "ff:ff:ff:ff:ff:ff" and f[ARP].hwsrc == ROUTER[1] and f[ARP].psrc == G4[1], f.summary()
    return True


held = udp(dst="198.51.100.50", id=0x5050)
if answered("RFC 826 an unknown neighbour is asked for", eth() / held, asked):
    answered("RFC 1122, 2.3.2.2 what waited for the answer is sent",
             Ether(dst=ROUTER[1], src=FAR[1]) / ARP(op=2, hwsrc=FAR[1], psrc="198.51.100.50", hwdst=ROUTER[1], pdst=G4[1]),
             lambda i, f: i == 1 and f.haslayer(IP) and f[IP].id == 0x5050 and f[IP].ttl == 63, at=1)
answered("5.2.7.1 a neighbour that does not answer is host unreachable", eth() / udp(dst="198.51.100.51"), error4(3, 1), wait=8)
