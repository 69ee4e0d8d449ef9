package models

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// base is a configuration that breaks no rule and has one of everything.
const base = `{
 "routerd:interface": [
  {"name": "ge0", "config": {"name": "ge0"}, "unit": [
   {"id": "0", "config": {"id": "0"}, "family": [
    {"type": "inet", "config": {"type": "inet"},
     "address": [{"prefix": "192.0.2.1/24", "config": {"prefix": "192.0.2.1/24"}}],
     "neighbor": [{"address": "192.0.2.9", "config": {"address": "192.0.2.9", "link-layer-address": "02:00:00:00:00:09"}}]},
    {"type": "inet6", "config": {"type": "inet6"},
     "address": [{"prefix": "2001:db8::1/64", "config": {"prefix": "2001:db8::1/64"}}]}]},
   {"id": "100", "config": {"id": "100"}, "vlan": {"config": {"outer-vlan-id": 100}}},
   {"id": "100.1", "config": {"id": "100.1"}, "vlan": {"config": {"outer-vlan-id": 1}}, "family": [
    {"type": "inet", "config": {"type": "inet", "instance": "red"},
     "address": [{"prefix": "198.51.100.1/24", "config": {"prefix": "198.51.100.1/24"}}]}]},
   {"id": "200", "config": {"id": "200"}, "vlan": {"config": {"outer-vlan-id": 200, "inner-vlan-id": 1}}}]}],
 "routerd:instance": [
  {"name": "default", "config": {"name": "default"}, "static-route": [
   {"prefix": "0.0.0.0/0", "config": {"prefix": "0.0.0.0/0"}, "next-hop": [
    {"index": 0, "config": {"index": 0, "gateway": "192.0.2.2", "interface": "ge0"}}]},
   {"prefix": "198.51.100.0/24", "config": {"prefix": "198.51.100.0/24"}, "next-hop": [
    {"index": 0, "config": {"index": 0, "instance": "red"}}]},
   {"prefix": "2001:db8:1::/48", "config": {"prefix": "2001:db8:1::/48"}, "next-hop": [
    {"index": 0, "config": {"index": 0, "gateway": "2001:db8::2"}}]},
   {"prefix": "203.0.112.0/24", "config": {"prefix": "203.0.112.0/24"}, "next-hop": [
    {"index": 0, "config": {"index": 0, "instance": "red"}}]},
   {"prefix": "10.0.0.0/8", "config": {"prefix": "10.0.0.0/8", "action": "discard"}}]},
  {"name": "red", "config": {"name": "red"}, "static-route": [
   {"prefix": "203.0.112.0/24", "config": {"prefix": "203.0.112.0/24", "action": "discard"}},
   {"prefix": "0.0.0.0/0", "config": {"prefix": "0.0.0.0/0"}, "next-hop": [
    {"index": 0, "config": {"index": 0, "instance": "default"}}]}]}],
` + filterBase + `}`

// A world is base, with shorthands to spoil it by.
type world struct{ *gen.Device }

func (w world) ge0() *gen.Routerd_Interface { return w.GetOrCreateInterface("ge0") }
func (w world) loopback() *gen.Routerd_Interface {
	i := w.GetOrCreateInterface("lo0")
	i.GetOrCreateConfig().Type = gen.Routerd_InterfaceType_loopback
	i.GetOrCreateUnit("0")
	return i
}
func routerAdvertisement(f *gen.Routerd_Interface_Unit_Family) *gen.Routerd_Interface_Unit_Family_RouterAdvertisement {
	if f.RouterAdvertisement == nil {
		return &gen.Routerd_Interface_Unit_Family_RouterAdvertisement{}
	}
	return f.RouterAdvertisement
}
func (w world) adverts() *gen.Routerd_Interface_Unit_Family_RouterAdvertisement {
	return w.inet6("0").GetOrCreateRouterAdvertisement()
}
func (w world) advert() *gen.Routerd_Interface_Unit_Family_RouterAdvertisement_Config {
	c := w.adverts().GetOrCreateConfig()
	c.Enabled = ygot.Bool(true)
	return c
}
func (w world) borrow(lender string) {
	w.inet("200").GetOrCreateConfig().Unnumbered = ygot.String(lender)
}
func (w world) unit(id string) *gen.Routerd_Interface_Unit { return w.ge0().GetOrCreateUnit(id) }
func (w world) inet(unit string) *gen.Routerd_Interface_Unit_Family {
	return w.unit(unit).GetOrCreateFamily(gen.Routerd_FamilyType_inet)
}
func (w world) inet6(unit string) *gen.Routerd_Interface_Unit_Family {
	return w.unit(unit).GetOrCreateFamily(gen.Routerd_FamilyType_inet6)
}
func (w world) route(instance, prefix string) *gen.Routerd_Instance_StaticRoute {
	return w.GetOrCreateInstance(instance).GetOrCreateStaticRoute(prefix)
}
func (w world) via(instance, prefix string) *gen.Routerd_Instance_StaticRoute_NextHop_Config {
	return w.route(instance, prefix).GetOrCreateNextHop(0).GetOrCreateConfig()
}
func (w world) another(instance, prefix string, index uint8) *gen.Routerd_Instance_StaticRoute_NextHop_Config {
	return w.route(instance, prefix).GetOrCreateNextHop(index).GetOrCreateConfig()
}
func (w world) vlan(unit string, outer, inner uint16) {
	c := w.unit(unit).GetOrCreateVlan().GetOrCreateConfig()
	c.OuterVlanId, c.InnerVlanId = nil, nil
	if outer != 0 {
		c.OuterVlanId = &outer
	}
	if inner != 0 {
		c.InnerVlanId = &inner
	}
}

// complete gives every list entry the config leaf that its key refers to, which
// yanglint asks for.
func (w world) complete() {
	for name, i := range w.Interface {
		i.GetOrCreateConfig().Name = ygot.String(name)
		for id, u := range i.Unit {
			u.GetOrCreateConfig().Id = ygot.String(id)
			for typ, f := range u.Family {
				f.GetOrCreateConfig().Type = typ
				for p, a := range f.Address {
					a.GetOrCreateConfig().Prefix = ygot.String(p)
				}
				for a, n := range f.Neighbor {
					n.GetOrCreateConfig().Address = ygot.String(a)
				}
				for p, a := range routerAdvertisement(f).Prefix {
					a.GetOrCreateConfig().Prefix = ygot.String(p)
				}
				for p, a := range routerAdvertisement(f).Route {
					a.GetOrCreateConfig().Prefix = ygot.String(p)
				}
			}
		}
	}
	for name, s := range w.Session {
		s.GetOrCreateConfig().Name = ygot.String(name)
	}
	for name, c := range w.LocalClass {
		c.GetOrCreateConfig().Name = ygot.String(name)
	}
	for name, i := range w.Instance {
		i.GetOrCreateConfig().Name = ygot.String(name)
		for p, r := range i.StaticRoute {
			r.GetOrCreateConfig().Prefix = ygot.String(p)
			for index, n := range r.NextHop {
				n.GetOrCreateConfig().Index = ygot.Uint8(index)
			}
		}
		for k, r := range i.MulticastRoute {
			r.GetOrCreateConfig().Group, r.GetOrCreateConfig().Source = ygot.String(k.Group), ygot.String(k.Source)
		}
	}
	w.completeFilters()
	w.completeAccess()
}

// sessionLeaves are what a session x is declared to match.
type sessionLeaves struct {
	protocol, prefix string // prefix of the remote address
	local            uint16
	consumer         gen.E_Routerd_SessionConsumer
}

const sessionX = "/session[name=x]"

func (w world) session(s sessionLeaves) *gen.Routerd_Session_Config {
	c := w.GetOrCreateSession("x").GetOrCreateConfig()
	if s.protocol != "" {
		c.Protocol = &s.protocol
	}
	if s.prefix != "" {
		c.RemotePrefix = &s.prefix
	}
	if s.local != 0 {
		c.LocalPort = &s.local
	}
	c.Consumer = s.consumer
	return c
}

const (
	unit0    = "/interface[name=ge0]/unit[id=0]"
	inet0    = unit0 + "/family[type=inet]"
	inet60   = unit0 + "/family[type=inet6]"
	default4 = "/instance[name=default]/static-route[prefix=0.0.0.0/0]"
	nh0      = "/next-hop[index=0]"
)

// A ruleCase spoils base. rule is empty for what is allowed. xpath says that the
// rule is a must that XPath can evaluate, so that yanglint finds it too.
type ruleCase struct {
	name  string
	spoil func(w world)
	rule  string
	path  string
	xpath bool
}

// allCases are the cases of all files.
func allCases() []ruleCase {
	return slices.Concat(interfaceCases, routeCases, sessionCases, filterCases(), multicastCases, accessCases, logServerCases)
}

func TestRules(t *testing.T) {
	for _, c := range allCases() {
		t.Run(c.name, func(t *testing.T) {
			w := world{load(t, []byte(base))}
			compiled, errs := Compile(w.Device)
			if errs != nil {
				t.Fatalf("base: %v", errs)
			}
			before := AllObjects(w.Device)
			c.spoil(w)
			touched := append(before, AllObjects(w.Device)...)

			change, incremental := compiled.Update(w.Device, touched)
			_, full := Compile(w.Device)
			if c.rule == "" {
				for _, err := range full {
					t.Error(err)
				}
				if incremental != nil {
					t.Errorf("as a change: %v", incremental)
				}
				if err := compiled.Commit(change); err != nil {
					t.Error(err)
				}
				return
			}
			wantViolation(t, "as a change", incremental, c.rule, c.path)
			wantRule(t, "as a whole", full, c.rule)
		})
	}
}

func wantViolation(t *testing.T, how string, errs []PathError, rule, path string) {
	t.Helper()
	for _, e := range errs {
		if e.Rule == rule && e.Path == path {
			if !strings.Contains(e.Err.Error(), ":") {
				t.Errorf("%q names no cure", e.Err)
			}
			return
		}
	}
	t.Errorf("%s: got %v\nwant %s at %s", how, errs, rule, path)
}

func wantRule(t *testing.T, how string, errs []PathError, rule string) {
	t.Helper()
	if !rulesOf(errs)[rule] {
		t.Errorf("%s: got %v\nwant %s", how, errs, rule)
	}
}

// The musts of the model and the rules here say the same of all cases.
func TestRulesAgreeWithYanglint(t *testing.T) {
	messages := map[string]string{}
	for _, m := range tagAndMessage.FindAllStringSubmatch(yangText(t), -1) {
		messages[m[1]] = m[2]
	}
	dir := t.TempDir()
	for _, c := range allCases() {
		if c.rule != "" && !c.xpath {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			w := world{load(t, []byte(base))}
			c.spoil(w)
			w.complete()
			file := filepath.Join(dir, "case.json")
			if err := os.WriteFile(file, emit(t, w.Device), 0o600); err != nil {
				t.Fatal(err)
			}
			complaint, ok := yanglint(t, file)
			switch {
			case ok && c.rule != "":
				t.Errorf("yanglint accepts what breaks %s", c.rule)
			case !ok && c.rule == "":
				t.Errorf("yanglint: %s", complaint)
			case !ok && !strings.Contains(complaint, messages[c.rule]):
				t.Errorf("yanglint says %s\nwant %q", complaint, messages[c.rule])
			}
		})
	}
}

func TestEveryRuleIsTested(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range allCases() {
		tested[c.rule] = true
	}
	for _, r := range Rules() {
		if !tested[r] {
			t.Errorf("no case breaks %s", r)
		}
	}
}
