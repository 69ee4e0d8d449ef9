package gribi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	spb "github.com/openconfig/gribi/v1/proto/service"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// maxBatch is how many operations are carried out at a time, and so how long
// other users of the route tables may have to wait for them.
const maxBatch = 256

// A client is one Modify call. Server.mu guards what may change.
type client struct {
	id        uint32
	address   netip.AddrPort
	user      string
	connected time.Time
	end       func() // ends the call

	negotiated         bool
	params             params
	election           uint128
	operations, failed uint64
}

var (
	errStopping = status.Error(codes.Unavailable, "the router is stopping")
	errEnded    = status.Error(codes.Unavailable, "gribi was disabled: /gribi/config/enabled")
)

// Modify implements gRIBI's Modify (specification, section 4.1).
func (s *Server) Modify(stream spb.GRIBI_ModifyServer) error {
	if err := s.serving(); err != nil {
		return err
	}
	box := newInbox()
	c, err := s.connect(stream.Context(), func() { box.drop(errEnded) })
	if err != nil {
		return err
	}
	defer s.disconnect(c)
	defer box.drop(errEnded)
	// The reader ends with the stream, which ends when this returns.
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				if errors.Is(err, io.EOF) {
					box.close(io.EOF)
				} else {
					// The client is gone: what it still wanted is void (4.1.3.3).
					box.drop(err)
				}
				return
			}
			if !box.put(m) {
				return
			}
		}
	}()
	var wg sync.WaitGroup
	defer wg.Wait()
	over := make(chan struct{})
	defer close(over)
	wg.Go(func() {
		select {
		case <-s.done:
			box.drop(errStopping)
		case <-over:
		}
	})
	for {
		list, err := box.take()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.handle(c, list, stream.Send); err != nil {
			return err
		}
	}
}

// connect makes the client of a call.
func (s *Server) connect(ctx context.Context, end func()) (*client, error) {
	c := &client{user: s.opt.Caller(ctx), connected: s.opt.Now(), end: end}
	if p, ok := peer.FromContext(ctx); ok {
		if a, ok := p.Addr.(*net.TCPAddr); ok {
			c.address = a.AddrPort()
		}
	}
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return nil, errStopping
	}
	s.lastID++
	c.id = s.lastID
	s.clients[c.id] = c
	s.mu.Unlock()
	s.log.Info("gribi client connected", "client", c.id, "user", c.user, "address", c.address.String())
	s.opt.Router.Changed()
	return c, nil
}

// disconnect ends c, and what is its own if it said so (4.1.5).
func (s *Server) disconnect(c *client) {
	s.mu.Lock()
	delete(s.clients, c.id)
	if s.roll.primary == c {
		s.roll.primary = nil
	}
	// A router that stops keeps forwarding as long as it can.
	if c.negotiated && !c.params.preserve && !s.stopped {
		s.removeOf(c)
	}
	s.mu.Unlock()
	s.log.Info("gribi client gone", "client", c.id, "operations", c.operations, "failed", c.failed)
	s.opt.Router.Changed()
}

// handle carries out requests in order, operations of several together.
func (s *Server) handle(c *client, list []*spb.ModifyRequest, send func(*spb.ModifyResponse) error) error {
	var pending []*spb.AFTOperation
	flush := func() error {
		for len(pending) > 0 {
			n := min(len(pending), maxBatch)
			results, err := s.program(c, pending[:n])
			s.opt.Router.Changed()
			if len(results) > 0 {
				if err := send(&spb.ModifyResponse{Result: results}); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			pending = pending[n:]
		}
		pending = nil
		return nil
	}
	for _, m := range list {
		parts := 0
		for _, has := range []bool{m.GetParams() != nil, m.GetElectionId() != nil, len(m.GetOperation()) > 0} {
			if has {
				parts++
			}
		}
		switch {
		case parts > 1:
			if err := flush(); err != nil {
				return err
			}
			return status.Error(codes.InvalidArgument, "a request has one of params, election_id and operation: send them one by one")
		case len(m.GetOperation()) > 0:
			pending = append(pending, m.GetOperation()...)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		var answer *spb.ModifyResponse
		var err error
		switch {
		case m.GetParams() != nil:
			answer, err = s.negotiate(c, m.GetParams())
		case m.GetElectionId() != nil:
			answer, err = s.elect(c, idOf(m.GetElectionId()))
		default:
			continue // it asks for nothing
		}
		if err != nil {
			return err
		}
		s.opt.Router.Changed()
		if err := send(answer); err != nil {
			return err
		}
	}
	return flush()
}

// negotiate takes the parameters of c (4.1.1).
func (s *Server) negotiate(c *client, m *spb.SessionParameters) (*spb.ModifyResponse, error) {
	p, err := parseParams(m)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.negotiated {
		return nil, modifyError(codes.FailedPrecondition, spb.ModifyRPCErrorDetails_MODIFY_NOT_ALLOWED,
			"params come once, before any operation")
	}
	if err := s.settleParams(c, p); err != nil {
		return nil, err
	}
	return &spb.ModifyResponse{SessionParamsResult: &spb.SessionParametersResult{Status: spb.SessionParametersResult_OK}}, nil
}

// settleParams gives c its parameters if all other clients have the same.
func (s *Server) settleParams(c *client, p params) error {
	for _, o := range s.clients {
		if o != c && o.negotiated && o.params != p {
			return modifyError(codes.FailedPrecondition, spb.ModifyRPCErrorDetails_PARAMS_DIFFER_FROM_OTHER_CLIENTS,
				"client %d is connected with other params: all clients have to send the same", o.id)
		}
	}
	if s.roll.known && s.roll.single != p.single && !s.roll.highest.zero() {
		s.table.keep.elect(p.single, s.roll.highest)
	}
	c.negotiated, c.params = true, p
	s.roll.known, s.roll.single = true, p.single
	return nil
}

// elect takes an election id from c (4.1.2).
func (s *Server) elect(c *client, id uint128) (*spb.ModifyResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id.zero() {
		return nil, status.Error(codes.InvalidArgument, "election_id is 0: ids begin with 1")
	}
	if !c.params.single {
		return nil, errElectionID()
	}
	highest := s.roll.highest
	changed := s.roll.announce(c, id)
	if s.roll.highest != highest {
		s.table.keep.elect(true, s.roll.highest)
	}
	if s.roll.primary == c && c.params.preserve {
		s.claimed = true
	}
	if changed {
		s.log.Info("gribi has a new primary", "client", c.id, "election", id.String())
	}
	return &spb.ModifyResponse{ElectionId: s.roll.highest.message()}, nil
}

func errElectionID() error {
	return modifyError(codes.FailedPrecondition, spb.ModifyRPCErrorDetails_ELECTION_ID_IN_ALL_PRIMARY,
		"an election id has no meaning in ALL_PRIMARY, which is also the mode of a client that sends no params")
}

// program carries out operations of c, and answers each in order. The error ends
// the call, after the results.
func (s *Server) program(c *client, list []*spb.AFTOperation) ([]*spb.AFTResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.negotiated {
		if err := s.settleParams(c, params{}); err != nil {
			return nil, err
		}
	}
	ops := make([]operation, 0, len(list))
	errs := make([]error, 0, len(list))
	var ended error
	for _, m := range list {
		if m.GetElectionId() != nil && !c.params.single {
			ended = errElectionID()
			break
		}
		o, err := parse(m)
		if no := s.roll.may(c, o.election); no != nil {
			err = no
		}
		ops, errs = append(ops, o), append(errs, err)
	}
	results := make([]*spb.AFTResult, len(ops))
	s.opt.Router.Program(func(t Tables) {
		for i := range ops {
			if errs[i] == nil {
				errs[i] = s.table.apply(t, c, &ops[i])
			}
		}
	}, func(t Tables) {
		now := s.opt.Now().UnixNano()
		for i := range ops {
			results[i] = s.result(t, c, &ops[i], errs[i])
			results[i].Timestamp = now
		}
	})
	// Before they are answered: what a client was told of outlives the process.
	s.table.keep.write()
	failed := uint64(0)
	for i, r := range results {
		if r.GetStatus() == spb.AFTResult_FAILED || r.GetStatus() == spb.AFTResult_FIB_FAILED {
			failed++
			s.log.Debug("operation failed", "client", c.id, "operation", ops[i].id, "err", r.GetErrorDetails().GetErrorMessage())
		}
	}
	c.operations += uint64(len(ops))
	c.failed += failed
	s.operations.Add(uint64(len(ops)))
	s.failed.Add(failed)
	return results, ended
}

// result says what came of an operation, now that it is published.
func (s *Server) result(t Tables, c *client, o *operation, err error) *spb.AFTResult {
	r := &spb.AFTResult{Id: o.id, Status: spb.AFTResult_RIB_PROGRAMMED}
	if err != nil {
		r.Status = spb.AFTResult_FAILED
		r.ErrorDetails = &spb.AFTErrorDetails{ErrorMessage: err.Error()}
		return r
	}
	if !c.params.fib {
		return r
	}
	r.Status = spb.AFTResult_FIB_PROGRAMMED
	if o.kind != routeEntry || o.verb == spb.AFTOperation_DELETE || s.table.route(o.instance, o.prefix) == nil {
		return r // a later operation may have deleted what this one added
	}
	switch active, full := t.Route(o.instance, o.prefix); {
	case full != "":
		r.Status = spb.AFTResult_FIB_FAILED
		r.ErrorDetails = &spb.AFTErrorDetails{ErrorMessage: fmt.Sprintf("entry %v: %s", o.prefix, full)}
	case !active:
		// A better route has the prefix (4.1.3.2).
		r.Status = spb.AFTResult_RIB_PROGRAMMED
	}
	return r
}
