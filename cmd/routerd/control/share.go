package control

import (
	"maps"
	"net/netip"
	"slices"

	"router/dataplane/bpf"
	"router/dataplane/session"
	"router/intf"
	"router/models"
)

// share has the sessions decide which packets to the addresses of u, which takes
// the untagged frames of a shared device, are the kernel's. An address is shared
// when the kernel could answer for it: it has it on the device, or by the TAP in
// its own namespace. Without a session that wants it nothing is shared, and what
// the kernel has is its own.
func (r *Router) share(claim *bpf.Claim, u *intf.Unit) {
	if r.policy.kernel == 0 {
		return
	}
	var shared []netip.Addr
	for _, f := range u.Spec.Families {
		for _, a := range f.Addresses {
			addr := a.Prefix.Addr()
			if slices.Contains(claim.Kernel, addr) || r.namespace(f.Instance) == "" {
				shared = append(shared, addr)
			}
		}
	}
	if len(shared) == 0 {
		return
	}
	claim.Shared = shared
	claim.Kernel = slices.DeleteFunc(claim.Kernel, func(a netip.Addr) bool { return slices.Contains(shared, a) })
	for _, name := range slices.Sorted(maps.Keys(r.policy.sessions)) {
		if s := r.policy.sessions[name]; s.want != nil && s.applied {
			if x, ok := sessionAt(*s.want, u); ok {
				claim.Sessions = append(claim.Sessions, x)
			}
		}
	}
	slices.SortStableFunc(claim.Sessions, func(a, b bpf.Session) int { return a.Shape.Compare(b.Shape) })
}

// sessionAt is a session as it concerns packets that come in by u; ok is false
// when it concerns none.
func sessionAt(s models.SessionSpec, u *intf.Unit) (x bpf.Session, ok bool) {
	m := s.Match
	if m.Fields&session.HasIfIndex != 0 && m.Unit != u.Spec.Key || m.Fields&session.HasProtocol != 0 && m.Protocol == session.ARP {
		return x, false
	}
	x = bpf.Session{Match: m.Match, Shape: m.Match.Shape(), Kernel: s.Consumer == session.ToKernel}
	for _, f := range u.Spec.Families {
		here := m.Fields&session.HasInstance == 0 || m.InstanceName == f.Instance
		switch f.Family {
		case intf.Inet:
			x.Inet = here
		case intf.Inet6:
			x.Inet6 = here
		}
	}
	return x, x.Inet || x.Inet6
}

// shareAnew has all shared devices follow the sessions, when some have changed
// and the kernel has or had a part in them.
func (r *Router) shareAnew() error {
	had := r.policy.kernel
	r.policy.kernel = 0
	for _, s := range r.policy.sessions {
		if s.want != nil && s.want.Consumer == session.ToKernel {
			r.policy.kernel++
		}
	}
	if had == 0 && r.policy.kernel == 0 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.devices)) {
		if err := r.reclaim(name); err != nil {
			return err
		}
	}
	return nil
}
