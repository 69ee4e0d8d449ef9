package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"router/intf"
)

// A Link is one network interface of the kernel as it was last seen.
type Link struct {
	Name    string
	Index   int // of its namespace; a new link gets a new one
	Present bool
	AdminUp bool // IFF_UP
	Carrier bool // the medium is there; meaningful while AdminUp
	NoARP   bool
	MAC     intf.MAC
	MTU     int    // octets, without the Ethernet header
	MinMTU  int    // 0 when the driver does not say
	MaxMTU  int    // 0 when the driver does not say
	Kind    string // "veth", "tun", "bridge", ...; "" for hardware
	Alias   string

	Master     string // the bond or bridge that the link is a member of
	MasterKind string

	RxQueues, TxQueues int    // in use: ethtool channels where the driver has them
	Speed              uint64 // bit/s; 0 when unknown

	// Addresses are the kernel's own on the link, sorted. Filled by Monitor.
	Addresses []netip.Prefix

	master int
}

// OperUp reports whether frames can be sent and received now.
func (l Link) OperUp() bool { return l.Present && l.AdminUp && l.Carrier }

// Reason says why the link cannot serve as a device, with the cure; "" when it
// can. A member of a bond or bridge cannot: its frames belong to the master.
func (l Link) Reason() string {
	switch {
	case !l.Present:
		return fmt.Sprintf("no link %s in the kernel", l.Name)
	case l.Master != "":
		return fmt.Sprintf("link is a member of %s %s: release it with \"ip link set %s nomaster\"", l.MasterKind, l.Master, l.Name)
	case !l.AdminUp:
		return "link is down: set it up"
	case !l.Carrier:
		return "no carrier: check the cable or the far end"
	}
	return ""
}

// equal compares all that a Link says.
func (l Link) equal(o Link) bool {
	if !slices.Equal(l.Addresses, o.Addresses) {
		return false
	}
	a, b := l, o
	a.Addresses, b.Addresses = nil, nil
	return a.key() == b.key()
}

// A linkKey is the comparable part of a Link.
type linkKey struct {
	name, kind, alias, master, masterKind  string
	index, mtu, minMTU, maxMTU, rx, tx, mi int
	present, up, carrier, noARP            bool
	mac                                    intf.MAC
	speed                                  uint64
}

func (l Link) key() linkKey {
	return linkKey{
		l.Name, l.Kind, l.Alias, l.Master, l.MasterKind,
		l.Index, l.MTU, l.MinMTU, l.MaxMTU, l.RxQueues, l.TxQueues, l.master,
		l.Present, l.AdminUp, l.Carrier, l.NoARP, l.MAC, l.Speed,
	}
}

// Attributes of if_link.h that x/sys/unix lacks or names unevenly.
const (
	iflaInfoKind = 1
	iflaMinMTU   = 50
	iflaMaxMTU   = 51
)

// ifinfoLen is sizeof(struct ifinfomsg).
const ifinfoLen = 16

// parseLink reads the payload of an RTM_NEWLINK or RTM_DELLINK.
func parseLink(b []byte) (Link, error) {
	if len(b) < ifinfoLen {
		return Link{}, fmt.Errorf("link message of %d octets: want at least %d", len(b), ifinfoLen)
	}
	flags := binary.NativeEndian.Uint32(b[8:])
	l := Link{
		Index:   int(int32(binary.NativeEndian.Uint32(b[4:]))),
		Present: true,
		AdminUp: flags&unix.IFF_UP != 0,
		Carrier: flags&unix.IFF_LOWER_UP != 0,
		NoARP:   flags&unix.IFF_NOARP != 0,
	}
	for typ, v := range attributes(b[ifinfoLen:]) {
		switch typ {
		case unix.IFLA_IFNAME:
			l.Name = text(v)
		case unix.IFLA_ADDRESS:
			if len(v) == len(l.MAC) {
				l.MAC = intf.MAC(v)
			}
		case unix.IFLA_MTU:
			l.MTU = int(u32(v))
		case iflaMinMTU:
			l.MinMTU = int(u32(v))
		case iflaMaxMTU:
			l.MaxMTU = int(u32(v))
		case unix.IFLA_MASTER:
			l.master = int(u32(v))
		case unix.IFLA_IFALIAS:
			l.Alias = text(v)
		case unix.IFLA_NUM_RX_QUEUES:
			l.RxQueues = int(u32(v))
		case unix.IFLA_NUM_TX_QUEUES:
			l.TxQueues = int(u32(v))
		case unix.IFLA_LINKINFO:
			for typ, v := range attributes(v) {
				if typ == iflaInfoKind {
					l.Kind = text(v)
				}
			}
		}
	}
	if l.Name == "" || l.Index <= 0 {
		return Link{}, errors.New("link message without a name or an index")
	}
	return l, nil
}

func ifinfo(index int, flags, change uint32) message {
	b := make(message, ifinfoLen, 64)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], change)
	return b
}

// Links lists the links of the namespace, masters named.
func (c *Conn) Links() ([]Link, error) {
	msgs, err := c.request(unix.RTM_GETLINK, unix.NLM_F_DUMP, ifinfo(0, 0, 0))
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	links := make([]Link, 0, len(msgs))
	for _, m := range msgs {
		l, err := parseLink(m)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	nameMasters(links)
	return links, nil
}

func nameMasters(links []Link) {
	byIndex := make(map[int]*Link, len(links))
	for i := range links {
		byIndex[links[i].Index] = &links[i]
	}
	for i := range links {
		l := &links[i]
		l.Master, l.MasterKind = "", ""
		if l.master == 0 {
			continue
		}
		l.Master, l.MasterKind = fmt.Sprintf("link %d", l.master), "master"
		if m := byIndex[l.master]; m != nil {
			l.Master, l.MasterKind = m.Name, m.Kind
		}
	}
}

// LinkByIndex reads one link. It fails with ErrNotFound when there is none.
// The master's name stays empty.
func (c *Conn) LinkByIndex(index int) (Link, error) {
	return c.getLink(ifinfo(index, 0, 0), fmt.Sprintf("link %d", index))
}

// LinkByName reads one link. It fails with ErrNotFound when there is none. The
// master's name stays empty.
func (c *Conn) LinkByName(name string) (Link, error) {
	b := ifinfo(0, 0, 0)
	b.text(unix.IFLA_IFNAME, name)
	return c.getLink(b, "link "+name)
}

func (c *Conn) getLink(body []byte, what string) (Link, error) {
	msgs, err := c.request(unix.RTM_GETLINK, 0, body)
	switch {
	case gone(err):
		return Link{}, fmt.Errorf("%s: %w", what, ErrNotFound)
	case err != nil:
		return Link{}, fmt.Errorf("%s: %w", what, err)
	case len(msgs) == 0:
		return Link{}, fmt.Errorf("%s: the kernel sent no answer", what)
	}
	l, err := parseLink(msgs[0])
	if err != nil {
		return Link{}, fmt.Errorf("%s: %w", what, err)
	}
	return l, nil
}

// A LinkChange says what SetLink changes: every field that is set.
type LinkChange struct {
	Name  string
	Alias string
	MAC   intf.MAC
	MTU   int // octets
	Up    *bool
	NoARP *bool
}

// SetLink changes the link with the given index in one message.
func (c *Conn) SetLink(index int, ch LinkChange) error {
	var flags, mask uint32
	set := func(bit uint32, v *bool) {
		if v == nil {
			return
		}
		mask |= bit
		if *v {
			flags |= bit
		}
	}
	set(unix.IFF_UP, ch.Up)
	set(unix.IFF_NOARP, ch.NoARP)
	b := ifinfo(index, flags, mask)
	if ch.Name != "" {
		b.text(unix.IFLA_IFNAME, ch.Name)
	}
	if ch.Alias != "" {
		b.text(unix.IFLA_IFALIAS, ch.Alias)
	}
	if !ch.MAC.IsZero() {
		b.bytes(unix.IFLA_ADDRESS, ch.MAC[:])
	}
	if ch.MTU != 0 {
		b.u32(unix.IFLA_MTU, uint32(ch.MTU))
	}
	err := c.change(unix.RTM_NEWLINK, 0, b)
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("link %d: %w", index, ErrNotFound)
	}
	return err
}

// DeleteLink removes a link; one that is gone already is no error.
func (c *Conn) DeleteLink(index int) error {
	if err := c.change(unix.RTM_DELLINK, 0, ifinfo(index, 0, 0)); err != nil && !gone(err) {
		return fmt.Errorf("delete link %d: %w", index, err)
	}
	return nil
}

// A Mark is how a link says that a router made it: its alias is
// "routerd:<router>:<object>".
type Mark struct {
	Router string // the router's id; no colon in it
	Object string // what the link stands for, "ge0.100"
}

const markPrefix = "routerd:"

// Alias is the link alias that carries the mark.
func (m Mark) Alias() string { return markPrefix + m.Router + ":" + m.Object }

// ParseMark reads a link's alias; ok is false for a link that no router made.
func ParseMark(alias string) (m Mark, ok bool) {
	rest, ok := strings.CutPrefix(alias, markPrefix)
	if !ok {
		return Mark{}, false
	}
	m.Router, m.Object, ok = strings.Cut(rest, ":")
	return m, ok && m.Router != ""
}
