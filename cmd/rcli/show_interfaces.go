package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/rcli/render"
)

// An ifName names a device, or a unit of one where id is not "".
type ifName struct{ device, id string }

func (n ifName) String() string {
	if n.id == "" {
		return n.device
	}
	return n.device + "." + n.id
}

// path is where the state of the object stands: of a device without its units.
func (n ifName) path() *gpb.Path {
	p := &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": n.device}}}}
	if n.id == "" {
		p.Elem = append(p.Elem, &gpb.PathElem{Name: "state"})
	} else {
		p.Elem = append(p.Elem, &gpb.PathElem{Name: "unit", Key: map[string]string{"id": n.id}})
	}
	return p
}

// deviceNames lists the devices, in the order in which people want them: all, or the
// one that is named, itself or by a unit of its.
func (c *client) deviceNames(ctx context.Context, name string) ([]string, error) {
	device, _, _ := strings.Cut(name, ".")
	notes, err := c.get(ctx, gpb.GetRequest_ALL, &gpb.Path{Elem: []*gpb.PathElem{
		{Name: "interface", Key: map[string]string{"name": cmp.Or(device, "*")}}, {Name: "name"}}})
	switch {
	case status.Code(err) == codes.NotFound && name == "":
		return nil, nil
	case status.Code(err) == codes.NotFound:
		return nil, noInterface(name)
	case err != nil:
		return nil, err
	}
	var list []string
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			list = append(list, u.GetPath().GetElem()[0].GetKey()["name"])
		}
	}
	slices.SortFunc(list, render.Natural)
	return slices.Compact(list), nil
}

// exists fails when there is no such device or unit.
func (c *client) exists(ctx context.Context, name string) error {
	devices, err := c.deviceNames(ctx, name)
	if err != nil {
		return err
	}
	_, id, unit := strings.Cut(name, ".")
	if !unit {
		return nil
	}
	if names, err := c.interfaceNames(ctx, devices, id); err != nil || len(names) == 0 {
		return cmp.Or(err, noInterface(name))
	}
	return nil
}

func noInterface(name string) error {
	return status.Errorf(codes.NotFound, "there is no interface %s; show interfaces lists them", name)
}

// interfaceNames lists devices with their units behind each, or only those with the
// given id where it isn't "".
func (c *client) interfaceNames(ctx context.Context, devices []string, id string) ([]ifName, error) {
	paths := make([]*gpb.Path, len(devices))
	var list []ifName
	for i, d := range devices {
		paths[i] = &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": d}},
			{Name: "unit", Key: map[string]string{"id": cmp.Or(id, "*")}}, {Name: "id"}}}
		if id == "" {
			list = append(list, ifName{device: d})
		}
	}
	notes, err := c.get(ctx, gpb.GetRequest_ALL, paths...)
	if err != nil && status.Code(err) != codes.NotFound {
		return nil, err
	}
	if err != nil && len(devices) > 1 {
		// One of them is gone, or has no units: they are asked for one by one.
		list = nil
		for _, d := range devices {
			some, err := c.interfaceNames(ctx, []string{d}, id)
			if err != nil {
				return nil, err
			}
			list = append(list, some...)
		}
		return list, nil
	}
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			e := u.GetPath().GetElem()
			list = append(list, ifName{device: e[0].GetKey()["name"], id: e[1].GetKey()["id"]})
		}
	}
	slices.SortFunc(list, func(a, b ifName) int {
		return cmp.Or(render.Natural(a.device, b.device), render.Natural(a.id, b.id))
	})
	return slices.Compact(list), nil
}

// atOnce is how many devices and units are asked for at a time: the first page is
// there soon, and neither side holds more.
const atOnce = 64

// A visitor takes devices and units as they come; page is called when some have.
type visitor struct {
	device func(interfaceTree) error
	unit   func(device string, u unitTree) error
	page   func() error
}

// eachInterface visits all devices and units, a device with its units, or a unit. What
// there is is asked for as it is needed: at first of one device, then of more and more.
func (c *client) eachInterface(ctx context.Context, name string, v visitor) error {
	devices, err := c.deviceNames(ctx, name)
	if err != nil {
		return err
	}
	_, id, _ := strings.Cut(name, ".")
	found := 0
	for n := 1; len(devices) > 0; n = min(2*n, atOnce) {
		some := devices[:min(n, len(devices))]
		devices = devices[len(some):]
		names, err := c.interfaceNames(ctx, some, id)
		if err != nil {
			return err
		}
		found += len(names)
		if err := c.states(ctx, names, v); err != nil {
			return err
		}
	}
	if found == 0 && name != "" {
		return noInterface(name)
	}
	return nil
}

// states reads the state of devices and units, some at a time.
func (c *client) states(ctx context.Context, names []ifName, v visitor) error {
	for some := range slices.Chunk(names, atOnce) {
		paths := make([]*gpb.Path, len(some))
		for i, n := range some {
			paths[i] = n.path()
		}
		notes, err := c.get(ctx, gpb.GetRequest_STATE, paths...)
		if status.Code(err) == codes.NotFound {
			// One is gone since it was listed: the others are asked for one by one.
			if len(some) == 1 {
				continue
			}
			for _, n := range some {
				if err := c.states(ctx, []ifName{n}, v); err != nil {
					return err
				}
			}
			continue
		}
		if err != nil {
			return err
		}
		for i, n := range notes {
			for _, u := range n.GetUpdate() {
				raw := unqualify(rawValue(u.GetVal()))
				var err error
				if at := some[i]; at.id == "" {
					t := interfaceTree{Name: at.device}
					if err = json.Unmarshal(raw, &t.State); err == nil {
						err = v.device(t)
					}
				} else {
					var t unitTree
					if err = json.Unmarshal(raw, &t); err == nil {
						t.ID = at.id
						t.State.Name = cmp.Or(t.State.Name, at.String())
						err = v.unit(at.device, t)
					}
				}
				if err != nil {
					return fmt.Errorf("interface %s: %w", some[i], err)
				}
			}
		}
		if err := v.page(); err != nil {
			return err
		}
	}
	return nil
}

func onlyName(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

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
	add := func(name, status, why, detail string, n countersTree, r ratesTree) error {
		if why != "" {
			reasons = append(reasons, reason{name, why})
		}
		row := render.Cells(name, dash(status), dash(detail), dash(n.InPkts), dash(n.InOctets), dash(n.OutPkts), dash(n.OutOctets), rateText(r.InBits), rateText(r.OutBits))
		row[1].Style = render.StatusStyle(status)
		return t.Add(row)
	}
	err := c.eachInterface(ctx, name, visitor{device: func(i interfaceTree) error {
		return add(i.Name, i.State.OperStatus, i.State.OperReason, strings.TrimSpace(i.State.MAC+" "+i.driver()), i.State.Counters, i.State.Rates)
	}, unit: func(_ string, u unitTree) error {
		if err := add(u.State.Name, u.State.OperStatus, u.State.OperReason, "", u.State.Counters, u.State.Rates); err != nil {
			return err
		}
		lines, why := u.families()
		reasons = append(reasons, why...)
		for _, l := range lines {
			row := render.Cells("  "+l.family, dash(l.status), l.text)
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
type familyLine struct{ family, status, text string }

// families are the lines of a unit's families, and what is wrong with them.
func (u unitTree) families() (lines []familyLine, reasons []reason) {
	name := u.State.Name
	for _, f := range u.Family {
		add := func(text, status string) { lines = append(lines, familyLine{f.Type, status, text}) }
		wrong := func(what, format string, args ...any) {
			reasons = append(reasons, reason{name + " " + what, fmt.Sprintf(format, args...)})
		}
		if why := f.State.FastPathReason; why != "" {
			wrong(f.Type, "packets take the user path: %s", why)
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
			add(fmt.Sprintf("(%s of %s)%s", cmp.Or(f.State.Borrowed, "none"), f.State.Unnumbered, in), f.State.OperStatus)
		case len(f.Address) == 0:
			add("(no address)"+in, f.State.OperStatus)
		}
		for _, a := range f.Address {
			st := f.State.OperStatus
			if a.State.Status != "" && a.State.Status != "preferred" {
				st += "/" + a.State.Status
			}
			add(a.Prefix+in, st)
			if a.State.Reason != "" {
				wrong(a.Prefix, "%s", a.State.Reason)
			}
		}
		if a := f.Advert.State; a.Enabled {
			add(fmt.Sprintf("advertises: %s, lifetime %d s, %s sent", a.Preference, a.Lifetime, a.Sent), f.State.OperStatus)
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
		return add(i.Name, admin(i.State.Enabled), dash(i.State.OperStatus), "", "", i.State.Description)
	}, unit: func(_ string, u unitTree) error {
		name, on, st, description := u.State.Name, admin(u.State.Enabled), dash(u.State.OperStatus), u.State.Description
		lines, _ := u.families()
		if len(lines) == 0 {
			return add(name, on, st, "", "", description)
		}
		for _, l := range lines {
			if strings.HasPrefix(l.text, "advertises") {
				continue
			}
			if err := add(name, on, st, l.family, l.text, description); err != nil {
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
		if n.LastClear != "" {
			return line(2, "Cleared", "%s", momentText(n.LastClear))
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
			{"Description", s.Description}, {"MAC address", s.MAC}, {"Driver", i.driver()}, {"Driver reason", s.DriverReason}, {"Speed", speed},
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
		for _, l := range [][2]string{{"Description", s.Description}, {"VLAN", u.vlan()}, {"Index", intText(s.IfIndex)}, {"Since", sinceWords(s.LastChange)}} {
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
			if err := line(4, l.family, "%s, %s", l.text, dash(l.status)); err != nil {
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

// showNeighbors prints the neighbours of all units, of a device's or of one.
func showNeighbors(ctx context.Context, o *options, c *client, args []string) error {
	device, id, unit := strings.Cut(cmp.Or(onlyName(args), "*"), ".")
	if !unit {
		id = "*"
	}
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": device}}, {Name: "unit", Key: map[string]string{"id": id}},
		{Name: "family", Key: map[string]string{"type": "*"}}, {Name: "neighbor", Key: map[string]string{"address": "*"}}}}
	if len(args) > 0 {
		if err := c.exists(ctx, args[0]); err != nil {
			return err
		}
	}
	if o.wantsData() {
		_, err := o.printNodes(ctx, c, gpb.GetRequest_ALL, false, path)
		return err
	}
	notes, err := c.get(ctx, gpb.GetRequest_STATE, path)
	if err != nil && status.Code(err) != codes.NotFound {
		return err
	}
	type row struct {
		unit ifName
		neighborTree
	}
	var list []row
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			e := u.GetPath().GetElem()
			r := row{unit: ifName{e[0].GetKey()["name"], e[1].GetKey()["id"]}}
			if err := json.Unmarshal(unqualify(rawValue(u.GetVal())), &r.neighborTree); err != nil {
				return fmt.Errorf("the router's answer for %s: %w", pathText(u.GetPath()), err)
			}
			list = append(list, r)
		}
	}
	instances, err := c.familyInstances(ctx, device, id, len(list) > 0)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b row) int {
		return cmp.Or(render.Natural(a.unit.String(), b.unit.String()), compareAddresses(a.Address, b.Address))
	})
	var rows [][]string
	for _, n := range list {
		since := "-"
		if ns, err := strconv.ParseInt(n.State.LastChange, 10, 64); err == nil {
			since = render.Duration(time.Since(time.Unix(0, ns)).Truncate(time.Second))
		}
		rows = append(rows, []string{n.Address, dash(n.State.LinkLayerAddress), n.unit.String(), dash(n.State.State), dash(n.State.Origin),
			dash(instances[n.unit.String()+" "+afiOf(n.Address)]), since})
	}
	return o.rows("Address Link-layer Interface State Origin Instance For", rows)
}

// familyInstances are the instances of families, by unit and family.
func (c *client) familyInstances(ctx context.Context, device, id string, wanted bool) (map[string]string, error) {
	m := map[string]string{}
	if !wanted {
		return m, nil
	}
	notes, err := c.get(ctx, gpb.GetRequest_STATE, &gpb.Path{Elem: []*gpb.PathElem{{Name: "interface", Key: map[string]string{"name": device}},
		{Name: "unit", Key: map[string]string{"id": id}}, {Name: "family", Key: map[string]string{"type": "*"}}, {Name: "state"}, {Name: "instance"}}})
	if err != nil && status.Code(err) != codes.NotFound {
		return nil, err
	}
	for _, n := range notes {
		for _, u := range n.GetUpdate() {
			e := u.GetPath().GetElem()
			var instance string
			if err := json.Unmarshal(rawValue(u.GetVal()), &instance); err != nil {
				return nil, fmt.Errorf("the router's answer for %s: %w", pathText(u.GetPath()), err)
			}
			m[e[0].GetKey()["name"]+"."+e[1].GetKey()["id"]+" "+e[2].GetKey()["type"]] = instance
		}
	}
	return m, nil
}
