package control

import (
	"net/netip"
	"slices"
	"testing"

	"router/intf"
	"router/models"
)

// Another prefix length leaves the address in use, with the new network's
// routes in the place of the old one's.
func TestPrefixLengthChanges(t *testing.T) {
	l := newLab(t)
	twoPorts(l)
	has := func(prefix string) bool {
		p := netip.MustParsePrefix(prefix)
		return len(l.router.Routes(nil, "default", intf.FamilyOf(p.Addr()), p, netip.Prefix{}, 0)) > 0
	}
	for _, step := range []struct{ prefix, network, gone string }{
		{"192.0.2.1/25", "192.0.2.0/25", "192.0.2.0/24"},
		{"192.0.2.1/16", "192.0.0.0/16", "192.0.2.0/25"},
		{"192.0.2.1/32", "192.0.2.1/32", "192.0.0.0/16"},
		{"192.0.2.1/24", "192.0.2.0/24", "192.0.0.0/16"},
	} {
		l.mustCommit(func(in *models.Intent) { unitOf(in, "ge0", "default", step.prefix) })
		addresses := l.unitState("ge0").Families[0].Addresses
		i := slices.IndexFunc(addresses, func(a models.AddressState) bool { return a.Spec.Prefix.String() == step.prefix })
		if len(addresses) != 1 || i < 0 || addresses[i].Reason != "" {
			t.Errorf("%s: addresses %+v", step.prefix, addresses)
		}
		if !has(step.network) || !has("192.0.2.1/32") || has(step.gone) {
			t.Errorf("%s: route to %s %t, to itself %t, to the old %s %t", step.prefix,
				step.network, has(step.network), has("192.0.2.1/32"), step.gone, has(step.gone))
		}
		l.send("ge0", arpRequest("192.0.2.9", "192.0.2.1"))
		l.receive("ge0", func(f []byte) bool { return f[12] == 8 && f[13] == 6 && intf.MAC(f[:6]) == h1 })
	}
}
