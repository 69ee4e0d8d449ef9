package driver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The generic netlink family "netdev" says what a driver does with XDP, from
// Linux 6.3 on (Documentation/netlink/specs/netdev.yaml).
const (
	netdevFamily      = "netdev"
	netdevDevGet      = 1 // NETDEV_CMD_DEV_GET
	netdevIfindex     = 1 // NETDEV_A_DEV_IFINDEX
	netdevXDPFeatures = 3 // NETDEV_A_DEV_XDP_FEATURES
	netdevNotify      = "mgmt"

	featureTransmit = 1 << 2 // NETDEV_XDP_ACT_NDO_XMIT
)

// A genlHeader is a struct genlmsghdr: command, version, and two octets that the
// kernel wants to be zero, which nl.Genlmsg does not have.
type genlHeader [nl.SizeofGenlmsg]byte

func (h genlHeader) Len() int          { return len(h) }
func (h genlHeader) Serialize() []byte { return h[:] }

// redirectable asks whether a device sends frames that are redirected to it; known
// is false on kernels that can't say.
func redirectable(ifindex int) (ok, known bool, err error) {
	family, err := netlink.GenlFamilyGet(netdevFamily)
	if errors.Is(err, unix.ENOENT) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("generic netlink family %s: %w", netdevFamily, err)
	}
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	req.AddData(genlHeader{netdevDevGet, 1})
	req.AddData(nl.NewRtAttr(netdevIfindex, nl.Uint32Attr(uint32(ifindex))))
	answers, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return false, false, fmt.Errorf("XDP features of device %d: %w", ifindex, err)
	}
	for _, a := range answers {
		if _, features, ok := parseNetdev(a); ok {
			return features&featureTransmit != 0, true, nil
		}
	}
	return false, false, nil
}

// parseNetdev reads a message about a device.
func parseNetdev(b []byte) (ifindex int, features uint64, ok bool) {
	if len(b) < nl.SizeofGenlmsg {
		return 0, 0, false
	}
	attrs, err := nl.ParseRouteAttr(b[nl.SizeofGenlmsg:])
	if err != nil {
		return 0, 0, false
	}
	for _, a := range attrs {
		switch {
		case a.Attr.Type == netdevIfindex && len(a.Value) >= 4:
			ifindex = int(binary.NativeEndian.Uint32(a.Value))
		case a.Attr.Type == netdevXDPFeatures && len(a.Value) >= 8:
			features, ok = binary.NativeEndian.Uint64(a.Value), true
		}
	}
	return ifindex, features, ok && ifindex != 0
}

// WatchEgress calls changed with the kernel's index of each device whose answer to
// CheckEgress may have changed, until ctx ends. On kernels that do not tell (before
// 6.3) it returns at once. It serves the namespace of the calling thread.
func WatchEgress(ctx context.Context, changed func(ifindex int)) error {
	family, err := netlink.GenlFamilyGet(netdevFamily)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("generic netlink family %s: %w", netdevFamily, err)
	}
	group := uint32(0)
	for _, g := range family.Groups {
		if g.Name == netdevNotify {
			group = g.ID
		}
	}
	s, err := nl.Subscribe(unix.NETLINK_GENERIC)
	if err != nil {
		return fmt.Errorf("notifications of XDP features: %w", err)
	}
	defer s.Close()
	if err := unix.SetsockoptInt(s.GetFd(), unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, int(group)); err != nil {
		return fmt.Errorf("notifications of XDP features: %w", err)
	}
	defer context.AfterFunc(ctx, s.Close)()
	for {
		msgs, _, err := s.Receive()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.ENOBUFS):
			// Some were lost; which, nobody knows.
			changed(0)
		case err != nil:
			return fmt.Errorf("notifications of XDP features: %w", err)
		}
		for _, m := range msgs {
			if ifindex, _, ok := parseNetdev(m.Data); ok {
				changed(ifindex)
			}
		}
	}
}
