// Package afpacket exchanges frames with a device through packet sockets, where
// AF_XDP cannot be had. Every device of Linux takes them, at the price of a
// copy each way and a socket buffer for each frame.
//
// Receiving goes through a ring shared with the kernel, sending through
// sendmmsg. The kernel sees the frames as well; package bpf hides from it what
// is the router's, and filters from the sockets what is not.
//
// Source: packet(7), Documentation/networking/packet_mmap.rst.
package afpacket

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"router/dataplane/port"
)

// A Config says how the queues of a device are opened.
type Config struct {
	Ifindex int
	// RingSize is how many frames the receive ring of each queue holds, a power
	// of two from 32 on; 0 is DefaultRingSize.
	RingSize int
	// MaxFrame is the longest frame to receive, in octets, up to port.MaxJumbo; 0
	// is port.MaxFrame. Slots of the ring are eight times as large beyond that,
	// and there are a quarter as many of them by default.
	MaxFrame int
	// Filter, if set, narrows what the sockets receive: it attaches a socket
	// filter to the descriptor that it is given.
	Filter func(fd int) error
}

// DefaultRingSize is the size of rings where none is asked for, in frames.
const DefaultRingSize = 1024

// Open opens one queue on each of the pools; the kernel spreads flows over the
// queues by hash (PACKET_FANOUT). The device must be up, and of the calling
// thread's network namespace. No queue touches its pool before its first
// Receive or Transmit, so that Open may run beside the workers.
func Open(config Config, pools []*port.Pool) (queues []*Queue, err error) {
	if config.MaxFrame == 0 {
		config.MaxFrame = port.MaxFrame
	}
	if config.MaxFrame > port.MaxJumbo {
		return nil, fmt.Errorf("frames of %d octets: want %d at most", config.MaxFrame, port.MaxJumbo)
	}
	if config.RingSize == 0 {
		config.RingSize = DefaultRingSize
		if config.MaxFrame > port.MaxFrame {
			config.RingSize /= 4
		}
	}
	if n := config.RingSize; n < 32 || n > 1<<16 || n&(n-1) != 0 {
		return nil, fmt.Errorf("ring size %d: want a power of two from 32 to %d", n, 1<<16)
	}
	defer func() {
		if err != nil {
			for _, q := range queues {
				err = errors.Join(err, q.Close())
			}
			queues = nil
		}
	}()
	group := 0
	for i, pool := range pools {
		q, err := open(config, pool)
		if err != nil {
			return queues, fmt.Errorf("queue %d: %w", i, err)
		}
		queues = append(queues, q)
		if len(pools) > 1 {
			if group, err = join(q.fd, group); err != nil {
				return queues, fmt.Errorf("queue %d: %w", i, err)
			}
		}
	}
	// Only now, when the group is complete, does any queue receive: a flow
	// starts on the queue on which it stays, and no frame comes twice.
	for i, q := range queues {
		if err := listen(q.fd, config.Filter); err != nil {
			return queues, fmt.Errorf("queue %d: %w", i, err)
		}
	}
	return queues, nil
}

func open(config Config, pool *port.Pool) (_ *Queue, err error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w (routerd needs CAP_NET_RAW)", err)
	}
	q := &Queue{fd: fd, pool: pool, longest: config.MaxFrame}
	defer func() {
		if err != nil {
			err = errors.Join(err, q.Close())
		}
	}()
	if q.ring, err = newRing(fd, config.RingSize, config.MaxFrame); err != nil {
		return nil, err
	}
	for _, option := range []struct {
		name string
		id   int
	}{
		{"PACKET_IGNORE_OUTGOING", unix.PACKET_IGNORE_OUTGOING},
		{"PACKET_QDISC_BYPASS", unix.PACKET_QDISC_BYPASS},
	} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, option.id, 1); err != nil {
			return nil, os.NewSyscallError("set "+option.name, err)
		}
	}
	// Bounds the copies that the device has not sent yet; the default would
	// stop after some hundred frames. Without the privilege it stays.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer)
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: 1, Filter: &nothing[0]}); err != nil {
		return nil, os.NewSyscallError("attach a filter", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: network(unix.ETH_P_ALL), Ifindex: config.Ifindex}); err != nil {
		return nil, fmt.Errorf("bind: %w", err)
	}
	if errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && errno != 0 {
		return nil, fmt.Errorf("bind: %w", unix.Errno(errno))
	}
	q.prepare()
	return q, nil
}

// join adds a socket to fanout group id, or to a new one where id is 0.
func join(fd, id int) (int, error) {
	const mode = unix.PACKET_FANOUT_HASH | unix.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
	arg := id | mode<<16
	if id == 0 {
		arg |= unix.PACKET_FANOUT_FLAG_UNIQUEID << 16
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, arg); err != nil {
		return 0, fmt.Errorf("join the group of queues: %w", err)
	}
	got, err := unix.GetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	if err != nil {
		return 0, os.NewSyscallError("getsockopt PACKET_FANOUT", err)
	}
	return got & 0xffff, nil
}

// listen ends the silence of a new socket.
func listen(fd int, filter func(fd int) error) error {
	if filter != nil {
		return filter(fd)
	}
	return os.NewSyscallError("detach a filter", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0))
}

// network is a 16-bit number in network byte order.
func network(v uint16) uint16 { return v<<8 | v>>8 }
