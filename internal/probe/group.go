package probe

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// GroupPort is the UDP port that datagrams to groups go to.
const GroupPort = 5002

// A GroupListener is a member of a group on one device, who keeps what it gets.
type GroupListener struct {
	v4 *ipv4.PacketConn
	v6 *ipv6.PacketConn
	c  net.PacketConn
}

// ListenGroup joins a group on a device, in the namespace of the calling thread.
func ListenGroup(group netip.Addr, device string) (*GroupListener, error) {
	ifi, err := net.InterfaceByName(device)
	if err != nil {
		return nil, fmt.Errorf("join %v: %w", group, err)
	}
	c, err := net.ListenMulticastUDP(network(group), ifi, &net.UDPAddr{IP: group.AsSlice(), Port: GroupPort})
	if err != nil {
		return nil, fmt.Errorf("join %v on %s: %w", group, device, err)
	}
	l := &GroupListener{c: c}
	if group.Is4() {
		l.v4 = ipv4.NewPacketConn(c)
		err = l.v4.SetControlMessage(ipv4.FlagTTL, true)
	} else {
		l.v6 = ipv6.NewPacketConn(c)
		err = l.v6.SetControlMessage(ipv6.FlagHopLimit, true)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("join %v on %s: %w", group, device, err), c.Close())
	}
	return l, nil
}

func network(group netip.Addr) string {
	if group.Is4() {
		return "udp4"
	}
	return "udp6"
}

// Close leaves the group.
func (l *GroupListener) Close() error { return l.c.Close() }

// Receive waits for the datagram whose data begins with token, and returns its
// length, its TTL or hop limit, and its source. An error of the deadline says
// that it has not come.
func (l *GroupListener) Receive(token []byte, wait time.Duration) (n, ttl int, from netip.Addr, err error) {
	if err := l.c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, 0, from, err
	}
	buf := make([]byte, 65536)
	for {
		var src net.Addr
		if l.v4 != nil {
			var cm *ipv4.ControlMessage
			if n, cm, src, err = l.v4.ReadFrom(buf); err == nil && cm != nil {
				ttl = cm.TTL
			}
		} else {
			var cm *ipv6.ControlMessage
			if n, cm, src, err = l.v6.ReadFrom(buf); err == nil && cm != nil {
				ttl = cm.HopLimit
			}
		}
		if err != nil {
			return 0, 0, from, err
		}
		if bytes.HasPrefix(buf[:n], token) {
			return n, ttl, src.(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
		}
	}
}

// SendGroup sends one datagram of size octets, of which token is the start, to a
// group out of a device, in the namespace of the calling thread.
func SendGroup(group netip.Addr, device string, ttl, size int, token []byte) error {
	ifi, err := net.InterfaceByName(device)
	if err != nil {
		return fmt.Errorf("send to %v: %w", group, err)
	}
	c, err := net.ListenUDP(network(group), nil)
	if err != nil {
		return fmt.Errorf("send to %v: %w", group, err)
	}
	defer c.Close()
	if group.Is4() {
		p := ipv4.NewPacketConn(c)
		err = errors.Join(p.SetMulticastInterface(ifi), p.SetMulticastTTL(ttl))
	} else {
		p := ipv6.NewPacketConn(c)
		err = errors.Join(p.SetMulticastInterface(ifi), p.SetMulticastHopLimit(ttl))
	}
	if err == nil {
		data := make([]byte, max(size, len(token)))
		copy(data, token)
		_, err = c.WriteToUDPAddrPort(data, netip.AddrPortFrom(group, GroupPort))
	}
	if err != nil {
		return fmt.Errorf("send to %v on %s: %w", group, device, err)
	}
	return nil
}
