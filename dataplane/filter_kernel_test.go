package dataplane

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"router/dataplane/filter"
	"router/internal/testnet"
	"router/intf"
)

// TestLinuxUnderstandsRefusals has Linux connect and send through filters that reject,
// and compares what it tells its programs.
func TestLinuxUnderstandsRefusals(t *testing.T) {
	testnet.Require(t)
	x, hosts, finish := betweenHosts(t, intf.DriverAFPacket)
	defer finish()
	cases := []struct {
		kind      filter.RejectKind
		four, six syscall.Errno
		udp, tcp  bool // who takes it for the end
	}{
		{filter.RejectProhibited, syscall.EHOSTUNREACH, syscall.EACCES, true, true},
		{filter.RejectNetwork, syscall.ENETUNREACH, syscall.ENETUNREACH, false, true},
		{filter.RejectHost, syscall.EHOSTUNREACH, syscall.EHOSTUNREACH, false, true},
		{filter.RejectProtocol, syscall.ENOPROTOOPT, syscall.EPROTO, true, false},
		{filter.RejectPort, syscall.ECONNREFUSED, syscall.ECONNREFUSED, true, true},
		{filter.RejectNetProhibited, syscall.ENETUNREACH, syscall.EACCES, true, true},
		{filter.RejectHostProhibited, syscall.EHOSTUNREACH, syscall.EACCES, true, true},
		{filter.RejectPolicy, syscall.EHOSTUNREACH, syscall.EACCES, true, true},
		{filter.RejectRoute, syscall.EHOSTUNREACH, syscall.EACCES, true, true},
		{filter.RejectTCPReset, syscall.EHOSTUNREACH, syscall.EACCES, true, true},
	}
	for _, f := range intf.Families {
		var terms []filter.Term
		for _, c := range cases {
			m := filter.Match{DstPort: filter.Numbers{Ranges: []filter.Range{filter.One(4000 + uint32(c.kind))}}}
			terms = append(terms, filter.Term{Match: m, Action: filter.Action{Kind: filter.Reject, Reject: c.kind}})
		}
		x.bind(1, f, filter.Input, append(terms, do(filter.Action{}))...)
		for _, c := range cases {
			to := net.JoinHostPort([]string{"10.0.1.10", "2001:db8:1::10"}[f], fmt.Sprint(4000+int(c.kind)))
			want := []syscall.Errno{c.four, c.six}[f]
			if c.udp {
				t.Run(fmt.Sprintf("%v/%d/udp", f, c.kind), func(t *testing.T) {
					if err := hosts[0].Do(func() error { return refusedUDP(to) }); !errors.Is(err, want) {
						t.Errorf("UDP: %v, want %v; drops %v", err, want, x.drops())
					}
				})
			}
			if !c.tcp {
				continue
			}
			if c.kind == filter.RejectTCPReset {
				want = syscall.ECONNREFUSED
			}
			t.Run(fmt.Sprintf("%v/%d/tcp", f, c.kind), func(t *testing.T) {
				start := time.Now()
				err := hosts[0].Do(func() error {
					conn, err := net.DialTimeout("tcp", to, 5*time.Second)
					if err == nil {
						_ = conn.Close()
					}
					return err
				})
				if !errors.Is(err, want) || time.Since(start) > 3*time.Second {
					t.Errorf("TCP: %v after %v, want %v; drops %v", err, time.Since(start), want, x.drops())
				}
			})
		}
	}
}

// refusedUDP sends a datagram and waits for what comes of it.
func refusedUDP(to string) error {
	c, err := net.Dial("udp", to)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err = c.Write([]byte("hello")); err != nil {
		return err
	}
	_ = c.SetReadDeadline(time.Now().Add(3 * time.Second))
	_, err = c.Read(make([]byte, 64))
	return err
}
