package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"router/cmd/routerd/control"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/health"
	"router/gen"
)

// What the state directory's file system is to have free: room for some journals
// of a large configuration.
const (
	diskFree   = 64 << 20 // octets
	inodesFree = 64
)

// watchHealth makes the monitor of a daemon's parts.
func (d *daemon) watchHealth(stateDir string, log *slog.Logger) *health.Monitor {
	return health.New([]health.Check{
		{Name: "dataplane", Look: d.dataplaneHealth},
		{Name: "datastore", Look: func(context.Context) health.Finding { return d.datastoreHealth() }},
		{Name: "disk", Look: func(context.Context) health.Finding { return diskHealth(stateDir) }},
		{Name: "host", Look: func(context.Context) health.Finding { return complaints(d.router.HostComplaints()) }},
		{Name: "interfaces", Look: func(context.Context) health.Finding { return complaints(d.router.InterfaceComplaints()) }},
		{Name: "management", Look: func(context.Context) health.Finding { return d.managementHealth() }},
		{Name: "neighbors", Look: func(context.Context) health.Finding { return complaints(d.router.AddressComplaints()) }},
	}, time.Now, log)
}

// complaints sums up a list of them: the first, and how many more.
func complaints(list []control.Complaint) health.Finding {
	if len(list) == 0 {
		return health.Finding{}
	}
	reason := list[0].String()
	if len(list) > 1 {
		reason += fmt.Sprintf(", and %d more", len(list)-1)
	}
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintln(&b, c)
	}
	return health.Finding{Reason: reason, Detail: b.String()}
}

// dataplaneHealth asks each worker for a sign of life, and whether it has frame
// buffers left.
func (d *daemon) dataplaneHealth(ctx context.Context) health.Finding {
	ctx, cancel := context.WithTimeout(ctx, health.Patience/2)
	defer cancel()
	if stuck := d.engine.Stuck(ctx); len(stuck) > 0 {
		return health.Finding{Reason: fmt.Sprintf("workers %v show no sign of life", stuck)}
	}
	u := d.engine.Usage()
	if u.BuffersFree == 0 {
		return health.Finding{Reason: fmt.Sprintf("all %d frame buffers are in use", u.Buffers)}
	}
	return health.Finding{}
}

// datastoreHealth says what the store has found damaged, and what it has left out.
func (d *daemon) datastoreHealth() health.Finding {
	st := d.store.Status()
	if damage := st.Damage; len(damage) > 0 {
		return health.Finding{Reason: damage[len(damage)-1], Detail: strings.Join(slices.Concat(damage, st.LeftOut), "\n") + "\n"}
	}
	if n := len(st.LeftOut); n > 0 {
		return health.Finding{Reason: fmt.Sprintf("%d parts of the stored configuration are left out since the start; first %s", n, st.LeftOut[0]),
			Detail: strings.Join(st.LeftOut, "\n") + "\n"}
	}
	return health.Finding{}
}

// managementHealth reads the configuration, as a client does: it hangs while a
// commit does not come to its end.
func (d *daemon) managementHealth() health.Finding {
	d.store.View(func(*gen.Device, datastore.Commit) {})
	return health.Finding{}
}

// diskHealth asks whether the state directory has room for commits.
func diskHealth(dir string) health.Finding {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return health.Finding{Reason: fmt.Sprintf("state directory: %v", err)}
	}
	switch free := st.Bavail * uint64(st.Bsize); {
	case st.Flags&unix.ST_RDONLY != 0:
		return health.Finding{Reason: "the state directory is on a file system that is read-only: no commit can be kept"}
	case free < diskFree:
		return health.Finding{Reason: fmt.Sprintf("the state directory's file system has %d MiB free: want %d", free>>20, diskFree>>20)}
	case st.Files > 0 && st.Ffree < inodesFree:
		return health.Finding{Reason: fmt.Sprintf("the state directory's file system has room for %d files more: want %d", st.Ffree, inodesFree)}
	}
	return health.Finding{}
}
