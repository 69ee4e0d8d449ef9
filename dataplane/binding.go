package dataplane

import "router/dataplane/filter"

// A hookSet says at which hooks a family has a filter: a bit for each.
type hookSet uint8

func hooksOf(f *UnitFamily) (s hookSet) {
	for h, b := range f.Filters {
		if b != nil {
			s |= 1 << h
		}
	}
	return s
}

func (s hookSet) has(h filter.Hook) bool { return s>>h&1 != 0 }

// Filters is what the engine's filters are made and bound with. Its Worker method is
// the engine's own to call. What Bind returns takes effect in a UnitFamily.
func (e *Engine) Filters() *filter.Table { return e.filters }
