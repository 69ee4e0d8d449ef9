// Package kernel is what the router reads from Linux and mirrors into it over
// netlink: links and their events, the network namespaces of the routing
// instances, the settings of devices that the router takes over, and the
// addresses, routes and rules that the host stack needs.
//
// Its invariant: whatever is changed here can be told from what others made,
// and is taken back at a clean stop or by the next start. Links carry an alias
// ([Mark]), addresses, routes and rules the protocol number [Protocol], made
// namespaces and the former settings of devices are recorded in a [Store].
//
// Source: rtnetlink(7), netlink(7), network_namespaces(7), and the kernel's
// uapi headers rtnetlink.h, if_link.h, if_addr.h, fib_rules.h, ethtool.h.
package kernel

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Protocol is the rtm_protocol, rule protocol and IFA_PROTO of everything that
// the router makes in the kernel. Numbers above 4 (RTPROT_STATIC) are free for
// the taking; this one is in no rt_protos file that we know of.
const Protocol = 0x5D

// ErrNotFound says that the kernel has no such object (any more).
var ErrNotFound = errors.New("not found")

// solNetlink is SOL_NETLINK of the socket options below.
const solNetlink = unix.SOL_NETLINK

// requestTimeout bounds the wait for the kernel's answer. A namespace with a
// million routes answers a dump in well under a second.
const requestTimeout = 10 * time.Second

// A Conn is a route netlink socket in one namespace. Its methods may be called
// from any goroutine; requests take their turns. The socket keeps to the
// namespace it was opened in, whatever thread uses it.
type Conn struct {
	port   uint32
	handle nl.SocketHandle
	socks  map[int]*nl.SocketHandle
}

// dial opens a Conn in the namespace of the calling thread.
func dial() (*Conn, error) {
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	tv := unix.NsecToTimeval(int64(requestTimeout))
	if err := errors.Join(s.SetSendTimeout(&tv), s.SetReceiveTimeout(&tv), s.SetExtAck(true)); err != nil {
		s.Close()
		return nil, fmt.Errorf("set up a netlink socket: %w", err)
	}
	// Strict checking lets the kernel filter dumps (Linux 4.20). An older
	// kernel sends everything, and the callers filter again anyway.
	_ = unix.SetsockoptInt(s.GetFd(), solNetlink, unix.NETLINK_GET_STRICT_CHK, 1)
	port, err := s.GetPid()
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("set up a netlink socket: %w", err)
	}
	c := &Conn{port: port, handle: nl.SocketHandle{Socket: s}}
	c.socks = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: &c.handle}
	return c, nil
}

// Port is the number by which an Event names this Conn as its cause.
func (c *Conn) Port() uint32 { return c.port }

// Close releases the socket. Requests under way fail.
func (c *Conn) Close() { c.handle.Socket.Close() }

// dumpRetries is how often a dump that a change interrupted is started again.
const dumpRetries = 5

// request sends one message and returns the payloads of the answers.
func (c *Conn) request(typ, flags int, body []byte) ([][]byte, error) {
	for try := 0; ; try++ {
		req := nl.NewNetlinkRequest(typ, flags)
		req.Sockets = c.socks
		req.AddRawData(body)
		msgs, err := req.Execute(unix.NETLINK_ROUTE, 0)
		if errors.Is(err, nl.ErrDumpInterrupted) {
			if try < dumpRetries {
				continue
			}
			// The list is complete but for what changed meanwhile, and a
			// change has an event of its own.
			err = nil
		}
		return msgs, err
	}
}

// change sends one message that changes something and waits for the verdict.
func (c *Conn) change(typ, flags int, body []byte) error {
	_, err := c.request(typ, flags|unix.NLM_F_ACK, body)
	return err
}

// gone reports whether err says that the object of a request does not exist.
func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) ||
		errors.Is(err, unix.EADDRNOTAVAIL)
}

// isExist reports whether err says that the object of a request stands already.
func isExist(err error) bool { return errors.Is(err, unix.EEXIST) }
