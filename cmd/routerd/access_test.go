package main

import (
	"net/netip"
	"testing"

	"router/cmd/routerd/access"
	"router/cmd/routerd/boot"
)

func TestWhoIsTrustedWithoutUsers(t *testing.T) {
	for _, c := range []struct {
		auth    string
		from    string
		trusted bool
	}{
		{boot.AuthLocal, "127.0.0.1", true},
		{boot.AuthLocal, "127.9.8.7", true},
		{boot.AuthLocal, "::1", true},
		{boot.AuthLocal, "::ffff:127.0.0.1", true},
		{boot.AuthLocal, "192.0.2.1", false},
		{boot.AuthLocal, "::ffff:192.0.2.1", false},
		{boot.AuthLocal, "fe80::1", false},
		{boot.AuthLocal, "", false},
		{boot.AuthRequired, "127.0.0.1", false},
		{boot.AuthNone, "192.0.2.1", true},
	} {
		var from netip.Addr
		if c.from != "" {
			from = netip.MustParseAddr(c.from)
		}
		a := &accessState{guard: access.New(), auth: c.auth}
		if got := a.trusted(from); got != c.trusted {
			t.Errorf("auth %s, from %q: trusted %t", c.auth, c.from, got)
		}
	}
}
