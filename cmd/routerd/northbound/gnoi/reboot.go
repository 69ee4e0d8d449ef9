package gnoi

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/openconfig/gnoi/system"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/northbound"
	"router/cmd/routerd/restart"
)

// A Restarter restarts and ends the daemon.
type Restarter interface {
	// Ask orders a restart, durably; restart.ErrPending if there is an order.
	Ask(delay time.Duration, method, reason, user string) error
	// Cancel takes the order back; restart.ErrNone if there is none.
	Cancel(reason, user string) error
	Status() restart.Status
	// Ready says why a restart would lose something, or not succeed at all; then
	// hopeless is true. nil if nothing speaks against it.
	Ready() (err error, hopeless bool)
}

// Reboot implements gNOI's Reboot: a restart of routerd, in place. The methods
// are COLD and WARM, which are the same here; what the machine itself does is not
// the router's to decide.
func (s *systemService) Reboot(ctx context.Context, req *system.RebootRequest) (*system.RebootResponse, error) {
	switch req.GetMethod() {
	case system.RebootMethod_COLD, system.RebootMethod_WARM:
	case system.RebootMethod_NSF:
		return nil, failf(codes.InvalidArgument, "method NSF: forwarding stops while routerd restarts: want COLD or WARM")
	case system.RebootMethod_UNKNOWN, system.RebootMethod_POWERDOWN, system.RebootMethod_HALT, system.RebootMethod_POWERUP:
		return nil, failf(codes.InvalidArgument, "method %v: Reboot restarts routerd, not its machine: want COLD or WARM", req.GetMethod())
	default:
		return nil, failf(codes.InvalidArgument, "method %d: want COLD or WARM", req.GetMethod())
	}
	if len(req.GetSubcomponents()) > 0 {
		return nil, failf(codes.InvalidArgument, "subcomponents: routerd restarts as a whole")
	}
	if req.GetDelay() > uint64(restart.MaxDelay) {
		return nil, failf(codes.InvalidArgument, "delay %d ns: want up to %v", req.GetDelay(), restart.MaxDelay)
	}
	if err, hopeless := s.restarter.Ready(); err != nil && (hopeless || !req.GetForce()) {
		if !hopeless {
			return nil, failf(codes.FailedPrecondition, "%v; force restarts nevertheless", err)
		}
		return nil, failf(codes.FailedPrecondition, "%v", err)
	}
	user, _ := northbound.Caller(ctx)
	err := s.restarter.Ask(time.Duration(req.GetDelay()), req.GetMethod().String(), req.GetMessage(), user)
	switch {
	case errors.Is(err, restart.ErrPending):
		return nil, failf(codes.FailedPrecondition, "%v", err)
	case err != nil:
		return nil, failf(codes.Unavailable, "%v", err)
	}
	return &system.RebootResponse{}, nil
}

// CancelReboot implements gNOI's CancelReboot. That there is nothing to cancel is
// no error: the client has what it wants.
func (s *systemService) CancelReboot(ctx context.Context, req *system.CancelRebootRequest) (*system.CancelRebootResponse, error) {
	if len(req.GetSubcomponents()) > 0 {
		return nil, failf(codes.InvalidArgument, "subcomponents: routerd restarts as a whole")
	}
	user, _ := northbound.Caller(ctx)
	if err := s.restarter.Cancel(req.GetMessage(), user); err != nil && !errors.Is(err, restart.ErrNone) {
		return nil, failf(codes.Unavailable, "%v", err)
	}
	return &system.CancelRebootResponse{}, nil
}

// RebootStatus implements gNOI's RebootStatus. Without a pending restart it tells
// of the last one.
func (s *systemService) RebootStatus(_ context.Context, req *system.RebootStatusRequest) (*system.RebootStatusResponse, error) {
	if len(req.GetSubcomponents()) > 0 {
		return nil, failf(codes.InvalidArgument, "subcomponents: routerd restarts as a whole")
	}
	st := s.restarter.Status()
	r := &system.RebootStatusResponse{Count: st.Count}
	order := st.Pending
	if order == nil {
		if order = st.Last; order == nil {
			return r, nil
		}
		r.Status = &system.RebootStatus{Status: system.RebootStatus_STATUS_SUCCESS, Message: "routerd has been restarted"}
	} else {
		r.Active = true
		r.Wait = uint64(max(0, order.When.Sub(s.now())))
	}
	r.When, r.Reason = uint64(order.When.UnixNano()), order.Reason
	r.Method = system.RebootMethod(system.RebootMethod_value[order.Method])
	return r, nil
}

// KillProcess implements gNOI's KillProcess, for routerd itself: nothing else on
// the machine is the router's.
func (s *systemService) KillProcess(ctx context.Context, req *system.KillProcessRequest) (*system.KillProcessResponse, error) {
	own, name := uint32(min(os.Getpid(), math.MaxInt32)), filepath.Base(os.Args[0])
	switch {
	case req.GetPid() == 0 && req.GetName() == "":
		return nil, failf(codes.InvalidArgument, "want the number or the name of a process")
	case req.GetPid() != 0 && req.GetPid() != own:
		return nil, failf(codes.PermissionDenied, "process %d is not routerd (%d), and only routerd is the router's to end", req.GetPid(), own)
	case req.GetName() != "" && req.GetName() != name:
		return nil, failf(codes.PermissionDenied, "process %s is not %s, and only that is the router's to end", req.GetName(), name)
	}
	var sig syscall.Signal
	switch req.GetSignal() {
	case system.KillProcessRequest_SIGNAL_TERM:
		sig = syscall.SIGTERM
	case system.KillProcessRequest_SIGNAL_KILL:
		sig = syscall.SIGKILL
	case system.KillProcessRequest_SIGNAL_ABRT:
		sig = syscall.SIGABRT
	case system.KillProcessRequest_SIGNAL_HUP:
		return nil, failf(codes.Unimplemented, "SIGNAL_HUP: routerd takes its configuration by gNMI and has nothing to read anew")
	case system.KillProcessRequest_SIGNAL_UNSPECIFIED:
		return nil, failf(codes.InvalidArgument, "signal is missing: want TERM, KILL or ABRT")
	default:
		return nil, failf(codes.InvalidArgument, "signal %d: want TERM, KILL or ABRT", req.GetSignal())
	}
	user, _ := northbound.Caller(ctx)
	if req.GetRestart() {
		if sig != syscall.SIGTERM {
			return nil, failf(codes.InvalidArgument, "signal %v with restart: a process that is killed restarts nothing: use SIGNAL_TERM, or leave the restart to what watches routerd", req.GetSignal())
		}
		if err, hopeless := s.restarter.Ready(); hopeless {
			return nil, failf(codes.FailedPrecondition, "%v", err)
		}
		err := s.restarter.Ask(0, system.RebootMethod_WARM.String(), "KillProcess", user)
		if errors.Is(err, restart.ErrPending) {
			return nil, failf(codes.FailedPrecondition, "%v", err)
		}
		if err != nil {
			return nil, failf(codes.Unavailable, "%v", err)
		}
		return &system.KillProcessResponse{}, nil
	}
	s.log.Warn("the daemon is ended by a client", "signal", sig.String(), "user", user)
	// The answer goes out first; SIGTERM waits for calls that are under way anyway.
	time.AfterFunc(killDelay, func() { _ = syscall.Kill(os.Getpid(), sig) })
	return &system.KillProcessResponse{}, nil
}

// killDelay lets the answer to KillProcess reach the client.
const killDelay = 100 * time.Millisecond
