package northbound

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
)

// maxDSCP is the greatest differentiated services code point (RFC 2474).
const maxDSCP = 63

// A markedConn is a TCP connection that Subscribe may mark. All streams of a
// connection share its packets: the marking is that of the stream that asked last,
// of those still there; without any, the system's.
type markedConn struct {
	*net.TCPConn
	list *markedListener

	mu   sync.Mutex
	uses []*markingUse
}

type markingUse struct{ dscp uint32 }

// mark sets the connection's DSCP until the returned function is called.
func (c *markedConn) mark(dscp uint32) (unmark func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	use := &markingUse{dscp}
	c.uses = append(c.uses, use)
	if err := c.apply(); err != nil {
		c.uses = c.uses[:len(c.uses)-1]
		return nil, err
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.uses = slices.DeleteFunc(c.uses, func(u *markingUse) bool { return u == use })
		// The connection may be gone, and its marking with it.
		_ = c.apply()
	}, nil
}

// apply puts the marking of the newest use on the socket. The caller holds mu.
func (c *markedConn) apply() error {
	dscp := uint32(0)
	if n := len(c.uses); n > 0 {
		dscp = c.uses[n-1].dscp
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	v4 := false
	if a, ok := c.LocalAddr().(*net.TCPAddr); ok {
		v4 = a.IP.To4() != nil
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		// The upper six bits are the DSCP; TCP keeps the other two, ECN, itself.
		if v4 {
			serr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS, int(dscp<<2))
		} else {
			serr = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(dscp<<2))
		}
	})
	return errors.Join(err, serr)
}

// Close closes the connection and forgets it.
func (c *markedConn) Close() error {
	c.list.conns.Delete(connKey(c.LocalAddr(), c.RemoteAddr()))
	return c.TCPConn.Close()
}

// A markedListener remembers its connections, so that a call can find the one
// that it came by.
type markedListener struct {
	net.Listener
	conns *sync.Map // of connKey to *markedConn
}

func (l *markedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	tcp, ok := c.(*net.TCPConn)
	if err != nil || !ok {
		return c, err
	}
	m := &markedConn{TCPConn: tcp, list: l}
	l.conns.Store(connKey(tcp.LocalAddr(), tcp.RemoteAddr()), m)
	return m, nil
}

func connKey(local, remote net.Addr) string { return local.String() + " " + remote.String() }

// mark gives the connection of the call the DSCP that the client asks for. A
// connection without IP, such as a Unix socket, has nothing to mark.
func (s *Server) mark(ctx context.Context, dscp uint32) (unmark func(), err error) {
	if dscp > maxDSCP {
		return nil, failf(codes.InvalidArgument, "qos marking %d is no DSCP: 0 to %d are", dscp, maxDSCP)
	}
	p, ok := peer.FromContext(ctx)
	if !ok || p.LocalAddr == nil || p.Addr == nil {
		return func() {}, nil
	}
	c, ok := s.conns.Load(connKey(p.LocalAddr, p.Addr))
	if !ok {
		return func() {}, nil
	}
	unmark, err = c.(*markedConn).mark(dscp)
	if err != nil {
		return nil, failf(codes.Internal, "qos marking %d: %v", dscp, err)
	}
	return unmark, nil
}
