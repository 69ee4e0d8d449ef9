package filter

import (
	"errors"
	"fmt"
	"net/netip"

	"router/intf"
)

// check finds everything that is wrong with a filter.
func (s *Spec) check() error {
	var errs []error
	fail := func(term, format string, args ...any) {
		errs = append(errs, fmt.Errorf("filter %s term %s: "+format, append([]any{s.Name, term}, args...)...))
	}
	switch s.Family {
	case intf.Inet, intf.Inet6:
	default:
		errs = append(errs, fmt.Errorf("filter %s: there are no filters of family %v: use inet or inet6", s.Name, s.Family))
	}
	if len(s.Terms) > MaxTerms {
		errs = append(errs, fmt.Errorf("filter %s: %d terms are more than the %d that a filter can have: split it with next-filter", s.Name, len(s.Terms), MaxTerms))
	}
	names := make(map[string]bool, len(s.Terms))
	for i := range s.Terms {
		t := &s.Terms[i]
		if t.Name == "" {
			fail(fmt.Sprint(i), "it has no name: give it one")
		}
		if names[t.Name] {
			fail(t.Name, "the name is used twice: rename one of the terms")
		}
		names[t.Name] = true
		if err := t.Match.check(s.Family); err != nil {
			fail(t.Name, "%w", err)
		}
		if err := t.Action.check(); err != nil {
			fail(t.Name, "%w", err)
		}
	}
	return errors.Join(errs...)
}

// check finds the first thing that is wrong with a match.
func (m *Match) check(f intf.Family) error {
	if err := m.Src.check("source", f); err != nil {
		return err
	}
	if err := m.Dst.check("destination", f); err != nil {
		return err
	}
	for _, n := range m.numbers() {
		if err := n.set.check(n.name, n.last); err != nil {
			return err
		}
	}
	if err := m.ICMPType.check("icmp type", 255); err != nil {
		return err
	}
	if err := m.ICMPCode.check("icmp code", 255); err != nil {
		return err
	}
	for _, t := range m.TCPFlags {
		if t.Value&^t.Mask != 0 {
			return fmt.Errorf("tcp flags %#02x can't be set where only %#02x are looked at: add them to the mask", t.Value, t.Mask)
		}
	}
	if m.Fragment > FragmentLater {
		return fmt.Errorf("fragment condition %d is unknown", m.Fragment)
	}
	if m.Options.Any && len(m.Options.Numbers) > 0 {
		return errors.New("options are asked for both by number and at all: choose one")
	}
	for _, n := range m.Options.Numbers {
		if optionBit(f, n) == 0 {
			return fmt.Errorf("%d is no %s that can be looked for", n, map[intf.Family]string{intf.Inet: "IPv4 option number", intf.Inet6: "IPv6 extension header"}[f])
		}
	}
	for _, e := range m.Mark.Entries {
		if e.Value&^e.Mask != 0 {
			return fmt.Errorf("mark %#x has bits outside its mask %#x: widen the mask", e.Value, e.Mask)
		}
	}
	return nil
}

func (a *Addresses) check(which string, f intf.Family) error {
	for _, list := range [][]netip.Prefix{a.Prefixes, a.Except} {
		for _, p := range list {
			if !p.IsValid() || intf.FamilyOf(p.Addr()) != f {
				return fmt.Errorf("%s prefix %s is not of family %s: use a filter of the other family", which, p, f)
			}
		}
	}
	for _, lists := range [][]*PrefixList{a.Lists, a.ExceptLists} {
		for _, l := range lists {
			for _, p := range l.Prefixes {
				if !p.IsValid() {
					return fmt.Errorf("%s prefix list %s holds something that is no prefix: remove it", which, l.Name)
				}
			}
		}
	}
	return nil
}

func (n *Numbers) check(name string, last uint32) error {
	for _, r := range n.Ranges {
		if r.Lo > r.Hi {
			return fmt.Errorf("%s range %d-%d is reversed: write %d-%d", name, r.Lo, r.Hi, r.Hi, r.Lo)
		}
		if r.Hi > last {
			return fmt.Errorf("%s %d is above %d", name, r.Hi, last)
		}
	}
	return nil
}

func (a *Action) check() error {
	switch {
	case a.Kind > ToNextHop:
		return fmt.Errorf("action %d is unknown", a.Kind)
	case a.Kind == Reject && a.Reject > RejectTCPReset:
		return fmt.Errorf("reject message %d is unknown", a.Reject)
	case a.Kind == NextFilter && a.NextFilter == "":
		return errors.New("next-filter names no filter: name one")
	}
	return checkMarking("the packet's", a.DSCP, a.LossPriority, a.ForwardingClass)
}

// checkMarking checks the values that a packet can be given.
func checkMarking(whose string, dscp, loss, class Opt[uint8]) error {
	switch {
	case dscp.Valid && dscp.V > 63:
		return fmt.Errorf("%s dscp %d is above 63", whose, dscp.V)
	case loss.Valid && loss.V > LossHigh:
		return fmt.Errorf("%s loss priority %d is above %d", whose, loss.V, LossHigh)
	case class.Valid && class.V > 7:
		return fmt.Errorf("%s forwarding class %d is above 7", whose, class.V)
	}
	return nil
}
