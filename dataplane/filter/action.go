package filter

// An action is an Action as the packet path wants it, in 24 octets.
type action struct {
	kind              Kind
	reject            RejectKind
	does              does
	dscp, loss, class uint8
	mark              uint16
	to                uint32 // instance or next hop; next filter, by its place in Program.filterNames
	mirror            uint32
	logEvery          uint32
	police            uint32 // by its place in Program.policerNames
}

// does says which modifiers an action has.
type does uint8

const (
	doesDSCP does = 1 << iota
	doesLoss
	doesClass
	doesMark
	doesMirror
	doesLog
	doesPolice
)

// marking is what a term or a policer writes to a packet.
func marking(dscp, loss, class Opt[uint8]) (d does) {
	if dscp.Valid {
		d |= doesDSCP
	}
	if loss.Valid {
		d |= doesLoss
	}
	if class.Valid {
		d |= doesClass
	}
	return d
}

// compileActions makes the actions of all terms, and lists the policers and filters
// that they name.
func (p *Program) compileActions() {
	p.actions = make([]action, len(p.spec.Terms))
	policers, filters := map[string]uint32{}, map[string]uint32{}
	index := func(known map[string]uint32, names *[]string, name string) uint32 {
		i, ok := known[name]
		if !ok {
			i = uint32(len(*names))
			known[name] = i
			*names = append(*names, name)
		}
		return i
	}
	for t := range p.spec.Terms {
		s, a := &p.spec.Terms[t].Action, &p.actions[t]
		*a = action{
			kind: s.Kind, reject: s.Reject,
			does: marking(s.DSCP, s.LossPriority, s.ForwardingClass),
			dscp: s.DSCP.V, loss: s.LossPriority.V, class: s.ForwardingClass.V,
			mark: s.Mark.V, mirror: uint32(s.Mirror), logEvery: s.LogEvery,
		}
		if s.Mark.Valid {
			a.does |= doesMark
		}
		if s.Mirror != 0 {
			a.does |= doesMirror
		}
		if s.LogEvery != 0 {
			a.does |= doesLog
		}
		if s.Police != "" {
			a.does |= doesPolice
			a.police = index(policers, &p.policerNames, s.Police)
		}
		switch s.Kind {
		case ToInstance:
			a.to = s.Instance
		case ToNextHop:
			a.to = s.NextHop
		case NextFilter:
			a.to = index(filters, &p.filterNames, s.NextFilter)
		case Accept, Discard, Reject, NextTerm:
		}
		p.perPlace = p.perPlace || s.CountPerInterface
	}
	p.perPlace = p.perPlace || p.spec.InterfaceSpecific
}

// countsPerPlace reports whether a term has a counter for each place.
func (p *Program) countsPerPlace(t int) bool {
	return p.spec.InterfaceSpecific || t < len(p.spec.Terms) && p.spec.Terms[t].Action.CountPerInterface
}

// endName is the name by which the end of a filter is counted; no term has it.
const endName = ""

// termName is the name of a term, or of the end.
func (p *Program) termName(t int) string {
	if t == len(p.spec.Terms) {
		return endName
	}
	return p.spec.Terms[t].Name
}
