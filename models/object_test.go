package models

import (
	"slices"
	"testing"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/ygot/ygot"

	"router/intf"
)

func TestObjects(t *testing.T) {
	dev := load(t, []byte(base))
	all := []string{
		"/system", "/interface[name=ge0]", unit0, "/interface[name=ge0]/unit[id=100]",
		"/interface[name=ge0]/unit[id=100.1]", "/interface[name=ge0]/unit[id=200]",
		"/instance[name=default]", "/instance[name=red]", default4,
		"/instance[name=default]/static-route[prefix=10.0.0.0/8]",
		"/instance[name=default]/static-route[prefix=198.51.100.0/24]",
		"/instance[name=default]/static-route[prefix=2001:db8:1::/48]",
		"/instance[name=default]/static-route[prefix=203.0.112.0/24]",
		"/instance[name=red]/static-route[prefix=0.0.0.0/0]",
		"/instance[name=red]/static-route[prefix=203.0.112.0/24]",
		"/prefix-list[name=ours]", "/policer[name=slow]", "/filter[name=in4]", "/filter[name=in6]", "/filter[name=mid4]", "/filter[name=tail4]", "/gribi",
	}
	for _, c := range []struct {
		path string
		want []string
	}{
		{"/", all},
		{"/...", all},
		{"/*", all},
		{"/system/config/hostname", all[:1]},
		{"/interface", all[1:6]},
		{"/interface[name=*]", all[1:6]},
		{"/interface[name=ge0]/...", all[1:6]},
		{"/interface[name=ge0]/config", all[1:2]},
		{"/interface[name=ge0]/unit", all[1:6]},
		{"/*/unit[id=0]", append([]string{all[0], all[1], unit0, all[6], all[7]}, all[15:]...)}, // more than need be
		{"/filter", all[17:21]},
		{"/gribi/config/preference", all[21:]},
		{"/filter[name=in4]/term[name=first]/match/config/source-port", all[17:18]},
		{"/prefix-list[name=ours]/config/prefix", all[15:16]},
		{"/policer[name=slow]/red", all[16:17]},
		{"/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]/config", all[1:3]},
		{"/interface[name=ge0]/unit[id=7]", all[1:2]},
		{"/interface[name=ge7]", nil},
		{"/instance[name=default]", append(slices.Clone(all[6:7]), all[8:13]...)},
		{"/instance[name=red]/config/description", all[7:8]},
		{"/instance[name=*]/static-route[prefix=0.0.0.0/0]/config/tag", []string{all[6], all[7], default4, all[13]}},
		{"/instance[name=default]/static-route[prefix=0.0.0.0/0]/next-hop[index=0]", []string{all[6], default4}},
		{"/nowhere", nil},
	} {
		t.Run(c.path, func(t *testing.T) {
			p, err := ygot.StringToStructuredPath(c.path)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, o := range Objects(dev, p) {
				got = append(got, o.Path())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestDefaultInstanceIsAlwaysAnObject(t *testing.T) {
	dev := load(t, []byte(`{}`))
	for _, p := range []*gpb.Path{nil, {Elem: []*gpb.PathElem{{Name: "instance", Key: map[string]string{"name": "default"}}}}} {
		if got := Objects(dev, p); !slices.Contains(got, Object{Kind: Instance, Instance: DefaultInstance}) {
			t.Errorf("%v covers %v", p, got)
		}
	}
}

func TestParseUnitName(t *testing.T) {
	for name, want := range map[string]intf.UnitKey{
		"ge0":       {Device: "ge0", ID: "0"},
		"ge0.0":     {Device: "ge0", ID: "0"},
		"ge0.100":   {Device: "ge0", ID: "100"},
		"ge0.100.1": {Device: "ge0", ID: "100.1"},
	} {
		if got := ParseUnitName(name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}
