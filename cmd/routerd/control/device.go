package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"router/dataplane"
	"router/dataplane/bpf"
	"router/dataplane/port"
	"router/intf"
	"router/intf/kernel"
	"router/models"
)

// Drivers open devices.
type Drivers interface {
	// Open opens a device's queues, one for each that is to be used. The error
	// says what was tried and why each failed.
	Open(ctx context.Context, spec DriverSpec) (Opened, error)
}

// A DriverSpec says what to open.
type DriverSpec struct {
	Name   string
	Attach intf.Attach
	Driver intf.Driver
	Queues int // 0: all
	Claims []bpf.Claim
	// MaxFrame is the longest frame that the device is opened for: port.MaxFrame,
	// or port.MaxJumbo where the MRU asks for jumbo frames.
	MaxFrame int
}

// Opened is an open device.
type Opened interface {
	// Queues are to be served each by the worker of its position.
	Queues() []port.Queue
	// Report says what was chosen and why.
	Report() DriverReport
	// SetClaims replaces what a shared device's frames are taken by.
	SetClaims([]bpf.Claim) error
	// Lost is what never reached a queue, by reason, since the device was opened.
	Lost() map[string]uint64
	// Activate has frames brought to the queues of a device that a former run's
	// program still serves; elsewhere it does nothing.
	Activate() error
	// Outlives says whether what its program forwards goes on being forwarded
	// without the process, and if not why.
	Outlives() (bool, error)
	// Pin tries again what Outlives says could not be done; the error says why it still
	// can't. Where nothing failed it does nothing.
	Pin() error
	// Leave frees what is the process's, and leaves the device to a successor as
	// it is.
	Leave() error
	// Close gives the device back. The queues must have been closed.
	Close() error
}

// A DriverReport is what state shows of how a device was opened.
type DriverReport struct {
	Driver   intf.Driver
	XDPMode  models.XDPMode
	ZeroCopy bool
	Queues   int
	Reason   string // why it isn't something better
	// OffloadsOff are features of the device that were on, sorted.
	OffloadsOff []string
	// Completes says that the device can hand over partial checksums, which the
	// router completes; Marked that the driver marks such frames.
	Completes, Marked bool
}

// retryFirst and retryMost bound the time between attempts to open a device
// that is there but can't be opened.
const (
	retryFirst = time.Second
	retryMost  = 30 * time.Second
)

// A device is an ifd: what is wanted of it, and how it is open.
type device struct {
	name    string
	want    *intf.DeviceSpec
	open    Opened // nil: closed
	port    dataplane.PortID
	spec    intf.DeviceSpec // of open
	link    int             // the kernel's index, of open
	claimed bool            // taken over from the kernel
	warning string
	err     error // of the last attempt
	retry   time.Time
	backoff time.Duration
	// failures counts the attempts to open it that failed since it was opened or
	// declared last.
	failures uint32
	failing  time.Time // since when err is there; zero while it isn't
	claims   []bpf.Claim
	fast     fastPart
	// fastRetry is about a part that it could have and has not.
	fastRetry fastRetry
	unpinned  time.Time // when it was last tried to have it outlive the process; zero where that didn't fail
	captures  []*Capture
	changed   time.Time // of the last change of its state
	status    intf.OperStatus
	meter     meter
}

func (r *Router) wantDevice(name string, spec *intf.DeviceSpec) error {
	d := r.devices[name]
	if d == nil {
		d = &device{name: name, changed: r.now(), status: intf.OperPending}
		r.devices[name] = d
	}
	if spec == nil {
		r.dirty.tree(r.tree.DeleteDevice(name))
	} else {
		changes, err := r.tree.SetDevice(*spec)
		if err != nil {
			return err
		}
		r.dirty.tree(changes)
		r.saveIndex(name, r.tree.Device(name).Index)
	}
	d.want, d.err, d.retry, d.backoff, d.failures = spec, nil, time.Time{}, 0, 0
	r.dirty.devices[name] = struct{}{}
	return nil
}

// keeps reports whether d, which is open, can stay so.
func (d *device) keeps(l kernel.Link) bool {
	w := d.want
	return w != nil && w.Enabled && w.Type != intf.Loopback && l.Present && l.Index == d.link && l.Master == "" && w.OpensAs(d.spec)
}

// maxFrame is what a device of an MRU is opened for. Crossing the bound between
// the two opens it anew.
func maxFrame(mru uint16) int {
	if mru > intf.MaxPlainMRU {
		return port.MaxJumbo
	}
	return port.MaxFrame
}

// buildDevice opens a device that is wanted and there, and lets the tree know.
func (r *Router) buildDevice(ctx context.Context, name string, strict bool) error {
	d := r.devices[name]
	if d == nil || d.want == nil {
		return nil
	}
	l := r.links.Get(name)
	if d.open != nil && !d.keeps(l) {
		link := d.link
		r.closeDevice(d)
		if l.Index != link {
			r.letGo(d, link)
		}
	}
	if d.open == nil && l.Present {
		r.vacate(d, l.Index)
	}
	if d.want.Type == intf.Loopback {
		// A link of the same name is nothing to us.
		r.release(d)
		d.err, d.retry, d.backoff = nil, time.Time{}, 0
		r.observe(d)
		return nil
	}
	var err error
	if d.want.Enabled && l.Present && !r.now().Before(d.retry) {
		err = r.openDevice(ctx, d, l)
		d.err = err
		if err != nil {
			d.backoff = min(max(2*d.backoff, retryFirst), retryMost)
			d.retry = r.now().Add(d.backoff)
			d.failures++
		} else {
			d.retry, d.backoff, d.failures = time.Time{}, 0, 0
			r.joinFastPath(d)
		}
	}
	if !l.Present || !d.want.Enabled {
		d.err, d.retry, d.backoff = nil, time.Time{}, 0
	}
	r.observe(d)
	if err != nil && strict {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	return nil
}

// letGo gives the link that d had back if it has a name now under which nobody
// wants it. One that another device has the name of is given back by that one.
func (r *Router) letGo(d *device, link int) {
	name := r.links.Named(link)
	if o := r.devices[name]; name == "" || o != nil && o.want != nil && o.want.Enabled {
		return
	}
	r.log.Warn("interface has been renamed, and is not the router's any more", "ifd", d.name, "name", name)
	r.release(d)
}

// vacate closes the device that has the link which has d's name now, as when two
// swap their names: nothing else could open it as well as that one has.
func (r *Router) vacate(d *device, link int) {
	for _, o := range r.devices {
		if o != d && o.open != nil && o.link == link {
			r.closeDevice(o)
			r.dirty.devices[o.name] = struct{}{}
		}
	}
}

// openDevice opens d, or brings one that is open up to date.
func (r *Router) openDevice(ctx context.Context, d *device, l kernel.Link) error {
	// A link that is down is set up by the claim, and one without a carrier can
	// be opened: it is down in state, and works as soon as the cable is in.
	if l.Master != "" {
		return errors.New(l.Reason())
	}
	w := *d.want
	warning, err := r.links.Claim(d.name, kernel.DeviceClaim{Attach: w.Attach, Up: true, MTU: int(w.MRU) - intf.MTUReserve, MAC: w.MAC})
	if err != nil {
		return err
	}
	d.claimed = true
	if warning != "" && warning != d.warning {
		r.log.Warn("interface needs attention", "ifd", d.name, "warning", warning)
	}
	d.warning = warning
	polling := d.spec.Polling
	d.spec = w
	if d.open != nil {
		if w.Polling != polling {
			r.engine.SetPolling(d.port, w.Polling)
		}
		// The kernel may have got or lost addresses on it.
		return r.reclaim(d.name)
	}
	d.claims = r.claims(d.name)
	open, err := r.drivers.Open(ctx, DriverSpec{Name: d.name, Attach: w.Attach, Driver: w.Driver, Queues: int(w.Queues), Claims: d.claims, MaxFrame: maxFrame(w.MRU)})
	if err != nil {
		return err
	}
	report := open.Report()
	id, err := r.engine.AddPort(d.name, open.Queues(), dataplane.PortOptions{CompleteChecksums: report.Completes && !report.Marked, Polling: w.Polling})
	if err != nil {
		return errors.Join(err, closeUnused(open))
	}
	d.open, d.port, d.link = open, id, l.Index
	d.meter.begin(r.now())
	r.ports[id] = d
	if !r.adopting {
		if err := r.activate(d); err != nil {
			r.closeDevice(d)
			return err
		}
	}
	r.log.Info("interface opened", "ifd", d.name, "driver", report.Driver.String(), "xdp", report.XDPMode.String(), "queues", report.Queues, "reason", report.Reason)
	r.markUnits(d.name)
	return nil
}

// activate has an open device's frames brought to it, and notes whether it is to be tried again
// to have it outlive the process.
func (r *Router) activate(d *device) error {
	if err := d.open.Activate(); err != nil {
		return err
	}
	if err := d.open.Pin(); err != nil {
		r.log.Warn("the interface will not forward without routerd; it is tried again", "ifd", d.name, "err", err)
		d.unpinned = r.now()
	}
	return nil
}

// pinInterval is the time between attempts to have a device outlive the process.
const pinInterval = 30 * time.Second

// retryPins has devices outlive the process that could not. It returns the time until
// it wants to be called again.
func (r *Router) retryPins(now time.Time) time.Duration {
	next := time.Minute
	for _, d := range r.devices {
		if d.open == nil || d.unpinned.IsZero() {
			continue
		}
		if wait := d.unpinned.Add(pinInterval).Sub(now); wait > 0 && wait <= pinInterval {
			next = min(next, wait)
			continue
		}
		if d.unpinned = now; d.open.Pin() != nil {
			next = min(next, pinInterval)
			continue
		}
		d.unpinned = time.Time{}
		r.log.Info("the interface forwards without routerd as well now", "ifd", d.name)
		r.changedDevice(d.name)
	}
	return next
}

// closeUnused closes queues that no worker has seen.
func closeUnused(open Opened) error {
	var errs []error
	for _, q := range open.Queues() {
		errs = append(errs, q.Close())
	}
	return errors.Join(append(errs, open.Close())...)
}

// markUnits has all units of a device looked at.
func (r *Router) markUnits(device string) {
	for _, key := range r.tree.Units(device) {
		r.dirty.units[key] = struct{}{}
	}
}

// closeDevice takes d's port out of the dataplane.
func (r *Router) closeDevice(d *device) {
	if d.open == nil {
		return
	}
	r.endCaptures(d)
	r.leaveDevice(d.name)
	r.leaveFastPath(d)
	delete(r.ports, d.port)
	err := errors.Join(r.engine.RemovePort(d.port), d.open.Close())
	if err != nil {
		r.log.Warn("interface did not close cleanly", "ifd", d.name, "err", err)
	}
	r.log.Info("interface closed", "ifd", d.name)
	d.open, d.port, d.fastRetry, d.unpinned = nil, 0, fastRetry{}, time.Time{}
	d.meter.begin(time.Time{}) // what was counted goes as well
	r.markUnits(d.name)
}

// clearDevice gives back a device that is no longer wanted.
func (r *Router) clearDevice(name string) {
	d := r.devices[name]
	if d == nil {
		return
	}
	if d.want == nil || !d.want.Enabled {
		r.closeDevice(d)
		r.release(d)
	}
	if d.want == nil {
		delete(r.devices, name)
		r.dirty.tree(r.tree.Observe(name, intf.Observed{}))
		r.changedDevice(name)
		return
	}
	r.observe(d)
}

// release gives a device's link back to the kernel.
func (r *Router) release(d *device) {
	if !d.claimed {
		return
	}
	if err := r.links.Release(d.name); err != nil {
		r.log.Warn("interface could not be given back as it was", "ifd", d.name, "err", err)
	}
	d.claimed, d.warning = false, ""
}

// observe tells the tree what is seen of a device.
func (r *Router) observe(d *device) {
	switch {
	case d.err == nil:
		d.failing = time.Time{}
	case d.failing.IsZero():
		d.failing = r.now()
	}
	l := r.links.Get(d.name)
	o := intf.Observed{Present: l.Present, MAC: l.MAC, LinkMTU: uint16(min(l.MTU, 65535)), Up: l.OperUp() && d.open != nil}
	switch {
	case d.err != nil:
		o.Reason = d.err.Error()
	case !l.Present:
		o.Reason = fmt.Sprintf("no link %s in the kernel: it is used when it appears", d.name)
	case d.open != nil && !l.OperUp():
		o.Reason = l.Reason()
	}
	changes := r.tree.Observe(d.name, o)
	r.dirty.tree(changes)
	status := intf.OperPending
	if t := r.tree.Device(d.name); t != nil {
		status = t.Down.Status()
	}
	if status != d.status {
		d.status, d.changed = status, r.now()
	}
	r.changedDevice(d.name)
}

// claims are what the router takes of a shared device: the tag stacks of its
// units, less what is addressed to the kernel itself.
func (r *Router) claims(device string) []bpf.Claim {
	if d := r.devices[device]; d == nil || d.want == nil || d.want.Attach != intf.Shared {
		return nil
	}
	var claims []bpf.Claim
	for _, key := range r.tree.Units(device) {
		u := r.tree.Unit(key)
		if u == nil || u.Down&intf.BadTags != 0 || len(u.Spec.Families) == 0 {
			continue
		}
		claim := bpf.Claim{Tags: u.Stack}
		if u.Stack.Tags() == 0 {
			for _, p := range r.links.Get(device).Addresses {
				claim.Kernel = append(claim.Kernel, p.Addr())
			}
			r.share(&claim, u)
		}
		claims = append(claims, claim)
	}
	return claims
}

func equalClaims(a, b []bpf.Claim) bool {
	return slices.EqualFunc(a, b, func(x, y bpf.Claim) bool {
		return x.Tags == y.Tags && slices.Equal(x.Kernel, y.Kernel) &&
			slices.Equal(x.Shared, y.Shared) && slices.Equal(x.Sessions, y.Sessions)
	})
}

// LinkChanged takes a link's new state in. It is for the monitor to call.
func (r *Router) LinkChanged(l kernel.Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.devices[l.Name]
	if d == nil {
		return
	}
	r.log.Debug("link changed", "ifd", l.Name, "present", l.Present, "up", l.OperUp())
	d.retry = time.Time{}
	r.dirty.devices[l.Name] = struct{}{}
	r.repair(context.Background())
}

// onPortError is told that a queue of a port has stopped working.
func (r *Router) onPortError(id dataplane.PortID, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.ports[id]
	if d == nil || r.engine.PortErr(id) == nil {
		return // another of its queues was first, and the id is somebody else's by now
	}
	r.log.Warn("interface failed", "ifd", d.name, "err", err)
	r.fail(d, err)
	r.repair(context.Background())
}

// fail closes a device that does not work any more, to be tried again.
func (r *Router) fail(d *device, err error) {
	r.closeDevice(d)
	d.err, d.retry = err, r.now().Add(retryFirst)
	d.failures++
	r.observe(d)
	r.dirty.devices[d.name] = struct{}{}
}
