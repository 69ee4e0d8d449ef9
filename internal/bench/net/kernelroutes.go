package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"router/internal/testnet"
)

// messageRoom is up to how many octets of requests go to the kernel at once.
const messageRoom = 32 << 10

// kernelRoutes adds routes to a table of the kernel, or deletes them, many in one
// message: a million routes take seconds so.
func kernelRoutes(ns *testnet.Namespace, list []route, v6 bool, table, device int, remove bool) error {
	return ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4*messageRoom); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 60}); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		var batch []byte
		for i := range list {
			last := i == len(list)-1 || len(batch) > messageRoom-256
			batch = appendRoute(batch, &list[i], v6, table, device, remove, uint32(i+1), last)
			if !last {
				continue
			}
			if _, err := unix.Write(fd, batch); err != nil {
				return os.NewSyscallError("write", err)
			}
			if failed, err := acknowledged(fd, uint32(i+1)); err != nil {
				return fmt.Errorf("route %s: %w", list[failed-1].prefix, err)
			}
			batch = batch[:0]
		}
		return nil
	})
}

// appendRoute appends a request of rtnetlink(7).
func appendRoute(b []byte, r *route, v6 bool, table, device int, remove bool, number uint32, ack bool) []byte {
	e := binary.NativeEndian
	start := len(b)
	kind, flags, family := uint16(unix.RTM_NEWROUTE), uint16(unix.NLM_F_REQUEST|unix.NLM_F_CREATE|unix.NLM_F_EXCL), byte(unix.AF_INET)
	if remove {
		kind, flags = unix.RTM_DELROUTE, unix.NLM_F_REQUEST
	}
	if ack {
		flags |= unix.NLM_F_ACK
	}
	if v6 {
		family = unix.AF_INET6
	}
	b = e.AppendUint32(b, 0) // the length, to come
	b = e.AppendUint16(b, kind)
	b = e.AppendUint16(b, flags)
	b = e.AppendUint32(b, number)
	b = e.AppendUint32(b, 0)
	b = append(b, family, byte(r.prefix.Bits()), 0, 0, unix.RT_TABLE_UNSPEC, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST)
	// The gateways need not be looked for: they are on the device.
	b = e.AppendUint32(b, unix.RTNH_F_ONLINK)
	attribute := func(kind uint16, value []byte) {
		b = e.AppendUint16(b, uint16(4+len(value)))
		b = e.AppendUint16(b, kind)
		b = append(b, value...)
	}
	attribute(unix.RTA_DST, r.prefix.Addr().AsSlice())
	attribute(unix.RTA_GATEWAY, gateway(v6, r.gateway).AsSlice())
	attribute(unix.RTA_OIF, e.AppendUint32(nil, uint32(device)))
	attribute(unix.RTA_TABLE, e.AppendUint32(nil, uint32(table)))
	e.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// acknowledged reads answers until that of request number, and returns which
// request failed, and how.
func acknowledged(fd int, number uint32) (failed uint32, err error) {
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err != nil {
			return number, os.NewSyscallError("recvfrom", err)
		}
		for b := buf[:n]; len(b) >= unix.NLMSG_HDRLEN+4; {
			e := binary.NativeEndian
			length, kind, of := int(e.Uint32(b)), e.Uint16(b[4:]), e.Uint32(b[8:])
			if length < unix.NLMSG_HDRLEN+4 || length > len(b) {
				return number, errors.New("an answer of the kernel is cut off")
			}
			if kind == unix.NLMSG_ERROR {
				if errno := -int32(e.Uint32(b[unix.NLMSG_HDRLEN:])); errno != 0 {
					return of, unix.Errno(errno)
				}
				if of == number {
					return 0, nil
				}
			}
			b = b[min(len(b), (length+3)&^3):]
		}
	}
}
