package bpf

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// setXDP attaches program fd (-1 detaches) to a device over rtnetlink and
// returns the words with which the kernel explains a refusal.
func setXDP(ifindex, fd int, flags uint32) (text string, err error) {
	sock, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return "", fmt.Errorf("rtnetlink: %w", err)
	}
	defer unix.Close(sock)
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK} {
		if err := unix.SetsockoptInt(sock, unix.SOL_NETLINK, option, 1); err != nil {
			return "", os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.SetsockoptTimeval(sock, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		return "", os.NewSyscallError("setsockopt", err)
	}
	e := binary.NativeEndian
	msg := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	e.PutUint16(msg[4:], unix.RTM_SETLINK)
	e.PutUint16(msg[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	e.PutUint32(msg[unix.SizeofNlMsghdr+4:], uint32(ifindex))
	attr := func(kind, length uint16) { msg = e.AppendUint16(e.AppendUint16(msg, length), kind) }
	attr(unix.IFLA_XDP|unix.NLA_F_NESTED, 4+8+8)
	attr(unix.IFLA_XDP_FD, 8)
	msg = e.AppendUint32(msg, uint32(int32(fd)))
	attr(unix.IFLA_XDP_FLAGS, 8)
	msg = e.AppendUint32(msg, flags)
	e.PutUint32(msg, uint32(len(msg)))
	if err := unix.Sendto(sock, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return "", os.NewSyscallError("sendto", err)
	}
	buf := make([]byte, 8192)
	n, _, err := unix.Recvfrom(sock, buf, 0)
	if err != nil {
		return "", os.NewSyscallError("recvfrom", err)
	}
	return parseAck(buf[:n])
}

// parseAck reads a netlink acknowledgement: its error number and, from the
// attributes behind it (NLMSGERR_ATTR_MSG), its text.
func parseAck(b []byte) (text string, err error) {
	e := binary.NativeEndian
	const fixed = unix.SizeofNlMsghdr + 4 + unix.SizeofNlMsghdr
	if len(b) < fixed || e.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return "", fmt.Errorf("rtnetlink: answer of %d octets is no acknowledgement", len(b))
	}
	flags := e.Uint16(b[6:])
	errno := int32(e.Uint32(b[unix.SizeofNlMsghdr:]))
	if errno < 0 {
		err = unix.Errno(-errno)
	}
	if flags&unix.NLM_F_ACK_TLVS == 0 {
		return "", err
	}
	for b = b[fixed:]; len(b) >= unix.SizeofNlAttr; {
		length, kind := int(e.Uint16(b)), e.Uint16(b[2:])
		if length < unix.SizeofNlAttr || length > len(b) {
			break
		}
		if kind == unix.NLMSGERR_ATTR_MSG && length > unix.SizeofNlAttr+1 {
			text = string(b[unix.SizeofNlAttr : length-1]) // without its terminating zero
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return text, err
}
