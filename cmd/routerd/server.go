package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"

	"router/cmd/routerd/boot"
	"router/cmd/routerd/datastore"
	"router/cmd/routerd/gribi"
	"router/cmd/routerd/northbound"
	"router/cmd/routerd/northbound/forwarding"
	"router/cmd/routerd/northbound/gnoi"
	"router/cmd/routerd/northbound/gnsi"
)

// A server is the gNMI server on its listeners.
type server struct {
	gnmi   *northbound.Server
	access *accessState
	gnsi   *gnsi.Services
	gribi  *gribi.Server
	ops    *gnoi.Services
	failed chan error // a listener that stopped by itself

	unwatch         func() // the commits
	stopCertificate func() // nil without TLS
}

// stopWait bounds how long calls under way may take at a stop.
const stopWait = 3 * time.Second

// serve opens the listeners that the settings name and answers on them.
func serve(s boot.Settings, store *datastore.Store, st state, a *accessState, ops *gnoi.Services, log *slog.Logger) (*server, error) {
	policies, err := gnsi.New(a.guard, store.Schema(), s.StateDir)
	if err != nil {
		return nil, err
	}
	paths := forwarding.New(st.router)
	srv := &server{
		gnmi: northbound.New(northbound.Options{
			Store: store, State: st, Log: log, MaxMessage: s.MaxMessage,
			Register: []func(grpc.ServiceRegistrar){st.gribi.Register, ops.Register, policies.Register, paths.Register},
			Guard:    a.guard, Trusted: a.trusted, Audit: a.audit,
			LogReader: logReader{st.logs}, Clearer: st.router, Capturer: newCaptures(st.router, s.StateDir),
			Limits: northbound.Limits{Streams: s.MaxStreams, Connections: s.MaxConnections, Rate: float64(s.RateLimit)},
		}),
		access: a,
		gnsi:   policies,
		gribi:  st.gribi,
		ops:    ops,
		failed: make(chan error, 3),
	}
	paths.Guard(srv.gnmi.MayRead)
	limited := srv.gnmi.Limited
	a.limited.Store(&limited)
	a.warn(log, s.Listen)
	srv.unwatch = a.warnAfterCommits(store, log, s.Listen)
	if s.Socket != "" {
		l, err := northbound.ListenSocket(s.Socket)
		if err != nil {
			return nil, errors.Join(err, srv.close())
		}
		go func() { srv.ended(srv.gnmi.ServeSocket(l)) }()
	}
	if s.Listen != "" || s.GRIBIListen != "" {
		var config *tls.Config
		if a.certificate == nil {
			log.Warn("gNMI is served in plaintext: whoever is on the way reads and changes what it likes", "listen", s.Listen)
		} else {
			config = a.certificate.Config()
			run, stop := context.WithCancel(context.Background())
			srv.stopCertificate = stop
			go a.certificate.Run(run)
		}
		for _, at := range []struct{ what, flag, address string }{{"gNMI", "listen", s.Listen}, {"gRIBI", "gribi-listen", s.GRIBIListen}} {
			if at.address == "" {
				continue
			}
			l, err := net.Listen("tcp", at.address)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("%s on %s: %w (--%s chooses another address)", at.what, at.address, err, at.flag), srv.close())
			}
			go func() { srv.ended(srv.gnmi.Serve(l, config)) }()
		}
	}
	return srv, nil
}

// reload reads the certificate again (SIGHUP). What is wrong with it is logged.
func (s *server) reload() {
	if s.access.certificate != nil {
		// It is logged, and in state.
		_ = s.access.certificate.Reload()
	}
}

func (s *server) ended(err error) {
	if err != nil {
		s.failed <- err
	}
}

// close ends the server's calls and streams.
func (s *server) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()
	s.gribi.Stop()
	s.ops.Stop()
	s.gnsi.Stop()
	s.gnmi.Stop(ctx)
	s.unwatch()
	if s.stopCertificate != nil {
		s.stopCertificate()
	}
	return nil
}
