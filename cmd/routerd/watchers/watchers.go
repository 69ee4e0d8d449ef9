// Package watchers keeps lists of functions that want to be told of something.
package watchers

import "sync"

// A List is who watches. Its methods are safe for concurrent use, and its zero
// value is empty.
type List[T any] struct {
	mu   sync.Mutex
	fns  map[int]func(T)
	next int
}

// Add has fn called with what Tell is given, until stop is called. fn runs within
// Tell, one call at a time: it must neither wait nor use the list.
func (l *List[T]) Add(fn func(T)) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fns == nil {
		l.fns = map[int]func(T){}
	}
	id := l.next
	l.next++
	l.fns[id] = fn
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.fns, id)
	}
}

// Tell calls every function of the list.
func (l *List[T]) Tell(v T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fn := range l.fns {
		fn(v)
	}
}
