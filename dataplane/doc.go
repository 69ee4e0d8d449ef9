// Package dataplane is the user path: it receives frames from ports, decides
// about every packet, and sends.
//
// The job: worker threads that each own some queues and a pool of frame
// buffers run the pipeline parse, demux, look up, act, output. Everything a
// packet needs is found by two searches, the demux (port, tags, EtherType) and
// the route table of the ingress family's instance, and in what they point at.
// A route leads to the id of a next hop; the next hop's kind says what happens,
// knowing whether the packet was received or originated here.
//
// The invariants:
//
//   - A batch sees one snapshot of units, ports and instances. Snapshots are
//     immutable; a change publishes a new one that shares all but the path to
//     what changed.
//   - Nothing on the packet path takes a lock, allocates or logs.
//   - Every packet is accounted for: what a worker took in equals what it sent,
//     dropped with a reason, and handed to the control plane or the host; every
//     buffer is in the pool, in a queue, or in the batch.
//   - An adjacency's change is one store that all routes through it see.
//
// The sources: D. Ferguson, "Modernizing the BSD Networking Stack"; RFC 1812
// (IPv4 routers), RFC 8200 and 4291 (IPv6), RFC 792, 1191 and 4443 (ICMP). This
// path is the reference for what any faster path must do.
package dataplane
