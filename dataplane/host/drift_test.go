package host

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"router/internal/testnet"
	"router/intf"
)

// inPlace compares what iproute2 sees with what a whole TAP looks like.
func inPlace(w *world) error {
	have := map[string]string{}
	for _, args := range []string{
		"link show dev ge0.100", "addr show dev ge0.100",
		"rule show", "-6 rule show", "route show default", "-6 route show default",
	} {
		out, err := w.ns.Run("ip", strings.Fields(args)...)
		if err != nil {
			return err
		}
		have[args] = out
	}
	tables := strings.Fields(have["rule show"])
	own := ""
	for i, f := range tables {
		if f == "lookup" && strings.HasPrefix(tables[i+1], "137") {
			own = tables[i+1]
		}
	}
	for _, args := range []string{"route show table " + own, "-6 route show table " + own} {
		out, err := w.ns.Run("ip", strings.Fields(args)...)
		if err != nil {
			return err
		}
		have[args] = out
	}
	for _, want := range []struct{ in, sub string }{
		{"link show dev ge0.100", "alias routerd:test-" + w.ns.Name + ":ge0.100"},
		{"link show dev ge0.100", "mtu 1500"},
		{"link show dev ge0.100", "NOARP"},
		{"link show dev ge0.100", ",UP"},
		{"link show dev ge0.100", "link/ether 02:00:00:00:00:01"},
		{"addr show dev ge0.100", "inet 192.0.2.1/24 brd 192.0.2.255 scope global"},
		{"addr show dev ge0.100", "inet 192.0.2.9/24 brd 192.0.2.255 scope global secondary"},
		{"addr show dev ge0.100", "inet6 2001:db8:1::1/64 scope global nodad"},
		{"addr show dev ge0.100", "inet6 fe80::1/64 scope link nodad"},
		{"rule show", "from 192.0.2.1 lookup " + own},
		{"rule show", "from 192.0.2.9 lookup " + own},
		{"-6 rule show", "from 2001:db8:1::1 lookup " + own},
		{"route show default", "src 192.0.2.1 metric 42781"},
		{"-6 route show default", "src 2001:db8:1::1 metric 42781"},
		{"route show table " + own, "default via 192.0.0.8 dev ge0.100"},
		{"-6 route show table " + own, "default via fe80::c000:8 dev ge0.100"},
	} {
		if !strings.Contains(have[want.in], want.sub) {
			return fmt.Errorf("ip %s lacks %q:\n%s", want.in, want.sub, have[want.in])
		}
	}
	if n := strings.Count(have["addr show dev ge0.100"], "inet"); n != 4 {
		return fmt.Errorf("%d addresses, want 4:\n%s", n, have["addr show dev ge0.100"])
	}
	return nil
}

func driftSpec() Spec {
	return unitSpec(1, "ge0.100", "",
		addresses("192.0.2.9/24", "192.0.2.1/24 primary"), addresses("2001:db8:1::1/64", "fe80::1/64"))
}

// patient is what a repair may take on a machine that is busy with other
// tests; it takes some 100 ms on an idle one.
const patient = 3 * time.Second

func TestChangesByOthersAreRepairedWithinASecond(t *testing.T) {
	other := testnet.New(t, "elsewhere")
	tests := []struct {
		name, told string
		ip         []string // commands, separated
	}{
		{"TAP removed", "TAP was removed", []string{"link del ge0.100"}},
		{"TAP moved to another namespace", "TAP was removed", []string{"link set ge0.100 netns " + other.Name}},
		{"TAP set down", "the link was set down", []string{"link set ge0.100 down"}},
		{"TAP renamed", "the name was", []string{"link set ge0.100 down", "link set ge0.100 name foo"}},
		{"MTU", "the MTU was 1400", []string{"link set ge0.100 mtu 1400"}},
		{"MTU too small for IPv6", "the MTU was 1000", []string{"link set ge0.100 mtu 1000"}},
		{"MAC address", "the MAC address was", []string{"link set ge0.100 address 02:aa:aa:aa:aa:aa"}},
		{"ARP", "ARP was on", []string{"link set ge0.100 arp on"}},
		{"alias", "the alias was", []string{"link set ge0.100 alias mine"}},
		{"primary IPv4 address removed", "address 192.0.2.1/24 was removed", []string{"addr del 192.0.2.1/24 dev ge0.100"}},
		{"secondary IPv4 address removed", "address 192.0.2.9/24 was removed", []string{"addr del 192.0.2.9/24 dev ge0.100"}},
		{"IPv6 address removed", "address 2001:db8:1::1/64 was removed", []string{"-6 addr del 2001:db8:1::1/64 dev ge0.100"}},
		{"all addresses flushed", "address fe80::1/64 was removed", []string{"addr flush dev ge0.100"}},
		{"IPv4 default route removed", "default route of inet in table 254", []string{"route del default dev ge0.100"}},
		{"IPv6 default route removed", "default route of inet6 in table 254", []string{"-6 route del default dev ge0.100"}},
		{"routes flushed", "default route of inet in table 137", []string{"route flush table all proto 93"}},
		{"rule removed", "rule from 192.0.2.1 ", []string{"rule del from 192.0.2.1"}},
		{"IPv6 rule removed", "rule from 2001:db8:1::1 ", []string{"-6 rule del from 2001:db8:1::1"}},
		{"all rules flushed", "rule from 192.0.2.9 ", []string{"rule flush protocol 93"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, "drift")
			w.ensure(t, driftSpec())
			if err := inPlace(w); err != nil {
				t.Fatalf("at first: %v", err)
			}
			for _, args := range test.ip {
				w.ip(t, strings.Fields(args)...)
			}
			start := time.Now()
			eventually(t, patient, "told of: "+test.told, func() bool { return w.told(test.told) })
			var err error
			for time.Since(start) < patient {
				if err = inPlace(w); err == nil {
					t.Logf("repaired after %v", time.Since(start).Round(time.Millisecond))
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Errorf("not repaired: %v", err)
		})
	}
}

func TestSysctlsAreRepairedByTheAudit(t *testing.T) {
	w := newWorld(t, "sysctl")
	w.ensure(t, driftSpec())
	get := func(key string) string {
		return strings.TrimSpace(run(t, w.ns, "cat", "/proc/sys/net/"+key))
	}
	want := map[string]string{
		"ipv4/conf/ge0.100/rp_filter": "0", "ipv4/conf/ge0.100/forwarding": "0",
		"ipv6/conf/ge0.100/accept_ra": "0", "ipv6/conf/ge0.100/autoconf": "0",
		"ipv6/conf/ge0.100/addr_gen_mode": "1", "ipv6/conf/ge0.100/forwarding": "0",
	}
	for key, value := range want {
		if got := get(key); got != value {
			t.Errorf("%s is %s, want %s", key, got, value)
		}
	}
	w.ns.Sysctl(t, "net/ipv4/conf/ge0.100/rp_filter", "1")
	w.ns.Sysctl(t, "net/ipv6/conf/ge0.100/accept_ra", "2")
	if err := w.Audit(); err != nil {
		t.Fatal(err)
	}
	for key, value := range want {
		if got := get(key); got != value {
			t.Errorf("after the audit %s is %s, want %s", key, got, value)
		}
	}
	if drifts := w.drifted(); len(drifts) != 0 {
		t.Errorf("the audit found drift in what it set itself: %q", drifts)
	}
}

func TestAddressesOfOthersAreLeftAndNamed(t *testing.T) {
	w := newWorld(t, "foreign")
	w.ensure(t, driftSpec())
	w.ip(t, "addr", "add", "10.9.9.9/32", "dev", "ge0.100")
	eventually(t, time.Second, "the address is named", func() bool {
		s, _ := w.Status(1, intf.Inet)
		return len(s.Foreign) == 1 && s.Foreign[0].String() == "10.9.9.9/32"
	})
	w.ensure(t, driftSpec())
	if out := w.ip(t, "addr", "show", "dev", "ge0.100"); !strings.Contains(out, "10.9.9.9/32") {
		t.Errorf("the address is gone:\n%s", out)
	}
}

// A change of one address must not touch the others: the kernel's own account
// of address changes says so.
func TestOneAddressChangesAndTheOthersDoNot(t *testing.T) {
	w := newWorld(t, "makebreak")
	with := func(last string) Spec {
		return unitSpec(1, "ge0.0", "",
			addresses("192.0.2.1/24 primary", last), addresses("2001:db8:1::1/64", "fe80::1/64"))
	}
	w.ensure(t, with("198.51.100.1/24"))
	w.awaitIPv6(t, "2001:db8:1::1")
	w.awaitIPv6(t, "fe80::1")
	monitor := exec.Command("ip", "-o", "monitor", "address")
	var out strings.Builder
	monitor.Stdout = &out
	if err := w.ns.Start(monitor); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	for i := range 20 {
		w.ensure(t, with(fmt.Sprintf("198.51.100.%d/24", i+2)))
		w.ensure(t, with(fmt.Sprintf("198.51.100.%d/24", i+2))) // nothing to do
	}
	time.Sleep(200 * time.Millisecond)
	_ = monitor.Process.Signal(os.Interrupt)
	_ = monitor.Wait()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) < 40 {
		t.Errorf("%d changes seen, want at least 40: %q", len(lines), lines)
	}
	for _, line := range lines {
		if !strings.Contains(line, "198.51.100.") {
			t.Errorf("another address was touched: %s", line)
		}
	}
	if drifts := w.drifted(); len(drifts) != 0 {
		t.Errorf("our own changes were taken for drift: %q", drifts)
	}
}

func TestFamiliesComeAndGo(t *testing.T) {
	w := newWorld(t, "families")
	full := driftSpec()
	small := full
	small.Families = []Family{{Family: intf.Inet, MTU: 600, Up: true, Addresses: full.Families[0].Addresses}}
	down := driftSpec()
	down.Families[0].Up, down.Families[1].Up = false, false
	big := driftSpec()
	big.Families[0].MTU = 9000
	for i, spec := range []Spec{full, small, full, down, full, big, full} {
		w.ensure(t, spec)
		out := w.ip(t, "addr", "show", "dev", "ge0.100")
		if has := strings.Contains(out, "inet6"); has != (len(spec.Families) == 2) {
			t.Errorf("step %d: IPv6 addresses %t:\n%s", i, has, out)
		}
		if up := strings.Contains(out, ",UP"); up != spec.Families[0].Up {
			t.Errorf("step %d: up %t:\n%s", i, up, out)
		}
		if spec.Families[0].MTU == 9000 {
			if mtu := run(t, w.ns, "cat", "/proc/sys/net/ipv6/conf/ge0.100/mtu"); strings.TrimSpace(mtu) != "1500" {
				t.Errorf("step %d: IPv6 MTU is %s", i, mtu)
			}
		}
	}
	if err := inPlace(w); err != nil {
		t.Error(err)
	}
	if out := w.ip(t, "route", "show", "table", "all"); strings.Count(out, "metric 42781") != 2 || strings.Count(out, "metric 1 ") != 2 {
		t.Errorf("default routes:\n%s", out)
	}
}

func TestPrimaryAddressMoves(t *testing.T) {
	w := newWorld(t, "primary")
	for _, primary := range []string{"192.0.2.1/24", "192.0.2.7/24", "192.0.2.3/24", "192.0.2.1/24"} {
		var list []intf.AddressSpec
		for _, a := range addresses("192.0.2.1/24", "192.0.2.3/24", "192.0.2.7/24") {
			a.Primary = a.Prefix.String() == primary
			list = append(list, a)
		}
		w.ensure(t, unitSpec(1, "ge0.0", "", list, addresses("fe80::1/64")))
		out := w.ip(t, "-o", "-4", "addr", "show", "dev", "ge0.0", "primary")
		if strings.Count(out, "\n") != 1 || !strings.Contains(out, primary) {
			t.Errorf("want %s as the only primary:\n%s", primary, out)
		}
	}
}

func TestIPv6AddressChangesItsLength(t *testing.T) {
	w := newWorld(t, "length")
	for _, prefix := range []string{"2001:db8::1/64", "2001:db8::1/127", "2001:db8::1/64"} {
		w.ensure(t, unitSpec(1, "ge0.0", "", nil, addresses(prefix)))
		if out := w.ip(t, "-6", "addr", "show", "dev", "ge0.0"); strings.Count(out, "inet6") != 1 || !strings.Contains(out, prefix) {
			t.Errorf("want %s:\n%s", prefix, out)
		}
	}
}

func TestPointToPointAddress(t *testing.T) {
	w := newWorld(t, "peer")
	list := addresses("192.0.2.1/32")
	list[0].Peer = list[0].Prefix.Addr().Next()
	for range 2 {
		w.ensure(t, unitSpec(1, "ge0.0", "", list, nil))
		if out := w.ip(t, "addr", "show", "dev", "ge0.0"); !strings.Contains(out, "inet 192.0.2.1 peer 192.0.2.2/32") {
			t.Errorf("no peer:\n%s", out)
		}
	}
	w.ensure(t, unitSpec(1, "ge0.0", "", addresses("192.0.2.1/32"), nil))
	if out := w.ip(t, "addr", "show", "dev", "ge0.0"); strings.Contains(out, "peer") || !strings.Contains(out, "192.0.2.1/32") {
		t.Errorf("the peer stays:\n%s", out)
	}
}
