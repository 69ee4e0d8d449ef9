package models

import (
	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// An ApplyStatus says whether what was declared of an object is in place. The
// set is closed.
type ApplyStatus uint8

// The statuses.
const (
	Applied      ApplyStatus = iota // it is in place
	ApplyPending                    // it waits for something that isn't there yet
	ApplyError                      // it could not be put in place, and is tried again
)

func (s ApplyStatus) String() string {
	switch s {
	case Applied:
		return "applied"
	case ApplyPending:
		return "pending"
	case ApplyError:
		return "error"
	}
	return "apply-status(" + uintText(uint64(s)) + ")"
}

// An ApplyState says of an object whether it is in place. The zero value says that it is.
type ApplyState struct {
	Status  ApplyStatus
	Reason  string // empty when it is in place
	Retries uint32 // failed attempts; of devices
}

// Unapplied is an object, or a part of one, that is not in place.
type Unapplied struct {
	Path string
	ApplyState
}

// FamilyPath is the path of a family of a unit.
func FamilyPath(unit Object, family string) string {
	return keyed(unit.Path(), "family", "type", family)
}

func applyStatus(s ApplyStatus) gen.E_RouterdTypes_ApplyStatus {
	switch s {
	case Applied:
		return gen.RouterdTypes_ApplyStatus_applied
	case ApplyPending:
		return gen.RouterdTypes_ApplyStatus_pending
	case ApplyError:
		return gen.RouterdTypes_ApplyStatus_error
	}
	return gen.RouterdTypes_ApplyStatus_UNSET
}

func retries(s ApplyState) *uint32 { return ygot.Uint32(s.Retries) }
