package models

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"router/dataplane/session"
	"router/gen"
	"router/intf"
)

// compileClass compiles a class; g is nil for one of the default policy that is
// not declared.
func compileClass(name string, g *gen.Routerd_LocalClass, v *violations) ClassSpec {
	path := classPath(name)
	s, ok := classByName[name]
	if !ok {
		s = ClassSpec{Name: name, Rate: defaultRate, Burst: defaultBurst}
	}
	if g == nil {
		return s
	}
	s.Configured = true
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_LocalClass_Config{}
	}
	implied := *c
	implied.Name = &name
	if !checkLeaves(&implied, path+"/config", v) {
		return s
	}
	checkKey(c.Name, name, path+"/config/name", v)
	s.Description = value(c.Description, s.Description)
	s.Rate = value(c.Rate, s.Rate)
	s.Burst = value(c.Burst, s.Burst)
	return s
}

// compileSession compiles a session; g is nil for one of the default policy that
// is not declared.
func compileSession(name string, g *gen.Routerd_Session, v *violations) SessionSpec {
	path := sessionPath(name)
	s, ok := sessionByName[name]
	if !ok {
		s = SessionSpec{Name: name, Class: DefaultClass}
	}
	if g == nil {
		return s
	}
	s.Configured = true
	c := g.GetConfig()
	if c == nil {
		c = &gen.Routerd_Session_Config{}
	}
	implied := *c
	implied.Name = &name
	if !checkLeaves(&implied, path+"/config", v) {
		return s
	}
	checkKey(c.Name, name, path+"/config/name", v)
	s.Description = value(c.Description, s.Description)
	s.Class = value(c.Class, s.Class)
	switch c.Consumer {
	case gen.Routerd_SessionConsumer_UNSET:
	case gen.Routerd_SessionConsumer_host:
		s.Consumer = session.ToHost
	case gen.Routerd_SessionConsumer_router:
		s.Consumer = session.ToRouter
	case gen.Routerd_SessionConsumer_kernel:
		s.Consumer = session.ToKernel
	case gen.Routerd_SessionConsumer_reject:
		s.Consumer = session.ToReject
	case gen.Routerd_SessionConsumer_discard:
		s.Consumer = session.ToDiscard
	}
	if compileMatch(&s.Match, c, path, v) {
		checkSession(s, c, path, v)
	}
	return s
}

// compileMatch adds the fields that c names to m; it reports whether all of them
// are sound.
func compileMatch(m *SessionMatch, c *gen.Routerd_Session_Config, path string, v *violations) bool {
	had := len(*v)
	if c.Protocol != nil {
		m.Fields |= session.HasProtocol
		m.Protocol = protocolOf(*c.Protocol)
	}
	if c.IcmpType != nil {
		m.Fields |= session.HasLocalPort
		m.LocalPort = uint16(*c.IcmpType)
	}
	if c.LocalPort != nil {
		m.Fields |= session.HasLocalPort
		m.LocalPort = *c.LocalPort
	}
	if c.RemotePort != nil {
		m.Fields |= session.HasRemotePort
		m.RemotePort = *c.RemotePort
	}
	compileSessionPrefix(&m.Local, c.LocalPrefix, path+"/config/local-prefix", v)
	compileSessionPrefix(&m.Remote, c.RemotePrefix, path+"/config/remote-prefix", v)
	if c.Instance != nil {
		m.Fields |= session.HasInstance
		m.InstanceName = *c.Instance
	}
	if c.Interface != nil {
		m.Fields |= session.HasIfIndex
		m.Unit = ParseUnitName(*c.Interface)
	}
	m.Fragment = value(c.LaterFragments, m.Fragment)
	return len(*v) == had
}

func compileSessionPrefix(to *netip.Prefix, text *string, path string, v *violations) {
	if text == nil {
		return
	}
	p, ok := parsePrefix(*text, path, v)
	if !ok {
		return
	}
	if p != p.Masked() {
		v.add(path, rulePrefixHostBits, "%v has bits set behind its length: write %v", p, p.Masked())
		return
	}
	*to = p
}

// protocolOf reads a protocol that the model's pattern has accepted.
func protocolOf(text string) session.Protocol {
	for p, name := range protocolNames {
		if name == text {
			return p
		}
	}
	n, _ := strconv.ParseUint(text, 10, 8)
	return session.Protocol(n)
}

func protocolText(p session.Protocol) string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return uintText(uint64(p))
}

func isNeighbor(m session.Match) bool {
	const nd = session.HasProtocol | session.HasLocalPort
	return m.Fields&session.HasProtocol != 0 && m.Protocol == session.ARP ||
		m.Fields&nd == nd && m.Protocol == protoICMPv6 && m.LocalPort >= 133 && m.LocalPort <= 137
}

func isEcho(m session.Match) bool {
	const typed = session.HasProtocol | session.HasLocalPort
	return m.Fields&typed == typed && (m.Protocol == protoICMP && m.LocalPort == 8 || m.Protocol == protoICMPv6 && m.LocalPort == 128)
}

// checkSession checks what the leaves of a session have to do with each other. c
// tells a port from an ICMP type.
func checkSession(s SessionSpec, c *gen.Routerd_Session_Config, path string, v *violations) {
	m := s.Match
	named := m.Fields&session.HasProtocol != 0
	text := "no protocol"
	if named {
		text = "protocol " + protocolText(m.Protocol)
	}
	icmp := named && (m.Protocol == protoICMP || m.Protocol == protoICMPv6)
	ports := named && slices.Contains([]session.Protocol{protoTCP, protoUDP, 33, 132, 136}, m.Protocol)
	_, builtIn := sessionByName[s.Name]
	switch {
	case c.IcmpType != nil && c.LocalPort != nil, c.IcmpType != nil && !icmp:
		v.add(path+"/config/icmp-type", ruleSessionType,
			"an icmp-type with %s: set the protocol to icmp or icmpv6, or delete the icmp-type", text)
	case c.LocalPort != nil && !ports, c.RemotePort != nil && !ports,
		builtIn && m.Fields&(session.HasLocalPort|session.HasRemotePort) != 0 && !ports && !icmp:
		v.add(path, ruleSessionPort,
			"a port with %s, which has none: set the protocol to tcp, udp, dccp, sctp or udplite, or delete the port", text)
	}
	six := func(p netip.Prefix) bool { return p.IsValid() && p.Addr().Is6() }
	four := func(p netip.Prefix) bool { return p.IsValid() && p.Addr().Is4() }
	only4 := named && (m.Protocol == session.ARP || m.Protocol == protoICMP || m.Protocol == protoIGMP)
	only6 := named && m.Protocol == protoICMPv6
	if some4, some6 := only4 || four(m.Local) || four(m.Remote), only6 || six(m.Local) || six(m.Remote); some4 && some6 {
		v.add(path, ruleSessionFamily, "%s and prefixes are of different families, so that nothing matches: change one of them", text)
	}
	if m.Fragment && (m.Fields&(session.HasLocalPort|session.HasRemotePort) != 0 || named && m.Protocol == session.ARP) {
		v.add(path, ruleSessionFragment,
			"later fragments with a port, an icmp-type or protocol arp match nothing: delete what does not fit, or later-fragments")
	}
	switch {
	case isNeighbor(m.Match):
		if s.Consumer != session.ToRouter && s.Consumer != session.ToDiscard {
			v.add(path+"/config/consumer", ruleSessionNeighbor,
				"consumer %v for what is the router's own: set it to router or discard", s.Consumer)
		}
	case s.Consumer == session.ToRouter && !isEcho(m.Match):
		v.add(path+"/config/consumer", ruleSessionRouter,
			"consumer router for other than arp, neighbour discovery and echo requests: set it to host")
	}
}

// checkSessionRefs checks what a session has to do with the rest of the
// configuration.
func (c *Compiled) checkSessionRefs(s SessionSpec, v *violations) {
	path := sessionPath(s.Name)
	if _, ok := c.intent.Classes[s.Class]; !ok {
		v.add(path+"/config/class", ruleSessionClass, "class %s does not exist: declare it or name another one", s.Class)
	}
	if s.Match.Fields&session.HasInstance != 0 {
		if _, ok := c.intent.Instances[s.Match.InstanceName]; !ok {
			v.add(path+"/config/instance", ruleSessionInstance,
				"instance %s does not exist: declare it or name another one", s.Match.InstanceName)
		}
	}
	if s.Match.Fields&session.HasIfIndex != 0 {
		if _, ok := c.intent.Units[s.Match.Unit]; !ok {
			v.add(path+"/config/interface", ruleSessionInterface,
				"unit %s does not exist: declare it or name another one", s.Match.Unit.Name())
		}
	}
	others := c.index.sessions[s.Match]
	for _, other := range slices.Sorted(maps.Keys(others)) {
		// One message for the two of them, at the one that is not of the default policy.
		if other == s.Name {
			continue
		}
		if _, builtIn := sessionByName[s.Name]; builtIn && c.intent.Sessions[other].Configured && !s.Configured {
			continue
		}
		v.add(path, ruleSessionUnique,
			"session %s matches the same packets: change the match, or declare %s instead", other, other)
		break
	}
}

// maxClasses is how many classes can be declared; the dataplane numbers them.
const maxClasses = 200

// checkClasses checks how many classes there are when one has come.
func (c *Compiled) checkClasses(change Change, v *violations) {
	if len(change.Classes) == 0 || len(c.intent.Classes) <= maxClasses {
		return
	}
	n := 0
	for _, s := range c.intent.Classes {
		if s.Configured {
			n++
		}
	}
	if n > maxClasses {
		v.add("/local-class", ruleTooMany, "%d classes: a router has %d at most", n, maxClasses)
	}
}

// affectedSessions adds the sessions that a change can make wrong.
func (c *Compiled) affectedSessions(change Change, sessions map[string]struct{}) {
	add := func(names map[string]struct{}) {
		for name := range names {
			sessions[name] = struct{}{}
		}
	}
	for _, d := range change.Sessions {
		sessions[d.Key] = struct{}{}
		if d.New != nil {
			add(c.index.sessions[d.New.Match])
		}
	}
	for _, d := range change.Classes {
		if d.New == nil {
			add(c.index.byClass[d.Key])
		}
	}
	for _, d := range change.Instances {
		if d.New == nil {
			add(c.index.sessionInstance[d.Key])
		}
	}
	for _, d := range change.Units {
		if d.New == nil {
			add(c.index.sessionUnit[d.Key])
		}
	}
}

// session adds or removes what the index says of s.
func (x *indexes) session(add bool, s SessionSpec) {
	x.sessions.set(add, s.Match, s.Name)
	x.byClass.set(add, s.Class, s.Name)
	if s.Match.Fields&session.HasInstance != 0 {
		x.sessionInstance.set(add, s.Match.InstanceName, s.Name)
	}
	if s.Match.Unit != (intf.UnitKey{}) {
		x.sessionUnit.set(add, s.Match.Unit, s.Name)
	}
}
