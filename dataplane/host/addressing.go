package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"router/intf"
	"router/intf/kernel"
)

// convergeAddresses sets addresses, routes and rules: first everything new, then
// away with the old.
func (t *tap) convergeAddresses(look depth) (fixed []string, err error) {
	c := t.space.conn
	want := t.want.addresses(t.link)
	have, err := c.Addresses(t.link)
	if err != nil {
		return nil, err
	}
	fixed, err = t.addAddresses(have, want)
	if err != nil {
		return fixed, err
	}

	did, oldRoutes, err := t.addRoutes(want, look)
	fixed = append(fixed, did...)
	if err != nil {
		return fixed, err
	}
	did, oldRules, err := t.addRules(want, look)
	fixed = append(fixed, did...)
	if err != nil {
		return fixed, err
	}

	var errs []error
	for _, r := range oldRules {
		errs = append(errs, c.DeleteRule(r))
	}
	for _, r := range oldRoutes {
		errs = append(errs, c.DeleteDefault(r))
	}
	old := t.applied.addresses
	t.applied.addresses = want
	t.foreign = t.foreign[:0]
	for _, a := range have {
		same := func(b kernel.Address) bool { return sameAddress(a, b) }
		switch {
		case slices.ContainsFunc(want, same):
		case slices.ContainsFunc(old, same):
			if err := c.DeleteAddress(a); err != nil {
				errs = append(errs, err)
				t.applied.addresses = append(slices.Clone(t.applied.addresses), a) // try again
			}
		default:
			t.foreign = append(t.foreign, a.Prefix)
		}
	}
	return fixed, errors.Join(errs...)
}

func sameAddress(a, b kernel.Address) bool { return a.Prefix == b.Prefix && a.Peer == b.Peer }

func (t *tap) addAddresses(have, want []kernel.Address) (fixed []string, err error) {
	c := t.space.conn
	for _, a := range want {
		i := slices.IndexFunc(have, func(b kernel.Address) bool { return sameAddress(a, b) })
		if i >= 0 && have[i].Deprecated == a.Deprecated {
			continue
		}
		if i < 0 && slices.ContainsFunc(t.applied.addresses, func(b kernel.Address) bool { return sameAddress(a, b) }) {
			fixed = append(fixed, fmt.Sprintf("address %s was removed", a.Prefix))
		}
		// IPv6 knows an address once, whatever its length.
		if j := slices.IndexFunc(have, func(b kernel.Address) bool {
			return !a.Prefix.Addr().Is4() && a.Prefix.Addr() == b.Prefix.Addr() && !sameAddress(a, b)
		}); j >= 0 {
			if err := c.DeleteAddress(have[j]); err != nil {
				return fixed, err
			}
		}
		if err := c.PutAddress(a); err != nil {
			return fixed, err
		}
	}
	return fixed, t.promote(want)
}

// promote makes the first wanted address of each IPv4 subnet the kernel's
// primary, by taking those before it away for a moment.
func (t *tap) promote(want []kernel.Address) error {
	c := t.space.conn
	seen := map[netip.Prefix]bool{}
	for _, a := range want {
		subnet := a.Prefix.Masked()
		if !a.Prefix.Addr().Is4() || a.Peer.IsValid() || seen[subnet] {
			continue
		}
		seen[subnet] = true
		for range want {
			have, err := c.Addresses(t.link)
			if err != nil {
				return err
			}
			i := slices.IndexFunc(have, func(b kernel.Address) bool { return sameAddress(a, b) })
			if i < 0 || !have[i].Secondary {
				break
			}
			first := slices.IndexFunc(have, func(b kernel.Address) bool {
				return !b.Secondary && b.Prefix.Masked() == subnet
			})
			if first < 0 {
				break
			}
			if err := errors.Join(c.DeleteAddress(have[first]), c.PutAddress(have[first])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tap) addRoutes(addresses []kernel.Address, look depth) (fixed []string, old []kernel.DefaultRoute, err error) {
	c := t.space.conn
	want := t.want.routes(t.link, addresses)
	have := t.applied.routes
	if look >= suspect {
		have = nil
		for _, family := range intf.Families {
			list, err := c.Defaults(family, t.link)
			if err != nil {
				return nil, nil, err
			}
			have = append(have, list...)
		}
	}
	for _, r := range want {
		if slices.Contains(have, r) {
			continue
		}
		if slices.Contains(t.applied.routes, r) {
			fixed = append(fixed, fmt.Sprintf("default route of %s in table %d was removed", r.Family, r.Table))
		}
		if err := c.ReplaceDefault(r); err != nil {
			return fixed, nil, err
		}
	}
	t.applied.routes = want
	place := func(r kernel.DefaultRoute) [3]uint32 { return [3]uint32{uint32(r.Family), r.Table, r.Metric} }
	for _, r := range have {
		// One that was replaced in its place is gone already.
		if !slices.ContainsFunc(want, func(w kernel.DefaultRoute) bool { return place(w) == place(r) }) {
			old = append(old, r)
		}
	}
	return fixed, old, nil
}

func (t *tap) addRules(addresses []kernel.Address, look depth) (fixed []string, old []kernel.Rule, err error) {
	want := rules(t.link, addresses)
	have := t.applied.rules
	if look >= suspect {
		if have, err = t.space.rulesOf(tableBase + uint32(t.link)); err != nil {
			return nil, nil, err
		}
	}
	for _, r := range want {
		if slices.Contains(have, r) {
			continue
		}
		if slices.Contains(t.applied.rules, r) {
			fixed = append(fixed, fmt.Sprintf("rule from %s was removed", r.Source))
		}
		if err := t.space.conn.AddRule(r); err != nil {
			return fixed, nil, err
		}
	}
	t.applied.rules = want
	for _, r := range have {
		if !slices.Contains(want, r) {
			old = append(old, r)
		}
	}
	return fixed, old, nil
}
