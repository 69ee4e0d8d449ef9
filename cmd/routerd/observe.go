package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"router/cmd/routerd/boot"
	"router/cmd/routerd/logs"
	"router/cmd/routerd/metrics"
	"router/cmd/routerd/northbound"
	"router/cmd/routerd/trace"
	"router/cmd/routerd/version"
)

// openLog opens the log that the settings ask for.
func openLog(s boot.Settings, errOut io.Writer) (*logs.Log, error) {
	return logs.New(logs.Options{
		Level: s.LogLevel, Format: logs.Format(s.LogFormat), File: s.LogFile, Stderr: errOut,
		Journal: logs.OnJournal(os.Getenv("JOURNAL_STREAM"), func() (dev, inode uint64, err error) {
			var st syscall.Stat_t
			err = syscall.Fstat(int(os.Stderr.Fd()), &st)
			return st.Dev, st.Ino, err
		}),
	})
}

// reopenOnHangup opens the log file anew at each SIGHUP, until ctx ends.
func reopenOnHangup(ctx context.Context, sink *logs.Log, log *slog.Logger) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if err := sink.Reopen(); err != nil {
				log.Error("log file could not be opened anew: the old one is written on", "err", err)
			}
		}
	}
}

// observe starts what the settings ask for of metrics and traces.
func (d *daemon) observe(ctx context.Context, s boot.Settings, sink *logs.Log, log *slog.Logger) error {
	if s.OTLPEndpoint != "" {
		stop, err := trace.Open(ctx, trace.Options{Endpoint: s.OTLPEndpoint, Version: version.Version, Instance: routerID(s.StateDir)})
		if err != nil {
			return err
		}
		d.closing(func() error {
			if err := within(stop); err != nil {
				// A collector that is away is no reason to fail.
				log.Warn("the last traces could not be handed over", "err", err)
			}
			return nil
		})
	}
	if s.MetricsListen == "" {
		return nil
	}
	handler, err := metrics.Handler(metrics.Sources{
		Router: d.router, Store: d.store, Calls: d.server.gnmi.Stats, Logs: sink.Remotes, Limit: s.MetricsLimit,
	}, log)
	if err != nil {
		return err
	}
	var config *tls.Config
	if s.MetricsTLS {
		config, err = northbound.TLSConfig(northbound.TLSFiles{Cert: s.TLSCert, Key: s.TLSKey, CA: s.TLSCA, StateDir: s.StateDir}, log)
		if err != nil {
			return err
		}
		config = config.Clone()
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	l, err := metrics.Listen(s.MetricsListen)
	if err != nil {
		return err
	}
	log.Info("metrics are served", "listen", l.Addr().String(), "tls", s.MetricsTLS)
	stop := metrics.Serve(l, config, handler, log)
	d.closing(func() error {
		if err := within(stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("metrics: %w", err)
		}
		return nil
	})
	return nil
}

// within calls stop with the time that calls under way get at a stop.
func within(stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), min(stopWait, time.Second))
	defer cancel()
	return stop(ctx)
}
