package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// An EventKind is the kind of object that an event tells of.
type EventKind uint8

// The kinds of events. A default route and a rule are reported only where the
// protocol number says that a router made them.
const (
	LinkEvent EventKind = iota
	AddressEvent
	RouteEvent
	RuleEvent
)

// An Event says that something was added, changed or removed. It is a hint to
// look: what stands now is what a request answers.
type Event struct {
	Kind    EventKind
	Removed bool
	Index   int    // of the link concerned; 0 where the message names none
	Table   uint32 // that a rule leads to
	Port    uint32 // of the Conn that asked for the change; 0 where the kernel does not tell
}

// ErrOverrun says that the kernel had more events than the socket took, so
// that everything watched has to be read again.
var ErrOverrun = errors.New("events were lost")

// watchBuffer is room for some ten thousand events.
const watchBuffer = 4 << 20

// A Watch receives events of one namespace. It is a socket of our own making, not the
// library's, which has a receiver wait with a buffer of 64 kB on its stack: with
// an instance to each of thousands of namespaces that is most of the memory.
type Watch struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
}

// received are buffers for one reception each; the kernel sends 32 kB at most at once.
var received = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// Watch subscribes to links and addresses and, where rules is set, to routes
// and rules.
func (n *Namespace) Watch(rules bool) (*Watch, error) {
	groups := []uint{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR}
	if rules {
		groups = append(groups, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
			unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE)
	}
	w := &Watch{}
	err := n.Do(func() error { return w.open(groups) })
	if err != nil {
		return nil, fmt.Errorf("watch network namespace %q: %w", n.name, err)
	}
	return w, nil
}

// open makes the socket, in the namespace of the calling thread.
func (w *Watch) open(groups []uint) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open a netlink socket: %w", err)
	}
	to := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	for _, g := range groups {
		to.Groups |= 1 << (g - 1)
	}
	// Without CAP_NET_ADMIN over the host the size stays what the system allows.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, watchBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, watchBuffer)
	}
	if err := unix.Bind(fd, to); err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("subscribe a netlink socket: %w", err)
	}
	w.file = os.NewFile(uintptr(fd), "netlink")
	if w.raw, err = w.file.SyscallConn(); err != nil {
		return errors.Join(err, w.file.Close())
	}
	return nil
}

// Close ends the subscription and a Next that waits.
func (w *Watch) Close() {
	w.closed.Store(true)
	// It fails for a second time only, which is no matter.
	_ = w.file.Close()
}

// receive waits for a reception and reads its messages; none come from others than
// the kernel.
func (w *Watch) receive() (msgs []syscall.NetlinkMessage, err error) {
	waited := w.raw.Read(func(fd uintptr) bool {
		b := received.Get().(*[64 << 10]byte)
		defer received.Put(b)
		var n int
		var from unix.Sockaddr
		for {
			if n, from, err = unix.Recvfrom(int(fd), b[:], unix.MSG_DONTWAIT); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		switch sender, ok := from.(*unix.SockaddrNetlink); {
		case errors.Is(err, unix.EAGAIN):
			return false
		case err != nil || !ok || sender.Pid != 0:
			return true
		}
		// What it returns shares the buffer.
		msgs, err = syscall.ParseNetlinkMessage(append([]byte(nil), b[:n]...))
		return true
	})
	return msgs, errors.Join(waited, err)
}

// Next waits for events. ErrOverrun is not final: call Next again. Any other
// error is: os.ErrClosed after Close.
func (w *Watch) Next() ([]Event, error) {
	msgs, err := w.receive()
	if errors.Is(err, unix.ENOBUFS) {
		return nil, ErrOverrun
	}
	if err != nil && w.closed.Load() {
		// A raw connection has a word of its own for it.
		err = os.ErrClosed
	}
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	var events []Event
	for _, m := range msgs {
		if e, ok := parseEvent(m.Header.Type, m.Data); ok {
			e.Port = m.Header.Pid
			events = append(events, e)
		}
	}
	return events, nil
}

// parseEvent reads a notification; ok is false where it tells of nothing that
// a router has to do with.
func parseEvent(typ uint16, b []byte) (e Event, ok bool) {
	switch typ {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if len(b) < ifinfoLen {
			return Event{}, false
		}
		// Wireless extensions and bridge ports send link messages of families
		// of their own.
		if b[0] != unix.AF_UNSPEC {
			return Event{}, false
		}
		return Event{Kind: LinkEvent, Removed: typ == unix.RTM_DELLINK, Index: index(b)}, true
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		if len(b) < ifaddrLen {
			return Event{}, false
		}
		return Event{Kind: AddressEvent, Removed: typ == unix.RTM_DELADDR, Index: index(b)}, true
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		r, ok := parseDefault(b)
		return Event{Kind: RouteEvent, Removed: typ == unix.RTM_DELROUTE, Index: r.Index}, ok
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		r, ok := parseRule(b)
		return Event{Kind: RuleEvent, Removed: typ == unix.RTM_DELRULE, Table: r.Table}, ok
	}
	return Event{}, false
}

// index reads the link index that struct ifinfomsg and struct ifaddrmsg have
// in the same place.
func index(b []byte) int { return int(int32(binary.NativeEndian.Uint32(b[4:]))) }
