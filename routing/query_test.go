package routing

import (
	"testing"

	"router/intf"
)

func TestQuery(t *testing.T) {
	seven := uint32(7)
	group, err := NewGroup(intf.Inet, []Member{{NextHop: forward(1, "10.1.0.9"), Weight: 1}, {NextHop: forward(3, "10.3.0.9"), Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	tagged := user("20.1.0.0/16", via("10.2.0.9"))
	tagged.Tag = seven
	fed := Route{Key: Key{Prefix: pfx("20.1.0.0/16"), Source: User, Protocol: Feed}, Preference: 170, NextHop: NextHop{Kind: Discard}}
	r := start(t, noRoute, onLink("10.1.0.0/24", 1), onLink("10.2.0.0/24", 2), onLink("10.3.0.0/24", 3),
		user("20.0.0.0/8", group), tagged, fed, user("10.1.0.0/24", via("10.2.0.9")),
		user("20.1.2.0/24", via("99.0.0.1"))).store.RIB(0)
	for _, tt := range []struct {
		name, addr string
		q          Query
		want       []string // prefix and protocol
	}{
		{"all", "20.1.2.3", Query{}, []string{"20.1.0.0/16 static", "20.1.0.0/16 feed", "20.0.0.0/8 static", "0.0.0.0/0 system"}},
		{"what can't be used too", "20.1.2.3", Query{Unusable: true},
			[]string{"20.1.2.0/24 static", "20.1.0.0/16 static", "20.1.0.0/16 feed", "20.0.0.0/8 static", "0.0.0.0/0 system"}},
		{"by a protocol", "20.1.2.3", Query{Protocols: []Protocol{Feed}}, []string{"20.1.0.0/16 feed"}},
		{"not from a source", "20.1.2.3", Query{Not: []Source{User}}, []string{"0.0.0.0/0 system"}},
		{"from a source", "10.1.0.7", Query{Sources: []Source{InterfaceDestination}}, []string{"10.1.0.0/24 direct"}},
		{"by a tag", "20.1.2.3", Query{Tag: &seven}, []string{"20.1.0.0/16 static"}},
		{"out of a unit, through a gateway", "20.1.2.3", Query{IfIndex: 2}, []string{"20.1.0.0/16 static"}},
		{"out of a unit, by a member", "20.1.2.3", Query{IfIndex: 3}, []string{"20.0.0.0/8 static"}},
		{"direct, past what packets follow", "10.1.0.7", Query{Direct: true}, []string{"10.1.0.0/24 direct"}},
		{"direct out of another unit", "10.1.0.7", Query{Direct: true, IfIndex: 2}, nil},
		{"nobody's", "2001:db8::1", Query{}, nil},
	} {
		var got []string
		for _, e := range r.FindAll(ip(tt.addr), tt.q) {
			got = append(got, e.Prefix.String()+" "+e.Protocol.String())
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
				break
			}
		}
		e, ok := r.Find(ip(tt.addr), tt.q)
		if ok != (len(tt.want) > 0) || ok && e.Prefix.String()+" "+e.Protocol.String() != tt.want[0] {
			t.Errorf("%s: found %v %v", tt.name, e.Prefix, ok)
		}
	}
}
