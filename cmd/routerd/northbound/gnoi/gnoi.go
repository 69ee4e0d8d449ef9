// Package gnoi answers the operational calls of gNOI (openconfig/gnoi v0.6.0)
// beside gNMI, on the same listeners: what is done with a router once, and is no
// configuration.
//
// Invariant: what a call begins ends with it. A client that goes away, or that
// asks for too much, leaves nothing running behind it.
package gnoi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/openconfig/gnoi/cert"
	gfile "github.com/openconfig/gnoi/file"
	"github.com/openconfig/gnoi/healthz"
	"github.com/openconfig/gnoi/system"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/control"
	"router/cmd/routerd/health"
	"router/dataplane"
)

// A Probe sends packets through the dataplane, and gets their answers.
type Probe interface {
	Send(seq uint16, ttl uint8, size int) error
	Receive(ctx context.Context) (dataplane.ProbeAnswer, error)
	Close()
}

// A Prober begins probes. The address is the one that the probe comes from; an
// error is a *control.ProbeError.
type Prober interface {
	StartProbe(control.ProbeRequest) (Probe, netip.Addr, error)
}

// Options say how the services are made.
type Options struct {
	Prober    Prober
	Restarter Restarter
	Health    *health.Monitor
	// Directories are those whose files clients may get.
	Directories []Directory
	// Certificates is the router's certificate; nil for no certificate management.
	// What gNOI has to
	// remember of it is kept in StateDir.
	Certificates Certificates
	StateDir     string
	Log          *slog.Logger // nil for none
}

// Services are the gNOI services of a router. Their methods are safe for
// concurrent use.
type Services struct {
	system systemService
	file   fileService
	cert   certService
	health healthzService
	life   *life
}

// New makes the services.
func New(o Options) *Services {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := newLife()
	s := &Services{
		life:   l,
		health: healthzService{monitor: o.Health, log: o.Log},
		cert:   certService{certificates: o.Certificates, dir: o.StateDir, log: o.Log, life: l, now: time.Now},
		file:   fileService{directories: o.Directories, log: o.Log, life: l},
		system: systemService{prober: o.Prober, restarter: o.Restarter, log: o.Log, lookup: resolver{}, now: time.Now, life: l},
	}
	s.cert.open()
	return s
}

// Register makes a server answer the calls.
func (s *Services) Register(g grpc.ServiceRegistrar) {
	system.RegisterSystemServer(g, &s.system)
	gfile.RegisterFileServer(g, &s.file)
	healthz.RegisterHealthzServer(g, &s.health)
	if s.cert.certificates != nil {
		cert.RegisterCertificateManagementServer(g, &s.cert)
	}
}

// Stop ends the streams that are open, as those of clients that go away do.
func (s *Services) Stop() { s.life.end() }

// A life ends the calls that would go on for long when the router stops.
type life struct {
	ctx context.Context
	end context.CancelFunc
}

func newLife() *life {
	ctx, end := context.WithCancel(context.Background())
	return &life{ctx, end}
}

// of is the context of a stream, which ends with the router too. release lets it go.
func (l *life) of(stream grpc.ServerStream) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(stream.Context())
	stop := context.AfterFunc(l.ctx, func() { cancel(errStopping) })
	return ctx, func() { stop(); cancel(nil) }
}

var errStopping = errors.New("the router stops or restarts")

// ended is the status of a stream whose context has.
func ended(ctx context.Context) error {
	if errors.Is(context.Cause(ctx), errStopping) {
		return failf(codes.Unavailable, "%v", errStopping)
	}
	return status.FromContextError(ctx.Err()).Err()
}

func failf(code codes.Code, format string, args ...any) error {
	return status.Error(code, fmt.Sprintf(format, args...))
}

// A systemService is gnoi.system.System.
type systemService struct {
	system.UnimplementedSystemServer
	prober    Prober
	restarter Restarter
	lookup    lookup
	life      *life
	log       *slog.Logger
	now       func() time.Time
}

// Time implements gNOI's Time.
func (s *systemService) Time(context.Context, *system.TimeRequest) (*system.TimeResponse, error) {
	return &system.TimeResponse{Time: uint64(s.now().UnixNano())}, nil
}

// SetPackage implements gNOI's SetPackage: the router is a program that the
// machine's packages bring along.
func (s *systemService) SetPackage(system.System_SetPackageServer) error {
	return failf(codes.Unimplemented, "SetPackage: routerd does not install software: use the machine's package manager, then Reboot to run the new version")
}

// SwitchControlProcessor implements gNOI's SwitchControlProcessor.
func (s *systemService) SwitchControlProcessor(context.Context, *system.SwitchControlProcessorRequest) (*system.SwitchControlProcessorResponse, error) {
	return nil, failf(codes.Unimplemented, "SwitchControlProcessor: the router has one control processor, which is active")
}

// probeStatus is the status of a probe that was not begun.
func probeStatus(err error) error {
	var pe *control.ProbeError
	if !errors.As(err, &pe) {
		return failf(codes.Internal, "%v", err)
	}
	code := codes.Internal
	switch pe.Fault {
	case control.ProbeInvalid:
		code = codes.InvalidArgument
	case control.ProbeNotFound:
		code = codes.NotFound
	case control.ProbeNoSource:
		code = codes.FailedPrecondition
	case control.ProbeBusy:
		code = codes.ResourceExhausted
	}
	return failf(code, "%v", err)
}
