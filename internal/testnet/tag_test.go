package testnet

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Two hosts in VLAN 100 and one outside it: the first two reach each other
// through tagged frames, which the third end sees as tagged.
func TestTag(t *testing.T) {
	Require(t)
	a, b := New(t, "a"), New(t, "b")
	Pair(t, End{a, "eth0"}, End{b, "eth0"})
	a.Address(t, "eth0", "192.0.2.1/24")
	b.Address(t, "eth0", "192.0.2.2/24")
	a.Tag(t, "eth0", 100)

	var fd int
	err := b.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, int(binary.NativeEndian.Uint16([]byte{0, 3})))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		t.Fatal(err)
	}
	if out, err := a.Run("ping", "-c1", "-W1", "192.0.2.2"); err == nil {
		t.Fatalf("an untagged host answered a tagged one:\n%s", out)
	}
	if !sawTag(t, fd, 100) {
		t.Error("no frame with tag 100 arrived")
	}
	b.Tag(t, "eth0", 100)
	if out, err := a.Run("ping", "-c3", "-W2", "192.0.2.2"); err != nil || strings.Contains(out, " 0 received") {
		t.Fatalf("hosts of one VLAN: %v\n%s", err, out)
	}
}

// sawTag reads what has arrived and looks for the tag that the kernel took off.
func sawTag(t *testing.T, fd, id int) bool {
	t.Helper()
	frame, control := make([]byte, 2048), make([]byte, 256)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: int64(200 * time.Millisecond / time.Microsecond)}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		_, n, _, _, err := unix.Recvmsg(fd, frame, control, 0)
		if err != nil {
			return false
		}
		messages, err := unix.ParseSocketControlMessage(control[:n])
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			// struct tpacket_auxdata: status at 0, vlan_tci at 16
			if m.Header.Type == unix.PACKET_AUXDATA && binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID != 0 &&
				int(binary.NativeEndian.Uint16(m.Data[16:])) == id {
				return true
			}
		}
	}
	return false
}
