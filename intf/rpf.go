package intf

import "fmt"

// An RPFCheck says how a family checks the sources of what it receives against
// the routes back to them (RFC 3704). The set is closed.
type RPFCheck uint8

// The checks.
const (
	RPFNone     RPFCheck = iota // none
	RPFLoose                    // some route leads there (2.4)
	RPFStrict                   // the best route leads back through the unit (2.2)
	RPFFeasible                 // any route of the best route's prefix does (2.3; RFC 8704, 2.3)
)

func (c RPFCheck) String() string {
	switch c {
	case RPFNone:
		return "none"
	case RPFLoose:
		return "loose"
	case RPFStrict:
		return "strict"
	case RPFFeasible:
		return "feasible"
	}
	return fmt.Sprintf("rpf-check(%d)", uint8(c))
}
