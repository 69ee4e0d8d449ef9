package intf

import "slices"

// Equal reports whether both specs say the same. An absent list equals an
// empty one.
func (s UnitSpec) Equal(o UnitSpec) bool {
	return s.Key == o.Key && s.Description == o.Description && s.Enabled == o.Enabled &&
		s.VLAN == o.VLAN && s.Group == o.Group && slices.EqualFunc(s.Families, o.Families, FamilySpec.Equal)
}

// Equal reports whether both specs say the same. An absent list equals an
// empty one.
func (s FamilySpec) Equal(o FamilySpec) bool {
	return s.Family == o.Family && s.Enabled == o.Enabled && s.Instance == o.Instance &&
		s.MTU == o.MTU && s.RPF == o.RPF && s.Unnumbered == o.Unnumbered && s.NoRedirects == o.NoRedirects && s.Filters == o.Filters && s.Advert.Equal(o.Advert) && slices.Equal(s.Addresses, o.Addresses) && slices.Equal(s.Neighbors, o.Neighbors)
}
