package main

import (
	"log/slog"
	"net/netip"
	"path/filepath"

	"router/cmd/routerd/boot"
	"router/cmd/routerd/control"
	"router/cmd/routerd/northbound/gnoi"
	"router/cmd/routerd/restart"
)

// operations are the gNOI services over the parts of a daemon.
func operations(d *daemon, s boot.Settings, log *slog.Logger) *gnoi.Services {
	o := gnoi.Options{
		Prober: prober{d.router}, Restarter: restarter{d.restarts}, Health: d.health, StateDir: s.StateDir, Log: log,
		Directories: directories(s),
	}
	if c := d.access.certificate; c != nil {
		o.Certificates = c
	}
	return gnoi.New(o)
}

// directories are those whose files clients may get: what the router writes for
// people to read. Nothing there holds a secret of the router's; captures hold what users sent.
func directories(s boot.Settings) []gnoi.Directory {
	list := []gnoi.Directory{
		{Name: "audit", Path: filepath.Join(s.StateDir, "audit")},
		{Name: captureName, Path: filepath.Join(s.StateDir, captureDir), Removable: true},
	}
	if s.LogFile != "" {
		// The log's own file and what rotation made of it, not what lies beside them.
		list = append(list, gnoi.Directory{Name: "log", Path: filepath.Dir(s.LogFile), Prefix: filepath.Base(s.LogFile)})
	}
	return list
}

// prober is the router as gNOI's Ping and Traceroute want it.
type prober struct{ router *control.Router }

// StartProbe implements gnoi.Prober.
func (p prober) StartProbe(q control.ProbeRequest) (gnoi.Probe, netip.Addr, error) {
	probe, src, err := p.router.StartProbe(q)
	if err != nil {
		return nil, src, err
	}
	return probe, src, nil
}

// restarter is who restarts the daemon, as gNOI's Reboot wants it.
type restarter struct{ *restart.Keeper }

// Ready implements gnoi.Restarter: what can't be run can't be restarted.
func (restarter) Ready() (err error, hopeless bool) {
	_, err = restart.Executable()
	return err, err != nil
}
