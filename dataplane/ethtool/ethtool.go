// Package ethtool reads and changes what Linux lets one set on a network
// device below its addresses: offload features, queues, driver name. It is a
// leaf of the dataplane, used by the drivers and by tests.
//
// Source: linux/ethtool.h, the SIOCETHTOOL interface. A [Conn] belongs to the
// network namespace of the thread that opened it; devices are named.
package ethtool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Names of features, as `ethtool -k` and the kernel's string set know them.
const (
	RxVLANParse  = "rx-vlan-hw-parse"
	RxVLANFilter = "rx-vlan-filter"
	RxSTagParse  = "rx-vlan-stag-hw-parse"
	RxSTagFilter = "rx-vlan-stag-filter"
	RxGRO        = "rx-gro"
	RxGROHW      = "rx-gro-hw"
	RxGROList    = "rx-gro-list"
	RxUDPGRO     = "rx-udp-gro-forwarding"
	RxLRO        = "rx-lro"
	TxVLANInsert = "tx-vlan-hw-insert"
	TxTSO        = "tx-tcp-segmentation"
	TxTSO6       = "tx-tcp6-segmentation"
	TxChecksum   = "tx-checksum-ip-generic"
)

const (
	cmdDriver     = 0x03 // ETHTOOL_GDRVINFO
	cmdStrings    = 0x1b // ETHTOOL_GSTRINGS
	cmdSetInfo    = 0x37 // ETHTOOL_GSSET_INFO
	cmdFeatures   = 0x3a // ETHTOOL_GFEATURES
	cmdSetFeature = 0x3b // ETHTOOL_SFEATURES
	cmdChannels   = 0x3c // ETHTOOL_GCHANNELS
	cmdSetChannel = 0x3d // ETHTOOL_SCHANNELS

	stringSetFeatures = 4 // ETH_SS_FEATURES
	stringLen         = 32
	maxFeatures       = 1024
)

// A Conn asks about devices of one network namespace. Its methods may be
// called from any goroutine.
type Conn struct {
	fd int
}

// Dial opens a Conn in the network namespace of the calling thread.
func Dial() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("ethtool socket: %w", err)
	}
	return &Conn{fd: fd}, nil
}

// Close releases the Conn.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// ifreq is struct ifreq with its data pointer.
type ifreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

func (c *Conn) ioctl(device string, request []byte) error {
	if len(device) >= unix.IFNAMSIZ {
		return errLongName(device)
	}
	req := &ifreq{data: unsafe.Pointer(unsafe.SliceData(request))}
	copy(req.name[:], device)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(c.fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(req)))
	runtime.KeepAlive(request)
	if errno != 0 {
		return errno
	}
	return nil
}

func errLongName(device string) error {
	return fmt.Errorf("device name %q is longer than %d octets", device, unix.IFNAMSIZ-1)
}

// Name is what the device with that index is called now. The error wraps unix.ENODEV
// where there is none.
func (c *Conn) Name(index int) (string, error) {
	req, err := unix.NewIfreq("")
	if err == nil {
		req.SetUint32(uint32(index))
		err = unix.IoctlIfreq(c.fd, unix.SIOCGIFNAME, req)
	}
	if err != nil {
		return "", fmt.Errorf("device %d: read its name: %w", index, err)
	}
	return req.Name(), nil
}

// MAC is the address that device has now.
func (c *Conn) MAC(device string) (mac [6]byte, err error) {
	// struct ifreq with a struct sockaddr.
	var req struct {
		name   [unix.IFNAMSIZ]byte
		family uint16
		mac    [6]byte
		_      [16]byte
	}
	if len(device) >= unix.IFNAMSIZ {
		return mac, errLongName(device)
	}
	copy(req.name[:], device)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(c.fd), unix.SIOCGIFHWADDR, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return mac, fmt.Errorf("device %s: read its address: %w", device, errno)
	}
	return req.mac, nil
}

// Driver is the name of the kernel driver behind device.
func (c *Conn) Driver(device string) (string, error) {
	buf := make([]byte, unsafe.Sizeof(unix.EthtoolDrvinfo{}))
	binary.NativeEndian.PutUint32(buf, cmdDriver)
	if err := c.ioctl(device, buf); err != nil {
		return "", fmt.Errorf("device %s: read driver name: %w", device, err)
	}
	name, _, _ := bytes.Cut(buf[4:36], []byte{0})
	return string(name), nil
}

// Channels says how many receive and transmit queues device runs.
type Channels struct {
	Rx, Tx int
}

// Channels reads the queues in use; a combined channel counts as one of each.
// The error wraps unix.EOPNOTSUPP where the driver cannot say.
func (c *Conn) Channels(device string) (Channels, error) {
	buf := make([]byte, 36)
	binary.NativeEndian.PutUint32(buf, cmdChannels)
	if err := c.ioctl(device, buf); err != nil {
		return Channels{}, fmt.Errorf("device %s: read channels: %w", device, err)
	}
	at := func(i int) int { return int(binary.NativeEndian.Uint32(buf[4*i:])) }
	combined := at(8)
	return Channels{Rx: at(5) + combined, Tx: at(6) + combined}, nil
}

// SetChannels sets the number of receive and of transmit queues. On a device
// that counts in combined channels the two must be equal.
func (c *Conn) SetChannels(device string, want Channels) error {
	buf := make([]byte, 36)
	binary.NativeEndian.PutUint32(buf, cmdChannels)
	if err := c.ioctl(device, buf); err != nil {
		return fmt.Errorf("device %s: read channels: %w", device, err)
	}
	at := func(i int) []byte { return buf[4*i:] }
	binary.NativeEndian.PutUint32(buf, cmdSetChannel)
	if maxCombined := binary.NativeEndian.Uint32(at(4)); maxCombined > 0 && want.Rx == want.Tx {
		binary.NativeEndian.PutUint32(at(5), 0)
		binary.NativeEndian.PutUint32(at(6), 0)
		binary.NativeEndian.PutUint32(at(8), uint32(want.Rx))
	} else {
		binary.NativeEndian.PutUint32(at(5), uint32(want.Rx))
		binary.NativeEndian.PutUint32(at(6), uint32(want.Tx))
	}
	if err := c.ioctl(device, buf); err != nil {
		return fmt.Errorf("device %s: set %d receive and %d transmit queues: %w", device, want.Rx, want.Tx, err)
	}
	return nil
}

// names is the kernel's list of features; the index is the feature's bit.
func (c *Conn) names(device string) ([]string, error) {
	info := make([]byte, 20)
	binary.NativeEndian.PutUint32(info, cmdSetInfo)
	binary.NativeEndian.PutUint64(info[8:], 1<<stringSetFeatures)
	if err := c.ioctl(device, info); err != nil {
		return nil, fmt.Errorf("device %s: count features: %w", device, err)
	}
	n := int(binary.NativeEndian.Uint32(info[16:]))
	if n > maxFeatures {
		return nil, fmt.Errorf("device %s: kernel names %d features, more than %d", device, n, maxFeatures)
	}
	buf := make([]byte, 12+n*stringLen)
	binary.NativeEndian.PutUint32(buf, cmdStrings)
	binary.NativeEndian.PutUint32(buf[4:], stringSetFeatures)
	binary.NativeEndian.PutUint32(buf[8:], uint32(n))
	if err := c.ioctl(device, buf); err != nil {
		return nil, fmt.Errorf("device %s: name features: %w", device, err)
	}
	list := make([]string, n)
	for i := range list {
		name, _, _ := bytes.Cut(buf[12+i*stringLen:12+(i+1)*stringLen], []byte{0})
		list[i] = string(name)
	}
	return list, nil
}

// state is one device's features: four words of 32 bits for each 32 features.
type state struct {
	names []string
	words []byte
}

const (
	wordAvailable = iota
	wordRequested
	wordActive
	wordNeverChanged
)

func (s *state) bit(feature, word int) bool {
	w := binary.NativeEndian.Uint32(s.words[8+16*(feature/32)+4*word:])
	return w&(1<<(feature%32)) != 0
}

func (c *Conn) state(device string) (*state, error) {
	names, err := c.names(device)
	if err != nil {
		return nil, err
	}
	blocks := (len(names) + 31) / 32
	words := make([]byte, 8+16*blocks)
	binary.NativeEndian.PutUint32(words, cmdFeatures)
	binary.NativeEndian.PutUint32(words[4:], uint32(blocks))
	if err := c.ioctl(device, words); err != nil {
		return nil, fmt.Errorf("device %s: read features: %w", device, err)
	}
	return &state{names: names, words: words}, nil
}

// Active says whether feature is on. A feature that the kernel has no name for
// is off.
func (c *Conn) Active(device, feature string) (bool, error) {
	s, err := c.state(device)
	if err != nil {
		return false, err
	}
	i := slices.Index(s.names, feature)
	return i >= 0 && s.bit(i, wordActive), nil
}

// ErrFixed says that a feature stands as it is, whatever one asks for.
var ErrFixed = errors.New("feature is fixed")

// Set turns features of device on or off and returns those that changed, with
// their former values, fit for another Set that restores them. A feature that
// already is as wanted, or that the kernel has no name for and that is wanted
// off, needs nothing. A feature that would not change is an error that wraps
// ErrFixed; the others have been set by then.
func (c *Conn) Set(device string, want map[string]bool) (former map[string]bool, err error) {
	s, err := c.state(device)
	if err != nil {
		return nil, err
	}
	blocks := (len(s.names) + 31) / 32
	req := make([]byte, 8+8*blocks)
	binary.NativeEndian.PutUint32(req, cmdSetFeature)
	binary.NativeEndian.PutUint32(req[4:], uint32(blocks))
	former = make(map[string]bool)
	var refused []string
	for name, on := range want {
		i := slices.Index(s.names, name)
		switch {
		case i < 0 && on:
			refused = append(refused, name)
		case i < 0 || s.bit(i, wordActive) == on:
		case !s.bit(i, wordAvailable) || s.bit(i, wordNeverChanged):
			refused = append(refused, name)
		default:
			former[name] = !on
			at := req[8+8*(i/32):]
			mask := uint32(1) << (i % 32)
			binary.NativeEndian.PutUint32(at, binary.NativeEndian.Uint32(at)|mask)
			if on {
				binary.NativeEndian.PutUint32(at[4:], binary.NativeEndian.Uint32(at[4:])|mask)
			}
		}
	}
	if len(former) > 0 {
		if err := c.ioctl(device, req); err != nil {
			return nil, fmt.Errorf("device %s: set features: %w", device, err)
		}
		after, err := c.state(device)
		if err != nil {
			return former, err
		}
		for name, was := range former {
			if i := slices.Index(after.names, name); after.bit(i, wordActive) == was {
				delete(former, name)
				refused = append(refused, name)
			}
		}
	}
	if len(refused) > 0 {
		slices.Sort(refused)
		return former, fmt.Errorf("device %s: features %v: %w", device, refused, ErrFixed)
	}
	return former, nil
}
