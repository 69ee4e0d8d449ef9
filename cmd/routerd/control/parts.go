package control

import (
	"net/netip"
	"time"

	"router/intf"
	"router/models"
)

// This file says of the parts of a unit, its families and addresses, whether they are in
// place. Only of those that are not it is kept since when.

// A part is a family of a unit, or with a valid prefix an address there.
type part struct {
	family intf.Family
	prefix netip.Prefix
}

// familyApply is that of a family, whose unit has that of unit.
func familyApply(t *intf.UnitFamily, unit models.ApplyState, hostReason string) models.ApplyState {
	switch {
	case unit.Status != models.Applied:
		return models.ApplyState{Status: models.ApplyPending, Reason: unit.Reason, Since: unit.Since}
	case hostReason != "":
		return models.ApplyState{Status: models.ApplyError, Reason: hostReason}
	}
	return pendingFor(t.Down.Status(), t.Reason, time.Time{})
}

// addressApply is that of an address, whose family has that of fam. What is disabled has
// none to be put in place.
func addressApply(a *address, t *intf.UnitFamily, fam models.ApplyState) models.ApplyState {
	switch {
	case a.usable:
		return models.ApplyState{}
	case a.status != tentative:
		return models.ApplyState{Status: models.ApplyError, Reason: a.reason}
	case t.Down&(intf.AdminDown|intf.ParentDown) != 0:
		return models.ApplyState{}
	case fam.Status != models.Applied:
		return models.ApplyState{Status: models.ApplyPending, Reason: fam.Reason, Since: fam.Since}
	case !t.Up():
		return models.ApplyState{Status: models.ApplyPending, Reason: "it waits for the link: " + t.Reason}
	}
	return models.ApplyState{Status: models.ApplyPending, Reason: "it is being checked that no other station has it", Brief: true}
}

// hostTrouble says what the host stack's side of a family lacks, empty for nothing and for
// one that is not there yet.
func (r *Router) hostTrouble(u *unit, f intf.Family) string {
	if h, ok := r.host.Status(u.index, f); ok && h.Name != "" {
		return h.Reason
	}
	return ""
}

// partSince is since when a part, whose state is s, is not in place.
func (u *unit) partSince(p part, s models.ApplyState) time.Time {
	if s.Status == models.Applied {
		return time.Time{}
	}
	if at, ok := u.lacks[p]; ok {
		return at
	}
	return s.Since
}

// noteParts takes down which parts of a unit are not in place, of one that is itself, and
// counts those that show among what isn't.
func (r *Router) noteParts(key intf.UnitKey, t *intf.Unit) {
	u := r.units[key]
	if u == nil || t == nil {
		return
	}
	var lacks map[part]time.Time
	n := 0
	note := func(p part, s models.ApplyState) {
		at, known := u.lacks[p]
		if !known {
			at = r.now()
		}
		if lacks == nil {
			lacks = make(map[part]time.Time)
		}
		lacks[p] = at
		if !s.Brief {
			n++
		}
	}
	if unit := r.unitApply(t); unit.Status == models.Applied {
		for _, f := range intf.Families {
			tf, fam := t.Family(f), u.families[f]
			if tf == nil || fam == nil {
				continue
			}
			s := familyApply(tf, unit, r.hostTrouble(u, f))
			if s.Status != models.Applied {
				note(part{family: f}, s)
				continue
			}
			for prefix, a := range fam.addresses {
				if s := addressApply(a, tf, s); s.Status != models.Applied {
					note(part{f, prefix}, s)
				}
			}
		}
	}
	u.lacks = lacks
	r.countParts(u, n)
}

// countParts has u count as n parts that are not in place.
func (r *Router) countParts(u *unit, n int) {
	if u.parts != n {
		r.parts += n - u.parts
		u.parts = n
		r.events.changed(models.Object{Kind: models.System})
	}
}
