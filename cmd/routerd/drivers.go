package main

import (
	"context"

	"router/cmd/routerd/control"
	"router/dataplane/bpf"
	"router/dataplane/driver"
	"router/dataplane/port"
	"router/intf"
	"router/intf/kernel"
	"router/models"
)

// drivers opens the kernel's devices on the workers' frame memory.
type drivers struct{ memories []*driver.Memory }

func newDrivers(pools []*port.Pool) *drivers {
	d := &drivers{}
	for _, p := range pools {
		d.memories = append(d.memories, driver.UseMemory(p))
	}
	return d
}

// Open implements control.Drivers.
func (d *drivers) Open(_ context.Context, s control.DriverSpec) (control.Opened, error) {
	dev, err := driver.Open(driver.Spec{
		Device: s.Name, Attach: s.Attach, Driver: s.Driver, Queues: s.Queues, Claims: s.Claims, Memories: d.memories,
	})
	if err != nil {
		return nil, err
	}
	return opened{dev}, nil
}

// opened is a device of package driver as control sees it.
type opened struct{ dev *driver.Device }

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
		Completes: r.Checksum == driver.Complete, Marked: r.Marked,
	}
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
func (o opened) Close() error                  { return o.dev.Close() }

// links are the kernel's links: what the monitor sees and what is done to them.
type links struct {
	*kernel.Monitor
	*kernel.Devices
}

func (l links) Close() {
	l.Monitor.Close()
	l.Devices.Close()
}
