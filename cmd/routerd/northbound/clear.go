package northbound

import (
	"context"
	"net/netip"

	"google.golang.org/grpc/codes"

	"router/gen/configpb"
	"router/intf"
)

// A Clearer forgets what was counted and learned. Its methods are safe for concurrent
// use and say how many objects it was; ok is false when there is none of that name.
type Clearer interface {
	// ClearInterfaces clears the counters of a device and its units, of a unit, or
	// of all, for "".
	ClearInterfaces(name string) (n int, ok bool)
	// ClearFilters clears the counters of a filter, or of all, for "".
	ClearFilters(name string) (n int, ok bool)
	// ClearNeighbors forgets the learned neighbours of a unit, or of all, for "": all of
	// them, those of a family, or the one with the address. unit is false when there is no
	// such unit.
	ClearNeighbors(unit string, family []intf.Family, address netip.Addr) (n int, ok bool)
}

// operations is the service Operations of operations.proto: who may call it, the rules
// of RPCs say.
type operations struct {
	configpb.UnimplementedOperationsServer
	s *Server
}

func (o *operations) clearer() (Clearer, error) {
	if o.s.opt.Clearer == nil {
		return nil, failf(codes.Unimplemented, "this router clears nothing")
	}
	return o.s.opt.Clearer, nil
}

// ClearCounters has counters begin at zero.
func (o *operations) ClearCounters(ctx context.Context, req *configpb.ClearCountersRequest) (*configpb.ClearResponse, error) {
	c, err := o.clearer()
	if err != nil {
		return nil, err
	}
	user, _ := Caller(ctx)
	switch what := req.GetWhat().(type) {
	case *configpb.ClearCountersRequest_Interfaces_:
		name := what.Interfaces.GetName()
		n, ok := c.ClearInterfaces(name)
		if !ok {
			return nil, failf(codes.NotFound, "there is no interface %s", name)
		}
		o.s.log.Info("counters of interfaces cleared", "user", user, "ifd", name)
		return &configpb.ClearResponse{Cleared: uint32(n)}, nil
	case *configpb.ClearCountersRequest_Filters_:
		name := what.Filters.GetName()
		n, ok := c.ClearFilters(name)
		if !ok {
			return nil, failf(codes.NotFound, "there is no filter %s", name)
		}
		o.s.log.Info("counters of filters cleared", "user", user, "filter", name)
		return &configpb.ClearResponse{Cleared: uint32(n)}, nil
	}
	return nil, failf(codes.InvalidArgument, "say whose counters: interfaces or filters")
}

// ClearNeighbors forgets what was learned of neighbours.
func (o *operations) ClearNeighbors(ctx context.Context, req *configpb.ClearNeighborsRequest) (*configpb.ClearResponse, error) {
	c, err := o.clearer()
	if err != nil {
		return nil, err
	}
	families := intf.Families[:]
	if afi := req.GetAfi(); afi != "" {
		f, ok := familyOf(afi)
		if !ok {
			return nil, failf(codes.InvalidArgument, "afi %s: want inet or inet6", afi)
		}
		families = []intf.Family{f}
	}
	var a netip.Addr
	if text := req.GetAddress(); text != "" {
		if a, err = netip.ParseAddr(text); err != nil || a.Zone() != "" {
			return nil, failf(codes.InvalidArgument, "address %q: want one such as 192.0.2.1", text)
		}
	}
	n, ok := c.ClearNeighbors(req.GetInterface(), families, a)
	switch {
	case !ok:
		return nil, failf(codes.NotFound, "there is no unit %s", req.GetInterface())
	case n == 0 && a.IsValid():
		return nil, failf(codes.NotFound, "no neighbour %v was learned there", a)
	}
	user, _ := Caller(ctx)
	o.s.log.Info("neighbours forgotten", "user", user, "ifl", req.GetInterface(), "address", req.GetAddress(), "neighbors", n)
	return &configpb.ClearResponse{Cleared: uint32(n)}, nil
}
