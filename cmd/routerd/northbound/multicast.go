package northbound

import (
	"net/netip"

	"github.com/openconfig/ygot/ygot"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// groups visits the state of an instance's routes of groups that keys select.
func (s *source) groups(instance string, keys map[string]string, visit func(ygot.GoStruct) error) error {
	group, oneGroup := exact(keys, "group")
	from, oneSource := exact(keys, "source")
	objects := []models.Object{{Kind: models.Multicast, Instance: instance, Group: group, Source: from}}
	if !oneGroup || !oneSource {
		objects = s.state.Groups(instance)
	}
	for _, o := range objects {
		if oneGroup && o.Group != group || oneSource && o.Source != from {
			continue
		}
		dev := &gen.Device{}
		if !s.state.Fill(dev, o) {
			continue // gone since it was listed
		}
		if err := visit(dev.Instance[instance].GetMulticastRoute(o.Group, o.Source)); err != nil {
			return err
		}
	}
	return nil
}

// flows visits the routes by source of the RIB at, /instance[name=I]/rib[afi=F].
func (s *source) flows(at tree.Path, keys map[string]string, visit func(ygot.GoStruct) error) error {
	q := FlowQuery{Instance: at[0].GetKey()["name"], Limit: routeChunk}
	afi, ok := familyOf(at[1].GetKey()["afi"])
	if !ok {
		return nil
	}
	q.Family = afi
	if group, one := exact(keys, "group"); one {
		a, err := netip.ParseAddr(group)
		if err != nil || a.String() != group {
			return nil // nothing stands under such a key
		}
		q.Group = a
	}
	from, oneSource := exact(keys, "source")
	var chunk []models.FlowState
	for {
		chunk = s.state.Flows(chunk[:0], q)
		for i, f := range chunk {
			if oneSource && f.Source.String() != from {
				continue
			}
			if i > 0 && f.Group == chunk[i-1].Group && f.Source == chunk[i-1].Source {
				continue // another route for the source, which isn't preferred
			}
			dev := &gen.Device{}
			models.FillFlow(dev, q.Instance, f)
			flow := only(dev.Instance[q.Instance])
			if err := visit(flow); err != nil {
				return err
			}
		}
		if q.Group.IsValid() || len(chunk) == 0 {
			return nil
		}
		q.After = chunk[len(chunk)-1].Group
	}
}

// exact is the value of a key of a pattern; ok is false for one that is left out
// or a wildcard.
func exact(keys map[string]string, name string) (value string, ok bool) {
	value, ok = keys[name]
	return value, ok && value != "*"
}

// only is the one flow in i.
func only(i *gen.Routerd_Instance) ygot.GoStruct {
	for _, rib := range i.Rib {
		for _, f := range rib.Flow {
			return f
		}
	}
	return nil
}
