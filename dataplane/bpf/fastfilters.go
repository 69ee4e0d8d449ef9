package bpf

import (
	"errors"

	"router/dataplane/bpf/filters"
	"router/dataplane/filter"
)

// HoldFilter puts a filter where programs find it, and returns its place there, which is
// for the record of a unit or a neighbour, until as many calls of ReleaseFilter have been made
// as of HoldFilter. Where there is no room, or no form of the filter, that is
// filters.Ask: the user path judges. With the first filter the programs of all
// devices are exchanged for those that judge.
func (f *Fast) HoldFilter(b *filter.Bound) (place uint32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		place, err := f.filters.Hold(b)
		if err == nil {
			if !f.filtering && place != filters.Ask {
				f.filtering = true
				f.reload()
			}
			return place
		}
		if err = f.growFilters(); err != nil {
			f.noFilters = err
			if !f.asking {
				f.asking = true
				f.config.Log.Warn("packets that meet a filter take the user path for want of room in the fast path", "err", err)
			}
			return filters.Ask
		}
	}
}

// growFilters makes room for more filters. Counts go on in new memory.
func (f *Fast) growFilters() error {
	if err := f.filters.Grow(); err != nil {
		return err
	}
	f.reload()
	// Until then programs that started before count in the old memory.
	return errors.Join(f.grace.wait(), f.filters.Settle())
}

// ReleaseFilter undoes one HoldFilter. No record has the filter's place any more.
func (f *Fast) ReleaseFilter(b *filter.Bound) { f.filters.Release(b) }

// FilterReason says why the user path judges what meets a filter; nil if it does not.
func (f *Fast) FilterReason(b *filter.Bound) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.filters.Held(b) {
		return f.noFilters
	}
	return f.filters.Reason(b)
}

// ReclaimFilters frees what nobody reads any more of filters, and reports whether there is more
// to be freed.
func (f *Fast) ReclaimFilters() (more bool) { return f.filters.Reclaim() }

// FilterWord is a word for a policer's bucket that programs take from too.
func (f *Fast) FilterWord() *filter.Word { return f.filters.Word() }
