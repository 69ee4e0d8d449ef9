package driver

import (
	"errors"
	"fmt"

	"router/dataplane/bpf"
	"router/intf"
)

// errNoProgram says why a device's frames are not forwarded inside the kernel.
var errNoProgram = errors.New("frames come by AF_PACKET, not by an XDP program in the device's driver")

// Forward has the device's program forward by the tables of f; record is where
// those of its port begin (dataplane.Engine.FastPort).
func (d *Device) Forward(f *bpf.Fast, record uint32) error {
	if d.Driver != intf.DriverAFXDP {
		return errNoProgram
	}
	if d.XDP != XDPNative {
		return errors.New("the XDP program runs in generic mode, at more cost than the user path saves")
	}
	if err := d.set.Forward(f, record, d.Checksum == Complete && !d.Marked); err != nil {
		return fmt.Errorf("device %s: %w", d.name, err)
	}
	return nil
}

// StopForwarding ends what Forward began: all frames go to the queues.
func (d *Device) StopForwarding() error {
	if d.set == nil {
		return nil
	}
	return d.set.Retire()
}

// Forwards reports whether the device's program forwards: that of one whose
// program could not be exchanged does not.
func (d *Device) Forwards(f *bpf.Fast) bool { return f.Active(d.set) }

// CheckEgress says why frames can't be forwarded to the device inside the kernel;
// nil if they can. That may change while the device is open (WatchEgress).
func (d *Device) CheckEgress() error {
	if d.Driver != intf.DriverAFXDP || d.XDP != XDPNative {
		return errNoProgram
	}
	ok, known, err := redirectable(d.Index)
	if err != nil {
		return err
	}
	if !known {
		ok = knownRedirectable[d.kernelDriver]
	}
	switch {
	case ok:
		return nil
	case d.kernelDriver == "veth":
		return errors.New("the peer receives no redirected frames: attach an XDP program there (XDP_PASS does), or turn on its generic-receive-offload (`ethtool -K PEER gro on`)")
	}
	return fmt.Errorf("driver %s takes no redirected frames", d.kernelDriver)
}

// knownRedirectable are drivers that send what is redirected to them, for kernels
// that do not say (before 6.3). A veth does only when its peer is prepared.
var knownRedirectable = map[string]bool{
	"bnxt_en": true, "dpaa2-eth": true, "ena": true, "i40e": true, "ice": true, "igb": true, "igc": true, "ixgbe": true,
	"mlx5_core": true, "mvneta": true, "nfp": true, "qede": true, "sfc": true, "stmmac": true, "tsnep": true, "virtio_net": true,
}
