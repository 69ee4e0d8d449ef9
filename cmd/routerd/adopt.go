package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"router/cmd/routerd/boot"
	"router/cmd/routerd/control"
	"router/cmd/routerd/datastore"
	"router/dataplane/bpf"
	"router/dataplane/host"
	"router/intf"
	"router/intf/kernel"
)

// pinRoot is where the pin directories of routerds are that are not told another.
const pinRoot = "/sys/fs/bpf/routerd"

func pinDir(s boot.Settings) string {
	if s.PinDir != "" {
		return s.PinDir
	}
	return filepath.Join(pinRoot, routerID(s.StateDir))
}

// openPins opens the directory of what outlives the daemon. Where there can't be
// one the router works, and forwarding ends with it: nil, why, and a warning.
func openPins(s boot.Settings, log *slog.Logger) (pins *bpf.Pins, none, err error) {
	keep := s.KeepForwarding == boot.KeepAlways || s.KeepForwarding == boot.KeepUnlessStopped
	dir := pinDir(s)
	if !keep {
		// An earlier run may have had other settings.
		if _, err := os.Stat(dir); err != nil {
			return nil, nil, nil
		}
	}
	pins, err = bpf.OpenPins(dir, keep)
	if errors.Is(err, bpf.ErrPinsHeld) {
		if keep {
			return nil, nil, err
		}
		return nil, nil, nil // then nothing in it is ours
	}
	if err != nil {
		log.Warn("forwarding will end with routerd: mend this and restart it", "err", err)
		return nil, fmt.Errorf("nothing can be pinned: %w; mend this and restart routerd", err), nil
	}
	if keep && pins.Fleeting() {
		log.Warn("forwarding will end with routerd: it has mounts of its own, so that the BPF file system it has mounted ends with it; mount one outside, and name a directory there by pin-dir", "dir", dir)
	}
	return pins, nil, nil
}

// openMemory opens what outlives the daemon of its neighbours.
func (d *daemon) openMemory(log *slog.Logger) (control.Memory, error) {
	memory, err := d.pins.OpenMemory()
	if err != nil {
		log.Warn("neighbours will have to be asked for anew after a restart", "err", err)
		return nil, nil
	}
	if memory == nil {
		return nil, nil // and not a nil *bpf.Memory
	}
	d.closing(memory.Close)
	return memory, nil
}

// openLedger opens what outlives the daemon of its counters.
func (d *daemon) openLedger(log *slog.Logger) control.Ledger {
	ledger, err := d.pins.OpenLedger()
	if err != nil {
		log.Warn("counters will begin anew after a restart", "err", err)
	}
	if ledger == nil {
		return nil // and not a nil *bpf.Ledger
	}
	d.closing(ledger.Close)
	return ledger
}

// adopt takes over what an earlier run left forwarding, now that the
// configuration is in place, and ends what this one has no use for.
func (d *daemon) adopt() {
	begin := time.Now()
	a := d.router.Adopt(d.left)
	ended, err := d.pins.Sweep(bpf.MemoryName, bpf.LedgerName)
	if err != nil {
		d.log.Warn("what an earlier run pinned remains in part", "err", err)
	}
	if d.left > 0 {
		d.log.Info("forwarding is taken over", "devices", a.Devices, "neighbors", a.Neighbors, "ended", ended, "took", time.Since(begin))
	}
}

// leave makes close leave forwarding as it is, where it can be left.
func (d *daemon) leave() {
	if d.router != nil && d.pins.Keeps() {
		d.router.Leave()
	}
}

// release ends what a routerd that is no more has left: programs that forward,
// and settings of devices and of the host stack.
func release(s boot.Settings, log *slog.Logger) (err error) {
	if err := os.MkdirAll(s.StateDir, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	lock, err := datastore.Lock(s.StateDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	ended := 0
	if _, statErr := os.Stat(pinDir(s)); statErr == nil {
		pins, err := bpf.OpenPins(pinDir(s), false)
		if err != nil {
			return err
		}
		ended, err = pins.Sweep()
		if err := errors.Join(err, pins.Close()); err != nil {
			return err
		}
	}
	store, err := kernel.OpenStore(s.StateDir)
	if err != nil {
		return err
	}
	own, err := kernel.Own()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	devices, err := kernel.NewDevices(own, store)
	if err != nil {
		return err
	}
	defer devices.Close()
	hosts, err := host.New(host.Config{
		RouterID: routerID(s.StateDir), Store: store, Log: log,
		Inject: func(uint32, intf.Index, []byte) {}, // nobody sends through TAPs that are not there
	})
	if err != nil {
		return err
	}
	err = errors.Join(links{Devices: devices}.releaseExcept(nil), hosts.Cleanup(), hosts.Close())
	log.Info("released", "programs", ended, "err", err)
	return err
}
