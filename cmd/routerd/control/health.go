package control

import (
	"fmt"
	"slices"
	"strings"

	"router/intf"
)

// A Complaint is an object that does not do what it is declared to.
type Complaint struct{ Object, Reason string }

func (c Complaint) String() string { return c.Object + ": " + c.Reason }

func sortedComplaints(list []Complaint) []Complaint {
	slices.SortFunc(list, func(a, b Complaint) int { return strings.Compare(a.Object, b.Object) })
	return list
}

// InterfaceComplaints lists the devices that are declared and enabled and not up,
// or that could not be opened.
func (r *Router) InterfaceComplaints() []Complaint {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Complaint
	for _, name := range r.tree.Devices() {
		t, d := r.tree.Device(name), r.devices[name]
		switch {
		case d != nil && d.err != nil:
			list = append(list, Complaint{name, d.err.Error()})
		case t.Spec.Enabled && t.Down.Status() != intf.OperUp:
			reason := t.Reason
			if reason == "" {
				reason = t.Down.Status().String()
			}
			list = append(list, Complaint{name, reason})
		}
	}
	return sortedComplaints(list)
}

// AddressComplaints lists our addresses that another station on the link has.
func (r *Router) AddressComplaints() []Complaint {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Complaint
	r.eachFamily(func(u *unit, _ intf.Family, fam *family) {
		for _, a := range fam.addresses {
			// One that stays in use all the same has a reason as well.
			if a.reason != "" && a.status != tentative {
				list = append(list, Complaint{fmt.Sprintf("%s %s", u.key.Name(), a.spec.Prefix), a.reason})
			}
		}
	})
	return sortedComplaints(list)
}

// HostComplaints lists the families whose side in the host stack is not in place
// while they are up, and the instances whose namespaces aren't.
func (r *Router) HostComplaints() []Complaint {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Complaint
	r.eachFamily(func(u *unit, f intf.Family, fam *family) {
		if s, ok := r.host.Status(u.index, f); ok && s.Reason != "" && fam.up {
			list = append(list, Complaint{fmt.Sprintf("%s %s", u.key.Name(), f), s.Reason})
		}
	})
	for name, in := range r.instances {
		if in.reason != "" {
			list = append(list, Complaint{"instance " + name, in.reason})
		}
	}
	return sortedComplaints(list)
}

// eachFamily visits the families of all units. The caller holds mu.
func (r *Router) eachFamily(visit func(*unit, intf.Family, *family)) {
	for _, u := range r.units {
		for _, f := range intf.Families {
			if fam := u.families[f]; fam != nil {
				visit(u, f, fam)
			}
		}
	}
}
