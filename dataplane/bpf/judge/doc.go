// Package judge is the filters of the fast path in an XDP program of their own, to be
// tested and measured by running it with packets of the caller's.
package judge
