package main

import (
	"context"
	"fmt"

	"router/gen/configpb"
)

func (c *client) operations() configpb.OperationsClient { return configpb.NewOperationsClient(c.conn) }

// clearInterfaces has the counters of a device and its units, of a unit, or of all begin
// at zero.
func (o *options) clearInterfaces(ctx context.Context, c *client, name string) error {
	resp, err := c.operations().ClearCounters(c.context(ctx), &configpb.ClearCountersRequest{
		What: &configpb.ClearCountersRequest_Interfaces_{Interfaces: &configpb.ClearCountersRequest_Interfaces{Name: name}}})
	return o.cleared(resp, err, "the counters of %d devices and units begin at zero")
}

// clearFilters does so for a filter, or all.
func (o *options) clearFilters(ctx context.Context, c *client, name string) error {
	resp, err := c.operations().ClearCounters(c.context(ctx), &configpb.ClearCountersRequest{
		What: &configpb.ClearCountersRequest_Filters_{Filters: &configpb.ClearCountersRequest_Filters{Name: name}}})
	return o.cleared(resp, err, "the counters of %d filters begin at zero")
}

// clearNeighbors forgets learned neighbours: of a unit, of a family, or one.
func (o *options) clearNeighbors(ctx context.Context, c *client, unit, address, afi string) error {
	resp, err := c.operations().ClearNeighbors(c.context(ctx), &configpb.ClearNeighborsRequest{Interface: unit, Address: address, Afi: afi})
	return o.cleared(resp, err, "%d neighbours forgotten")
}

func (o *options) cleared(resp *configpb.ClearResponse, err error, format string) error {
	if err != nil {
		return err
	}
	if o.wantsData() {
		return o.printData([]byte(fmt.Sprintf(`{"cleared": %d}`, resp.GetCleared())))
	}
	_, err = fmt.Fprintf(o.out, format+"\n", resp.GetCleared())
	return err
}
