package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"router/cmd/rcli/render"
)

// showInterfacesDetail prints all that is known of each device and unit, as a
// paragraph.
func showInterfacesDetail(ctx context.Context, o *options, c *client, args []string) error {
	name := onlyName(args)
	if o.wantsData() {
		return o.interfacesAsData(ctx, c, name)
	}
	first := true
	head := func(name, status, why string) error {
		space := "\n"
		if first {
			space = ""
		}
		first = false
		text := o.view.screen.Paint(render.Strong, render.Clean(name)) + " is " + o.view.screen.Paint(render.StatusStyle(status), dash(status))
		if why != "" {
			text += ": " + render.Clean(why)
		}
		_, err := fmt.Fprintf(o.out, "%s%s\n", space, text)
		return err
	}
	line := func(indent int, label, format string, args ...any) error {
		if text := fmt.Sprintf(format, args...); strings.TrimSpace(text) != "" {
			return o.say(render.Plain, "%*s%-14s %s", indent, "", label+":", text)
		}
		return nil
	}
	counters := func(n countersTree, r ratesTree) error {
		if err := line(2, "In", "%s packets, %s octets, %s discarded, %s errors; now %s, %s", dash(n.InPkts), dash(n.InOctets), dash(n.InDiscards), dash(n.InErrors), rateText(r.InBits), packetRateText(r.InPackets)); err != nil {
			return err
		}
		if err := line(2, "Out", "%s packets, %s octets, %s discarded, %s errors; now %s, %s", dash(n.OutPkts), dash(n.OutOctets), dash(n.OutDiscards), dash(n.OutErrors), rateText(r.OutBits), packetRateText(r.OutPackets)); err != nil {
			return err
		}
		if n.LastClear != "" && n.LastClear == n.Anew {
			return line(2, "Counted since", "%s, when it was cleared", momentText(n.Anew))
		}
		if n.Anew != "" {
			return line(2, "Counted since", "%s", momentText(n.Anew))
		}
		return nil
	}
	return c.eachInterface(ctx, name, visitor{device: func(i interfaceTree) error {
		s := i.State
		if err := head(i.Name, s.OperStatus, s.OperReason); err != nil {
			return err
		}
		speed := ""
		if n, err := strconv.ParseFloat(s.Speed, 64); err == nil && n > 0 {
			speed = render.BitRate(n)
		}
		for _, l := range [][2]string{
			{"Not in place", s.detail()}, {"Description", s.Description}, {"MAC address", s.MAC}, {"Driver", i.driver()}, {"Driver reason", s.DriverReason}, {"Fast path", i.fastPath()}, {"Speed", speed},
			{"MRU", intText(s.MRU) + " of the link's MTU " + dash(intText(s.LinkMTU))}, {"Queues", intText(s.Queues)}, {"Index", intText(s.IfIndex)}, {"Since", sinceWords(s.LastChange)},
		} {
			if l[0] == "MRU" && s.MRU == 0 {
				continue
			}
			if err := line(2, l[0], "%s", l[1]); err != nil {
				return err
			}
		}
		if err := counters(s.Counters, s.Rates); err != nil {
			return err
		}
		slices.SortFunc(s.Drops, func(a, b dropTree) int { return strings.Compare(a.Reason, b.Reason) })
		for _, d := range s.Drops {
			if err := line(2, "Dropped", "%s %s", d.Count, d.Reason); err != nil {
				return err
			}
		}
		return nil
	}, unit: func(_ string, u unitTree) error {
		s := u.State
		if err := head(s.Name, s.OperStatus, s.OperReason); err != nil {
			return err
		}
		for _, l := range [][2]string{{"Not in place", s.detail()}, {"Description", s.Description}, {"VLAN", u.vlan()}, {"Index", intText(s.IfIndex)}, {"Since", sinceWords(s.LastChange)}} {
			if err := line(2, l[0], "%s", l[1]); err != nil {
				return err
			}
		}
		if err := counters(s.Counters, s.Rates); err != nil {
			return err
		}
		for _, f := range u.Family {
			mtu := ""
			if f.State.MTU > 0 {
				mtu = fmt.Sprintf(", MTU %d", f.State.MTU)
			}
			if err := line(2, f.Type, "%s in instance %s%s, %d neighbours", dash(f.State.OperStatus), orDefault(f.State.Instance), mtu, len(f.Neighbor)); err != nil {
				return err
			}
		}
		lines, reasons := u.families()
		for _, l := range lines {
			if err := line(4, l.family, "%s, %s", l.mark(), dash(l.status)); err != nil {
				return err
			}
		}
		for _, r := range reasons {
			if err := line(4, "Note", "%s: %s", r.what, r.why); err != nil {
				return err
			}
		}
		return nil
	}, page: func() error { return nil }})
}

// fastPath says what part the device has in the fast path, and why it hasn't another.
func (i interfaceTree) fastPath() string {
	f := i.State.FastPath
	part := func(does string, has bool, why string) string {
		switch {
		case has:
			return does
		case why == "":
			return "not " + does
		}
		return "not " + does + ": " + why
	}
	switch {
	case f.Receives && f.Sends:
		return "receives and sends"
	case f.ReceivesReason == f.SendsReason && f.ReceivesReason != "":
		return "no part in it: " + f.ReceivesReason
	case !f.Receives && !f.Sends && f.ReceivesReason == "" && f.SendsReason == "":
		return ""
	}
	return part("receives", f.Receives, f.ReceivesReason) + "; " + part("sends", f.Sends, f.SendsReason)
}

func intText(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// sinceWords is a timestamp of the model with how long ago that is.
func sinceWords(ns string) string {
	n, err := strconv.ParseInt(ns, 10, 64)
	if err != nil || n == 0 {
		return ""
	}
	at := time.Unix(0, n)
	return at.Format(time.DateTime) + ", for " + render.Duration(time.Since(at))
}

// vlan are the tags of a unit in words.
func (u unitTree) vlan() string {
	v := u.VLAN.State
	text := ""
	if v.Outer != 0 {
		text = fmt.Sprintf("%s.%d", cmp.Or(v.OuterTPID, "dot1q"), v.Outer)
	}
	if v.Inner != 0 {
		text += fmt.Sprintf(" %s.%d", cmp.Or(v.InnerTPID, "dot1q"), v.Inner)
	}
	return text
}
