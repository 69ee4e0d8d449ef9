// Package driver takes a device into service: it tries the ways there are to
// exchange frames with it, best first, and reports what it chose and why
// nothing better.
//
// What it changes at a device (XDP and tc programs, offload features,
// multicast reception) it restores when the [Device] is closed; programs that are
// not pinned, and reception, are also restored by the kernel if the process dies.
package driver

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"router/dataplane/afpacket"
	"router/dataplane/bpf"
	"router/dataplane/ethtool"
	"router/dataplane/port"
	"router/dataplane/xsk"
	"router/intf"
)

// A Spec says which device to take and how.
type Spec struct {
	Device string // the kernel's name, in the calling thread's network namespace
	Attach intf.Attach
	Driver intf.Driver
	// Queues is how many queues to run; 0 is all that the device has, or with
	// AF_PACKET one for each of Memories.
	Queues int
	// RingSize is how many frames a queue's rings hold, a power of two from 64
	// on; 0 leaves it to the driver.
	RingSize int
	// MaxFrame is the longest frame to exchange, in octets: up to port.MaxFrame,
	// which 0 stands for, or port.MaxJumbo. Jumbo frames cost a copy on receipt.
	MaxFrame int
	// Claims are what is the router's on a shared device.
	Claims []bpf.Claim
	// Memories are those of the workers; queue i is served by the worker of
	// Memories[i % len(Memories)].
	Memories []*Memory
	// Pins is where the device's XDP program outlives the process; nil for nowhere.
	Pins *bpf.Pins
	// Former are features that an earlier process changed and did not restore, as
	// it had found them.
	Former map[string]bool

	only *Option // in tests: try this alone, whatever speaks against it
}

func (s Spec) jumbo() bool { return s.MaxFrame > port.MaxFrame }

func (s Spec) skips(o Option) bool { return s.only != nil && *s.only != o }

// A Served is a queue and the index in Spec.Memories of its worker.
type Served struct {
	port.Queue
	Memory int
}

// A Device is a device in service. Its methods may be called from any
// goroutine, but not at once.
type Device struct {
	Report
	Index  int // the kernel's
	Queues []Served

	name         string
	mac          [6]byte // when it was opened
	kernelDriver string
	asked        map[string]struct{} // features that were to be off
	tool         *ethtool.Conn
	set          *bpf.Set
	membership   int               // a packet socket, or -1
	channels     *ethtool.Channels // to restore
}

// Open takes a device into service. The device must be up. No queue touches
// the pool of its memory before its first Receive, which the worker must call
// once before it waits on the queue's FD: Open may run beside the workers.
//
// The error joins the reasons of all options where none worked.
func Open(spec Spec) (*Device, error) {
	d, err := open(spec)
	if err != nil {
		return nil, fmt.Errorf("device %s: %w", spec.Device, err)
	}
	return d, nil
}

func open(spec Spec) (_ *Device, err error) {
	if len(spec.Memories) == 0 {
		return nil, errors.New("no frame memory is given")
	}
	if spec.MaxFrame > port.MaxJumbo {
		return nil, fmt.Errorf("frames of %d octets: want %d at most", spec.MaxFrame, port.MaxJumbo)
	}
	link, err := netlink.LinkByName(spec.Device)
	if err != nil {
		return nil, err
	}
	if link.Attrs().RawFlags&unix.IFF_UP == 0 {
		return nil, fmt.Errorf("%w: set it up before it is taken", unix.ENETDOWN)
	}
	d := &Device{name: spec.Device, Index: link.Attrs().Index, membership: -1, asked: make(map[string]struct{})}
	d.Changed = maps.Clone(spec.Former)
	if d.Changed == nil {
		d.Changed = make(map[string]bool)
	}
	defer func() {
		if err == nil {
			d.restoreUnasked()
		}
	}()
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	if d.tool, err = ethtool.Dial(); err != nil {
		return nil, err
	}
	if d.mac, err = d.tool.MAC(spec.Device); err != nil {
		return nil, err
	}
	kernelDriver, err := d.tool.Driver(spec.Device)
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, err
	}
	d.kernelDriver = kernelDriver
	if handsOverPartialChecksums(kernelDriver) {
		d.Checksum = Complete
	}
	if err := d.receiveMulticast(); err != nil {
		return nil, err
	}
	if spec.Driver == intf.DriverAuto || spec.Driver == intf.DriverAFXDP {
		hardware := link.Attrs().ParentDev != "" || kernelDriver == "tun"
		if d.openXDP(spec, kernelDriver, hardware) {
			return d, nil
		}
	}
	if spec.Driver == intf.DriverAuto || spec.Driver == intf.DriverAFPacket {
		option := Option{Driver: intf.DriverAFPacket}
		err := d.openPacket(spec, kernelDriver)
		if err == nil {
			d.Option, d.QueueCount, d.Marked = option, len(d.Queues), true
			return d, nil
		}
		d.reject(option, err)
	}
	return nil, fmt.Errorf("no driver works: %s", d.Reason())
}

// handsOverPartialChecksums says whether a kernel driver passes on frames of a
// stack in the same machine, which leaves checksums to hardware.
func handsOverPartialChecksums(kernelDriver string) bool {
	switch kernelDriver {
	case "veth", "virtio_net", "tun", "vif", "netkit":
		return true
	}
	return false
}

// receiveMulticast lets every multicast address in, for as long as the socket
// that asks for it is open. Which groups the router has joined is its own
// affair.
func (d *Device) receiveMulticast() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("packet socket: %w (routerd needs CAP_NET_RAW)", err)
	}
	d.membership = fd
	mreq := &unix.PacketMreq{Ifindex: int32(d.Index), Type: unix.PACKET_MR_ALLMULTI}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, mreq); err != nil {
		return fmt.Errorf("receive all multicast: %w", err)
	}
	return nil
}

func (d *Device) reject(o Option, err error) {
	d.Rejected = append(d.Rejected, Rejection{Option: o, Err: err})
}

// features turns features off, or says in a note which can't be and what then.
func (d *Device) features(consequence string, names ...string) {
	want := make(map[string]bool)
	for _, name := range names {
		want[name] = false
		d.asked[name] = struct{}{}
	}
	former, err := d.tool.Set(d.name, want)
	for name, was := range former {
		if _, ok := d.Changed[name]; !ok {
			d.Changed[name] = was
		}
	}
	if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		d.Notes = append(d.Notes, fmt.Sprintf("%v: %s", err, consequence))
	}
}

// restoreUnasked gives features back that an earlier process has turned off, and
// that this one has no need of. Others stay as they are: a device that frames go
// through should not be reset for nothing.
func (d *Device) restoreUnasked() {
	unasked := make(map[string]bool)
	for name, was := range d.Changed {
		if _, ok := d.asked[name]; !ok {
			unasked[name] = was
		}
	}
	if len(unasked) == 0 {
		return
	}
	if _, err := d.tool.Set(d.name, unasked); err != nil {
		d.Notes = append(d.Notes, err.Error())
		return
	}
	for name := range unasked {
		delete(d.Changed, name)
	}
}

// openXDP tries AF_XDP in its modes and says whether one worked.
func (d *Device) openXDP(spec Spec, kernelDriver string, hardware bool) bool {
	count, countErr := d.queueCount(spec)
	for _, mode := range []XDPMode{XDPNative, XDPGeneric} {
		options := []Option{
			{Driver: intf.DriverAFXDP, XDP: mode, ZeroCopy: true},
			{Driver: intf.DriverAFXDP, XDP: mode},
		}
		if mode == XDPGeneric {
			options = options[1:] // zero-copy is a native driver's
		}
		if options = slices.DeleteFunc(options, spec.skips); len(options) == 0 {
			continue
		}
		if countErr != nil {
			d.reject(options[0], countErr)
			continue
		}
		if mode == XDPGeneric && !hardware && spec.only == nil {
			d.reject(options[0], errGenericVirtual)
			continue
		}
		if err := d.attachTake(spec, mode, kernelDriver, count); err != nil {
			d.reject(options[0], err)
			continue
		}
		for _, option := range options {
			err := d.bind(spec, option, count)
			if err == nil {
				d.Option, d.QueueCount = option, count
				return true
			}
			d.reject(option, err)
		}
		if err := d.detach(); err != nil {
			d.Notes = append(d.Notes, err.Error())
		}
	}
	if err := d.restoreChannels(); err != nil {
		d.Notes = append(d.Notes, err.Error())
	}
	return false
}

// A generic program does not see a VLAN tag that is kept beside the frame: it
// would take tagged frames for untagged ones. Hardware can be told to leave
// tags where they are, but what comes from another device of this machine (by
// veth, bridge, bond, macvlan) may have lost its tag before.
var errGenericVirtual = errors.New("only on hardware: VLAN tags and TCP super-frames of virtual devices are out of reach there")

// queueCount is how many sockets AF_XDP needs: one for each receive queue, for
// frames of a queue without one are lost.
func (d *Device) queueCount(spec Spec) (int, error) {
	now, err := d.tool.Channels(d.name)
	if errors.Is(err, unix.EOPNOTSUPP) {
		now, err = ethtool.Channels{Rx: 1, Tx: 1}, nil
	}
	if err != nil {
		return 0, err
	}
	if spec.Queues != 0 && spec.Queues != now.Rx {
		want := ethtool.Channels{Rx: spec.Queues, Tx: spec.Queues}
		if err := d.tool.SetChannels(d.name, want); err != nil {
			return 0, err
		}
		d.channels, now = &now, want
	}
	if now.Rx < 1 || now.Tx < now.Rx {
		return 0, fmt.Errorf("%d receive but %d transmit queues: give it as many of both (`ethtool -L`)", now.Rx, now.Tx)
	}
	return now.Rx, nil
}

func (d *Device) restoreChannels() error {
	if d.channels == nil {
		return nil
	}
	err := d.tool.SetChannels(d.name, *d.channels)
	d.channels = nil
	return err
}

func (d *Device) attachTake(spec Spec, mode XDPMode, kernelDriver string, queues int) error {
	d.features("tagged frames may not arrive", ethtool.RxVLANParse, ethtool.RxVLANFilter, ethtool.RxSTagParse, ethtool.RxSTagFilter)
	d.features("merged frames are dropped as oversize", ethtool.RxLRO, ethtool.RxGROHW)
	where := bpf.Native
	if mode == XDPGeneric {
		where = bpf.Generic
		d.features("merged frames are dropped as oversize", ethtool.RxGRO, ethtool.RxGROList, ethtool.RxUDPGRO)
	}
	// What was left by AF_PACKET hides from the kernel what this leaves to it.
	if err := bpf.Unhide(d.name); err != nil {
		d.Notes = append(d.Notes, err.Error())
	}
	if err := d.load(spec, queues); err != nil {
		return err
	}
	if err := d.set.AttachTake(d.Index, where, kernelDriver == "veth"); err != nil {
		return errors.Join(err, d.detach())
	}
	return nil
}

func (d *Device) load(spec Spec, queues int) (err error) {
	longest := port.MaxFrame
	if spec.jumbo() {
		longest = port.MaxJumbo
	}
	d.set, err = bpf.Load(bpf.Config{Attach: spec.Attach, Queues: queues, MaxFrame: longest, Pins: spec.Pins})
	if err != nil {
		return err
	}
	return d.set.SetClaims(spec.Claims)
}

func (d *Device) detach() error {
	if d.set == nil {
		return nil
	}
	err := d.set.Close()
	d.set = nil
	return err
}

// bind opens a socket on every queue, or on none.
func (d *Device) bind(spec Spec, o Option, queues int) error {
	for i := range queues {
		worker := i % len(spec.Memories)
		q, err := spec.Memories[worker].umem.Open(xsk.Config{
			Ifindex: d.Index, Queue: i, ZeroCopy: o.ZeroCopy, RingSize: spec.RingSize, Jumbo: spec.jumbo(),
		})
		if err == nil {
			d.Queues = append(d.Queues, Served{Queue: q, Memory: worker})
			err = d.set.SetSocket(i, q.FD())
		}
		if err != nil {
			return errors.Join(err, d.closeQueues())
		}
	}
	return nil
}

// closeQueues closes queues that no worker has seen.
func (d *Device) closeQueues() error {
	var errs []error
	for _, q := range d.Queues {
		errs = append(errs, q.Close())
	}
	d.Queues = nil
	return errors.Join(errs...)
}

func (d *Device) openPacket(spec Spec, kernelDriver string) error {
	d.features("merged frames are dropped as oversize",
		ethtool.RxGRO, ethtool.RxGROList, ethtool.RxUDPGRO, ethtool.RxLRO, ethtool.RxGROHW)
	d.features("tagged frames may not arrive", ethtool.RxVLANFilter, ethtool.RxSTagFilter)
	if err := d.load(spec, 1); err != nil {
		return err
	}
	if kernelDriver == "veth" {
		// Else the peer hands over TCP super-frames, and frames that XDP
		// redirects to this end vanish.
		if err := d.set.AttachPass(d.Index); err != nil {
			d.Notes = append(d.Notes, fmt.Sprintf("%v: turn off the peer's tx-tcp-segmentation", err))
		}
	}
	if err := d.set.AttachHide(d.Index); err != nil {
		return errors.Join(err, d.detach())
	}
	queues := spec.Queues
	if queues == 0 {
		queues = len(spec.Memories)
	}
	config := afpacket.Config{Ifindex: d.Index, RingSize: spec.RingSize, MaxFrame: spec.MaxFrame}
	if spec.Attach == intf.Shared {
		config.Filter = d.set.ClaimFilter
	}
	pools := make([]*port.Pool, queues)
	for i := range pools {
		pools[i] = spec.Memories[i%len(spec.Memories)].Pool
	}
	opened, err := afpacket.Open(config, pools)
	if err != nil {
		return errors.Join(err, d.detach())
	}
	for i, q := range opened {
		d.Queues = append(d.Queues, Served{Queue: q, Memory: i % len(spec.Memories)})
	}
	return nil
}

// SetClaims replaces what is the router's on a shared device. It changes
// nothing for frames that are claimed before and after.
func (d *Device) SetClaims(claims []bpf.Claim) error {
	if err := d.set.SetClaims(claims); err != nil {
		return fmt.Errorf("device %s: %w", d.name, err)
	}
	return nil
}

// Counters says what the programs at the device did with its frames, over all
// queues.
func (d *Device) Counters() (bpf.Counters, error) {
	var sum bpf.Counters
	for i := range d.counted() {
		c, err := d.set.Counters(i)
		if err != nil {
			return sum, fmt.Errorf("device %s: %w", d.name, err)
		}
		sum.Redirected += c.Redirected
		sum.Passed += c.Passed
		sum.NoSocket += c.NoSocket
		sum.Oversize += c.Oversize
	}
	return sum, nil
}

// counted is how many queues the programs count apart.
func (d *Device) counted() int {
	if d.Driver == intf.DriverAFPacket {
		return 1
	}
	return d.QueueCount
}

// restore undoes what was set at the device, under whatever name it has now.
// Changed stays as it is where the device is out of reach.
func (d *Device) restore() error {
	name, err := d.tool.Name(d.Index)
	if err != nil {
		return err
	}
	if name != d.name {
		// The index alone may have been given anew.
		if mac, err := d.tool.MAC(name); err != nil || mac != d.mac {
			return err
		}
		d.name = name
	}
	errs := []error{d.restoreChannels()}
	if len(d.Changed) > 0 {
		_, err := d.tool.Set(d.name, d.Changed)
		if errs = append(errs, err); err == nil {
			d.Changed = nil
		}
	}
	return errors.Join(errs...)
}

// Activate has frames brought to the queues where an earlier process left its
// program at the device, which until now has had them; elsewhere they come
// already. The error says why this device can't be used.
func (d *Device) Activate() error {
	if err := d.set.Activate(); err != nil {
		return fmt.Errorf("device %s: %w", d.name, err)
	}
	return nil
}

// Outlives says whether what the device's program forwards goes on being forwarded
// without the process, and if not why.
func (d *Device) Outlives() (bool, error) {
	if d.Driver == intf.DriverAFPacket {
		return false, errors.New("by af-packet the process forwards")
	}
	outlives, err := d.set.Outlives()
	if !outlives && err == nil {
		err = errNotPinned
	}
	return outlives, err
}

// Pin tries again to make the device go on forwarding without the process where that was
// to be and could not be; the error says why it still can't.
func (d *Device) Pin() error {
	if d.Driver == intf.DriverAFPacket {
		return nil
	}
	return d.set.Pin()
}

var errNotPinned = errors.New("keep-forwarding is never, or nothing can be pinned: the log says at the start")

// Leave frees what is the process's, and leaves the device as it is to a
// successor: what is pinned goes on forwarding there.
func (d *Device) Leave() error {
	return d.close((*bpf.Set).Leave, false)
}

// Close leaves the device to the kernel as it was. The workers must have
// closed the queues before. That the device is gone is no error.
func (d *Device) Close() error {
	return d.close((*bpf.Set).Close, true)
}

func (d *Device) close(end func(*bpf.Set) error, restore bool) error {
	var errs []error
	if d.set != nil {
		errs = append(errs, end(d.set))
		d.set = nil
	}
	if d.membership >= 0 {
		errs = append(errs, unix.Close(d.membership))
		d.membership = -1
	}
	if d.tool != nil {
		if restore {
			errs = append(errs, d.restore())
		}
		errs = append(errs, d.tool.Close())
		d.tool = nil
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, unix.ENODEV) })
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("device %s: give back: %w", d.name, err)
	}
	return nil
}
