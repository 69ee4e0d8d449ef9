package northbound

import (
	"context"
	"fmt"
	"sync"

	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An electionID tells which of the replicas of one client is newer: 128 bits,
// the newest is the greatest.
type electionID struct{ high, low uint64 }

func (e electionID) less(than electionID) bool {
	return e.high < than.high || e.high == than.high && e.low < than.low
}

func (e electionID) String() string { return fmt.Sprintf("{high:%d low:%d}", e.high, e.low) }

// A mastership is the greatest election id that a role has shown. turn is held,
// by a token in it, while a Set of the role is under way: what an older
// master began is over, one way or the other, before a newer one is answered.
type mastership struct {
	turn chan struct{}
	id   electionID
	any  bool
}

// maxRoles bounds what clients can make the server remember.
const maxRoles = 1024

// masters holds the mastership of each role (gNMI master arbitration,
// sections 1 to 3). It lives as long as the process. The zero value is empty; it
// is safe for concurrent use.
type masters struct {
	mu    sync.Mutex
	roles map[string]*mastership
}

// take admits a Set that carries a, or doesn't (nil). done ends the Set's turn. The
// errors are statuses.
func (m *masters) take(ctx context.Context, a *gnmi_ext.MasterArbitration) (done func(), err error) {
	if a == nil {
		return func() {}, nil
	}
	if a.GetElectionId() == nil {
		return nil, failf(codes.InvalidArgument, "extension master_arbitration needs its election_id")
	}
	id := electionID{a.GetElectionId().GetHigh(), a.GetElectionId().GetLow()}
	role := a.GetRole().GetId() // "" is the default role
	s, err := m.of(role)
	if err != nil {
		return nil, err
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	if s.any && id.less(s.id) {
		<-s.turn
		return nil, failf(codes.PermissionDenied, "election_id %v is not the master of role %q: the greatest one seen is %v", id, role, s.id)
	}
	s.id, s.any = id, true
	return func() { <-s.turn }, nil
}

func (m *masters) of(role string) (*mastership, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.roles[role]
	if s != nil {
		return s, nil
	}
	if len(m.roles) >= maxRoles {
		return nil, failf(codes.ResourceExhausted, "role %q: %d roles are known already, which is the most: use one of them", role, maxRoles)
	}
	if m.roles == nil {
		m.roles = make(map[string]*mastership)
	}
	s = &mastership{turn: make(chan struct{}, 1)}
	m.roles[role] = s
	return s, nil
}
