package control

import (
	"router/cmd/routerd/reconcile"
	"router/models"
)

// wantAccess puts a user or a role in place, at once: nothing else depends on it.
// r.mu is held.
func (r *Router) wantAccess(s reconcile.Step) {
	if r.access == nil {
		return
	}
	o := models.Object{Kind: models.User, Name: s.Name}
	if s.Kind == reconcile.Role {
		r.access.SetRole(s.Name, s.New.Role)
		o.Kind = models.Role
	} else {
		r.access.SetUser(s.Name, s.New.User)
		for _, spec := range []*models.UserSpec{s.Old.User, s.New.User} {
			if spec == nil {
				continue
			}
			for _, role := range spec.Roles {
				// It counts its users.
				r.events.changed(models.Object{Kind: models.Role, Name: role})
			}
		}
	}
	r.events.changed(o)
	r.events.changed(models.Object{Kind: models.System})
}
