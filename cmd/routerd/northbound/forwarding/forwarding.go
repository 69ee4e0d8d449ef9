// Package forwarding answers the calls of routerd.v1.Forwarding (forwarding.proto):
// what the packet path would do with a packet.
//
// Invariant: it changes nothing. What it tells is what the dataplane itself decided.
package forwarding

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/control"
	"router/cmd/routerd/northbound"
	"router/dataplane/packet"
	"router/gen/configpb"
)

// A Tracer says what would become of a packet. The error is a *control.ProbeError.
type Tracer interface {
	Path(control.PathRequest) (control.Path, error)
}

// A Service is routerd.v1.Forwarding. Its methods are safe for concurrent use.
type Service struct {
	configpb.UnimplementedForwardingServer
	tracer Tracer
	may    func(ctx context.Context, names ...string) error
}

// New makes the service.
func New(t Tracer) *Service {
	return &Service{tracer: t, may: func(context.Context, ...string) error { return nil }}
}

// Guard sets who says by an error that a caller may not read what stands below nodes
// of the model's root, before the first call.
func (s *Service) Guard(may func(ctx context.Context, names ...string) error) { s.may = may }

// tellsOf is what an answer tells of.
var tellsOf = []string{"interface", "instance", "filter", "policer", "prefix-list", "session", "local-class"}

// Register makes a server answer the calls.
func (s *Service) Register(g grpc.ServiceRegistrar) { configpb.RegisterForwardingServer(g, s) }

// What a packet is like where the request doesn't say.
const (
	defaultTTL     = 64
	defaultSize    = 64
	defaultSrcPort = 49152 // the first of the dynamic ones (RFC 6335, 6)
	defaultTCP     = 80
	defaultUDP     = 33434 // that of traceroute
)

// Path implements routerd.v1.Forwarding.
func (s *Service) Path(ctx context.Context, req *configpb.PathRequest) (*configpb.PathResponse, error) {
	northbound.Note(ctx, "to "+req.GetDestination())
	if err := s.may(ctx, tellsOf...); err != nil {
		return nil, err
	}
	q, err := request(req)
	if err != nil {
		return nil, err
	}
	p, err := s.tracer.Path(q)
	if err != nil {
		return nil, pathStatus(err)
	}
	return response(&p), nil
}

func request(req *configpb.PathRequest) (q control.PathRequest, err error) {
	q = control.PathRequest{
		Unit: req.GetInterface(), Instance: req.GetInstance(), TTL: defaultTTL, Size: defaultSize, DontFragment: req.GetDontFragment(),
	}
	if q.Destination, err = address("destination", req.GetDestination()); err != nil {
		return q, err
	}
	if req.GetSource() != "" {
		if q.Source, err = address("source", req.GetSource()); err != nil {
			return q, err
		}
	}
	for _, f := range []struct {
		name  string
		value uint32
		max   uint32
	}{
		{"protocol", req.GetProtocol(), 255}, {"source_port", req.GetSourcePort(), 0xffff}, {"port", req.GetPort(), 0xffff},
		{"ttl", req.GetTtl(), 255}, {"dscp", req.GetDscp(), 63}, {"size", req.GetSize(), packet.MaxSample},
	} {
		if f.value > f.max {
			return q, failf(codes.InvalidArgument, "%s %d: want 0 to %d", f.name, f.value, f.max)
		}
	}
	q.SrcPort, q.DstPort, q.DSCP = uint16(req.GetSourcePort()), uint16(req.GetPort()), uint8(req.GetDscp())
	if req.Ttl != nil {
		q.TTL = uint8(req.GetTtl())
	}
	if req.GetSize() != 0 {
		q.Size = int(req.GetSize())
	}
	four := q.Destination.Unmap().Is4()
	switch {
	case req.Protocol != nil:
		q.Protocol = uint8(req.GetProtocol())
	case four:
		q.Protocol = packet.ProtocolICMPv4
	default:
		q.Protocol = packet.ProtocolICMPv6
	}
	return q, ports(&q)
}

// ports fills in the ports that the request leaves open, and refuses those that the
// protocol has no place for.
func ports(q *control.PathRequest) error {
	byDefault := uint16(defaultUDP)
	switch q.Protocol {
	case packet.ProtocolICMPv4, packet.ProtocolICMPv6:
		if q.SrcPort != 0 {
			return failf(codes.InvalidArgument, "source port %d: ICMP has no ports; port is its type", q.SrcPort)
		}
		if q.DstPort > 255 {
			return failf(codes.InvalidArgument, "port %d: that of ICMP is its type, 0 to 255", q.DstPort)
		}
		if q.DstPort == 0 {
			q.DstPort = packet.ICMPv4Echo
			if q.Protocol == packet.ProtocolICMPv6 {
				q.DstPort = packet.ICMPv6Echo
			}
		}
		return nil
	case packet.ProtocolTCP:
		byDefault = defaultTCP
	case packet.ProtocolUDP, packet.ProtocolUDPLite, packet.ProtocolDCCP, packet.ProtocolSCTP:
	default:
		if q.SrcPort != 0 || q.DstPort != 0 {
			return failf(codes.InvalidArgument, "protocol %d has no ports: leave them out", q.Protocol)
		}
		return nil
	}
	if q.SrcPort == 0 {
		q.SrcPort = defaultSrcPort
	}
	if q.DstPort == 0 {
		q.DstPort = byDefault
	}
	return nil
}

func address(what, text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, failf(codes.InvalidArgument, "%s %q: want an IPv4 or IPv6 address", what, text)
	}
	if a.Zone() != "" {
		return a, failf(codes.InvalidArgument, "%s %s: leave out the zone, and name the interface", what, text)
	}
	return a, nil
}

func pathStatus(err error) error {
	var pe *control.ProbeError
	if !errors.As(err, &pe) {
		return failf(codes.Internal, "%v", err)
	}
	switch pe.Fault {
	case control.ProbeInvalid:
		return failf(codes.InvalidArgument, "%v", err)
	case control.ProbeNotFound:
		return failf(codes.NotFound, "%v", err)
	case control.ProbeNoSource, control.ProbeBusy:
	}
	return failf(codes.FailedPrecondition, "%v", err)
}

func failf(code codes.Code, format string, args ...any) error {
	return status.Error(code, fmt.Sprintf(format, args...))
}
