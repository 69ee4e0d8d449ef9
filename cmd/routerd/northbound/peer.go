package northbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// caller says who called, and through what, for the record of a commit. Over
// TLS it is the name in the client's certificate, else the name that the client gives
// itself in the metadata "username", marked as unproven.
func caller(ctx context.Context) (name, via string) {
	via = "gnmi"
	if p, ok := peer.FromContext(ctx); ok {
		switch a := p.AuthInfo.(type) {
		case peerInfo:
			return a.user, "socket"
		case credentials.TLSInfo:
			via = "gnmi-tls"
			if chains := a.State.VerifiedChains; len(chains) > 0 {
				return chains[0][0].Subject.CommonName, via
			}
		}
	}
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if v := md.Get("username"); len(v) > 0 && v[0] != "" {
			return v[0] + " (unproven)", via
		}
	}
	return "", via
}

// ListenSocket listens on a Unix socket that only its owner can reach. A socket
// that a dead daemon left behind is removed; one that answers is an error.
func ListenSocket(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if st, err := os.Lstat(path); err == nil {
		if st.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("socket %s: a file that is no socket stands there: remove it or choose another --socket", path)
		}
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return nil, fmt.Errorf("socket %s: another routerd answers on it: stop it or choose another --socket", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("socket: %w", err)
		}
	}
	// The mode must hold from the first moment on, so the socket is made under
	// another name that nobody looks for.
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(tmp, 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("socket: %w", err), l.Close())
	}
	return &socketListener{UnixListener: l, path: path}, nil
}

// A socketListener removes its file when it is closed.
type socketListener struct {
	*net.UnixListener
	path string
}

func (l *socketListener) Close() error {
	err := l.UnixListener.Close()
	if rerr := os.Remove(l.path); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

// peerCredentials admits root and the daemon's own user on a Unix socket
// (SO_PEERCRED, unix(7)).
type peerCredentials struct{}

// peerInfo is who is at the other end of a Unix socket.
type peerInfo struct {
	credentials.CommonAuthInfo
	uid  uint32
	user string
}

// AuthType names the mechanism, for grpc.
func (peerInfo) AuthType() string { return "peercred" }

func (peerCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return nil, nil, fmt.Errorf("peer credentials need a Unix socket, not %T", c)
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return nil, nil, fmt.Errorf("peer credentials: %w", err)
	}
	var cred *syscall.Ucred
	cerr := raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(cerr, err); err != nil {
		return nil, nil, fmt.Errorf("peer credentials: %w", err)
	}
	if !admitted(cred.Uid) {
		return nil, nil, fmt.Errorf("peer credentials: user %d is not root", cred.Uid)
	}
	info := peerInfo{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}, uid: cred.Uid}
	info.user = "uid " + strconv.FormatUint(uint64(cred.Uid), 10)
	if u, err := user.LookupId(strconv.FormatUint(uint64(cred.Uid), 10)); err == nil {
		info.user = u.Username
	}
	return c, info, nil
}

func admitted(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

func (peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("peer credentials are for servers")
}

func (peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "peercred"}
}

func (c peerCredentials) Clone() credentials.TransportCredentials { return c }

// OverrideServerName does nothing; the interface wants it.
func (peerCredentials) OverrideServerName(string) error { return nil }
