package inet

import (
	"math/rand/v2"
	"net/netip"
	"regexp"
	"testing"

	"github.com/openconfig/goyang/pkg/yang"

	"router/gen"
)

var all = map[string]*regexp.Regexp{
	ipv4Address: regexp.MustCompile("^(" + ipv4Address + ")$"),
	ipv4Prefix:  regexp.MustCompile("^(" + ipv4Prefix + ")$"),
	ipv6Address: regexp.MustCompile("^(" + ipv6Address + ")$"),
	ipv6Prefix:  regexp.MustCompile("^(" + ipv6Prefix + ")$"),
}

// The patterns are those of the model, letter by letter.
func TestPatternsAreTheModels(t *testing.T) {
	found := map[string]bool{}
	var walk func(*yang.YangType)
	walk = func(y *yang.YangType) {
		for _, p := range y.Pattern {
			found[p] = true
		}
		for _, m := range y.Type {
			walk(m)
		}
	}
	for _, e := range gen.SchemaTree {
		for _, c := range e.Dir {
			if c.Type != nil {
				walk(c.Type)
			}
		}
	}
	for p := range all {
		if !found[p] {
			t.Errorf("no leaf has the pattern %s", p)
		}
		if Quick(p) == nil {
			t.Errorf("the pattern %s is not known", p)
		}
	}
	if Quick("[a-z]*") != nil {
		t.Error("a pattern is known that can't be")
	}
}

// What a router writes by itself is recognised: else nothing is gained.
func TestCanonicalIsRecognised(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		four, six := [4]byte{}, [16]byte{}
		for i := range four {
			four[i] = byte(random.Uint32())
		}
		for i := range six {
			if random.IntN(2) == 0 {
				six[i] = byte(random.Uint32())
			}
		}
		check(t, ipv4Address, netip.AddrFrom4(four).String())
		check(t, ipv6Address, netip.AddrFrom16(six).String())
		check(t, ipv4Prefix, netip.PrefixFrom(netip.AddrFrom4(four), random.IntN(33)).String())
		check(t, ipv6Prefix, netip.PrefixFrom(netip.AddrFrom16(six), random.IntN(129)).String())
	}
	check(t, ipv6Address, "::ffff:192.0.2.1")
	check(t, ipv6Address, "::")
	check(t, ipv6Prefix, "::/0")
}

func check(t *testing.T, pattern, s string) {
	t.Helper()
	if !Quick(pattern)(s) || !all[pattern].MatchString(s) {
		t.Errorf("%q: quickly %v, by the pattern %v", s, Quick(pattern)(s), all[pattern].MatchString(s))
	}
}

func FuzzQuick(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "192.0.2.0/24", "01.2.3.4", "1.2.3.4/024", "1.2.3.4/33", "2001:db8::1", "2001:DB8::1", "::1/128", "::1/129",
		"1::2::3", "fe80::1%eth0", "::ffff:1.2.3.4", "::ffff:1.2.3.4/120", "1:2:3:4:5:6:7:8", "", ":", "/", "1.2.3.4/+1", "1.2.3.4\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for p, re := range all {
			if Quick(p)(s) && !re.MatchString(s) {
				t.Errorf("%q is recognised, and does not match %s", s, p)
			}
		}
	})
}
