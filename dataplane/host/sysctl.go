package host

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"router/intf"
	"router/intf/kernel"
)

// sysctls sets what has no other interface. rp_filter is off, or loose where
// the whole namespace filters, as an answer may leave by another unit than the
// question came in by. accept_local lets in the ICMP errors that the router sends,
// from an address of its own, about what a local program sent. The kernel must not forward between TAPs: the router
// does, by its own FIB. IPv6 forwarding is one switch for the namespace; where
// its owner has set it, it is left.
func (t *tap) sysctls() error {
	v4, v6 := "ipv4/conf/"+t.dev.name+"/", "ipv6/conf/"+t.dev.name+"/"
	return t.space.ns.Do(func() error {
		set := func(key, value string) error {
			_, err := kernel.SetSysctl(key, value)
			return err
		}
		rpFilter := "0"
		if all, err := kernel.Sysctl("ipv4/conf/all/rp_filter"); err != nil {
			return err
		} else if all != "0" {
			rpFilter = "2"
		}
		for _, kv := range [][2]string{
			{"forwarding", "0"}, {"rp_filter", rpFilter}, {"accept_redirects", "0"}, {"send_redirects", "0"},
			{"promote_secondaries", "1"}, {"accept_local", "1"},
		} {
			if err := set(v4+kv[0], kv[1]); err != nil {
				return err
			}
		}
		if t.want.families[intf.Inet6] == nil {
			err := set(v6+"disable_ipv6", "1")
			if errors.Is(err, os.ErrNotExist) {
				return nil // there is no IPv6 to disable
			}
			return err
		}
		for _, kv := range [][2]string{
			{"addr_gen_mode", "1"}, {"accept_ra", "0"}, {"autoconf", "0"}, {"accept_redirects", "0"},
			{"router_solicitations", "0"}, {"accept_dad", "0"}, {"dad_transmits", "0"},
			{"keep_addr_on_down", "1"}, {"disable_ipv6", "0"},
		} {
			if err := set(v6+kv[0], kv[1]); err != nil {
				return fmt.Errorf("%w; family inet6 needs a kernel with IPv6", err)
			}
		}
		if all, err := kernel.Sysctl("ipv6/conf/all/forwarding"); err != nil || all != "0" {
			return err
		}
		return set(v6+"forwarding", "0")
	})
}

// setMTU6 gives IPv6 its own MTU where the TAP's, made for IPv4, is larger.
func (t *tap) setMTU6() error {
	f := t.want.families[intf.Inet6]
	if f == nil {
		return nil
	}
	key := "ipv6/conf/" + t.dev.name + "/mtu"
	return t.space.ns.Do(func() error {
		_, err := kernel.SetSysctl(key, strconv.Itoa(int(f.MTU)))
		return err
	})
}
