package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"router/cmd/routerd/boot"
	"router/cmd/routerd/control"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/gribi"
	"router/cmd/routerd/health"
	"router/cmd/routerd/logs"
	"router/cmd/routerd/reconcile"
	"router/cmd/routerd/restart"
	"router/dataplane"
	"router/dataplane/bpf"
	"router/dataplane/driver"
	"router/dataplane/host"
	"router/intf"
	"router/intf/kernel"
	"router/models"
	"router/vrf/epoch"
	"router/vrf/fib"
)

// A daemon is the parts of routerd, wired together.
type daemon struct {
	log    *slog.Logger
	engine *dataplane.Engine
	pins   *bpf.Pins // nil: forwarding ends with the process
	noPins error     // why, where it was not to
	noFast error     // why there are no tables of the fast path; nil if there are
	left   int       // devices that an earlier run has left forwarding
	links  links
	host   *host.Manager
	router *control.Router
	gribi  *gribi.Server
	store  *datastore.Store
	access *accessState
	server *server

	programmer *programmer     // of gribi
	restarts   *restart.Keeper // that clients ask for
	health     *health.Monitor

	stop    context.CancelFunc // ends what runs in tasks
	tasks   sync.WaitGroup
	closers []func() error // in order of making
}

// start brings everything up: when it returns, the stored configuration is
// applied and clients are served. On an error all is taken down again.
func start(ctx context.Context, s boot.Settings, sink *logs.Log) (_ *daemon, err error) {
	log := slog.New(sink.Handler())
	d := &daemon{log: log}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	defer func() {
		if err != nil {
			// What an earlier run left goes on: this one has not got as far.
			d.leave()
			err = errors.Join(err, d.close())
		}
	}()

	if err := os.MkdirAll(s.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	// The lock comes before anything is touched: a second daemon on this
	// directory must leave no trace.
	lock, err := datastore.Lock(s.StateDir)
	if err != nil {
		return nil, err
	}

	if d.access, err = newAccess(s, log); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.closing(d.access.audit.Close)
	if d.pins, d.noPins, err = openPins(s, log); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.left = d.pins.Left()
	d.closing(d.pins.Close)
	if err := d.startDataplane(run, s, log); err != nil {
		return nil, err
	}
	d.startGRIBI(run, s.StateDir, log)
	d.store, err = datastore.Open(ctx, datastore.Options{
		Dir: s.StateDir, Lock: lock, Applier: reconcile.NewApplier(newTarget(d.router, sink.Remotes), log), Log: log, Flush: s.Flush,
	})
	if err != nil {
		return nil, err
	}
	d.closing(d.store.Close)
	// Before the fast path's tables are exchanged: so nothing that was programmed is lost.
	d.gribi.Restore(s.Flush)
	d.adopt()
	if err := d.cleanup(); err != nil {
		log.Warn("leftovers of an earlier run remain", "err", err)
	}
	d.restarts = restart.Open(s.StateDir, time.Now, log)
	d.task(func() { d.restarts.Run(run) })
	d.health = d.watchHealth(s.StateDir, log)
	d.task(func() { d.health.Run(run) })
	d.router.Watch(func(e control.Event) {
		if e.Object.Kind == models.Device {
			d.health.Kick()
		}
	})
	d.server, err = serve(s, d.store, state{d.router, sink, d.gribi, d.programmer, d.health, d.access}, d.access, operations(d, s, log), log)
	if err != nil {
		return nil, err
	}
	if err := d.observe(ctx, s, sink, log); err != nil {
		return nil, err
	}
	d.task(func() { trim(run, d.store) })
	return d, nil
}

// startDataplane makes the packet path and the control plane that drives it.
func (d *daemon) startDataplane(run context.Context, s boot.Settings, log *slog.Logger) error {
	domain := epoch.New()
	fast, arena, err := d.makeTables(s, domain, log)
	if err != nil {
		return err
	}
	config := dataplane.Config{Workers: s.Workers, Buffers: s.Buffers, CPUs: s.CPUs, Nice: s.WorkerNice, RoundRobin: s.RoundRobin, Log: log, Domain: domain}
	if fast != nil {
		config.Arena, config.Tallies, config.Filters, config.FlowSeed = arena, fast, fast, fast.FlowSeed()
	}
	d.engine, err = dataplane.New(config)
	if err != nil {
		return err
	}
	d.closing(d.engine.Close)

	store, err := kernel.OpenStore(s.StateDir)
	if err != nil {
		return err
	}
	own, err := kernel.Own()
	if err != nil {
		return err
	}
	d.closing(own.Close)
	if d.links.Monitor, err = kernel.NewMonitor(own, log); err != nil {
		return err
	}
	if d.links.Devices, err = kernel.NewDevices(own, store); err != nil {
		d.links.Monitor.Close()
		return err
	}
	d.closing(func() error { d.links.Close(); return nil })

	d.host, err = host.New(host.Config{
		RouterID: routerID(s.StateDir), Store: store, Log: log,
		Inject: func(instance uint32, i intf.Index, l3 []byte) {
			// A full ring drops, as an interface's queue does; the engine counts it.
			_ = d.engine.Originate(instance, i, l3)
		},
		OnDrift: func(i intf.Index, unit, what string) {
			log.Warn("host side was changed by someone and is put right", "ifl", unit, "what", what)
		},
	})
	if err != nil {
		return err
	}
	d.closing(d.host.Close)

	memory, err := d.openMemory(log)
	if err != nil {
		return err
	}
	tables := control.TablesConfig{Most: s.TableMemory << 20, FastPath: func() error { return d.noFast }}
	if fast != nil {
		tables.FastPath = fast.Off
	}
	d.router, err = control.New(control.Config{
		Tables: tables, Ledger: d.openLedger(log),
		Memory: memory, Adopting: true,
		Log: log, StateDir: s.StateDir, Engine: d.engine, Domain: domain, Arena: arena,
		Links: d.links, Drivers: newDrivers(d.engine.Pools(), d.links.Devices, d.pins, d.noPins, fast), Host: d.host, Now: time.Now, Access: d.access.guard,
	})
	if err != nil {
		return err
	}
	d.closing(d.router.Close)

	d.task(func() { _ = d.engine.ServeControl(run, d.router.Punted) })
	d.task(func() { _ = d.engine.ServeHost(run, d.host) })
	d.task(func() { _ = d.engine.ServeLog(run, d.router.LogFiltered) })
	d.task(func() { d.router.Run(run) })
	d.task(func() {
		if err := d.links.Run(run, d.router.LinkChanged); err != nil {
			log.Error("links are not watched any more", "err", err)
		}
	})
	d.task(func() {
		if err := driver.WatchEgress(run, d.router.EgressChanged); err != nil {
			log.Error("what devices can do in the fast path is not watched any more", "err", err)
		}
	})
	return nil
}

// makeTables makes the memory of the route tables, which programs in the kernel
// read too; fast is nil where the kernel refuses them, or they may grow beyond what a
// program can address.
func (d *daemon) makeTables(s boot.Settings, domain *epoch.Domain, log *slog.Logger) (fast *bpf.Fast, arena *fib.Arena, err error) {
	most := s.TableMemory << 20
	if s.TableMemory > boot.MostFastTables {
		err = fmt.Errorf("table-memory is %d MiB, and a program in the kernel can address %d: lower it for a fast path", s.TableMemory, boot.MostFastTables)
	} else {
		fast, err = bpf.NewFast(bpf.FastConfig{Space: most, FilterSpace: s.FilterMemory << 20, FlowSeed: rand.Uint64(), Domain: domain, Log: log})
	}
	if err != nil {
		d.noFast = err
		log.Warn("there is no fast path", "err", err)
		words, err := dataplane.ReserveTables(most)
		if err != nil {
			return nil, nil, err
		}
		arena, err = fib.NewGrowingArena(words, len(words), func(int) error {
			return fmt.Errorf("%d MiB are the most that table-memory allows: raise it, or have fewer routes", s.TableMemory)
		}, domain)
		return nil, arena, err
	}
	// Devices are closed before it ends.
	ctx, cancel := context.WithCancel(context.Background())
	var follow sync.WaitGroup
	follow.Go(func() {
		if err := fast.Follow(ctx, domain); err != nil {
			log.Error("fast path", "err", err)
		}
	})
	d.closing(func() error {
		cancel()
		follow.Wait()
		return fast.Close()
	})
	arena, err = fib.NewGrowingArena(fast.Words(), fast.First(), fast.Grow, domain)
	return fast, arena, err
}

// cleanup gives back what an earlier run took and this configuration doesn't want.
func (d *daemon) cleanup() error {
	wanted := map[string]bool{}
	for _, name := range d.router.Devices() {
		wanted[name] = true
	}
	return errors.Join(d.host.Cleanup(), d.links.releaseExcept(wanted))
}

func (d *daemon) closing(f func() error) { d.closers = append(d.closers, f) }

func (d *daemon) task(f func()) {
	d.tasks.Add(1)
	go func() {
		defer d.tasks.Done()
		f()
	}()
}

// close takes everything down, clients first.
func (d *daemon) close() error {
	var errs []error
	if d.server != nil {
		errs = append(errs, d.server.close())
	}
	d.stop()
	d.tasks.Wait()
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	return errors.Join(errs...)
}

// routerID tells this router's kernel objects from another's on the machine:
// each has a state directory of its own.
func routerID(stateDir string) string {
	h := fnv.New64a()
	h.Write([]byte(stateDir))
	return fmt.Sprintf("%016x", h.Sum64())
}
