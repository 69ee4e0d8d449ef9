package models

import (
	"net/netip"
	"time"

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
	Reason  string    // empty when it is in place
	Retries uint32    // failed attempts
	Since   time.Time // since when it isn't in place; zero when it is, or not known
	// Brief says that it takes a moment and waits for nobody: an address is being checked.
	Brief bool
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

// AddressPath is the path of an address of the family at path.
func AddressPath(family string, p netip.Prefix) string { return addressPath(family, p.String()) }

// NextHopPath is the path of a next hop of a route, by its index.
func NextHopPath(k StaticKey, index uint8) string { return nextHopPath(k, index) }

// StaticKeyOf is the key of an object of kind Static; ok is false for any other, and for
// one whose prefix is not spelled as prefixes are.
func StaticKeyOf(o Object) (key StaticKey, ok bool) {
	if o.Kind != Static {
		return StaticKey{}, false
	}
	return o.staticKey()
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

// leaves are the values of the grouping apply-state. Attempts are left out where none has
// failed.
func (s ApplyState) leaves() (status gen.E_RouterdTypes_ApplyStatus, reason *string, retries *uint32, since *uint64) {
	if s.Retries > 0 {
		retries = ygot.Uint32(s.Retries)
	}
	return applyStatus(s.Status), text(s.Reason), retries, moment(s.Since)
}

// FillApply writes whether an object is in place into its state, and makes its entry and
// its state where there are none yet: so what could not be put in place at all shows, too. It
// has nothing to say of devices, units, families and instances, whose own Fill functions do that,
// nor of what isn't declared.
func FillApply(dst *gen.Device, o Object, s ApplyState) {
	switch o.Kind {
	case System:
		st := dst.GetOrCreateSystem().GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
	case GRIBI:
		st := dst.GetOrCreateGribi().GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
	case Static:
		st := dst.GetOrCreateInstance(o.Instance).GetOrCreateStaticRoute(o.Prefix).GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
		st.Prefix = ygot.String(o.Prefix)
	case Multicast:
		st := dst.GetOrCreateInstance(o.Instance).GetOrCreateMulticastRoute(o.Group, o.Source).GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
		st.Group, st.Source = ygot.String(o.Group), ygot.String(o.Source)
	case Class:
		st := dst.GetOrCreateLocalClass(o.Name).GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
		st.Name = ygot.String(o.Name)
	case Session:
		st := dst.GetOrCreateSession(o.Name).GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
		st.Name = ygot.String(o.Name)
	case PrefixList:
		st := dst.GetOrCreatePrefixList(o.Name).GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
		st.Name = ygot.String(o.Name)
	case Policer:
		st := dst.GetOrCreatePolicer(o.Name).GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
		st.Name = ygot.String(o.Name)
	case Filter:
		st := dst.GetOrCreateFilter(o.Name).GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
		st.Name = ygot.String(o.Name)
	case User:
		st := dst.GetOrCreateUser(o.Name).GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
	case Role:
		st := dst.GetOrCreateRole(o.Name).GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
	case LogServer:
		st := dst.GetOrCreateLogServer(o.Name).GetOrCreateState()
		st.ApplyStatus, st.ApplyReason, st.ApplyRetries, st.ApplySince = s.leaves()
	case Device, Unit, Instance, FilterLog, Audit:
	}
}
