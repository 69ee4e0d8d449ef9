package datastore

import (
	"router/cmd/routerd/datastore/marks"
	"router/cmd/routerd/datastore/tree"
)

// keepSecrets puts the secrets of the running configuration in place of
// [tree.Hidden], so that what was read can be written back. s.mu is held.
func (s *Store) keepSecrets(ops []tree.Op) []tree.Op {
	if len(ops) == 0 {
		return ops
	}
	return s.schema.KeepSecrets(ops, func(p tree.Path) (secret string, ok bool) {
		w := tree.Walker{Schema: s.schema, Config: s.running, Filter: tree.ConfigOnly, Leaf: func(l tree.LeafValue) error {
			secret, ok = l.Value.Typed().GetStringVal(), true
			return nil
		}}
		if err := w.Walk(p); err != nil {
			return "", false
		}
		if !ok {
			return marks.Secret(s.running, p)
		}
		return secret, ok
	})
}
