package e2e

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"router/internal/testnet"
)

// listen takes TCP connections at a port of all addresses of a namespace, and
// holds them, until the script ends.
func listen(ts *testscript.TestScript, ns *testnet.Namespace, port string) {
	ts.Check(ns.Do(func() error {
		l, err := net.Listen("tcp", ":"+port)
		if err != nil {
			return err
		}
		var held []net.Conn
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				held = append(held, c)
			}
		}()
		ts.Defer(func() {
			_ = l.Close()
			<-done
			for _, c := range held {
				_ = c.Close()
			}
		})
		return nil
	}))
}

// knockTime is how long a knock at a port waits for an answer.
const knockTime = 2 * time.Second

// knock says what becomes of a TCP connection or a UDP datagram to a port:
// "connected", "refused" or "silence".
func knock(ts *testscript.TestScript, ns *testnet.Namespace, network, address, port string) (line string) {
	ts.Check(ns.Do(func() error {
		c, err := net.DialTimeout(network, net.JoinHostPort(address, port), knockTime)
		if err == nil {
			defer c.Close()
			line = "connected"
			if network == "tcp" {
				return nil
			}
			if _, err = c.Write([]byte("knock")); err == nil {
				if err = c.SetReadDeadline(time.Now().Add(knockTime)); err != nil {
					return err
				}
				_, err = c.Read(make([]byte, 16))
			}
		}
		var timeout interface{ Timeout() bool }
		switch {
		case err == nil:
		case errors.Is(err, syscall.ECONNREFUSED):
			line = "refused"
		case errors.As(err, &timeout) && timeout.Timeout():
			line = "silence"
		default:
			return fmt.Errorf("%s to port %s of %s: %w", network, port, address, err)
		}
		return nil
	}))
	return line
}
