package gnoi

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/openconfig/gnoi/types"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/control"
)

// How long names may take: what was typed, and what an address is called.
const (
	forwardWait = 5 * time.Second
	reverseWait = time.Second
)

// A lookup turns names into addresses and back, by the machine's resolver.
type lookup interface {
	addresses(ctx context.Context, network, name string) ([]netip.Addr, error)
	name(ctx context.Context, a netip.Addr) string
}

type resolver struct{}

func (resolver) addresses(ctx context.Context, network, name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, forwardWait)
	defer cancel()
	return net.DefaultResolver.LookupNetIP(ctx, network, name)
}

func (resolver) name(ctx context.Context, a netip.Addr) string {
	ctx, cancel := context.WithTimeout(ctx, reverseWait)
	defer cancel()
	names, err := net.DefaultResolver.LookupAddr(ctx, a.WithZone("").String())
	if err != nil || len(names) == 0 {
		return ""
	}
	return strings.TrimSuffix(names[0], ".")
}

// A probeTarget is what the requests of Ping and Traceroute have in common.
type probeTarget struct {
	destination, source, instance string
	protocol                      types.L3Protocol
	dontFragment                  bool
}

// request is the target with its names looked up. Behind the destination may stand
// the unit of its link, as in fe80::1%ge0.0.
func (s *systemService) request(ctx context.Context, t probeTarget) (q control.ProbeRequest, err error) {
	q = control.ProbeRequest{Instance: t.instance, DontFragment: t.dontFragment}
	if t.destination == "" {
		return q, failf(codes.InvalidArgument, "destination is missing: want an address or a name")
	}
	network := "ip"
	switch t.protocol {
	case types.L3Protocol_UNSPECIFIED:
	case types.L3Protocol_IPV4:
		network = "ip4"
	case types.L3Protocol_IPV6:
		network = "ip6"
	default:
		return q, failf(codes.InvalidArgument, "l3protocol %d: want IPV4, IPV6 or none", t.protocol)
	}
	text, unit, _ := strings.Cut(t.destination, "%")
	q.Unit = unit
	if q.Destination, err = netip.ParseAddr(text); err != nil {
		found, err := s.lookup.addresses(ctx, network, text)
		if err != nil || len(found) == 0 {
			return q, failf(codes.NotFound, "destination %s is no address, and no name that the router's machine can look up: %v", t.destination, err)
		}
		q.Destination = found[0]
	}
	q.Destination = q.Destination.Unmap()
	if network == "ip4" && !q.Destination.Is4() || network == "ip6" && q.Destination.Is4() {
		return q, failf(codes.InvalidArgument, "destination %s is not of the l3protocol %v", t.destination, t.protocol)
	}
	if t.source != "" {
		if q.Source, err = netip.ParseAddr(t.source); err != nil {
			q.Source, q.SourceUnit = netip.Addr{}, t.source
		}
	}
	return q, nil
}
