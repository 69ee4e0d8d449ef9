package main

import (
	"context"
	"errors"
	"fmt"

	aft "github.com/openconfig/gribi/v1/proto/gribi_aft"
	rib "github.com/openconfig/gribi/v1/proto/service"
	"github.com/openconfig/ygot/proto/ywrapper"
	"google.golang.org/grpc"
)

// A feed programs routes over gRIBI: each route leads to a group of one next hop.
type feed struct {
	stream rib.GRIBI_ModifyClient
	cancel context.CancelFunc
	id     uint64
	// instance is the routing instance that what follows is for.
	instance string
}

// operations is how many go in one request.
const operations = 250

// openFeed opens the stream, for the default instance.
func openFeed(ctx context.Context, conn *grpc.ClientConn) (*feed, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := rib.NewGRIBIClient(conn).Modify(ctx)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("gRIBI: %w", err)
	}
	f := &feed{stream: stream, cancel: cancel, instance: "default"}
	err = stream.Send(&rib.ModifyRequest{Params: &rib.SessionParameters{AckType: rib.SessionParameters_RIB_AND_FIB_ACK}})
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("gRIBI: %w", err)
	}
	return f, nil
}

// gateways programs the first n gateways of a family.
func (f *feed) gateways(n int, v6 bool) error {
	var ops []*rib.AFTOperation
	for i := range n {
		n := hopNumber(v6, i)
		ops = append(ops, &rib.AFTOperation{Entry: &rib.AFTOperation_NextHop{NextHop: &aft.Afts_NextHopKey{
			Index: n, NextHop: &aft.Afts_NextHop{IpAddress: &ywrapper.StringValue{Value: gateway(v6, i).String()}},
		}}}, &rib.AFTOperation{Entry: &rib.AFTOperation_NextHopGroup{NextHopGroup: &aft.Afts_NextHopGroupKey{
			Id: n, NextHopGroup: &aft.Afts_NextHopGroup{NextHop: []*aft.Afts_NextHopGroup_NextHopKey{{
				Index: n, NextHop: &aft.Afts_NextHopGroup_NextHop{Weight: &ywrapper.UintValue{Value: 1}},
			}}},
		}}})
	}
	return f.do(len(ops), func(i int) *rib.AFTOperation { return ops[i] }, rib.AFTOperation_ADD)
}

// hopNumber is the index of a gateway's next hop, and the id of its group.
func hopNumber(v6 bool, i int) uint64 {
	if v6 {
		return uint64(1 + gateways + i)
	}
	return uint64(1 + i)
}

// change programs routes, or deletes them, and waits until the dataplane follows.
func (f *feed) change(list []route, v6, remove bool) error {
	op := rib.AFTOperation_ADD
	if remove {
		op = rib.AFTOperation_DELETE
	}
	return f.do(len(list), func(i int) *rib.AFTOperation {
		r := &list[i]
		group := &ywrapper.UintValue{Value: hopNumber(v6, r.gateway)}
		if v6 {
			return &rib.AFTOperation{Entry: &rib.AFTOperation_Ipv6{Ipv6: &aft.Afts_Ipv6EntryKey{Prefix: r.prefix.String(), Ipv6Entry: &aft.Afts_Ipv6Entry{NextHopGroup: group}}}}
		}
		return &rib.AFTOperation{Entry: &rib.AFTOperation_Ipv4{Ipv4: &aft.Afts_Ipv4EntryKey{Prefix: r.prefix.String(), Ipv4Entry: &aft.Afts_Ipv4Entry{NextHopGroup: group}}}}
	}, op)
}

// do sends n operations and waits for their answers.
func (f *feed) do(n int, at func(i int) *rib.AFTOperation, what rib.AFTOperation_Operation) error {
	if n == 0 {
		return nil
	}
	answered := make(chan error, 1)
	go func() { answered <- f.answers(n) }()
	for i := 0; i < n; {
		request := &rib.ModifyRequest{}
		for ; i < n && len(request.Operation) < operations; i++ {
			o := at(i)
			f.id++
			o.Id, o.NetworkInstance, o.Op = f.id, f.instance, what
			request.Operation = append(request.Operation, o)
		}
		if err := f.stream.Send(request); err != nil {
			f.cancel()
			return errors.Join(err, <-answered)
		}
	}
	return <-answered
}

// answers reads those of n operations.
func (f *feed) answers(n int) error {
	for n > 0 {
		m, err := f.stream.Recv()
		if err != nil {
			return fmt.Errorf("with %d operations not answered: %w", n, err)
		}
		for _, r := range m.GetResult() {
			if r.GetStatus() != rib.AFTResult_FIB_PROGRAMMED {
				return fmt.Errorf("operation %d is %v: %s", r.GetId(), r.GetStatus(), r.GetErrorDetails().GetErrorMessage())
			}
			n--
		}
	}
	return nil
}

// close ends the stream, with which the routes go.
func (f *feed) close() { f.cancel() }
