// Package differential holds our answers against those of others: the same
// packets go through the pipeline and through the Linux kernel forwarding in a
// network namespace with the same addresses and routes, and what comes out is
// compared octet by octet. What differs has a name, and docs/differences.md says
// by which standard; a difference without a name fails.
//
// It has tests only, which need root. By default they are short enough for
// every change; DIFFERENTIAL_PACKETS sets how many packets they send.
package differential
