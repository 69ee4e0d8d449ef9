package kernel

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"router/intf"
)

// DeviceSettings are the settings of a link that the router changes and gives
// back.
type DeviceSettings struct {
	Index       int      `json:"index"` // tells a link from its successor of the same name
	Up          bool     `json:"up"`
	MTU         int      `json:"mtu"` // octets, without the Ethernet header
	MAC         intf.MAC `json:"mac"`
	SetMAC      intf.MAC `json:"set-mac,omitzero"`       // the router's, where it has set one
	DisableIPv6 string   `json:"disable-ipv6,omitempty"` // the sysctl; "" was not touched
	// Features are offloads that a driver has changed, as found; see RememberFeatures.
	Features map[string]bool `json:"features,omitempty"`
}

// A DeviceClaim is what the router wants of a device.
type DeviceClaim struct {
	Attach intf.Attach
	Up     bool
	MTU    int      // octets, without the Ethernet header: the MRU less 18; 0 leaves it
	MAC    intf.MAC // zero leaves it
}

// Devices takes links over for the router and gives them back as they were.
// The former settings are in the store before anything changes, so a crashed
// router's successor can give them back too. Offloads are the drivers' affair;
// here they are only remembered.
// Its methods are to be called by one goroutine at a time.
type Devices struct {
	ns    *Namespace
	conn  *Conn
	store *Store
}

// NewDevices controls the devices of a namespace.
func NewDevices(ns *Namespace, store *Store) (*Devices, error) {
	c, err := ns.Dial()
	if err != nil {
		return nil, err
	}
	return &Devices{ns: ns, conn: c, store: store}, nil
}

// Close releases the socket. It does not give devices back.
func (d *Devices) Close() { d.conn.Close() }

// Claim brings the device to what want says; calling it again is cheap and
// repairs. It returns a warning for an operator, "" normally: addresses that
// the kernel has on an exclusive device are left, since removing them could
// cut a management connection, and named.
func (d *Devices) Claim(name string, want DeviceClaim) (warning string, err error) {
	l, err := d.conn.LinkByName(name)
	if err != nil {
		return "", fmt.Errorf("device %s: %w", name, err)
	}
	former, err := d.remember(l, want.MAC)
	if err != nil {
		return "", fmt.Errorf("device %s: %w", name, err)
	}
	if want.Attach == intf.Exclusive {
		if warning, err = d.silence(l, former); err != nil {
			return "", fmt.Errorf("device %s: %w", name, err)
		}
	} else if err := d.speak(l, former); err != nil {
		return "", fmt.Errorf("device %s: %w", name, err)
	}
	if want.MTU == 0 {
		want.MTU = former.MTU
	}
	if want.MAC.IsZero() {
		want.MAC = former.MAC
	}
	if err := d.setMTU(l, want.MTU); err != nil {
		return warning, err
	}
	if err := d.setMAC(l, want.MAC); err != nil {
		return warning, err
	}
	if err := d.setUp(l, want.Up); err != nil {
		return warning, err
	}
	return warning, nil
}

// Release gives the device back as it was before the first Claim, under
// whatever name it has now. A device that is gone, or was never claimed, is no
// error.
func (d *Devices) Release(name string) error {
	former, ok := d.store.device(name)
	if !ok {
		return nil
	}
	l, err := d.conn.LinkByIndex(former.Index)
	if err == nil && former.of(l, name) {
		err = errors.Join(
			d.setMAC(l, former.MAC),
			d.setMTU(l, former.MTU),
			d.setUp(l, former.Up),
			d.speak(l, former),
		)
	} else if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("give back device %s: %w", name, err)
	}
	return d.store.update(storeData{Devices: map[string]*DeviceSettings{name: nil}})
}

// RememberFeatures records offloads of a claimed device as they were found by a
// driver that has changed them. Those that are recorded already stay.
func (d *Devices) RememberFeatures(name string, former map[string]bool) error {
	settings, ok := d.store.device(name)
	if !ok || len(former) == 0 {
		return nil
	}
	features := maps.Clone(former)
	maps.Copy(features, settings.Features)
	settings.Features = features
	return d.store.update(storeData{Devices: map[string]*DeviceSettings{name: &settings}})
}

// FormerFeatures are the offloads to be given back to a device: those of a
// driver that did not come to it. nil for a device that is another by now.
func (d *Devices) FormerFeatures(name string) map[string]bool {
	settings, ok := d.store.device(name)
	if !ok || len(settings.Features) == 0 {
		return nil
	}
	if l, err := d.conn.LinkByName(name); err != nil || l.Index != settings.Index {
		return nil
	}
	return maps.Clone(settings.Features)
}

// ForgetFeatures says that the offloads of a device have been given back.
func (d *Devices) ForgetFeatures(name string) error {
	settings, ok := d.store.device(name)
	if !ok || settings.Features == nil {
		return nil
	}
	settings.Features = nil
	return d.store.update(storeData{Devices: map[string]*DeviceSettings{name: &settings}})
}

// Claimed lists the devices that were claimed, in this life or an earlier one,
// and not given back.
func (d *Devices) Claimed() []string { return d.store.deviceNames() }

// of reports whether the settings are those of a link that was claimed as name.
// A link of another name is the same one, renamed, if its address says so too: the
// index alone may have been given anew.
func (s *DeviceSettings) of(l Link, name string) bool {
	return s.Index == l.Index && (l.Name == name || l.MAC == s.MAC || !s.SetMAC.IsZero() && l.MAC == s.SetMAC)
}

// Follow gives what is recorded of links that have been renamed to the names that
// they have now. What is recorded of links that are gone gives way.
func (d *Devices) Follow() error {
	links, err := d.conn.Links()
	if err != nil {
		return err
	}
	now := make(map[int]Link, len(links))
	for _, l := range links {
		now[l.Index] = l
	}
	moved := map[string]*DeviceSettings{}
	for _, name := range d.store.deviceNames() {
		former, _ := d.store.device(name)
		l, ok := now[former.Index]
		if !ok || l.Name == name || !former.of(l, name) {
			continue
		}
		moved[l.Name] = &former
		if _, taken := moved[name]; !taken {
			moved[name] = nil
		}
	}
	if len(moved) == 0 {
		return nil
	}
	return d.store.update(storeData{Devices: moved})
}

// remember records the settings of the link as found, once per link, and the
// address that it is about to be given.
func (d *Devices) remember(l Link, mac intf.MAC) (DeviceSettings, error) {
	former, ok := d.store.device(l.Name)
	if ok && former.Index != l.Index || !ok && d.store.hasDevice(l.Index) {
		if err := d.Follow(); err != nil {
			return DeviceSettings{}, err
		}
		former, ok = d.store.device(l.Name)
	}
	if ok && former.Index == l.Index {
		if former.SetMAC == mac {
			return former, nil
		}
		former.SetMAC = mac
		return former, d.store.update(storeData{Devices: map[string]*DeviceSettings{l.Name: &former}})
	}
	former = DeviceSettings{Index: l.Index, Up: l.AdminUp, MTU: l.MTU, MAC: l.MAC, SetMAC: mac}
	err := d.ns.Do(func() (err error) {
		former.DisableIPv6, err = Sysctl(disableIPv6(l.Name))
		if errors.Is(err, os.ErrNotExist) { // no IPv6 at all, or an MTU below 1280
			err = nil
		}
		return err
	})
	if err != nil {
		return DeviceSettings{}, err
	}
	return former, d.store.update(storeData{Devices: map[string]*DeviceSettings{l.Name: &former}})
}

func disableIPv6(link string) string { return "ipv6/conf/" + link + "/disable_ipv6" }

// silence keeps the kernel from sending router solicitations, MLD reports and
// the like on a device that is the router's alone.
func (d *Devices) silence(l Link, former DeviceSettings) (warning string, err error) {
	list, err := d.conn.Addresses(l.Index)
	if err != nil {
		return "", err
	}
	var left []netip.Prefix
	ipv6 := false
	for _, a := range list {
		if a.Prefix.Addr().IsLinkLocalUnicast() && !a.Prefix.Addr().Is4() {
			continue
		}
		left = append(left, a.Prefix)
		ipv6 = ipv6 || !a.Prefix.Addr().Is4()
	}
	if len(left) > 0 {
		warning = fmt.Sprintf("the kernel has addresses on %s that nobody can reach while attach is exclusive: %v; "+
			"move them to units, remove them, or attach shared", l.Name, left)
	}
	if ipv6 || former.DisableIPv6 == "" {
		// Switching IPv6 off would remove the kernel's addresses for good.
		return warning, nil
	}
	return warning, d.setDisableIPv6(l.Name, "1")
}

// speak undoes silence.
func (d *Devices) speak(l Link, former DeviceSettings) error {
	if former.DisableIPv6 == "" {
		return nil
	}
	return d.setDisableIPv6(l.Name, former.DisableIPv6)
}

func (d *Devices) setDisableIPv6(name, value string) error {
	return d.ns.Do(func() error {
		_, err := SetSysctl(disableIPv6(name), value)
		if errors.Is(err, os.ErrNotExist) {
			return nil // a small MTU took IPv6 off the link meanwhile
		}
		return err
	})
}

func (d *Devices) setMTU(l Link, mtu int) error {
	if mtu == l.MTU {
		return nil
	}
	if err := d.conn.SetLink(l.Index, LinkChange{MTU: mtu}); err != nil {
		if l.MaxMTU != 0 && mtu > l.MaxMTU {
			err = fmt.Errorf("%w; the driver takes at most %d: lower the MRU to %d", err, l.MaxMTU, l.MaxMTU+18)
		}
		return fmt.Errorf("device %s: set MTU %d: %w", l.Name, mtu, err)
	}
	return nil
}

func (d *Devices) setMAC(l Link, mac intf.MAC) error {
	if mac == l.MAC || mac.IsZero() {
		return nil
	}
	err := d.conn.SetLink(l.Index, LinkChange{MAC: mac})
	if errors.Is(err, unix.EBUSY) && l.AdminUp {
		// Many drivers take an address only while the link is down.
		down, up := false, true
		err = errors.Join(
			d.conn.SetLink(l.Index, LinkChange{Up: &down}),
			d.conn.SetLink(l.Index, LinkChange{MAC: mac}),
			d.conn.SetLink(l.Index, LinkChange{Up: &up}),
		)
	}
	if err != nil {
		return fmt.Errorf("device %s: set MAC address %s: %w; the driver or the hypervisor may forbid it: unset mac-address", l.Name, mac, err)
	}
	return nil
}

func (d *Devices) setUp(l Link, up bool) error {
	if up == l.AdminUp {
		return nil
	}
	if err := d.conn.SetLink(l.Index, LinkChange{Up: &up}); err != nil {
		return fmt.Errorf("device %s: set up %t: %w", l.Name, up, err)
	}
	return nil
}
