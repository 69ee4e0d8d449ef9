package main

import (
	"cmp"
	"fmt"
	"strings"

	"router/gen/configpb"
)

// pathProtocols are the protocols that `show path` knows by name. Those of ICMP
// follow the destination's family.
var pathProtocols = map[string]uint32{"tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ospf": 89, "sctp": 132, "udplite": 136}

// pathWords says in words what would become of a packet: a line for each step, those
// about its copies and answers further in.
func pathWords(r *configpb.PathResponse) []string {
	w := pathWriter{response: r}
	w.line(0, "%s", packetWords(r.GetPacket()))
	told := map[uint32]bool{0: true}
	for _, s := range r.GetStep() {
		n := s.GetSubject()
		if !told[n] {
			told[n] = true
			w.line(1, "%s", w.subject(n))
		}
		depth := 1
		if n != 0 {
			depth = 2
		}
		if text := w.step(s); text != "" {
			w.line(depth, "%s", text)
		}
	}
	w.line(0, "%s", verdictWords(r))
	return w.lines
}

type pathWriter struct {
	response *configpb.PathResponse
	lines    []string
}

func (w *pathWriter) line(depth int, format string, args ...any) {
	w.lines = append(w.lines, strings.Repeat("  ", depth)+fmt.Sprintf(format, args...))
}

// protocolName is the protocol's name, its number where it has none.
func protocolName(n uint32) string {
	switch n {
	case 1:
		return "icmp"
	case 58:
		return "icmpv6"
	}
	for name, number := range pathProtocols {
		if number == n {
			return name
		}
	}
	return fmt.Sprintf("protocol %d", n)
}

func packetWords(p *configpb.PathPacket) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s from %s", protocolName(p.GetProtocol()), p.GetSource())
	if p.GetSourcePort() != 0 {
		fmt.Fprintf(&b, " port %d", p.GetSourcePort())
	}
	fmt.Fprintf(&b, " to %s", p.GetDestination())
	switch protocol := p.GetProtocol(); {
	case protocol == 1 || protocol == 58:
		fmt.Fprintf(&b, " type %d", p.GetPort())
	case p.GetPort() != 0:
		fmt.Fprintf(&b, " port %d", p.GetPort())
	}
	fmt.Fprintf(&b, ", %d octets, TTL %d", p.GetSize(), p.GetTtl())
	if p.GetDscp() != 0 {
		fmt.Fprintf(&b, ", DSCP %d", p.GetDscp())
	}
	if p.GetDontFragment() {
		b.WriteString(", not to be fragmented")
	}
	return b.String()
}

func (w *pathWriter) subject(n uint32) string {
	if int(n) >= len(w.response.GetSubject()) {
		return "another packet:"
	}
	s := w.response.GetSubject()[n]
	switch s.GetKind() {
	case configpb.PathSubject_COPY:
		return "copy by " + s.GetInterface() + ":"
	case configpb.PathSubject_MIRROR:
		return "mirrored by " + s.GetInterface() + ":"
	case configpb.PathSubject_ANSWER:
		return "the answer:"
	case configpb.PathSubject_PACKET:
	}
	return "the packet:"
}

// step is a step in words; "" for one that says nothing to a person.
func (w *pathWriter) step(s *configpb.PathStep) string {
	switch x := s.GetStep().(type) {
	case *configpb.PathStep_Arrival:
		return arrivalWords(x.Arrival)
	case *configpb.PathStep_Filter:
		return filterWords(x.Filter)
	case *configpb.PathStep_SourceCheck:
		c := x.SourceCheck
		verdict := "passes"
		if !c.GetPassed() {
			verdict = "fails"
		}
		return fmt.Sprintf("source check (%s): %s %s, it is reached by %s", c.GetMode(), c.GetAddress(), verdict, routeWords(c.GetRoute()))
	case *configpb.PathStep_Lookup:
		return fmt.Sprintf("route for %s in %s: %s", x.Lookup.GetAddress(), x.Lookup.GetInstance(), routeWords(x.Lookup.GetRoute()))
	case *configpb.PathStep_NextHop:
		return hopWords(x.NextHop)
	case *configpb.PathStep_Bucket:
		return fmt.Sprintf("its flow is in bucket %d of %d", x.Bucket.GetIndex(), x.Bucket.GetBuckets())
	case *configpb.PathStep_Neighbor:
		return neighborWords(x.Neighbor)
	case *configpb.PathStep_Fragmented:
		return fmt.Sprintf("is cut into fragments of at most %d octets", x.Fragmented.GetMtu())
	case *configpb.PathStep_Sent:
		return sentWords(x.Sent)
	case *configpb.PathStep_Session:
		name := "no session matches"
		if x.Session.GetSession() != "" {
			name = "session " + x.Session.GetSession()
		}
		if x.Session.GetClass() != "" {
			name += ", class " + x.Session.GetClass()
		}
		return "is for the router itself: " + name + ", for the " + x.Session.GetConsumer()
	case *configpb.PathStep_Delivered:
		if x.Delivered.GetNeighborDiscovery() {
			return "goes to the router's own neighbor discovery"
		}
		return "goes to the host stack by the TAP of " + cmp.Or(x.Delivered.GetInterface(), "no interface")
	case *configpb.PathStep_Answer:
		return answerWords(x.Answer, w.response.GetPacket())
	case *configpb.PathStep_Dropped:
		return "is dropped: " + x.Dropped.GetReason()
	case *configpb.PathStep_Reported:
		return "the flow would be reported to the control plane"
	}
	return ""
}

func arrivalWords(a *configpb.PathArrival) string {
	if a.GetOwn() {
		return fmt.Sprintf("the router sends it in instance %s, with an address of %s", a.GetInstance(), a.GetInterface())
	}
	text := "arrives on " + a.GetDevice() + vlanWords(a.GetVlan()) + ": interface " + a.GetInterface()
	if a.GetInstance() != "" {
		text += ", instance " + a.GetInstance()
	}
	return text
}

func vlanWords(tags []uint32) string {
	switch len(tags) {
	case 0:
		return ""
	case 1:
		return fmt.Sprintf(" with VLAN %d", tags[0])
	}
	return fmt.Sprintf(" with VLANs %d and %d", tags[0], tags[1])
}

func filterWords(f *configpb.PathFilter) string {
	var terms []string
	for _, t := range f.GetTerm() {
		text := t.GetFilter() + " term " + t.GetTerm()
		if t.GetTerm() == "" {
			text = t.GetFilter() + ": no term"
		}
		if t.GetPolicer() != "" {
			text += fmt.Sprintf(" (policer %s: %s)", t.GetPolicer(), t.GetColour())
		}
		if t.GetLogEvery() != 0 {
			text += " (logs)"
		}
		terms = append(terms, text)
	}
	action := f.GetAction()
	if f.GetInstance() != "" {
		action += " " + f.GetInstance()
	}
	text := fmt.Sprintf("%s filter of %s: %s: %s", f.GetHook(), f.GetInterface(), strings.Join(terms, ", "), action)
	if f.Dscp != nil {
		text += fmt.Sprintf(", sets DSCP %d", f.GetDscp())
	}
	if f.GetMirror() != "" {
		text += ", mirrors by " + f.GetMirror()
	}
	return text
}

func routeWords(r *configpb.PathRoute) string {
	if r == nil {
		return "none"
	}
	return fmt.Sprintf("%s (%s, preference %d): %s", r.GetPrefix(), r.GetProtocol(), r.GetPreference(), r.GetVia())
}

func hopWords(h *configpb.PathHop) string {
	text := fmt.Sprintf("next hop %d: %s", h.GetId(), h.GetKind())
	switch {
	case h.GetGateway() != "":
		text += " to " + h.GetGateway()
	case h.GetReject() != "":
		text += " with " + h.GetReject()
	}
	if h.GetInterface() != "" {
		text += " on " + h.GetInterface()
	}
	if h.GetInstance() != "" {
		text += " in instance " + h.GetInstance()
	}
	return text
}

func neighborWords(n *configpb.PathNeighbor) string {
	at := n.GetAddress() + " on " + n.GetInterface()
	switch n.GetState() {
	case configpb.PathNeighbor_KNOWN:
		return "neighbor " + at + " is " + n.GetLinkLayerAddress()
	case configpb.PathNeighbor_STALE:
		return "neighbor " + at + " is " + n.GetLinkLayerAddress() + ", which is stale and would be asked about"
	case configpb.PathNeighbor_UNKNOWN_ADDRESS:
		return "neighbor " + at + " is not known"
	case configpb.PathNeighbor_ASKED:
	}
	return "waits while neighbor " + at + " is asked for"
}

func sentWords(s *configpb.PathSending) string {
	text := fmt.Sprintf("leaves on %s%s: interface %s, from %s to %s, %d octets", s.GetDevice(), vlanWords(s.GetVlan()),
		s.GetInterface(), s.GetSourceMac(), s.GetDestinationMac(), s.GetOctets())
	if s.GetMtu() != 0 {
		text += fmt.Sprintf(" (MTU %d)", s.GetMtu())
	}
	return text + fmt.Sprintf(", TTL %d", s.GetTtl())
}

// icmpNames are the errors that the router sends, by type and code (RFC 792, 1122,
// 1812; RFC 4443).
var icmpNames = [2]map[[2]uint32]string{
	{
		{3, 0}: "network unreachable", {3, 1}: "host unreachable", {3, 2}: "protocol unreachable", {3, 3}: "port unreachable",
		{3, 4}: "fragmentation needed", {3, 9}: "network prohibited", {3, 10}: "host prohibited", {3, 13}: "communication prohibited",
		{5, 1}: "redirect", {11, 0}: "time exceeded", {12, 0}: "parameter problem",
	},
	{
		{1, 0}: "no route", {1, 1}: "communication prohibited", {1, 2}: "beyond scope", {1, 3}: "address unreachable", {1, 4}: "port unreachable",
		{1, 5}: "source address failed policy", {1, 6}: "reject route", {2, 0}: "packet too big", {3, 0}: "hop limit exceeded",
		{4, 0}: "erroneous header field", {4, 1}: "unknown next header", {4, 2}: "unknown option", {137, 0}: "redirect",
	},
}

func answerWords(a *configpb.PathAnswer, p *configpb.PathPacket) string {
	switch a.GetKind() {
	case "echo-reply":
		return "is answered with an echo reply"
	case "tcp-reset":
		return "is answered with a TCP reset"
	case "redirect":
		return "its sender is told of the better next hop " + a.GetTarget()
	}
	family := 0
	if strings.Contains(p.GetDestination(), ":") {
		family = 1
	}
	text := fmt.Sprintf("is answered with ICMP type %d code %d", a.GetType(), a.GetCode())
	if name := icmpNames[family][[2]uint32{a.GetType(), a.GetCode()}]; name != "" {
		text += " (" + name + ")"
	}
	if a.GetMtu() != 0 {
		text += fmt.Sprintf(", MTU %d,", a.GetMtu())
	}
	return text + " from " + a.GetSource()
}

func verdictWords(r *configpb.PathResponse) string {
	switch r.GetVerdict() {
	case configpb.Verdict_VERDICT_FORWARDED:
		return "=> forwarded"
	case configpb.Verdict_VERDICT_DELIVERED:
		return "=> delivered to the router itself"
	case configpb.Verdict_VERDICT_ANSWERED:
		return "=> answered by the router itself"
	case configpb.Verdict_VERDICT_RESOLVING:
		return "=> waits for its neighbor"
	case configpb.Verdict_VERDICT_DROPPED:
		return "=> dropped: " + r.GetReason()
	case configpb.Verdict_VERDICT_REPLICATED:
		return "=> sent in several copies"
	case configpb.Verdict_VERDICT_UNKNOWN:
	}
	return "=> nothing"
}
