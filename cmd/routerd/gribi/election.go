package gribi

import (
	"fmt"

	spb "github.com/openconfig/gribi/v1/proto/service"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// A uint128 is an election id. The zero value is none.
type uint128 struct{ high, low uint64 }

func idOf(m *spb.Uint128) uint128 { return uint128{m.GetHigh(), m.GetLow()} }

func (u uint128) message() *spb.Uint128 { return &spb.Uint128{High: u.high, Low: u.low} }

func (u uint128) zero() bool { return u == uint128{} }

func (u uint128) less(o uint128) bool { return u.high < o.high || u.high == o.high && u.low < o.low }

func (u uint128) String() string { return fmt.Sprintf("%d:%d", u.high, u.low) }

// params are what a client negotiates (specification, 4.1.1). The zero value is
// the default.
type params struct {
	single   bool // SINGLE_PRIMARY
	preserve bool // PRESERVE
	fib      bool // RIB_AND_FIB_ACK
}

// parseParams refuses values that nobody knows, and entries that outlive their
// clients where clients are counted.
func parseParams(m *spb.SessionParameters) (p params, err error) {
	unsupported := func(format string, args ...any) error {
		return modifyError(codes.Unimplemented, spb.ModifyRPCErrorDetails_UNSUPPORTED_PARAMS, format, args...)
	}
	switch m.GetRedundancy() {
	case spb.SessionParameters_ALL_PRIMARY:
	case spb.SessionParameters_SINGLE_PRIMARY:
		p.single = true
	default:
		return p, unsupported("redundancy %v is not known", m.GetRedundancy())
	}
	switch m.GetPersistence() {
	case spb.SessionParameters_DELETE:
	case spb.SessionParameters_PRESERVE:
		p.preserve = true
	default:
		return p, unsupported("persistence %v is not known", m.GetPersistence())
	}
	switch m.GetAckType() {
	case spb.SessionParameters_RIB_ACK:
	case spb.SessionParameters_RIB_AND_FIB_ACK:
		p.fib = true
	default:
		return p, unsupported("ack_type %v is not known", m.GetAckType())
	}
	if !p.single && p.preserve {
		return p, unsupported("ALL_PRIMARY counts the clients of an entry: it goes with DELETE only")
	}
	return p, nil
}

// An election is what the server knows of the clients' election. Server.mu
// guards it.
type election struct {
	known   bool // a client has negotiated
	single  bool // the mode of the clients, or of the last ones
	highest uint128
	primary *client
}

// announce notes that c has won election id, as it says, and reports whether that
// makes another client primary. Ids that don't grow are passed over (4.1.2).
func (e *election) announce(c *client, id uint128) (changed bool) {
	if id.less(c.election) {
		return false
	}
	c.election = id
	if id.less(e.highest) {
		return false
	}
	// Of equals the newer one (4.1.4.1).
	changed = e.primary != c
	e.highest, e.primary = id, c
	return changed
}

// may says why an operation of c that carries id is not carried out; nil when
// it is.
func (e *election) may(c *client, id uint128) error {
	switch {
	case !c.params.single:
		return nil
	case c.election.zero():
		return fmt.Errorf("this client has announced no election id")
	case id != c.election:
		return fmt.Errorf("election id %v is not %v, which this client has announced last", id, c.election)
	case e.primary != c:
		return fmt.Errorf("this client with election id %v is not the primary: the highest known is %v", c.election, e.highest)
	}
	return nil
}

// modifyError is an error that ends a Modify call.
func modifyError(code codes.Code, reason spb.ModifyRPCErrorDetails_Reason, format string, args ...any) error {
	return detailed(code, &spb.ModifyRPCErrorDetails{Reason: reason}, format, args...)
}

func detailed(code codes.Code, detail protoadapt.MessageV1, format string, args ...any) error {
	st := status.New(code, fmt.Sprintf(format, args...))
	if with, err := st.WithDetails(detail); err == nil {
		st = with
	}
	return st.Err()
}
