package driver

import (
	"fmt"
	"strings"

	"router/intf"
)

// An Option is one way to exchange frames with a device.
type Option struct {
	Driver   intf.Driver // DriverAFXDP or DriverAFPacket
	XDP      XDPMode
	ZeroCopy bool
}

func (o Option) String() string {
	switch {
	case o.Driver == intf.DriverAFPacket:
		return o.Driver.String()
	case o.ZeroCopy:
		return fmt.Sprintf("%s %s zero-copy", o.Driver, o.XDP)
	}
	return fmt.Sprintf("%s %s copy", o.Driver, o.XDP)
}

// An XDPMode is where the XDP program that brings frames to AF_XDP runs.
type XDPMode uint8

// The modes; AF_PACKET has none.
const (
	XDPNone XDPMode = iota
	XDPNative
	XDPGeneric
)

func (m XDPMode) String() string {
	switch m {
	case XDPNone:
		return "none"
	case XDPNative:
		return "native"
	case XDPGeneric:
		return "generic"
	}
	return fmt.Sprintf("xdp-mode(%d)", uint8(m))
}

// Checksum says what the transport checksums of received frames are worth.
type Checksum uint8

const (
	// Trusted means that frames arrive as they were on a wire: a wrong
	// checksum is the sender's.
	Trusted Checksum = iota
	// Complete means that frames may come from a stack in this machine which
	// left the checksum to a device that is not there: the router completes it.
	Complete
)

func (c Checksum) String() string {
	switch c {
	case Trusted:
		return "trusted"
	case Complete:
		return "complete"
	}
	return fmt.Sprintf("checksum(%d)", uint8(c))
}

// A Rejection is an option that was tried in vain.
type Rejection struct {
	Option Option
	Err    error
}

// A Report says what Open chose and why.
type Report struct {
	Option // in use
	// Rejected are the better options, best first, and why they failed.
	Rejected []Rejection
	// QueueCount is how many queues serve the device.
	QueueCount int
	Checksum   Checksum
	// Marked says that frames whose checksum must be completed carry
	// port.PartialChecksum. Where it is false and Checksum is Complete, nothing
	// but the checksum itself tells.
	Marked bool
	// Changed are the device's features that were set otherwise until Close,
	// and Notes what could not be set and what follows from it.
	Changed map[string]bool
	Notes   []string
}

// Reason is the driver-reason of operational state: why not something better,
// in one line; empty if the best option is in use.
func (r Report) Reason() string {
	var parts []string
	for _, rejected := range r.Rejected {
		parts = append(parts, fmt.Sprintf("%s: %v", rejected.Option, rejected.Err))
	}
	parts = append(parts, r.Notes...)
	return strings.ReplaceAll(strings.Join(parts, "; "), "\n", ", ")
}
