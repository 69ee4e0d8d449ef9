package control

import (
	"errors"
	"time"

	"router/models"
)

// A Forwarder is an Opened that may have a part in the fast path: in forwarding
// inside the kernel, by the tables that the engine keeps for it.
type Forwarder interface {
	// Forward has what arrives at the device forwarded; record is where its port
	// begins in the tables. The error says why that can't be.
	Forward(record uint32) error
	// StopForwarding ends that; packets may be under way no more when it returns.
	StopForwarding() error
	// Forwarding says why Forward is no longer in force, nil if it is.
	Forwarding() error
	// OpenEgress lets the programs of other devices send by this one, which they
	// know as port id, and returns the kernel's index of it. The error says why
	// they can't. CloseEgress ends that.
	OpenEgress(id uint32) (ifindex int, err error)
	CloseEgress(id uint32) error
}

// fastPart is a device's part in the fast path.
type fastPart struct {
	receives, sends error // why not; nil where it has that part
	on              bool  // Forward has succeeded; Forwarding says whether that holds
}

// A fastRetry says when Forward is to be tried again at a device.
type fastRetry struct {
	at      time.Time
	backoff time.Duration
}

// fastRetryFirst and fastRetryMost bound the time between attempts to have a device
// forward that could and does not, as when the kernel had no memory for its program:
// each costs the verifier some tenths of a second.
const (
	fastRetryFirst = 10 * time.Second
	fastRetryMost  = 10 * time.Minute
)

// retryFastPath has devices forward again whose programs could not be loaded, or not
// be exchanged for others. It returns the time until it wants to be called again.
func (r *Router) retryFastPath(now time.Time) time.Duration {
	if r.system.NoFastPath {
		return time.Minute
	}
	next := time.Minute
	for _, d := range r.devices {
		f, ok := d.open.(Forwarder)
		if in, _ := d.captured(); !ok || in || d.fast.on && f.Forwarding() == nil {
			d.fastRetry = fastRetry{}
			continue
		}
		if wait := d.fastRetry.at.Sub(now); wait > 0 && wait <= fastRetryMost {
			next = min(next, wait)
			continue
		}
		d.fastRetry.backoff = min(max(2*d.fastRetry.backoff, fastRetryFirst), fastRetryMost)
		d.fastRetry.at = now.Add(d.fastRetry.backoff)
		next = min(next, d.fastRetry.backoff)
		r.joinFastPath(d)
	}
	return next
}

var (
	errFastOff  = errors.New("switched off by /system/config/fast-path")
	errFastNone = errors.New("the router runs without fast path")
	errFastTap  = errors.New("a capture runs, which sees the user path only")
)

// joinFastPath brings an open device's part in the fast path to what is declared
// and can be. Packets take the user path where it is none.
func (r *Router) joinFastPath(d *device) {
	if d.open == nil {
		return
	}
	was := d.fast
	f, ok := d.open.(Forwarder)
	record, kept := r.engine.FastPort(d.port)
	switch {
	case !ok || !kept:
		none := errFastNone
		if f := r.tables.FastPath; f != nil && f() != nil {
			none = f()
		}
		d.fast = fastPart{receives: none, sends: none}
	case r.system.NoFastPath:
		r.engine.SetFastEgress(d.port, 0)
		if d.fast.on {
			r.warnFast(d, f.StopForwarding())
		}
		d.fast = fastPart{receives: errFastOff, sends: errFastOff}
	default:
		in, out := d.captured()
		if d.fast.on && f.Forwarding() != nil {
			d.fast.on = false
		}
		switch {
		case in:
			if d.fast.on {
				r.warnFast(d, f.StopForwarding())
			}
			d.fast.on, d.fast.receives = false, errFastTap
		case !d.fast.on:
			d.fast.receives = f.Forward(record)
			d.fast.on = d.fast.receives == nil
		}
		if out {
			r.engine.SetFastEgress(d.port, 0)
			d.fast.sends = errFastTap
			break
		}
		var ifindex int
		ifindex, d.fast.sends = f.OpenEgress(uint32(d.port))
		r.engine.SetFastEgress(d.port, ifindex)
	}
	if text(was.receives) != text(d.fast.receives) || text(was.sends) != text(d.fast.sends) {
		r.log.Info("interface in the fast path", "ifd", d.name, "receives", d.fast.receives == nil, "sends", d.fast.sends == nil,
			"receives-reason", text(d.fast.receives), "sends-reason", text(d.fast.sends))
		r.changedDevice(d.name)
	}
}

// leaveFastPath ends a device's part, before its port goes.
func (r *Router) leaveFastPath(d *device) {
	if f, ok := d.open.(Forwarder); ok {
		r.engine.SetFastEgress(d.port, 0)
		if d.fast.on {
			r.warnFast(d, f.StopForwarding())
		}
		r.warnFast(d, f.CloseEgress(uint32(d.port)))
	}
	d.fast = fastPart{}
}

func (r *Router) warnFast(d *device, err error) {
	if err != nil {
		r.log.Warn("interface did not leave the fast path cleanly", "ifd", d.name, "err", err)
	}
}

// fastState is a device's part as state shows it.
func (d *device) fastState() models.FastPathState {
	receives := d.fast.receives
	if f, ok := d.open.(Forwarder); ok && d.fast.on {
		receives = f.Forwarding()
	}
	return models.FastPathState{Receives: text(receives), Sends: text(d.fast.sends)}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// EgressChanged is told that what a device can do may have changed; ifindex is
// the kernel's, 0 for any.
func (r *Router) EgressChanged(ifindex int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.devices {
		if d.open != nil && (ifindex == 0 || d.link == ifindex) {
			r.joinFastPath(d)
		}
	}
}
