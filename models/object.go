package models

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"

	"router/gen"
	"router/intf"
)

// A Kind is a kind of Object. The set is closed.
type Kind uint8

// The kinds, in the order in which objects are put in place.
const (
	System Kind = iota
	Device
	Unit // with its families, addresses and neighbours
	Instance
	Static
	Class
	Session
	PrefixList
	Policer
	Filter    // with its terms
	FilterLog // an entry of the filter log; state alone
	Multicast
	GRIBI
	User
	Role
	Audit // a call in the audit log; state alone
	LogServer
)

func (k Kind) String() string {
	switch k {
	case System:
		return "system"
	case Device:
		return "device"
	case Unit:
		return "unit"
	case Instance:
		return "instance"
	case Static:
		return "static"
	case Class:
		return "local-class"
	case Session:
		return "session"
	case PrefixList:
		return "prefix-list"
	case Policer:
		return "policer"
	case Filter:
		return "filter"
	case FilterLog:
		return "filter-log"
	case Multicast:
		return "multicast"
	case GRIBI:
		return "gribi"
	case User:
		return "user"
	case Role:
		return "role"
	case Audit:
		return "audit"
	case LogServer:
		return "log-server"
	}
	return "kind(" + uintText(uint64(k)) + ")"
}

// An Object names what is compiled as one. It is comparable; only the fields
// that its Kind calls for are set. Prefix is the key as it is spelled in the
// configuration, which for a mistaken one is not a prefix; so are Group and Source.
type Object struct {
	Kind     Kind
	Device   string // Device, Unit
	Unit     string // Unit
	Instance string // Instance, Static, Multicast
	Prefix   string // Static
	Name     string // Class, Session, PrefixList, Policer, Filter; User, Role; the slot of a FilterLog, the number of an Audit
	Group    string // Multicast
	Source   string // Multicast
}

// Compare orders objects by kind, then by name.
func (o Object) Compare(p Object) int {
	if o.Kind != p.Kind {
		return cmp.Compare(o.Kind, p.Kind)
	}
	// Not cmp.Or: it compares all, and thousands are sorted.
	for _, c := range [...][2]string{{o.Instance, p.Instance}, {o.Prefix, p.Prefix}, {o.Device, p.Device}, {o.Unit, p.Unit}, {o.Name, p.Name}, {o.Group, p.Group}, {o.Source, p.Source}} {
		if c[0] != c[1] {
			return strings.Compare(c[0], c[1])
		}
	}
	return 0
}

// Path is the gNMI path of the object.
func (o Object) Path() string {
	switch o.Kind {
	case System:
		return "/system"
	case Device:
		return devicePath(o.Device)
	case Unit:
		return unitPath(intf.UnitKey{Device: o.Device, ID: o.Unit})
	case Instance:
		return instancePath(o.Instance)
	case Static:
		return staticPathText(o.Instance, o.Prefix)
	case Class:
		return classPath(o.Name)
	case Session:
		return sessionPath(o.Name)
	case PrefixList:
		return prefixListPath(o.Name)
	case Policer:
		return policerPath(o.Name)
	case Filter:
		return filterPath(o.Name)
	case FilterLog:
		return keyed("", "filter-log", "slot", o.Name)
	case Multicast:
		return multicastPathText(o.Instance, o.Group, o.Source)
	case GRIBI:
		return "/gribi"
	case User:
		return userPath(o.Name)
	case Role:
		return rolePath(o.Name)
	case Audit:
		return keyed("", "audit", "number", o.Name)
	case LogServer:
		return logServerPath(o.Name)
	}
	return "/"
}

// Objects lists, in order, the objects of dev that a change at path can change:
// those that path covers, and the device or instance that it goes through,
// since a change can make these by the way. Names and keys may be left out or "*"; "..." stands
// for any number of elements, and everything from there on is taken to be
// covered. Paths to nothing that is compiled, and to objects that dev doesn't
// have, give none; so take the union of before and after a change. nil covers
// all.
func Objects(dev *gen.Device, path *gpb.Path) []Object {
	return SortObjects(AppendObjects(nil, dev, path))
}

// AppendObjects appends to list what Objects lists, in no order, and some perhaps
// twice.
func AppendObjects(list []Object, dev *gen.Device, path *gpb.Path) []Object {
	w := walker{dev: dev, out: list}
	w.root(path.GetElem())
	return w.out
}

// SortObjects puts list in order, each object once. It changes list.
func SortObjects(list []Object) []Object {
	slices.SortFunc(list, Object.Compare)
	return slices.Compact(list)
}

// AllObjects lists, in order, all objects of dev. The instance "default" and
// the system are among them, declared or not.
func AllObjects(dev *gen.Device) []Object { return Objects(dev, nil) }

type walker struct {
	dev *gen.Device
	out []Object
}

// once appends o unless it is one of the last: each of many routes tells of its instance, before
// the change and after it.
func (w *walker) once(o Object) {
	for _, known := range w.out[max(0, len(w.out)-3):] {
		if known == o {
			return
		}
	}
	w.out = append(w.out, o)
}

// at splits off the first element: its name ("" for all names) and the rest.
// all says that the path ends here or can't be followed further.
func at(elems []*gpb.PathElem) (name string, first *gpb.PathElem, rest []*gpb.PathElem, all bool) {
	if len(elems) == 0 || elems[0].GetName() == "..." {
		return "", nil, nil, true
	}
	name = elems[0].GetName()
	if name == "*" {
		name = ""
	}
	return name, elems[0], elems[1:], false
}

func covers(all bool, name string, want string) bool { return all || name == "" || name == want }

func (w *walker) root(elems []*gpb.PathElem) {
	name, first, rest, all := at(elems)
	if covers(all, name, "system") {
		w.out = append(w.out, Object{Kind: System})
	}
	if covers(all, name, "gribi") {
		w.out = append(w.out, Object{Kind: GRIBI})
	}
	if covers(all, name, "interface") {
		each(w.dev.Interface, first, "name", func(key string, d *gen.Routerd_Interface) { w.device(key, d, rest) })
	}
	if covers(all, name, "local-class") {
		each(w.dev.LocalClass, first, "name", func(key string, _ *gen.Routerd_LocalClass) {
			w.out = append(w.out, Object{Kind: Class, Name: key})
		})
	}
	if covers(all, name, "session") {
		each(w.dev.Session, first, "name", func(key string, _ *gen.Routerd_Session) {
			w.out = append(w.out, Object{Kind: Session, Name: key})
		})
	}
	if covers(all, name, "instance") {
		each(w.dev.Instance, first, "name", func(key string, i *gen.Routerd_Instance) { w.instance(key, i, rest) })
		if key, ok := exactKey(first, "name"); (!ok || key == DefaultInstance) && w.dev.Instance[DefaultInstance] == nil {
			w.out = append(w.out, Object{Kind: Instance, Instance: DefaultInstance})
		}
	}
	if covers(all, name, "prefix-list") {
		named(w, PrefixList, w.dev.PrefixList, first)
	}
	if covers(all, name, "policer") {
		named(w, Policer, w.dev.Policer, first)
	}
	if covers(all, name, "filter") {
		named(w, Filter, w.dev.Filter, first)
	}
	if covers(all, name, "user") {
		named(w, User, w.dev.User, first)
	}
	if covers(all, name, "role") {
		named(w, Role, w.dev.Role, first)
	}
	if covers(all, name, "log-server") {
		named(w, LogServer, w.dev.LogServer, first)
	}
}

func (w *walker) device(key string, d *gen.Routerd_Interface, elems []*gpb.PathElem) {
	// A change below an entry can have made the entry itself.
	w.once(Object{Kind: Device, Device: key})
	name, first, _, all := at(elems)
	if d != nil && covers(all, name, "unit") {
		each(d.Unit, first, "id", func(id string, _ *gen.Routerd_Interface_Unit) {
			w.out = append(w.out, Object{Kind: Unit, Device: key, Unit: id})
		})
	}
}

func (w *walker) instance(key string, i *gen.Routerd_Instance, elems []*gpb.PathElem) {
	w.once(Object{Kind: Instance, Instance: key})
	name, first, _, all := at(elems)
	if i != nil && covers(all, name, "static-route") {
		each(i.StaticRoute, first, "prefix", func(prefix string, _ *gen.Routerd_Instance_StaticRoute) {
			w.once(Object{Kind: Static, Instance: key, Prefix: prefix})
		})
	}
	if i != nil && covers(all, name, "multicast-route") {
		w.multicast(key, i, first)
	}
}

// named adds the objects of a list at the root that has a name for its key.
func named[V any](w *walker, kind Kind, list map[string]V, elem *gpb.PathElem) {
	each(list, elem, "name", func(name string, _ V) { w.out = append(w.out, Object{Kind: kind, Name: name}) })
}

// exactKey is the value of a key in elem; ok is false for none and for "*".
func exactKey(elem *gpb.PathElem, key string) (value string, ok bool) {
	value, ok = elem.GetKey()[key]
	return value, ok && value != "*"
}

// each calls f for the entries that elem selects: one, without a walk through
// the others, when the key is given.
func each[V any](list map[string]V, elem *gpb.PathElem, key string, f func(string, V)) {
	if value, ok := exactKey(elem, key); ok {
		if entry, ok := list[value]; ok {
			f(value, entry)
		}
		return
	}
	for value, entry := range list {
		f(value, entry)
	}
}

// staticKey is the key of a Static object; ok is false when its prefix isn't the
// canonical spelling of one without host bits, so that no object has another's key.
func (o Object) staticKey() (k StaticKey, ok bool) {
	p, err := netip.ParsePrefix(o.Prefix)
	if err != nil || p != p.Masked() || p.String() != o.Prefix {
		return StaticKey{}, false
	}
	return StaticKey{Instance: o.Instance, Prefix: p}, true
}
