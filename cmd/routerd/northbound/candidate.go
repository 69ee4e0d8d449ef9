package northbound

import (
	"context"
	"fmt"
	"net/netip"

	"google.golang.org/grpc/peer"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/gen/configpb"
)

// rollbackCandidate makes a candidate what the configuration was.
func (c *configuration) rollbackCandidate(ctx context.Context, candidate *datastore.Candidate, to *configpb.Edit_Rollback) (*configpb.Candidate, error) {
	if err := c.s.mayWriteAll(ctx); err != nil {
		return nil, err
	}
	var err error
	if to.GetRescue() {
		err = candidate.Rescue(ctx)
	} else {
		err = candidate.Rollback(ctx, to.GetNumber())
	}
	if err != nil {
		return nil, configError(err)
	}
	return candidateMessage(candidate.Status()), nil
}

// differences are differences as the caller may see them.
func (c *configuration) differences(ctx context.Context, list []tree.Difference) []*configpb.Difference {
	return changeMessages(c.s.schema, list, pathFilter(ctx))
}

// plan is a plan as the caller may see it, with what it does to the caller.
func (s *Server) plan(ctx context.Context, p datastore.Plan) *configpb.Plan {
	m := planMessage(s.schema, p, pathFilter(ctx))
	conn, ok := connectionOf(ctx)
	if !ok {
		return m
	}
	s.store.View(func(running *gen.Device, _ datastore.Commit) { m.Cuts = conn.cuts(running, p.Changes) })
	return m
}

// A connection is what a change of the configuration can take from a caller over
// the network.
type connection struct {
	local, remote netip.Addr
	user          string
}

// connectionOf is the caller's connection; ok is false for one that doesn't depend
// on the configuration.
func connectionOf(ctx context.Context) (c connection, ok bool) {
	p, ok := peer.FromContext(ctx)
	if !ok || p.LocalAddr == nil || p.Addr == nil {
		return c, false
	}
	c.local, c.remote = addressOf(p.LocalAddr), addressOf(p.Addr)
	c.user, _ = Caller(ctx)
	return c, c.local.IsValid() && c.remote.IsValid()
}

// cuts says why the connection may not outlive the changes, a sentence each.
func (c connection) cuts(running *gen.Device, changes []tree.Difference) []string {
	var why []string
	told := make(map[string]bool)
	tell := func(format string, args ...any) {
		if s := fmt.Sprintf(format, args...); !told[s] {
			told[s] = true
			why = append(why, s)
		}
	}
	for _, d := range changes {
		switch d.Path[0].GetName() {
		case "interface":
			c.interfaceCut(running, d, tell)
		case "instance":
			if len(d.Path) < 3 || d.Path[1].GetName() != "static-route" || d.Old == nil {
				continue
			}
			p, err := netip.ParsePrefix(d.Path[1].GetKey()["prefix"])
			if err == nil && p.Contains(c.remote) && !c.remote.IsLoopback() {
				tell("the static route %s, by which this connection's client %s is reached, changes", p, c.remote)
			}
		case "user":
			if len(d.Path) == 2 && d.New == nil && d.Path[0].GetKey()["name"] == c.user {
				tell("user %s, who makes this connection, goes", c.user)
			}
		}
	}
	return why
}

func (c connection) interfaceCut(running *gen.Device, d tree.Difference, tell func(string, ...any)) {
	device := d.Path[0].GetKey()["name"]
	if n := len(d.Path); d.Path[n-1].GetName() == "prefix" && d.Path[n-2].GetName() == "address" {
		p, err := netip.ParsePrefix(d.Path[n-2].GetKey()["prefix"])
		if err == nil && d.New == nil && p.Addr() == c.local {
			tell("interface %s unit %s loses the address %s, which this connection goes to", device, d.Path[1].GetKey()["id"], c.local)
		}
		return
	}
	if !cutting(d) {
		return
	}
	var unit, family string
	if len(d.Path) > 1 {
		unit = d.Path[1].GetKey()["id"]
	}
	if len(d.Path) > 2 {
		family = d.Path[2].GetKey()["type"]
	}
	if c.holds(running.GetInterface(device), unit, family) {
		words := device
		if unit != "" {
			words += " unit " + unit
		}
		if family != "" {
			words += " family " + family
		}
		tell("interface %s, by whose address %s this connection comes, changes its %s", words, c.local, d.Path[len(d.Path)-1].GetName())
	}
}

// cutting reports whether a change of an interface's leaf takes its addresses out of
// reach of those who reach them now.
func cutting(d tree.Difference) bool {
	switch d.Path[len(d.Path)-1].GetName() {
	case "enabled":
		return d.New != nil && !d.New.GetBoolVal()
	case "instance", "mac-address", "attach", "outer-vlan-id", "inner-vlan-id", "outer-tpid", "inner-tpid":
		return true
	}
	return false
}

// holds reports whether the device has the connection's own address, on the unit and
// family if they are not "".
func (c connection) holds(device *gen.Routerd_Interface, unit, family string) bool {
	if device == nil {
		return false
	}
	for id, u := range device.Unit {
		if unit != "" && id != unit {
			continue
		}
		for _, f := range u.Family {
			if family != "" && f.Type.String() != family {
				continue
			}
			for prefix := range f.Address {
				if p, err := netip.ParsePrefix(prefix); err == nil && p.Addr() == c.local {
					return true
				}
			}
		}
	}
	return false
}
