// Routerd runs a software router: it takes the router's configuration over gNMI,
// keeps it in place, and forwards packets.
//
//	routerd [--config FILE] [--state-dir DIR] [--listen ADDR:PORT] [--socket PATH] [--insecure] [--log-level LEVEL] [--flush]
//
// Exit codes: 0 after a clean stop, 1 for a failure that the last line
// explains, 2 for usage. A restart that a client asks for is no exit: the process
// becomes a new routerd.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"

	"router/cmd/routerd/boot"
	"router/cmd/routerd/restart"
	"router/cmd/routerd/version"
)

// The heap grows by so many percent of what is alive before it is collected, during the
// start and after it.
const (
	startGC = 100
	runGC   = 50
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// run is main with its surroundings as arguments; it returns the exit code.
func run(args []string, errOut io.Writer) int {
	settings, err := boot.Load(args)
	if errors.Is(err, boot.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(errOut, "routerd: %v\n", err)
		var usage *boot.UsageError
		if errors.As(err, &usage) {
			return 2
		}
		return 1
	}
	sink, err := openLog(settings, errOut)
	if err != nil {
		fmt.Fprintf(errOut, "routerd: %v\n", err)
		return 1
	}
	defer func() {
		if err := sink.Close(); err != nil {
			fmt.Fprintf(errOut, "routerd: %v\n", err)
		}
	}()
	log := slog.New(sink.Handler())
	// The tables lie outside Go's heap; what is inside is small and mostly
	// long-lived, so that collecting earlier costs little and saves memory.
	calm := func(percent int) {
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(percent)
		}
	}
	// A start makes much that stays and little garbage; what it leaves, trim gives back.
	calm(startGC)

	if settings.Release {
		if err := release(settings, log); err != nil {
			fmt.Fprintf(errOut, "routerd: %v\n", err)
			return 1
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go reopenOnHangup(ctx, sink, log)
	log.Info("starting", "version", version.Version, "state-dir", settings.StateDir, "workers", settings.Workers)
	d, err := start(ctx, settings, sink)
	calm(runGC)
	if err != nil {
		fmt.Fprintf(errOut, "routerd: %v\n", err)
		return 1
	}
	log.Info("ready", "listen", settings.Listen, "socket", settings.Socket)
	notify(log, "READY=1")

	handover := make(chan os.Signal, 1)
	signal.Notify(handover, syscall.SIGUSR2)
	defer signal.Stop(handover)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	var failure error
	again := false
	for running := true; running; {
		select {
		case <-hup:
			d.server.reload()
			continue
		case <-ctx.Done():
			log.Info("stopping")
			notify(log, "STOPPING=1")
			if settings.KeepForwarding == boot.KeepAlways {
				d.leave()
			}
		case <-handover:
			log.Info("stopping for a successor")
			notify(log, "STOPPING=1")
			d.leave()
		case failure = <-d.server.failed:
			d.leave()
			notify(log, "STOPPING=1")
		case order := <-d.restarts.Due():
			again = true
			d.leave()
			log.Warn("restarting", "reason", order.Reason, "user", order.User)
			notify(log, "RELOADING=1\n"+monotonic())
		}
		running = false
	}
	if err := errors.Join(failure, d.close()); err != nil {
		fmt.Fprintf(errOut, "routerd: %v\n", err)
		if !again {
			return 1
		}
	}
	if again {
		fmt.Fprintf(errOut, "routerd: %v\n", restart.Exec())
		return 1
	}
	return 0
}

// monotonic is what systemd wants to know with RELOADING=1: since when.
func monotonic() string {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return ""
	}
	return fmt.Sprintf("MONOTONIC_USEC=%d", t.Nano()/1000)
}

// notify tells systemd, if it is there (sd_notify(3)).
func notify(log *slog.Logger, state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		log.Warn("systemd could not be told", "state", state, "err", err)
	}
}
