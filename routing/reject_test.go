package routing

import (
	"testing"

	"router/intf"
)

func TestRejectCodes(t *testing.T) {
	names := map[string]bool{}
	for _, f := range intf.Families {
		numbers := map[uint8]RejectCode{}
		for code := range RejectCode(NumRejectCodes) {
			n, ok := code.ICMP(f)
			if !ok {
				continue
			}
			if other, taken := numbers[n]; taken {
				t.Errorf("%v: %v and %v are both code %d", f, other, code, n)
			}
			numbers[n] = code
		}
	}
	for code := range RejectCode(NumRejectCodes) {
		if name := code.String(); name == "" || names[name] {
			t.Errorf("code %d has the name %q, which is empty or taken", code, name)
		}
		names[code.String()] = true
		_, v4 := code.ICMP(intf.Inet)
		_, v6 := code.ICMP(intf.Inet6)
		if (v4 || v6) == (code == RejectNone) {
			t.Errorf("%v: known to IPv4 %v, to IPv6 %v", code, v4, v6)
		}
	}
	if _, ok := RejectCode(NumRejectCodes).ICMP(intf.Inet); ok {
		t.Error("a code beyond the last one is known")
	}
}

func TestRejectCodeIsOfTheFamily(t *testing.T) {
	r := start(t).store.RIB(0)
	for _, c := range []struct {
		prefix string
		code   RejectCode
		ok     bool
	}{
		{"10.0.0.0/8", RejectHost, true}, {"2001:db8::/32", RejectHost, true},
		{"10.0.0.0/8", RejectCutoff, true}, {"2001:db8::/32", RejectCutoff, false},
		{"10.0.0.0/8", RejectSource, false}, {"2001:db8::/32", RejectSource, true},
		{"10.0.0.0/8", RejectNone, false}, {"2001:db8::/32", RejectNone, false},
	} {
		err := r.Set(Route{Key: Key{Prefix: pfx(c.prefix)}, NextHop: NextHop{Kind: Reject, Reject: c.code}})
		if (err == nil) != c.ok {
			t.Errorf("%s reject %v: %v", c.prefix, c.code, err)
		}
	}
}
