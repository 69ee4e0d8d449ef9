package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"router/cmd/routerd/control"
	"router/dataplane/bpf"
	"router/dataplane/driver"
	"router/dataplane/ethtool"
	"router/dataplane/port"
	"router/intf"
	"router/intf/kernel"
	"router/models"
)

// drivers opens the kernel's devices on the workers' frame memory.
type drivers struct {
	memories []*driver.Memory
	devices  *kernel.Devices
	pins     *bpf.Pins
	noPins   error     // why pins is nil; nil if it is not to be
	fast     *bpf.Fast // nil: none
}

func newDrivers(pools []*port.Pool, devices *kernel.Devices, pins *bpf.Pins, noPins error, fast *bpf.Fast) *drivers {
	d := &drivers{devices: devices, pins: pins, noPins: noPins, fast: fast}
	for _, p := range pools {
		d.memories = append(d.memories, driver.UseMemory(p))
	}
	return d
}

// Open implements control.Drivers.
func (d *drivers) Open(_ context.Context, s control.DriverSpec) (control.Opened, error) {
	dev, err := driver.Open(driver.Spec{
		Device: s.Name, Attach: s.Attach, Driver: s.Driver, Queues: s.Queues, Claims: s.Claims, MaxFrame: s.MaxFrame, Memories: d.memories, Pins: d.pins,
		// What an earlier run left changed must not be taken for the original.
		Former: d.devices.FormerFeatures(s.Name),
	})
	if err != nil {
		return nil, err
	}
	o := opened{dev: dev, name: s.Name, devices: d.devices, noPins: d.noPins}
	var result control.Opened = o
	if d.fast != nil {
		result = forwarder{o, d.fast}
	}
	if err := d.devices.RememberFeatures(s.Name, dev.Changed); err != nil {
		for _, q := range o.Queues() {
			err = errors.Join(err, q.Close())
		}
		return nil, errors.Join(err, o.Close())
	}
	return result, nil
}

// forwarder is a device that may have a part in the fast path.
type forwarder struct {
	opened
	fast *bpf.Fast
}

var _ control.Forwarder = forwarder{}

func (f forwarder) Forward(record uint32) error { return f.dev.Forward(f.fast, record) }

func (f forwarder) StopForwarding() error { return f.dev.StopForwarding() }

func (f forwarder) Forwarding() error {
	if f.dev.Forwards(f.fast) {
		return nil
	}
	if err := f.fast.Off(); err != nil {
		return err
	}
	return errors.New("the program could not be exchanged: see the log")
}

func (f forwarder) OpenEgress(id uint32) (int, error) {
	if err := f.dev.CheckEgress(); err != nil {
		return 0, err
	}
	if err := f.fast.SetEgress(id, f.dev.Index); err != nil {
		return 0, err
	}
	return f.dev.Index, nil
}

func (f forwarder) CloseEgress(id uint32) error { return f.fast.ClearEgress(id) }

// restoreFeatures gives a device the offloads back that a run which was killed
// had changed.
func restoreFeatures(devices *kernel.Devices, name string) error {
	former := devices.FormerFeatures(name)
	if len(former) == 0 {
		return nil
	}
	c, err := ethtool.Dial()
	if err != nil {
		return err
	}
	_, err = c.Set(name, former)
	if err := errors.Join(err, c.Close()); err != nil {
		return fmt.Errorf("give offloads back: %w", err)
	}
	return devices.ForgetFeatures(name)
}

// opened is a device of package driver as control sees it.
type opened struct {
	dev     *driver.Device
	name    string
	devices *kernel.Devices
	noPins  error
}

func (o opened) Queues() []port.Queue {
	queues := make([]port.Queue, len(o.dev.Queues))
	for i, q := range o.dev.Queues {
		queues[i] = q.Queue
	}
	return queues
}

func (o opened) Report() control.DriverReport {
	r := o.dev.Report
	return control.DriverReport{
		Driver: r.Driver, XDPMode: xdpMode(r.XDP), ZeroCopy: r.ZeroCopy, Queues: r.QueueCount, Reason: r.Reason(),
		Completes: r.Checksum == driver.Complete, Marked: r.Marked, OffloadsOff: wereOn(r.Changed),
	}
}

// wereOn lists the features that were on before they were changed.
func wereOn(changed map[string]bool) []string {
	var list []string
	for name, was := range changed {
		if was {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

func xdpMode(m driver.XDPMode) models.XDPMode {
	switch m {
	case driver.XDPNone:
		return models.XDPNone
	case driver.XDPNative:
		return models.XDPNative
	case driver.XDPGeneric:
		return models.XDPGeneric
	}
	return models.XDPNone
}

// Lost is what the XDP program dropped. AF_PACKET's program hides every frame
// from the kernel, which loses nothing.
func (o opened) Lost() map[string]uint64 {
	lost := map[string]uint64{}
	c, err := o.dev.Counters()
	if err != nil || o.dev.Driver != intf.DriverAFXDP {
		return lost
	}
	for reason, n := range map[string]uint64{"driver-oversize": c.Oversize, "driver-no-socket": c.NoSocket} {
		if n > 0 {
			lost[reason] = n
		}
	}
	return lost
}

func (o opened) SetClaims(c []bpf.Claim) error { return o.dev.SetClaims(c) }

func (o opened) Close() error {
	if err := o.dev.Close(); err != nil {
		return err
	}
	if len(o.dev.Changed) > 0 {
		return nil // it is out of reach, and may come back
	}
	return o.devices.ForgetFeatures(o.name)
}

func (o opened) Activate() error { return o.dev.Activate() }

func (o opened) Pin() error { return o.dev.Pin() }

func (o opened) Outlives() (bool, error) {
	outlives, err := o.dev.Outlives()
	if o.noPins != nil && o.dev.Driver != intf.DriverAFPacket {
		err = o.noPins
	}
	return outlives, err
}

// Leave leaves the features as they are, remembered for a successor.
func (o opened) Leave() error { return o.dev.Leave() }

// links are the kernel's links: what the monitor sees and what is done to them.
type links struct {
	*kernel.Monitor
	*kernel.Devices
}

// Release gives a device back, offloads included, and what a run that was killed hides
// of it from the kernel.
func (l links) Release(name string) error {
	return errors.Join(bpf.Unhide(name), restoreFeatures(l.Devices, name), l.Devices.Release(name))
}

// releaseExcept gives back what an earlier run claimed, but for what keep wants.
func (l links) releaseExcept(keep map[string]bool) error {
	errs := []error{l.Follow()}
	for _, name := range l.Claimed() {
		if !keep[name] {
			errs = append(errs, l.Release(name))
		}
	}
	return errors.Join(errs...)
}

func (l links) Close() {
	l.Monitor.Close()
	l.Devices.Close()
}
