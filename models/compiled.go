package models

import (
	"errors"
	"maps"
	"slices"

	"router/gen"
	"router/intf"
)

// A Compiled is an intent that breaks no rule, with the indexes by which a
// change to it is checked at the cost of the change. Make one with NewCompiled.
// It belongs to one goroutine at a time, and so does its Intent, which is in flux
// during Update and Commit.
type Compiled struct {
	intent     Intent
	index      indexes
	generation uint64 // counts commits
	updates    uint64 // counts what Update tried
	// tried is the change of the last Update, which intent and index have taken in
	// already: most are committed next. It is taken out first by whatever else comes.
	tried *Change
}

// NewCompiled returns what an empty configuration compiles to: the instance
// "default", the default policy for local packets, and nothing else.
func NewCompiled() *Compiled {
	c := &Compiled{
		intent: Intent{
			GRIBI:     DefaultGRIBI,
			Devices:   map[string]intf.DeviceSpec{},
			Units:     map[intf.UnitKey]intf.UnitSpec{},
			Instances: map[string]InstanceSpec{},
			Static:    map[StaticKey]StaticSpec{},
			Classes:   maps.Clone(classByName),
			Sessions:  maps.Clone(sessionByName),

			PrefixLists: map[string]PrefixListSpec{},
			Policers:    map[string]PolicerSpec{},
			Filters:     map[string]FilterSpec{},

			Multicast: map[MulticastKey]MulticastSpec{},

			Users:      map[string]UserSpec{},
			Roles:      maps.Clone(BuiltInRoles),
			LogServers: map[string]LogServerSpec{},
		},
		index: newIndexes(),
	}
	s := compileInstance(DefaultInstance, nil, new(violations))
	c.intent.Instances[s.Name] = s
	c.index.instance(true, s)
	for _, s := range defaultSessions {
		c.index.session(true, s)
	}
	return c
}

// Intent is the intent as of the last commit, to be read only, and not while
// Update or Commit runs.
func (c *Compiled) Intent() *Intent {
	c.settle()
	return &c.intent
}

// settle makes intent and index those of the last commit.
func (c *Compiled) settle() {
	if c.tried != nil {
		c.apply(c.tried.inverse())
		c.tried = nil
	}
}

// Update compiles the objects that a change of dev has touched, and returns
// what that makes of the intent, or else all violations, in order of path.
// Either way c stays as it was until Commit. Touched objects that dev doesn't
// have are gone. Only configuration counts; state in dev is not looked at.
//
// Every object that differs from what c holds has to be among touched.
func (c *Compiled) Update(dev *gen.Device, touched []Object) (Change, []PathError) {
	if !inOrder(touched) {
		touched = SortObjects(slices.Clone(touched))
	}
	return c.update(dev, touched)
}

// Load is Update of all objects of dev.
func (c *Compiled) Load(dev *gen.Device) (Change, []PathError) {
	// Each stands there once: their order is of no matter.
	return c.update(dev, AppendObjects(nil, dev, nil))
}

// update is Update for objects in whatever order, each once.
func (c *Compiled) update(dev *gen.Device, touched []Object) (Change, []PathError) {
	var v violations
	c.settle()
	change := c.compile(dev, touched, &v)
	c.updates++
	change.generation, change.update = c.generation, c.updates
	c.apply(change)
	c.tried = &change
	c.check(change, &v)
	if len(v) > 0 {
		c.settle()
		sortErrors(v)
		return Change{}, v
	}
	return change, nil
}

// Compile compiles the whole of dev.
func Compile(dev *gen.Device) (*Compiled, []PathError) {
	c := NewCompiled()
	change, errs := c.Load(dev)
	if errs != nil {
		return nil, errs
	}
	c.take(change)
	return c, nil
}

var errStale = errors.New("the change was made for an earlier intent: update again")

// Commit takes change, which Update or Inverse returned since the last commit,
// into the intent. It fails, changing nothing, for any other.
func (c *Compiled) Commit(change Change) error {
	if change.generation != c.generation {
		return errStale
	}
	c.take(change)
	return nil
}

func (c *Compiled) take(change Change) {
	if c.tried != nil && change.update == c.tried.update {
		c.tried = nil
	} else {
		c.settle()
		c.apply(change)
	}
	c.generation++
}

// inOrder reports whether list is in order, each object once.
func inOrder(list []Object) bool {
	for i := 1; i < len(list); i++ {
		if list[i-1].Compare(list[i]) >= 0 {
			return false
		}
	}
	return true
}

// compileSome compiles what was touched, each object once, to a change without order. What can't be compiled at all counts as
// gone, with a violation; so more rules are checked, and reported together.
func (c *Compiled) compileSome(dev *gen.Device, touched []Object, v *violations) Change {
	var change Change
	for _, o := range touched {
		switch o.Kind {
		case System:
			if s := compileSystem(dev, v); s != c.intent.System {
				old := c.intent.System
				change.System = &Delta[struct{}, SystemSpec]{Old: &old, New: &s}
			}
		case GRIBI:
			if s := compileGRIBI(dev, v); s != c.intent.GRIBI {
				old := c.intent.GRIBI
				change.GRIBI = &Delta[struct{}, GRIBISpec]{Old: &old, New: &s}
			}
		case Device:
			var want *intf.DeviceSpec
			if g := dev.Interface[o.Device]; g != nil {
				s := compileDevice(o.Device, g, v)
				want = &s
			}
			if d, ok := delta(c.intent.Devices, o.Device, want, equal); ok {
				change.Devices = append(change.Devices, d)
			}
		case Unit:
			key := intf.UnitKey{Device: o.Device, ID: o.Unit}
			var want *intf.UnitSpec
			if g := dev.GetInterface(o.Device).GetUnit(o.Unit); g != nil {
				s := compileUnit(key, g, v)
				want = &s
			}
			if d, ok := delta(c.intent.Units, key, want, intf.UnitSpec.Equal); ok {
				change.Units = append(change.Units, d)
			}
		case Instance:
			var want *InstanceSpec
			if g := dev.Instance[o.Instance]; g != nil || o.Instance == DefaultInstance {
				s := compileInstance(o.Instance, g, v)
				want = &s
			}
			if d, ok := delta(c.intent.Instances, o.Instance, want, equal); ok {
				change.Instances = append(change.Instances, d)
			}
		case Static:
			var want *StaticSpec
			if g := dev.GetInstance(o.Instance).GetStaticRoute(o.Prefix); g != nil {
				if s, ok := compileStatic(o.Instance, o.Prefix, g, v); ok {
					want = &s
				}
			}
			key, ok := o.staticKey()
			if !ok {
				continue
			}
			if d, ok := delta(c.intent.Static, key, want, StaticSpec.Equal); ok {
				change.Static = append(change.Static, d)
			}
		case Class:
			var want *ClassSpec
			if g, builtIn := dev.LocalClass[o.Name], classByName[o.Name].Name != ""; g != nil || builtIn {
				s := compileClass(o.Name, g, v)
				want = &s
			}
			if d, ok := delta(c.intent.Classes, o.Name, want, equal); ok {
				change.Classes = append(change.Classes, d)
			}
		case Session:
			var want *SessionSpec
			if g, builtIn := dev.Session[o.Name], sessionByName[o.Name].Name != ""; g != nil || builtIn {
				s := compileSession(o.Name, g, v)
				want = &s
			}
			if d, ok := delta(c.intent.Sessions, o.Name, want, equal); ok {
				change.Sessions = append(change.Sessions, d)
			}
		case Multicast:
			var want *MulticastSpec
			if g := dev.GetInstance(o.Instance).GetMulticastRoute(o.Group, o.Source); g != nil {
				if s, ok := compileMulticast(o, g, v); ok {
					want = &s
				}
			}
			key, ok := o.multicastKey()
			if !ok {
				continue
			}
			if d, ok := delta(c.intent.Multicast, key, want, MulticastSpec.Equal); ok {
				change.Multicast = append(change.Multicast, d)
			}
		case PrefixList:
			if d, ok := delta(c.intent.PrefixLists, o.Name, compiled(dev.PrefixList[o.Name], o.Name, compilePrefixList, v), PrefixListSpec.Equal); ok {
				change.PrefixLists = append(change.PrefixLists, d)
			}
		case Policer:
			if d, ok := delta(c.intent.Policers, o.Name, compiled(dev.Policer[o.Name], o.Name, compilePolicer, v), equal); ok {
				change.Policers = append(change.Policers, d)
			}
		case Filter:
			if d, ok := delta(c.intent.Filters, o.Name, compiled(dev.Filter[o.Name], o.Name, compileFilter, v), FilterSpec.Equal); ok {
				change.Filters = append(change.Filters, d)
			}
		case User:
			if d, ok := delta(c.intent.Users, o.Name, compiled(dev.User[o.Name], o.Name, compileUser, v), UserSpec.Equal); ok {
				change.Users = append(change.Users, d)
			}
		case Role:
			var want *RoleSpec
			if g, builtIn := dev.Role[o.Name], BuiltInRoles[o.Name].BuiltIn; g != nil || builtIn {
				s := compileRole(o.Name, g, v)
				want = &s
			}
			if d, ok := delta(c.intent.Roles, o.Name, want, RoleSpec.Equal); ok {
				change.Roles = append(change.Roles, d)
			}
		case FilterLog, Audit:
			// It is state alone.
		case LogServer:
			if d, ok := delta(c.intent.LogServers, o.Name, compiled(dev.LogServer[o.Name], o.Name, compileLogServer, v), equal); ok {
				change.LogServers = append(change.LogServers, d)
			}
		}
	}
	return change
}

// compiled is what compile makes of g, nil where there is nothing.
func compiled[G, V any](g *G, name string, compile func(string, *G, *violations) (V, bool), v *violations) *V {
	if g == nil {
		return nil
	}
	if s, ok := compile(name, g, v); ok {
		return &s
	}
	return nil
}

// apply makes the intent and the indexes what change says, without a check.
func (c *Compiled) apply(change Change) {
	if change.System != nil {
		c.intent.System = *change.System.New
	}
	if change.GRIBI != nil {
		c.intent.GRIBI = *change.GRIBI.New
	}
	for _, d := range change.Devices {
		replace(c.intent.Devices, d, nil)
	}
	for _, d := range change.Instances {
		replace(c.intent.Instances, d, c.index.instance)
	}
	c.applyUnits(change.Units)
	if len(c.intent.Static) == 0 {
		c.intent.Static = make(map[StaticKey]StaticSpec, len(change.Static))
	}
	for _, d := range change.Static {
		replace(c.intent.Static, d, c.index.static)
	}
	for _, d := range change.Multicast {
		replace(c.intent.Multicast, d, c.index.multicast)
	}
	for _, d := range change.Classes {
		replace(c.intent.Classes, d, nil)
	}
	for _, d := range change.Sessions {
		replace(c.intent.Sessions, d, c.index.session)
	}
	for _, d := range change.PrefixLists {
		replace(c.intent.PrefixLists, d, nil)
	}
	for _, d := range change.Policers {
		replace(c.intent.Policers, d, nil)
	}
	for _, d := range change.Filters {
		replace(c.intent.Filters, d, c.index.filter)
	}
	for _, d := range change.Users {
		replace(c.intent.Users, d, c.index.user)
	}
	for _, d := range change.Roles {
		replace(c.intent.Roles, d, nil)
	}
	for _, d := range change.LogServers {
		replace(c.intent.LogServers, d, nil)
	}
}

// applyUnits replaces units. A unit's stack depends on its parents, so those of
// all units below go out of the index before, and in after.
func (c *Compiled) applyUnits(deltas []Delta[intf.UnitKey, intf.UnitSpec]) {
	below := map[intf.UnitKey]struct{}{}
	for _, d := range deltas {
		c.below(d.Key, below)
	}
	c.indexStacks(false, below)
	for _, d := range deltas {
		replace(c.intent.Units, d, c.index.unit)
	}
	c.indexStacks(true, below)
}

func (c *Compiled) indexStacks(add bool, units map[intf.UnitKey]struct{}) {
	for key := range units {
		if _, ok := c.intent.Units[key]; !ok {
			continue
		}
		if stack, ok := c.stack(key); ok {
			c.index.stacks.set(add, stackKey{key.Device, stack}, key)
		}
	}
}

// below adds key and all units under it to out.
func (c *Compiled) below(key intf.UnitKey, out map[intf.UnitKey]struct{}) {
	if _, done := out[key]; done {
		return
	}
	out[key] = struct{}{}
	for child := range c.index.children[key] {
		c.below(child, out)
	}
}

// stack is all tags of a unit's frames, the parents' first; ok is false when
// there are more than a frame carries.
func (c *Compiled) stack(key intf.UnitKey) (stack intf.VLAN, ok bool) {
	if parent, has := parentOf(key); has {
		if stack, ok = c.stack(parent); !ok {
			return stack, false
		}
	}
	return stackOf(stack, c.intent.Units[key].VLAN)
}

func replace[K comparable, V any](m map[K]V, d Delta[K, V], index func(add bool, v V)) {
	if d.Old != nil {
		if index != nil {
			index(false, *d.Old)
		}
		delete(m, d.Key)
	}
	if d.New != nil {
		if index != nil {
			index(true, *d.New)
		}
		m[d.Key] = *d.New
	}
}
