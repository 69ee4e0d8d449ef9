package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"router/internal/testnet"
)

// serve answers on TCP and UDP ports of a host until the script ends: with what
// it got, and for UDP with the type of service octet in front.
func serve(ts *testscript.TestScript, l *lab, ns *testnet.Namespace, ports []string) {
	for _, text := range ports {
		port, err := strconv.Atoi(text)
		ts.Check(err)
		ts.Check(ns.Do(func() error {
			tcp, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
			if err != nil {
				return err
			}
			udp, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
			if err != nil {
				return errors.Join(err, tcp.Close())
			}
			raw, err := udp.SyscallConn()
			if err != nil {
				return err
			}
			var set error
			err = raw.Control(func(fd uintptr) {
				set = errors.Join(unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1),
					unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1))
			})
			if err := errors.Join(err, set); err != nil {
				return err
			}
			l.Cleanup(func() { _ = tcp.Close(); _ = udp.Close() })
			go serveTCP(tcp)
			go serveUDP(udp)
			return nil
		}))
	}
}

// serveTCP echoes a line at a time.
func serveTCP(l *net.TCPListener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			b := make([]byte, 1500)
			for {
				n, err := c.Read(b)
				if err != nil {
					return
				}
				if _, err := c.Write(b[:n]); err != nil {
					return
				}
			}
		}()
	}
}

func serveUDP(c *net.UDPConn) {
	b, control := make([]byte, 1500), make([]byte, 256)
	for {
		n, cn, _, from, err := c.ReadMsgUDPAddrPort(b, control)
		if err != nil {
			return
		}
		tos := -1
		messages, err := unix.ParseSocketControlMessage(control[:cn])
		for _, m := range messages {
			if err == nil && (m.Header.Type == unix.IP_TOS || m.Header.Type == unix.IPV6_TCLASS) && len(m.Data) > 0 {
				tos = int(m.Data[0])
			}
		}
		_, _ = c.WriteToUDPAddrPort(fmt.Appendf(nil, "tos %d %s", tos, b[:n]), from)
	}
}

// connect says what becomes of a TCP connection: "connected", "refused",
// "unreachable" or "silence".
func connect(ns *testnet.Namespace, to string, local int) string {
	var answer string
	err := ns.Do(func() error {
		d := net.Dialer{Timeout: 2 * time.Second}
		if local != 0 {
			d.LocalAddr = &net.TCPAddr{Port: local}
		}
		c, err := d.Dial("tcp", to)
		if err == nil {
			answer = "connected"
			return c.Close()
		}
		answer = outcome(err)
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return answer
}

func outcome(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EACCES):
		return "unreachable"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "silence"
	}
	return err.Error()
}

// ask sends a datagram and says what comes back: "tos N hello", or as connect.
func ask(ns *testnet.Namespace, to string, tos int) string {
	var answer string
	err := ns.Do(func() error {
		c, err := net.Dial("udp", to)
		if err != nil {
			return err
		}
		defer c.Close()
		raw, err := c.(*net.UDPConn).SyscallConn()
		if err != nil {
			return err
		}
		var set error
		err = raw.Control(func(fd uintptr) {
			level, option := unix.IPPROTO_IP, unix.IP_TOS
			if a, err := netip.ParseAddrPort(to); err == nil && a.Addr().Is6() {
				level, option = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
			}
			set = unix.SetsockoptInt(int(fd), level, option, tos)
		})
		if err := errors.Join(err, set, c.SetDeadline(time.Now().Add(2*time.Second))); err != nil {
			return err
		}
		b := make([]byte, 1500)
		for range 3 { // the first datagrams wait for neighbours
			if _, err = c.Write([]byte("hello")); err != nil {
				break
			}
			n, rerr := c.Read(b)
			if err = rerr; err == nil {
				answer = string(b[:n])
				return nil
			}
			if outcome(err) != "silence" {
				break
			}
			_ = c.SetDeadline(time.Now().Add(time.Second))
		}
		answer = outcome(err)
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return answer
}

// A talk is a TCP connection that stays.
type talk struct{ conn net.Conn }

// talks are those of a lab, by name.
type talks struct {
	mu sync.Mutex
	by map[*lab]map[string]*talk
}

var talking = talks{by: map[*lab]map[string]*talk{}}

// begin opens a connection, which say uses.
func (t *talks) begin(l *lab, ns *testnet.Namespace, name, to string) error {
	return ns.Do(func() error {
		c, err := net.DialTimeout("tcp", to, 5*time.Second)
		if err != nil {
			return err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.by[l] == nil {
			t.by[l] = map[string]*talk{}
		}
		t.by[l][name] = &talk{c}
		l.Cleanup(func() { _ = c.Close() })
		return nil
	})
}

// say sends a word over a connection and wants it back.
func (t *talks) say(l *lab, name string) error {
	t.mu.Lock()
	k := t.by[l][name]
	t.mu.Unlock()
	if k == nil {
		return fmt.Errorf("there is no connection %s", name)
	}
	b := make([]byte, 16)
	if err := k.conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	if _, err := k.conn.Write([]byte("hello")); err != nil {
		return err
	}
	n, err := k.conn.Read(b)
	if err == nil && string(b[:n]) != "hello" {
		err = fmt.Errorf("got %q back", b[:n])
	}
	return err
}

// A capture is the IP packets that a host's device gets.
type capture struct{ fd int }

var captures sync.Map // host's namespace -> *capture

// eavesdrop begins a capture of all that comes to the host's device.
func eavesdrop(l *lab, ns *testnet.Namespace) error {
	return ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(hton(unix.ETH_P_ALL)))
		if err != nil {
			return err
		}
		captures.Store(ns, &capture{fd})
		l.Cleanup(func() {
			captures.Delete(ns)
			_ = unix.Close(fd)
		})
		return nil
	})
}

func hton(v uint16) uint16 { return v<<8 | v>>8 }

// heard lists the packets captured since listen or the last call, a line each:
// "icmp 192.0.2.2 > 198.51.100.2", each kind once, with how many there were.
func heard(ns *testnet.Namespace) string {
	c, ok := captures.Load(ns)
	if !ok {
		return "nobody listens"
	}
	counts := map[string]int{}
	var order []string
	b := make([]byte, 2048)
	for quiet := time.Now().Add(300 * time.Millisecond); time.Now().Before(quiet); {
		n, from, err := unix.Recvfrom(c.(*capture).fd, b, 0)
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if link, ok := from.(*unix.SockaddrLinklayer); ok && link.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		line := summary(b[:n])
		if line == "" {
			continue
		}
		if counts[line]++; counts[line] == 1 {
			order = append(order, line)
		}
	}
	var out strings.Builder
	for _, line := range order {
		fmt.Fprintf(&out, "%d %s\n", counts[line], line)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// summary is what a packet is; "" for what isn't ICMP, TCP or UDP over IPv4.
func summary(p []byte) string {
	if len(p) < 20 || p[0]>>4 != 4 {
		return ""
	}
	name := map[byte]string{1: "icmp", 6: "tcp", 17: "udp"}[p[9]]
	if name == "" {
		return ""
	}
	return fmt.Sprintf("%s %v > %v", name, netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20])))
}
