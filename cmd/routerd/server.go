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
	"router/cmd/routerd/northbound/gnoi"
)

// A server is the gNMI server on its listeners.
type server struct {
	gnmi   *northbound.Server
	gribi  *gribi.Server
	ops    *gnoi.Services
	failed chan error // a listener that stopped by itself
}

// stopWait bounds how long calls under way may take at a stop.
const stopWait = 3 * time.Second

// serve opens the listeners that the settings name and answers on them.
func serve(s boot.Settings, store *datastore.Store, st state, ops *gnoi.Services, log *slog.Logger) (*server, error) {
	srv := &server{
		gnmi: northbound.New(northbound.Options{
			Store: store, State: st, Log: log, MaxMessage: s.MaxMessage,
			Register: []func(grpc.ServiceRegistrar){st.gribi.Register, ops.Register},
		}),
		gribi:  st.gribi,
		ops:    ops,
		failed: make(chan error, 3),
	}
	if s.Socket != "" {
		l, err := northbound.ListenSocket(s.Socket)
		if err != nil {
			return nil, errors.Join(err, srv.close())
		}
		go func() { srv.ended(srv.gnmi.ServeSocket(l)) }()
	}
	if s.Listen != "" || s.GRIBIListen != "" {
		var config *tls.Config
		if s.Insecure {
			log.Warn("gNMI is served in plaintext: anybody who can connect can configure the router", "listen", s.Listen)
		} else {
			var err error
			config, err = northbound.TLSConfig(northbound.TLSFiles{Cert: s.TLSCert, Key: s.TLSKey, CA: s.TLSCA, StateDir: s.StateDir}, log)
			if err != nil {
				return nil, errors.Join(err, srv.close())
			}
			if s.TLSCA == "" {
				log.Warn("gNMI clients are not asked for certificates: anybody who can connect can configure the router; tls-ca changes that", "listen", s.Listen)
			}
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
	s.gnmi.Stop(ctx)
	return nil
}
