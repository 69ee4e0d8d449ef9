package northbound

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/access"
	"router/cmd/routerd/datastore/tree"
	"router/gen/configpb"
	"router/intf"
	"router/models"
	"router/routing"
)

// A stateService is the service State of operations.proto.
type stateService struct {
	configpb.UnimplementedStateServer
	s *Server
}

// routesAtOnce is how many prefixes a message takes; the first has fewer, so that it
// is there soon.
const (
	routesAtOnce = 256
	routesFirst  = 32
)

// A routesQuery is a checked RoutesRequest.
type routesQuery struct {
	instance  string
	families  []intf.Family
	match     configpb.RoutesRequest_Match
	prefix    netip.Prefix
	protocol  string
	source    string
	active    bool
	permanent bool
	limit     int
}

// Routes streams routes.
func (v *stateService) Routes(req *configpb.RoutesRequest, stream grpc.ServerStreamingServer[configpb.RoutesResponse]) error {
	q, err := checkRoutes(req)
	if err != nil {
		return err
	}
	if !slices.Contains(v.s.source.state.Names(models.Instance, ""), q.instance) {
		return failf(codes.NotFound, "there is no instance %s", q.instance)
	}
	for _, f := range q.families {
		if err := v.s.mayReadAll(stream.Context(), tree.Path{keyed("instance", "name", q.instance), keyed("rib", "afi", f.String())}); err != nil {
			return err
		}
	}
	out := &routeSender{stream: stream, most: routesFirst}
	for _, f := range q.families {
		if err := v.routes(stream.Context(), q, f, out); err != nil {
			return err
		}
	}
	return out.flush()
}

func checkRoutes(req *configpb.RoutesRequest) (q routesQuery, err error) {
	q = routesQuery{instance: req.GetInstance(), match: req.GetMatch(), protocol: req.GetProtocol(), source: req.GetSource(),
		active: req.GetActive(), permanent: req.GetPermanent(), limit: int(req.GetLimit()), families: slices.Clone(intf.Families[:])}
	if q.instance == "" {
		q.instance = "default"
	}
	if afi := req.GetAfi(); afi != "" {
		f, ok := familyOf(afi)
		if !ok {
			return q, failf(codes.InvalidArgument, "afi %s: want inet or inet6", afi)
		}
		q.families = []intf.Family{f}
	}
	if q.source != "" && !isSource(q.source) {
		return q, failf(codes.InvalidArgument, "source %s: the model has no such route-source", q.source)
	}
	if q.protocol != "" && !isProtocol(q.protocol) {
		return q, failf(codes.InvalidArgument, "protocol %s: the model has no such route-protocol", q.protocol)
	}
	switch q.match {
	case configpb.RoutesRequest_ALL:
		if req.GetPrefix() != "" {
			return q, failf(codes.InvalidArgument, "prefix %s: say how it is to match: exact, longest, or-longer or covering", req.GetPrefix())
		}
		return q, nil
	case configpb.RoutesRequest_EXACT, configpb.RoutesRequest_LONGEST, configpb.RoutesRequest_OR_LONGER, configpb.RoutesRequest_COVERING:
	default:
		return q, failf(codes.InvalidArgument, "match %d is unknown", q.match)
	}
	if q.prefix, err = netip.ParsePrefix(req.GetPrefix()); err != nil {
		a, err := netip.ParseAddr(req.GetPrefix())
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return q, failf(codes.InvalidArgument, "prefix %q: want a prefix such as 192.0.2.0/24, or an address", req.GetPrefix())
		}
		q.prefix = netip.PrefixFrom(a, a.BitLen())
	}
	q.prefix = q.prefix.Masked()
	f := intf.FamilyOf(q.prefix.Addr())
	if !slices.Contains(q.families, f) {
		return q, failf(codes.InvalidArgument, "prefix %v is none of afi %s", q.prefix, req.GetAfi())
	}
	q.families = []intf.Family{f}
	return q, nil
}

func isSource(name string) bool {
	for s := range routing.NumSources {
		if routing.Source(s).String() == name {
			return true
		}
	}
	return false
}

func isProtocol(name string) bool {
	for p := routing.System; p <= routing.GRIBI; p++ {
		if p.String() == name {
			return true
		}
	}
	return false
}

// routes sends the routes of one family.
func (v *stateService) routes(ctx context.Context, q routesQuery, f intf.Family, out *routeSender) error {
	ask := RouteQuery{Instance: q.instance, Family: f, Limit: routeChunk}
	switch q.match {
	case configpb.RoutesRequest_ALL:
		return v.walk(ctx, q, ask, out)
	case configpb.RoutesRequest_OR_LONGER:
		exact := ask
		exact.Prefix, ask.After = q.prefix, q.prefix
		if _, err := out.take(q, v.s.source.state.Routes(nil, exact)); err != nil {
			return err
		}
		return v.walk(ctx, q, ask, out)
	case configpb.RoutesRequest_EXACT:
		ask.Prefix = q.prefix
		_, err := out.take(q, v.s.source.state.Routes(nil, ask))
		return err
	case configpb.RoutesRequest_LONGEST, configpb.RoutesRequest_COVERING:
	}
	for bits := q.prefix.Bits(); bits >= 0 && !out.full(q); bits-- {
		ask.Prefix = netip.PrefixFrom(q.prefix.Addr(), bits).Masked()
		sent, err := out.take(q, v.s.source.state.Routes(nil, ask))
		if err != nil || sent && q.match == configpb.RoutesRequest_LONGEST {
			return err
		}
	}
	return nil
}

// walk sends all routes behind ask.After, of OR_LONGER those inside the prefix, which
// follow each other.
func (v *stateService) walk(ctx context.Context, q routesQuery, ask RouteQuery, out *routeSender) error {
	var chunk []models.RouteState
	for !out.full(q) {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk = v.s.source.state.Routes(chunk[:0], ask)
		if len(chunk) == 0 {
			return nil
		}
		ask.After = chunk[len(chunk)-1].Prefix
		for rest := chunk; len(rest) > 0 && !out.full(q); {
			n := 1
			for n < len(rest) && rest[n].Prefix == rest[0].Prefix {
				n++
			}
			if q.match == configpb.RoutesRequest_OR_LONGER && !q.prefix.Contains(rest[0].Prefix.Addr()) {
				return nil
			}
			if _, err := out.take(q, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	return nil
}

// A routeSender gathers prefixes into messages.
type routeSender struct {
	stream grpc.ServerStreamingServer[configpb.RoutesResponse]
	list   []*configpb.RoutePrefix
	most   int
	n      int
}

func (s *routeSender) full(q routesQuery) bool { return q.limit > 0 && s.n >= q.limit }

// take sends what q picks of the routes to one prefix; sent is false when it picks
// none.
func (s *routeSender) take(q routesQuery, routes []models.RouteState) (sent bool, err error) {
	if len(routes) == 0 || s.full(q) {
		return false, nil
	}
	m := &configpb.RoutePrefix{Prefix: routes[0].Prefix.String()}
	used := false
	for _, r := range routes {
		if q.picks(r) {
			m.Entry = append(m.Entry, routeMessage(r))
			used = used || r.Active
		}
	}
	if len(m.Entry) == 0 || q.match == configpb.RoutesRequest_LONGEST && !used {
		return false, nil
	}
	s.n++
	if s.list = append(s.list, m); len(s.list) < s.most {
		return true, nil
	}
	return true, s.flush()
}

func (s *routeSender) flush() error {
	if len(s.list) == 0 {
		return nil
	}
	list := s.list
	s.list, s.most = nil, routesAtOnce
	return s.stream.Send(&configpb.RoutesResponse{Prefix: list, Time: time.Now().UnixNano()})
}

func (q routesQuery) picks(r models.RouteState) bool {
	return (q.protocol == "" || r.Protocol.String() == q.protocol) &&
		(q.source == "" || r.Source.String() == q.source) &&
		(!q.active || r.Active) &&
		(q.permanent || r.Source != routing.Permanent || q.source == routing.Permanent.String() || q.match == configpb.RoutesRequest_EXACT)
}

func routeMessage(r models.RouteState) *configpb.RouteEntry {
	m := &configpb.RouteEntry{
		Source: r.Source.String(), IfIndex: uint32(r.IfIndex), Protocol: r.Protocol.String(), Preference: uint32(r.Preference),
		Active: r.Active, Ignored: r.Ignored, Reason: r.Reason, NextHopType: r.NextHop.String(), Egress: r.Egress, Instance: r.Lookup,
		IncomingInterface: r.Incoming, OutgoingInterface: r.Out, Tag: r.Tag,
	}
	if !r.LastChange.IsZero() {
		m.LastChange = r.LastChange.UnixNano()
	}
	if r.Reject != routing.RejectNone {
		m.RejectCode = r.Reject.String()
	}
	if r.Gateway.IsValid() {
		m.Gateway = r.Gateway.String()
	}
	if r.Resolved.IsValid() {
		m.Resolved = r.Resolved.String()
	}
	for _, x := range r.Members {
		member := &configpb.RouteMember{Egress: x.Egress, Instance: x.Lookup, Weight: uint32(x.Weight), Backup: x.Backup,
			Usable: x.Usable, Active: x.Active, Reason: x.Reason}
		if x.Gateway.IsValid() {
			member.Gateway = x.Gateway.String()
		}
		if x.Resolved.IsValid() {
			member.Resolved = x.Resolved.String()
		}
		m.Member = append(m.Member, member)
	}
	return m
}

// mayReadAll checks that the caller may read all of what stands at and below a path.
func (s *Server) mayReadAll(ctx context.Context, p tree.Path) error {
	r, everything := rights(ctx)
	if everything || r.Path(access.Read, s.schema.Canonical(p)) == access.Permit {
		return nil
	}
	s.denied()
	return failf(codes.PermissionDenied, "path %s: your roles don't permit to read all of it", p)
}
