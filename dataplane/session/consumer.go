package session

import "fmt"

// A Consumer says what becomes of a packet for the router itself. It is a closed
// set.
type Consumer uint8

// The consumers. Whatever an entry says, ARP and neighbour discovery are the
// control plane's or are dropped: the host stack takes no part in them.
const (
	ToHost    Consumer = iota // the host stack, by a TAP
	ToRouter                  // the router: ARP, neighbour discovery, echo requests; else as ToHost
	ToKernel                  // the kernel, which gets it before us on a shared device; else as ToHost
	ToReject                  // an answer that nobody is here
	ToDiscard                 // nobody
)

// String is the consumer's name in the model.
func (c Consumer) String() string {
	switch c {
	case ToHost:
		return "host"
	case ToRouter:
		return "router"
	case ToKernel:
		return "kernel"
	case ToReject:
		return "reject"
	case ToDiscard:
		return "discard"
	}
	return fmt.Sprintf("consumer(%d)", uint8(c))
}
