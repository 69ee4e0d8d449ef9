package reconcile

import (
	"fmt"
	"reflect"
	"strings"

	"router/intf"
	"router/models"
)

// Describe says in words what a change would do: the steps of its plan in their
// order, and what they interrupt. It is pure.
func (a *Applier) Describe(change models.Change) (steps, disturbs []string) {
	return Describe(Plan(change))
}

// Describe says in words what a plan does and what it interrupts.
func Describe(plan []Step) (steps, disturbs []string) {
	for _, s := range plan {
		steps = append(steps, s.Words())
		if d := s.disturbs(); d != "" {
			disturbs = append(disturbs, d)
		}
	}
	return steps, disturbs
}

// Words is the step as people say it: "create interface ge0 unit 100 (VLAN
// 100)", "change interface ge0: mru 1500 -> 1600".
func (s Step) Words() string {
	switch s.Op {
	case Create:
		if detail := s.New.detail(); detail != "" {
			return "create " + s.Object() + " (" + detail + ")"
		}
		return "create " + s.Object()
	case Delete:
		return "delete " + s.Object()
	case Update:
	}
	if s.Kind == StaticRoute {
		if from, to := s.Old.detail(), s.New.detail(); from != to {
			return fmt.Sprintf("move %s from %s to %s", s.Object(), from, to)
		}
	}
	if what := changedFields(s.Old.value(), s.New.value()); len(what) > 0 {
		return "change " + s.Object() + ": " + strings.Join(what, ", ")
	}
	return "change " + s.Object()
}

// value is the specification that is set, or nil.
func (s Spec) value() any {
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			return f.Elem().Interface()
		}
	}
	return nil
}

// detail says what matters most of an object.
func (s Spec) detail() string {
	switch {
	case s.Unit != nil:
		return vlanText(s.Unit.VLAN)
	case s.Family != nil && s.Family.Instance != models.DefaultInstance:
		return "instance " + s.Family.Instance
	case s.Neighbor != nil:
		return s.Neighbor.MAC.String()
	case s.Static != nil:
		return routeText(*s.Static)
	}
	return ""
}

func vlanText(v intf.VLAN) string {
	switch v.Tags() {
	case 1:
		return fmt.Sprintf("VLAN %d", v.OuterID)
	case 2:
		return fmt.Sprintf("VLAN %d.%d", v.OuterID, v.InnerID)
	}
	return "untagged"
}

func routeText(r models.StaticSpec) string {
	if len(r.NextHops) == 0 {
		return r.Action.String()
	}
	words := make([]string, len(r.NextHops))
	for i, nh := range r.NextHops {
		var w []string
		if nh.Gateway.IsValid() {
			w = append(w, "via "+nh.Gateway.String())
		}
		if nh.Interface != (intf.UnitKey{}) {
			w = append(w, "on "+nh.Interface.Name())
		}
		if nh.Instance != "" {
			w = append(w, "in instance "+nh.Instance)
		}
		if nh.Weight > 1 {
			w = append(w, fmt.Sprintf("weight %d", nh.Weight))
		}
		if nh.Backup {
			w = append(w, "as backup")
		}
		words[i] = strings.Join(w, " ")
	}
	return strings.Join(words, " and ")
}

// changedFields lists the members of two specifications of one kind that
// differ, with both values where these are short.
func changedFields(old, new any) []string {
	if old == nil || new == nil {
		return nil
	}
	var out []string
	a, b := reflect.ValueOf(old), reflect.ValueOf(new)
	for i := range a.NumField() {
		f := a.Type().Field(i)
		if !f.IsExported() || reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			continue
		}
		name := fieldName(f.Name)
		x, okx := short(a.Field(i))
		y, oky := short(b.Field(i))
		if okx && oky {
			name += " " + x + " -> " + y
		}
		out = append(out, name)
	}
	return out
}

// fieldName is a Go name in the model's spelling, "HostNamespace" as "host-namespace".
func fieldName(name string) string {
	var b strings.Builder
	for i, r := range name {
		upper := r >= 'A' && r <= 'Z'
		if upper && i > 0 && (name[i-1] < 'A' || name[i-1] > 'Z') {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// short is a value in a few words, if it has such.
func short(v reflect.Value) (string, bool) {
	if vlan, ok := v.Interface().(intf.VLAN); ok {
		return vlanText(vlan), true
	}
	if key, ok := v.Interface().(intf.UnitKey); ok {
		if key == (intf.UnitKey{}) {
			return "none", true
		}
		return key.Name(), true
	}
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return s.String(), true
	}
	switch v.Kind() {
	case reflect.String:
		if v.Len() == 0 {
			return "none", true
		}
		return fmt.Sprintf("%q", v.String()), true
	case reflect.Bool, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Int, reflect.Int64:
		return fmt.Sprint(v.Interface()), true
	default: // a structure, which has no few words
		return "", false
	}
}

// disturbs says what the step interrupts for packets that have nothing to do with
// what it changes, or ends for good; "" for nothing.
func (s Step) disturbs() string {
	switch s.Kind {
	case Device:
		return disturbsDevice(s.Device, s.Old.Device, s.New.Device)
	case Unit:
		o, n := s.Old.Unit, s.New.Unit
		switch {
		case o == nil || !o.Enabled:
		case n == nil || !n.Enabled:
			return fmt.Sprintf("%s goes down: its packets are dropped, its neighbours forgotten", s.Object())
		case o.VLAN != n.VLAN:
			return fmt.Sprintf("%s takes other frames: those of %s are dropped from now on", s.Object(), vlanText(o.VLAN))
		}
	case Family:
		o, n := s.Old.Family, s.New.Family
		switch {
		case o == nil || !o.Enabled:
		case n == nil || !n.Enabled:
			return s.Object() + " goes down: its packets are dropped"
		case o.Instance != n.Instance:
			return fmt.Sprintf("%s moves from instance %s to %s with its networks and neighbours, which are resolved again", s.Object(), o.Instance, n.Instance)
		}
	case Instance:
		if s.Op == Delete {
			return s.Object() + " goes with all its routes"
		}
		if o, n := s.Old.Instance, s.New.Instance; o != nil && n != nil && o.HostNamespace != n.HostNamespace {
			return s.Object() + ": its host interfaces move to another namespace, and connections there break"
		}
	case Address:
		if s.Op == Delete {
			return fmt.Sprintf("%s goes: connections to it break", s.Object())
		}
	case System, Neighbor, StaticRoute, LocalClass, Session, PrefixList, Policer, Filter, MulticastRoute, GRIBI, Role, User, LogServer:
	}
	return ""
}

func disturbsDevice(name string, o, n *intf.DeviceSpec) string {
	switch {
	case o == nil || !o.Enabled:
	case n == nil:
		return fmt.Sprintf("interface %s is given back to the host: nothing is forwarded by it", name)
	case !n.Enabled:
		return fmt.Sprintf("interface %s goes down: nothing is forwarded by it", name)
	case !n.OpensAs(*o):
		return fmt.Sprintf("interface %s is opened anew (%s): it forwards nothing for some tenths of a second", name,
			strings.Join(changedFields(*o, *n), ", "))
	case o.MRU != n.MRU:
		return fmt.Sprintf("interface %s: the link's MTU changes with the MRU, %d -> %d; some drivers take the link down for it", name, o.MRU, n.MRU)
	case o.MAC != n.MAC:
		return fmt.Sprintf("interface %s: neighbours learn a new MAC address", name)
	}
	return ""
}
