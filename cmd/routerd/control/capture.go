package control

import (
	"errors"
	"fmt"
	"slices"

	"router/dataplane"
	"router/intf"
	"router/models"
)

// maxCaptures bounds the captures on a device: each takes a copy of each frame.
const maxCaptures = 4

// A CaptureRequest says what is to be captured.
type CaptureRequest struct {
	Name    string // of a device, or of a unit
	In, Out bool
	// FastPath has what the fast path would forward taken out of it while the capture runs, so
	// that it comes by. Else only what takes the user path anyway is seen.
	FastPath bool
	// NewTap makes the tap of one worker; tagged says that only frames with exactly the tags of
	// stack are the unit's.
	NewTap func(tagged bool, stack intf.VLAN) dataplane.FrameTap
}

// A Capture is one that runs.
type Capture struct {
	// Notes say in words what it doesn't see, and what it does to the interface; empty for
	// neither.
	Notes []string
	// Ended is closed when the device is closed: nothing comes any more.
	Ended <-chan struct{}

	r       *Router
	device  *device
	in, out bool // taken out of the fast path
	ended   chan struct{}
	ignore  func()
}

// ErrNoCapture says that there is nothing to capture on.
var ErrNoCapture = errors.New("nothing can be captured there")

// StartCapture has taps shown the frames of a device or a unit, until Stop. The error matches
// [ErrNoCapture] when there is no such interface, or it isn't open.
func (r *Router) StartCapture(q CaptureRequest) (*Capture, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, tagged, stack, err := r.capturable(q.Name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w: %w", q.Name, ErrNoCapture, err)
	}
	if len(d.captures) >= maxCaptures {
		return nil, fmt.Errorf("interface %s: %d captures run there: end one of them", d.name, maxCaptures)
	}
	c := &Capture{r: r, device: d, in: q.In && q.FastPath, out: q.Out && q.FastPath, ended: make(chan struct{})}
	c.Ended = c.ended
	d.captures = append(d.captures, c)
	fast := d.fast
	r.joinFastPath(d)
	if d.want.Attach == intf.Shared {
		c.Notes = append(c.Notes, "the interface is shared: what the kernel keeps of its frames is not seen")
	}
	if !q.FastPath && (q.In && fast.receives == nil || q.Out) {
		c.Notes = append(c.Notes, "what the fast path forwards is not seen")
	}
	if c.in && fast.receives == nil {
		c.Notes = append(c.Notes, "while it runs, what arrives at "+d.name+" takes the user path, which is slower: leave-fast-path leaves that alone")
	}
	if c.out && fast.sends == nil {
		c.Notes = append(c.Notes, "while it runs, what leaves by "+d.name+" takes the user path, which is slower: leave-fast-path leaves that alone")
	}
	c.ignore = r.engine.Observe(d.port, func() dataplane.FrameTap { return q.NewTap(tagged, stack) })
	r.log.Info("capture begins", "ifd", d.name, "interface", q.Name, "fast-path", !q.FastPath)
	return c, nil
}

// capturable finds the open device of a name, and the tags of a unit.
func (r *Router) capturable(name string) (d *device, tagged bool, stack intf.VLAN, err error) {
	d = r.devices[name]
	if d == nil {
		t := r.tree.Unit(models.ParseUnitName(name))
		if t == nil {
			return nil, false, stack, errors.New("there is no such interface")
		}
		if t.Down&(intf.BadTags|intf.NoParent) != 0 {
			return nil, false, stack, errors.New(t.Reason)
		}
		d, tagged, stack = r.devices[t.Spec.Key.Device], true, t.Stack
	}
	switch {
	case d == nil || d.want == nil:
		return nil, false, stack, errors.New("its device is not declared")
	case d.want.Type == intf.Loopback:
		return nil, false, stack, errors.New("no frames go by a loopback: capture where its packets come in and leave")
	case d.err != nil:
		return nil, false, stack, d.err
	case d.open == nil:
		return nil, false, stack, errors.New("it is not open; show pending says why")
	}
	return d, tagged, stack, nil
}

// captured reports whether a capture wants to see what arrives at the device, or leaves by it,
// though the fast path could do it.
func (d *device) captured() (in, out bool) {
	for _, c := range d.captures {
		in, out = in || c.in, out || c.out
	}
	return in, out
}

// endCaptures ends those of a device that is about to be closed.
func (r *Router) endCaptures(d *device) {
	for _, c := range d.captures {
		close(c.ended)
	}
	d.captures = nil
}

// Stop ends the capture: when it returns, taps are shown no more, and the fast path forwards again.
func (c *Capture) Stop() {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	i := slices.Index(c.device.captures, c)
	if i < 0 {
		return // the device has been closed, and its queues with it
	}
	c.device.captures = slices.Delete(c.device.captures, i, i+1)
	c.ignore()
	c.r.joinFastPath(c.device)
	c.r.log.Info("capture ends", "ifd", c.device.name)
}
