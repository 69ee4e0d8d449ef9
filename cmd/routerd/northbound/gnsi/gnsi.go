// Package gnsi serves the policies of gNSI: which user may call which RPC
// (gnsi.authz.v1) and reach which path (gnsi.pathz.v1).
//
// A policy takes away from what the roles of the configuration permit; without
// one, roles alone decide. Root on the Unix socket is bound by neither.
//
// Invariant: a rotation that is not finalized leaves nothing behind, whatever ends
// it, the end of the daemon included: only a finalized policy is stored.
//
// Source: openconfig/gnsi v1.9.1, authz and pathz.
package gnsi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/openconfig/gnsi/authz"
	"github.com/openconfig/gnsi/pathz"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/access"
	"router/cmd/routerd/datastore/tree"
)

// Services are the gNSI services of a router. Their methods are safe for
// concurrent use.
type Services struct {
	authz authzService
	pathz pathzService
	stop  chan struct{}
	once  sync.Once
}

// New makes the services, and puts the policies that are stored in dir in
// place. A stored policy that can't be read is an error: without it more would be permitted.
func New(guard *access.Guard, schema *tree.Schema, dir string) (*Services, error) {
	s := &Services{stop: make(chan struct{})}
	s.authz = authzService{guard: guard, store: store{file: filepath.Join(dir, "gnsi-authz.json")}, stop: s.stop}
	s.pathz = pathzService{guard: guard, schema: schema, store: store{file: filepath.Join(dir, "gnsi-pathz.json")}, stop: s.stop}
	if err := s.authz.open(); err != nil {
		return nil, err
	}
	if err := s.pathz.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// Register makes a server answer the calls.
func (s *Services) Register(g grpc.ServiceRegistrar) {
	authz.RegisterAuthzServer(g, &s.authz)
	pathz.RegisterPathzServer(g, &s.pathz)
}

// Stop ends rotations under way, as those of clients that go away end.
func (s *Services) Stop() { s.once.Do(func() { close(s.stop) }) }

func failf(code codes.Code, format string, args ...any) error {
	return status.Error(code, fmt.Sprintf(format, args...))
}

// A stored is a policy with what its manager says of it.
type stored struct {
	Version   string
	CreatedOn uint64
	Policy    []byte // as the client gave it: JSON, or a message
}

// A store keeps one policy in a file.
type store struct {
	file string
	turn sync.Mutex // of rotations; only ever tried

	mu     sync.Mutex
	active *stored // nil for none
}

// load reads the file; nil is no policy.
func (s *store) load() (*stored, error) {
	text, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		s.active = &stored{}
		err = json.Unmarshal(text, s.active)
	}
	if err != nil {
		return nil, fmt.Errorf("gnsi policy %s: %w: restore the file, or remove it to let roles alone decide", s.file, err)
	}
	return s.active, nil
}

// save makes p the active policy, durably.
func (s *store) save(p *stored) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	tmp := s.file + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.file); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = p
	return nil
}

// current is the active policy; nil for none.
func (s *store) current() *stored {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active
}

// A step is one message of a rotation, of either service.
type step struct {
	upload   *stored // nil: finalize
	force    bool
	finalize bool
}

// rotate runs one rotation. recv gives the client's messages, try takes an uploaded
// policy on trial and answers, keep makes the last one the active policy.
func (s *store) rotate(stop <-chan struct{}, done <-chan struct{}, recv func() (step, error), try func(*stored) error, keep func()) error {
	if !s.turn.TryLock() {
		return failf(codes.Unavailable, "another rotation is under way: wait until it is finalized or given up")
	}
	defer s.turn.Unlock()
	type message struct {
		step
		err error
	}
	in := make(chan message)
	go func() {
		for {
			m, err := recv()
			select {
			case in <- message{m, err}:
			case <-done:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	var last *stored
	for {
		select {
		case <-stop:
			return failf(codes.Unavailable, "the router is stopping: the rotation is given up")
		case <-done:
			return failf(codes.Canceled, "the rotation is given up")
		case m := <-in:
			switch {
			case errors.Is(m.err, io.EOF) && last == nil:
				return nil
			case errors.Is(m.err, io.EOF):
				return failf(codes.Aborted, "the stream ended before the rotation was finalized: the policy before is in force")
			case m.err != nil:
				return m.err
			case m.finalize && last == nil:
				return failf(codes.FailedPrecondition, "there is no policy to finalize: upload one first")
			case m.finalize:
				if err := s.save(last); err != nil {
					return failf(codes.Internal, "the policy can't be stored: %v", err)
				}
				keep()
				return nil
			case m.upload == nil:
				return failf(codes.InvalidArgument, "a rotation takes an upload or its end")
			}
			if a := s.current(); a != nil && a.Version == m.upload.Version && !m.force {
				return failf(codes.AlreadyExists, "version %q is in use already: choose another, or force", m.upload.Version)
			}
			if err := try(m.upload); err != nil {
				return err
			}
			last = m.upload
		}
	}
}
