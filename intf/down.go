package intf

import (
	"fmt"
	"strings"
)

// Down says why a device, a unit or a family is down: a set of flags, its own
// and those collected from everything above it. Empty means up.
type Down uint16

const (
	AdminDown   Down = 1 << iota // disabled by configuration
	ParentDown                   // something above is disabled by configuration
	Absent                       // the device isn't there
	LinkDown                     // the device has no carrier
	NoParent                     // the device or unit above is not configured
	BadTags                      // more than two tags, or an inner tag without an outer one
	MRUTooSmall                  // the MTU doesn't fit the MRU less the L2 overhead
	MTUTooSmall                  // the MTU is less than the family's minimum
)

// downNames are in the order of the bits.
var downNames = [...]string{
	"disabled", "parent disabled", "device absent", "link down",
	"no parent", "bad tags", "mru too small", "mtu too small",
}

// String lists the flags, "up" when there are none.
func (d Down) String() string {
	if d == 0 {
		return "up"
	}
	var b strings.Builder
	for i, name := range downNames {
		if d&(1<<i) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
	}
	return b.String()
}

// inherited is what a child takes over from a parent that is down for d: the
// same flags, only that the parent's own switch is not the child's.
func (d Down) inherited() Down {
	if d&AdminDown != 0 {
		d = d&^AdminDown | ParentDown
	}
	return d
}

// An OperStatus is the condition of a device, a unit or a family.
type OperStatus uint8

const (
	OperUp      OperStatus = iota // ready to pass packets
	OperDown                      // in place, but not passing packets
	OperPending                   // waits for something that isn't there: the device, a parent
)

func (s OperStatus) String() string {
	switch s {
	case OperUp:
		return "up"
	case OperDown:
		return "down"
	case OperPending:
		return "pending"
	}
	return fmt.Sprintf("oper-status(%d)", uint8(s))
}

// Status is the condition that the flags amount to.
func (d Down) Status() OperStatus {
	switch {
	case d == 0:
		return OperUp
	case d&(Absent|NoParent) != 0:
		return OperPending
	}
	return OperDown
}
