package testnet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Wire sends and receives whole Ethernet frames at a device, tags included,
// through a packet socket. It is for tests of few frames.
type Wire struct {
	fd  int
	buf []byte
	aux []byte
}

// NewWire opens a Wire at an end of a pair.
func NewWire(t T, end End) *Wire {
	t.Helper()
	w := &Wire{fd: -1, buf: make([]byte, 1<<16), aux: make([]byte, 256)}
	err := end.In.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		w.fd = fd
		// Frames are received from the bind on, and none of our own.
		for _, option := range []int{unix.PACKET_IGNORE_OUTGOING, unix.PACKET_AUXDATA} {
			if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1); err != nil {
				return os.NewSyscallError("setsockopt", err)
			}
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		all := bigEndian(unix.ETH_P_ALL)
		return unix.Bind(fd, &unix.SockaddrLinklayer{
			Protocol: all, Ifindex: end.In.Link(t, end.Name).Attrs().Index,
		})
	})
	if err != nil {
		t.Fatalf("wire at %s in %s: %v", end.Name, end.In.Name, err)
	}
	t.Cleanup(func() { _ = unix.Close(w.fd) })
	return w
}

// Send sends a frame that starts with its Ethernet header.
func (w *Wire) Send(frame []byte) error {
	if _, err := unix.Write(w.fd, frame); err != nil {
		return fmt.Errorf("send frame of %d octets: %w", len(frame), err)
	}
	return nil
}

// Receive waits until the deadline for the next frame, which is the caller's.
// A tag that the kernel has taken out is put back. It returns nil when none
// came.
func (w *Wire) Receive(deadline time.Time) []byte {
	for {
		n, auxLen, _, _, err := unix.Recvmsg(w.fd, w.buf, w.aux, 0)
		if err == nil {
			return retag(w.buf[:n], w.aux[:auxLen])
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(w.fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
	}
}

// Expect waits for a frame. One of the same addresses that differs otherwise fails the
// test; what else passes by does not count.
func (w *Wire) Expect(t T, want []byte) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		got := w.Receive(deadline)
		if got == nil {
			t.Fatalf("frame of %d octets did not arrive: %x", len(want), want[:min(24, len(want))])
		}
		if bytes.Equal(got, want) {
			return
		}
		if len(got) > 12 && bytes.Equal(got[:12], want[:12]) {
			t.Fatalf("frame of %d octets arrived as %d octets:\n got %x\nwant %x", len(want), len(got), got, want)
		}
	}
}

// retag copies a frame and puts back the tag that struct tpacket_auxdata names.
func retag(frame, control []byte) []byte {
	e := binary.NativeEndian
	messages, err := unix.ParseSocketControlMessage(control)
	if err == nil && len(frame) >= 12 {
		for _, m := range messages {
			if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < 20 {
				continue
			}
			if e.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID == 0 {
				continue
			}
			out := append(make([]byte, 0, len(frame)+4), frame[:12]...)
			out = binary.BigEndian.AppendUint16(out, e.Uint16(m.Data[18:]))
			out = binary.BigEndian.AppendUint16(out, e.Uint16(m.Data[16:]))
			return append(out, frame[12:]...)
		}
	}
	return append([]byte(nil), frame...)
}
