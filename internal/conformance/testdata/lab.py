"""Both far ends of a router's links, and the cases that are tried there.

Every script beside this one is a topic: it says what it sends at which end, and
what has to come of it. A case is reported as a line of JSON on standard output;
Go makes a subtest of each. The packets are scapy's, by which a second
implementation reads what the router writes.
"""
import json
import select
import socket
import sys
import time

from scapy.config import conf

conf.ipv6_enabled = True
conf.verb = 0
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption, fragment  # noqa: E402,F401
from scapy.layers.inet6 import *  # noqa: E402,F401,F403
from scapy.layers.l2 import ARP, Ether  # noqa: E402,F401
from scapy.packet import Raw  # noqa: E402,F401

world = json.loads(sys.argv[1])
ROUTER = world["router"]  # MAC addresses of ge0 and ge1
FAR = world["far"]  # and of what is plugged in there

# The hosts, which the router has been told of, and the router itself.
H4, G4 = ["192.0.2.10", "198.51.100.10"], ["192.0.2.1", "198.51.100.1"]
H6, G6 = ["2001:db8:1::10", "2001:db8:2::10"], ["2001:db8:1::1", "2001:db8:2::1"]

SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23


class End:
    """The far end of a link: whole frames, in and out."""

    def __init__(self, device):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.bind((device, 0))
        self.sock.setblocking(False)


ends = [End("e0"), End("e1")]


def send(*packets, at=0):
    for p in packets:
        ends[at].sock.send(bytes(p))


def receive(deadline):
    """The next frame and the end where it came, or None."""
    while True:
        left = deadline - time.monotonic()
        if left < 0:
            return None
        ready, _, _ = select.select([e.sock for e in ends], [], [], left)
        for i, e in enumerate(ends):
            if e.sock in ready:
                return i, Ether(e.sock.recv(65536))


def drain():
    while receive(time.monotonic()) is not None:
        pass


def report(name, ok, detail=""):
    print(json.dumps({"name": name, "ok": bool(ok), "detail": detail}), flush=True)


def summaries(frames):
    return "; ".join("%s: %s" % ("e%d" % i, f.summary()) for i, f in frames) or "nothing"


def answered(name, packets, want, at=0, wait=3.0):
    """The case: packets at an end make a frame leave of which want(end, frame) is
    true. want may raise AssertionError to say what is wrong with the right one."""
    packets = packets if isinstance(packets, list) else [packets]
    drain()
    send(*packets, at=at)
    seen, deadline, wrong = [], time.monotonic() + wait, ""
    while True:
        got = receive(deadline)
        if got is None:
            report(name, False, "%s; there came %s" % (wrong or "no such answer", summaries(seen)))
            return None
        seen.append(got)
        try:
            if want(*got):
                report(name, True)
                return got[1]
        except AssertionError as e:
            wrong = str(e) or "wrong"


marks = 0


def mark4():
    """A packet that is forwarded from e0 to e1, and how to know it."""
    global marks
    marks += 1
    text = b"mark %d" % marks
    p = Ether(dst=ROUTER[0], src=FAR[0]) / IP(src=H4[0], dst=H4[1], ttl=9) / UDP(sport=9, dport=9) / Raw(text)
    return p, lambda i, f: i == 1 and f.haslayer(Raw) and bytes(f[Raw].load).startswith(text)


def solicit():
    """A question to the router's control plane, and how to know the answer."""
    p = Ether(dst=ROUTER[0], src=FAR[0]) / IPv6(src=H6[0], dst=G6[0], hlim=255) / ICMPv6ND_NS(tgt=G6[0]) / ICMPv6NDOptSrcLLAddr(lladdr=FAR[0])
    return p, lambda i, f: i == 0 and f.haslayer(ICMPv6ND_NA) and f[ICMPv6ND_NA].tgt == G6[0] and f[IPv6].dst == H6[0]


def echo():
    """A question to the router's host stack, and how to know the answer."""
    global marks
    marks += 1
    text = b"mark %d" % marks
    p = Ether(dst=ROUTER[0], src=FAR[0]) / IP(src=H4[0], dst=G4[0]) / ICMP(id=7) / Raw(text)
    return p, lambda i, f: i == 0 and f.haslayer(Raw) and bytes(f[Raw].load).startswith(text)


def silent(name, packets, unwanted, at=0, after=mark4):
    """The case: packets at an end make no frame leave of which unwanted(end,
    frame) is true, until what was asked after them is answered."""
    packets = packets if isinstance(packets, list) else [packets]
    drain()
    send(*packets, at=at)
    p, known = after()
    send(p)
    seen, deadline = [], time.monotonic() + 5
    while True:
        got = receive(deadline)
        if got is None:
            break
        if known(*got):
            # What the question overtook may still come.
            deadline, known = time.monotonic() + 0.05, lambda i, f: False
            seen.append(None)
            continue
        if unwanted(*got):
            report(name, False, "there came %s" % summaries([got]))
            return
        seen.append(got)
    if None in seen:
        report(name, True)
    else:
        report(name, False, "what was asked afterwards was not answered; there came " + summaries(seen))


def from_router(i, f):
    """Any IP packet that is not the router's own chatter."""
    if f.haslayer(ICMPv6ND_NS) or f.haslayer(ICMPv6ND_RA) or f.haslayer(ICMPv6MLReport2) or f.haslayer(ICMPv6ND_NA):
        return False
    return f.haslayer(IP) or f.haslayer(IPv6)


def error4(typ, code, at=0, src=None):
    """An ICMP error of that kind at an end."""

    def want(i, f):
        return (i == at and f.haslayer(ICMP) and f[ICMP].type == typ and f[ICMP].code == code
                and f[IP].src == (src or G4[at]))

    return want


def error6(typ, code, at=0, pointer=None):
    def want(i, f):
        if i != at or not f.haslayer(IPv6) or f[IPv6].nh != 58:
            return False
        m = bytes(f[IPv6].payload)
        if m[0] != typ or m[1] != code:
            return False
        if pointer is not None:
            got = int.from_bytes(m[4:8], "big")
            assert got == pointer, "pointer or MTU is %d, not %d" % (got, pointer)
        assert checksum6(f), "the checksum is wrong"
        return True

    return want


def checksum6(f):
    """Whether the ICMPv6 checksum of a frame is right, as scapy computes it."""
    ip = IPv6(bytes(f[IPv6])[: 40 + f[IPv6].plen])
    return in6_chksum(58, ip, bytes(ip.payload)) == 0


def valid4(f):
    """Whether the header checksum of a frame is right, as scapy computes it."""
    h = IP(bytes(f[IP]))
    was = h.chksum
    del h.chksum
    return IP(bytes(h)).chksum == was


def l3(f):
    """The network-layer packet of a frame without its padding."""
    b = bytes(f)[14:]
    return b[: int.from_bytes(b[2:4], "big")] if f.type == 0x800 else b[: 40 + int.from_bytes(b[4:6], "big")]


def eth(at=0, dst=None):
    return Ether(dst=dst or ROUTER[at], src=FAR[at])
