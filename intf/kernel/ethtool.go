package kernel

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An ethtool asks drivers what rtnetlink does not tell: the speed and the
// channels. The socket keeps to the namespace it was opened in.
type ethtool struct{ fd int }

func dialEthtool() (*ethtool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &ethtool{fd: fd}, nil
}

func (e *ethtool) close() { _ = unix.Close(e.fd) }

// An ethtoolRequest is a struct ifreq whose union holds a pointer.
type ethtoolRequest struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte // sizeof(struct ifreq) is 40
}

func (e *ethtool) ioctl(name string, data unsafe.Pointer) error {
	req := ethtoolRequest{data: data}
	copy(req.name[:len(req.name)-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(e.fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
	runtime.KeepAlive(&req)
	if errno != 0 {
		return errno
	}
	return nil
}

// channels is the number of receive and transmit queues in use; zeros where
// the driver has no notion of channels.
func (e *ethtool) channels(name string) (rx, tx int) {
	var c struct { // struct ethtool_channels
		cmd                                uint32
		maxRx, maxTx, maxOther, maxCombine uint32
		rx, tx, other, combined            uint32
	}
	c.cmd = unix.ETHTOOL_GCHANNELS
	if e.ioctl(name, unsafe.Pointer(&c)) != nil {
		return 0, 0
	}
	return int(c.rx + c.combined), int(c.tx + c.combined)
}

// speed is in bit/s; 0 when unknown, as on a link without carrier.
func (e *ethtool) speed(name string) uint64 {
	var s struct { // struct ethtool_link_settings, and room for its bit maps
		cmd, speed                                 uint32
		duplex, port, phy, autoneg, mdio, ethTPMDI uint8
		ethTPMDICtrl                               uint8
		words                                      int8
		transceiver, masterSlaveCfg, masterSlave   uint8
		rateMatching                               uint8
		reserved                                   [7]uint32
		maps                                       [3 * 127]uint32
	}
	const unknown = ^uint32(0)
	s.cmd = unix.ETHTOOL_GLINKSETTINGS
	if e.ioctl(name, unsafe.Pointer(&s)) != nil {
		return 0
	}
	if s.words < 0 {
		// The first call is a handshake: the kernel says how many words it wants.
		s.words = -s.words
		s.cmd = unix.ETHTOOL_GLINKSETTINGS
		if e.ioctl(name, unsafe.Pointer(&s)) != nil {
			return 0
		}
	}
	if s.speed == unknown {
		return 0
	}
	return uint64(s.speed) * 1e6
}
