package e2e

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"router/internal/testnet"
)

// A flow is UDP packets with numbers from one host to another. Its receiver's
// buffer is large, and what that buffer drops all the same is told apart from
// what the router lost.
type flow struct {
	t    *testing.T
	from *net.UDPConn
	to   *net.UDPConn
	stop chan struct{}
	done chan struct{}
	got  chan []byte // a byte for each number: how often it came
	sent uint64
	late time.Duration // the longest time that the sender itself was behind
	lost uint32        // dropped by the receiver's socket
}

const flowRate = 10_000 // packets a second

// startFlow sends until end is called.
func startFlow(t *testing.T, from, to *testnet.Namespace, dst netip.AddrPort) *flow {
	t.Helper()
	f := &flow{t: t, stop: make(chan struct{}), done: make(chan struct{}), got: make(chan []byte, 1)}
	err := to.Do(func() (err error) {
		if f.to, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(dst)); err != nil {
			return err
		}
		raw, err := f.to.SyscallConn()
		if err != nil {
			return err
		}
		var set error
		err = raw.Control(func(fd uintptr) {
			set = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1))
		})
		return errors.Join(err, set)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = from.Do(func() (err error) {
		f.from, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(dst))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	go f.receive()
	// The neighbours are found before anything is counted.
	time.Sleep(100 * time.Millisecond)
	go f.send()
	return f
}

func (f *flow) send() {
	defer close(f.done)
	runtime.LockOSThread()
	packet := make([]byte, 64)
	start := time.Now()
	for {
		select {
		case <-f.stop:
			return
		default:
		}
		due := uint64(time.Since(start) * flowRate / time.Second)
		if behind := time.Duration(due-f.sent) * time.Second / flowRate; behind > f.late {
			f.late = behind
		}
		// A sender that was held up must not make up for it in one burst.
		for range min(due-f.sent, 32) {
			binary.BigEndian.PutUint64(packet, f.sent)
			if _, err := f.from.Write(packet); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				f.t.Errorf("flow: %v", err)
				return
			}
			f.sent++
		}
		time.Sleep(500 * time.Microsecond)
	}
}

func (f *flow) receive() {
	var seen []byte
	buf, control := make([]byte, 2048), make([]byte, 256)
	for {
		n, c, _, _, err := f.to.ReadMsgUDPAddrPort(buf, control)
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				f.t.Errorf("flow: %v", err)
			}
			f.got <- seen
			return
		}
		if messages, err := unix.ParseSocketControlMessage(control[:c]); err == nil {
			for _, m := range messages {
				if m.Header.Type == unix.SO_RXQ_OVFL && len(m.Data) >= 4 {
					f.lost = binary.NativeEndian.Uint32(m.Data)
				}
			}
		}
		if n < 8 {
			continue
		}
		number := binary.BigEndian.Uint64(buf)
		for uint64(len(seen)) <= number {
			seen = append(seen, 0)
		}
		seen[number]++
	}
}

// A flowReport is what came of a flow.
type flowReport struct {
	sent, lost, twice uint64
	lostByReceiver    uint64 // of lost, what the receiver's own buffer dropped
	senderLate        time.Duration
	longestGap        uint64 // numbers in a row that are missing
}

// end stops the sender, waits for what is under way, and counts.
func (f *flow) end() (r flowReport) {
	close(f.stop)
	<-f.done
	// The last packet has had ample time when none came for so long.
	if err := f.to.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		f.t.Error(err)
	}
	seen := <-f.got
	f.from.Close()
	f.to.Close()
	r = flowReport{sent: f.sent, lostByReceiver: uint64(f.lost), senderLate: f.late}
	gap := uint64(0)
	for i := range f.sent {
		switch {
		case i >= uint64(len(seen)) || seen[i] == 0:
			r.lost++
			gap++
			r.longestGap = max(r.longestGap, gap)
		default:
			gap = 0
			if seen[i] > 1 {
				r.twice++
			}
		}
	}
	return r
}
