package models

import (
	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// FillHealth writes the health of the router's parts.
func FillHealth(dst *gen.Device, list []HealthState) {
	h := dst.GetOrCreateSystem().GetOrCreateHealth()
	for _, s := range list {
		st := h.GetOrCreateComponent(s.Name).GetOrCreateState()
		st.Name = ygot.String(s.Name)
		st.UnhealthyEvents = ygot.Uint64(s.Events)
		st.LastEvent = text(s.LastEvent)
		if !s.Known {
			continue
		}
		st.Status = gen.Routerd_System_Health_Component_State_Status_healthy
		if !s.Healthy {
			st.Status = gen.Routerd_System_Health_Component_State_Status_unhealthy
			st.Reason = text(s.Reason)
		}
		st.LastChange = moment(s.LastChange)
	}
}
