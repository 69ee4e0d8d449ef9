package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/render"
)

// interfacesAsData prints devices with all below them, or units.
func (o *options) interfacesAsData(ctx context.Context, c *client, name string) error {
	device, id, unit := strings.Cut(cmp.Or(name, "*"), ".")
	p := &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": device}}}}
	if unit {
		p.Elem = append(p.Elem, &gpb.PathElem{Name: "unit", Key: map[string]string{"id": id}})
	}
	absent, err := o.printNodes(ctx, c, gpb.GetRequest_ALL, false, p)
	if err == nil && absent && name != "" {
		return status.Errorf(codes.NotFound, "there is no interface %s; show interfaces lists them", name)
	}
	return err
}

// a reason is why something is not as it should be.
type reason struct{ what, why string }

// showInterfaces prints devices, units, addresses, counters and rates.
func showInterfaces(ctx context.Context, o *options, c *client, args []string) error {
	name := onlyName(args)
	if o.wantsData() {
		return o.interfacesAsData(ctx, c, name)
	}
	t := render.NewTable(o.out, o.view.screen, []render.Column{
		{Head: "Interface"}, {Head: "State"}, {Head: "Address"}, {Head: "In-pkts", Right: true, Drop: 3}, {Head: "In-octets", Right: true, Drop: 4},
		{Head: "Out-pkts", Right: true, Drop: 3}, {Head: "Out-octets", Right: true, Drop: 4},
		{Head: "In-rate", Right: true, Drop: 2}, {Head: "Out-rate", Right: true, Drop: 2}})
	var reasons []reason
	add := func(name, status, why, detail string, a applyTree, n countersTree, r ratesTree) error {
		if why != "" {
			reasons = append(reasons, reason{name, why})
		}
		if text := a.beside(why); text != "" {
			reasons = append(reasons, reason{name, text})
		}
		row := render.Cells(a.markBeside(name, status), dash(status), dash(detail), dash(n.InPkts), dash(n.InOctets), dash(n.OutPkts), dash(n.OutOctets), rateText(r.InBits), rateText(r.OutBits))
		row[1].Style = render.StatusStyle(status)
		return t.Add(row)
	}
	err := c.eachInterface(ctx, name, visitor{device: func(i interfaceTree) error {
		return add(i.Name, i.State.OperStatus, i.State.OperReason, strings.TrimSpace(i.State.MAC+" "+i.driver()), i.State.applyTree, i.State.Counters, i.State.Rates)
	}, unit: func(_ string, u unitTree) error {
		if err := add(u.State.Name, u.State.OperStatus, u.State.OperReason, "", u.State.applyTree, u.State.Counters, u.State.Rates); err != nil {
			return err
		}
		lines, why := u.families()
		reasons = append(reasons, why...)
		for _, l := range lines {
			row := render.Cells("  "+l.family, dash(l.status), l.mark())
			row[1].Style = render.StatusStyle(l.status)
			if err := t.Add(row); err != nil {
				return err
			}
		}
		return nil
	}, page: t.Flush})
	if err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	return o.sayReasons(reasons)
}

func (o *options) sayReasons(list []reason) error {
	for _, r := range list {
		if err := o.say(render.Notice, "%s: %s", r.what, r.why); err != nil {
			return err
		}
	}
	return nil
}

// driver is what moves the device's packets.
func (i interfaceTree) driver() string {
	driver := i.State.DriverInUse
	if i.State.Type != "" && i.State.Type != "ethernet" {
		driver = i.State.Type
	}
	if i.State.XDPMode != "" && i.State.XDPMode != "none" {
		driver += "/" + i.State.XDPMode
	}
	if i.State.ZeroCopy {
		driver += "/zero-copy"
	}
	if fast := i.State.FastPath; fast.Receives || fast.Sends {
		driver += "/fast"
	}
	if i.State.DriverInUse != "" && i.State.Polling != "" && i.State.Polling != "adaptive" {
		driver += "/" + i.State.Polling
	}
	return driver
}

// A familyLine is an address of a family, or what it has instead.
type familyLine struct {
	family, status, text string
	apply                applyTree
}

// mark is the line's text, with what is the matter with it unless its status says that.
func (l familyLine) mark() string {
	if strings.Contains(l.status, "/") && l.apply.Apply == "pending" {
		return l.text // "up/tentative" tells more
	}
	return l.apply.markBeside(l.text, l.status)
}

// families are the lines of a unit's families, and what is wrong with them.
func (u unitTree) families() (lines []familyLine, reasons []reason) {
	name := u.State.Name
	for _, f := range u.Family {
		add := func(text, status string, a applyTree) { lines = append(lines, familyLine{f.Type, status, text, a}) }
		wrong := func(what, format string, args ...any) {
			reasons = append(reasons, reason{name + " " + what, fmt.Sprintf(format, args...)})
		}
		if why := f.State.FastPathReason; why != "" {
			wrong(f.Type, "packets take the user path: %s", why)
		}
		// What all of the unit wait for is said of the unit.
		own := f.State.applyTree
		if own.Why == u.State.Why {
			own = applyTree{}
		}
		if text := own.beside(f.State.OperReason); text != "" {
			wrong(f.Type, "%s", text)
		}
		in := ""
		if f.State.Instance != "" && f.State.Instance != "default" {
			in = " in " + f.State.Instance
		}
		if check := f.State.RPFCheck; check != "" && check != "none" {
			in += " rpf " + check
			if n := f.State.Counters.RPFFailed; n != "" && n != "0" {
				wrong(f.Type, "%s packets failed the rpf-check", n)
			}
		}
		switch {
		case f.State.Unnumbered != "":
			add(fmt.Sprintf("(%s of %s)%s", cmp.Or(f.State.Borrowed, "none"), f.State.Unnumbered, in), f.State.OperStatus, own)
		case len(f.Address) == 0:
			add("(no address)"+in, f.State.OperStatus, own)
		}
		for _, a := range f.Address {
			st := f.State.OperStatus
			if a.State.Status != "" && a.State.Status != "preferred" {
				st += "/" + a.State.Status
			}
			apply := a.State.applyTree
			if apply.applied() || apply.Why == f.State.Why {
				apply = own
			}
			add(a.Prefix+in, st, apply)
			if a.State.Reason != "" {
				wrong(a.Prefix, "%s", a.State.Reason)
			}
			if text := apply.beside(a.State.Reason); text != "" && apply.Why != own.Why {
				wrong(a.Prefix, "%s", text)
			}
		}
		if a := f.Advert.State; a.Enabled {
			add(fmt.Sprintf("advertises: %s, lifetime %d s, %s sent", a.Preference, a.Lifetime, a.Sent), f.State.OperStatus, applyTree{})
			if a.Inconsistency != "" {
				wrong(f.Type, "another router advertises otherwise: %s", a.Inconsistency)
			}
		}
		if f.State.OperReason != "" && f.State.OperReason != u.State.OperReason {
			wrong(f.Type, "%s", f.State.OperReason)
		}
	}
	return lines, reasons
}

// rateText is a rate of the model for people; "-" before it is known.
func rateText(bits string) string {
	n, err := strconv.ParseFloat(bits, 64)
	if err != nil {
		return "-"
	}
	return render.BitRate(n)
}

func packetRateText(packets string) string {
	n, err := strconv.ParseFloat(packets, 64)
	if err != nil {
		return "-"
	}
	return render.PacketRate(n)
}

// showInterfacesTerse prints a line for each device, unit and address: what is there
// and whether it is up.
func showInterfacesTerse(ctx context.Context, o *options, c *client, args []string) error {
	name := onlyName(args)
	if o.wantsData() {
		return o.interfacesAsData(ctx, c, name)
	}
	t := render.NewTable(o.out, o.view.screen, []render.Column{
		{Head: "Interface"}, {Head: "Admin"}, {Head: "State"}, {Head: "Family", Drop: 1}, {Head: "Address"}, {Head: "Description", Wrap: true, Drop: 2}})
	admin := func(enabled *bool) string {
		if enabled != nil && !*enabled {
			return "off"
		}
		return "on"
	}
	add := func(name, on, status, family, address, description string) error {
		row := render.Cells(name, on, status, family, address, description)
		row[2].Style = render.StatusStyle(status)
		return t.Add(row)
	}
	err := c.eachInterface(ctx, name, visitor{device: func(i interfaceTree) error {
		return add(i.State.markBeside(i.Name, i.State.OperStatus), admin(i.State.Enabled), dash(i.State.OperStatus), "", "", i.State.Description)
	}, unit: func(_ string, u unitTree) error {
		name, on, st, description := u.State.markBeside(u.State.Name, u.State.OperStatus), admin(u.State.Enabled), dash(u.State.OperStatus), u.State.Description
		lines, _ := u.families()
		if len(lines) == 0 {
			return add(name, on, st, "", "", description)
		}
		for _, l := range lines {
			if strings.HasPrefix(l.text, "advertises") {
				continue
			}
			if err := add(name, on, st, l.family, l.mark(), description); err != nil {
				return err
			}
			name, on, st, description = "", "", "", ""
		}
		return nil
	}, page: t.Flush})
	if err != nil {
		return err
	}
	return t.Close()
}
