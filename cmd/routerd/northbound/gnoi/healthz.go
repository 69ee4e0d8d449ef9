package gnoi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"runtime/pprof"
	"strings"

	"github.com/openconfig/gnoi/healthz"
	"github.com/openconfig/gnoi/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"router/cmd/routerd/health"
	"router/cmd/routerd/northbound"
	"router/models"
)

// A healthzService is gnoi.healthz.Healthz over the router's components:
// /system/health/component[name=NAME], or /components/component[name=NAME] as
// OpenConfig has it; /system/health, or nothing, for all of them.
type healthzService struct {
	healthz.UnimplementedHealthzServer
	monitor *health.Monitor
	log     *slog.Logger
}

// component is the name in a path; empty for the router as a whole.
func component(p *types.Path) (name string, err error) {
	var names []string
	for i, e := range p.GetElem() {
		names = append(names, e.GetName())
		if len(e.GetKey()) == 0 {
			continue
		}
		key, ok := e.GetKey()["name"]
		if i != len(p.GetElem())-1 || !ok || len(e.GetKey()) != 1 || e.GetName() != "component" {
			return "", errHealthPath
		}
		name = key
	}
	switch strings.Join(names, "/") {
	case "", "system", "system/health", "components":
		return "", nil
	case "system/health/component", "components/component":
		if name == "" || name == "*" {
			return "", nil
		}
		return name, nil
	}
	return "", errHealthPath
}

var errHealthPath = failf(codes.InvalidArgument, "path: want /system/health/component[name=NAME], or /system/health for all of them")

func componentPath(name string) *types.Path {
	elems := []*types.PathElem{{Name: "system"}, {Name: "health"}}
	if name != "" {
		elems = append(elems, &types.PathElem{Name: "component", Key: map[string]string{"name": name}})
	}
	return &types.Path{Elem: elems}
}

// unknown says that there is no such component.
func (s *healthzService) unknown(name string) error {
	var names []string
	for _, c := range s.monitor.Components() {
		names = append(names, c.Name)
	}
	return failf(codes.NotFound, "there is no component %q; there are %s", name, strings.Join(names, ", "))
}

// Get implements gNOI's healthz Get: what was found last.
func (s *healthzService) Get(_ context.Context, req *healthz.GetRequest) (*healthz.GetResponse, error) {
	name, err := component(req.GetPath())
	if err != nil {
		return nil, err
	}
	st, err := s.status(name)
	return &healthz.GetResponse{Component: st}, err
}

// Check implements gNOI's healthz Check: it looks now. For an event that has
// happened, it keeps the stacks of the daemon's goroutines with it.
func (s *healthzService) Check(ctx context.Context, req *healthz.CheckRequest) (*healthz.CheckResponse, error) {
	name, err := component(req.GetPath())
	if err != nil {
		return nil, err
	}
	if id := req.GetEventId(); id != "" {
		e, ok := s.monitor.Event(id)
		if !ok || name != "" && e.Component != name {
			return nil, failf(codes.NotFound, "there is no event %q of %s; List has them", id, req.GetPath())
		}
		var b bytes.Buffer
		if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
			return nil, failf(codes.Internal, "%v", err)
		}
		s.monitor.Add(id, "goroutines.txt", b.Bytes())
		e, _ = s.monitor.Event(id)
		return &healthz.CheckResponse{Status: eventStatus(&e)}, nil
	}
	if name != "" {
		if _, ok := s.monitor.Look(ctx, name); !ok {
			return nil, s.unknown(name)
		}
	} else {
		for _, c := range s.monitor.Components() {
			s.monitor.Look(ctx, c.Name)
		}
	}
	st, err := s.status(name)
	return &healthz.CheckResponse{Status: st}, err
}

// status is that of a component, or of all of them.
func (s *healthzService) status(name string) (*healthz.ComponentStatus, error) {
	if name != "" {
		c, ok := s.monitor.Component(name)
		if !ok {
			return nil, s.unknown(name)
		}
		return s.componentStatus(&c), nil
	}
	all := &healthz.ComponentStatus{Path: componentPath(""), Status: healthz.Status_STATUS_HEALTHY}
	for _, c := range s.monitor.Components() {
		st := s.componentStatus(&c)
		if st.GetStatus() == healthz.Status_STATUS_UNHEALTHY {
			all.Status = healthz.Status_STATUS_UNHEALTHY
		}
		all.Subcomponents = append(all.Subcomponents, st)
	}
	return all, nil
}

// componentStatus is that of a component: while it is unhealthy, of the event that
// began it.
func (s *healthzService) componentStatus(c *models.HealthState) *healthz.ComponentStatus {
	st := &healthz.ComponentStatus{Path: componentPath(c.Name)}
	switch {
	case !c.Known:
	case c.Healthy:
		st.Status = healthz.Status_STATUS_HEALTHY
	default:
		if e, ok := s.monitor.Event(c.LastEvent); ok {
			return eventStatus(&e)
		}
		st.Status = healthz.Status_STATUS_UNHEALTHY
	}
	return st
}

func eventStatus(e *health.Event) *healthz.ComponentStatus {
	st := &healthz.ComponentStatus{
		Path: componentPath(e.Component), Status: healthz.Status_STATUS_UNHEALTHY, Id: e.ID, Acknowledged: e.Acknowledged, Created: timestamppb.New(e.Created),
	}
	for i := range e.Artifacts {
		st.Artifacts = append(st.Artifacts, artifactHeader(&e.Artifacts[i]))
	}
	return st
}

func artifactHeader(a *health.Artifact) *healthz.ArtifactHeader {
	sum := sha256.Sum256(a.Text)
	return &healthz.ArtifactHeader{Id: a.ID, ArtifactType: &healthz.ArtifactHeader_File{File: &healthz.FileArtifactType{
		Name: a.Name, Mimetype: "text/plain", Size: int64(len(a.Text)), Hash: &types.HashType{Method: types.HashType_SHA256, Hash: sum[:]},
	}}}
}

// List implements gNOI's healthz List: the events that the router remembers.
func (s *healthzService) List(_ context.Context, req *healthz.ListRequest) (*healthz.ListResponse, error) {
	name, err := component(req.GetPath())
	if err != nil {
		return nil, err
	}
	if _, ok := s.monitor.Component(name); !ok && name != "" {
		return nil, s.unknown(name)
	}
	r := &healthz.ListResponse{}
	for _, e := range s.monitor.Events(name, req.GetIncludeAcknowledged()) {
		r.Statuses = append(r.Statuses, eventStatus(&e))
	}
	return r, nil
}

// Acknowledge implements gNOI's healthz Acknowledge.
func (s *healthzService) Acknowledge(ctx context.Context, req *healthz.AcknowledgeRequest) (*healthz.AcknowledgeResponse, error) {
	name, err := component(req.GetPath())
	if err != nil {
		return nil, err
	}
	e, ok := s.monitor.Acknowledge(name, req.GetId())
	if !ok {
		return nil, failf(codes.NotFound, "there is no event %q of component %q; List has them", req.GetId(), name)
	}
	user, _ := northbound.Caller(ctx)
	s.log.Info("health event acknowledged", "event", e.ID, "user", user)
	return &healthz.AcknowledgeResponse{Status: eventStatus(&e)}, nil
}

// Artifact implements gNOI's healthz Artifact.
func (s *healthzService) Artifact(req *healthz.ArtifactRequest, stream healthz.Healthz_ArtifactServer) error {
	a, ok := s.monitor.Artifact(req.GetId())
	if !ok {
		return failf(codes.NotFound, "there is no artifact %q", req.GetId())
	}
	if err := stream.Send(&healthz.ArtifactResponse{Contents: &healthz.ArtifactResponse_Header{Header: artifactHeader(&a)}}); err != nil {
		return err
	}
	if len(a.Text) > 0 {
		if err := stream.Send(&healthz.ArtifactResponse{Contents: &healthz.ArtifactResponse_Bytes{Bytes: a.Text}}); err != nil {
			return err
		}
	}
	return stream.Send(&healthz.ArtifactResponse{Contents: &healthz.ArtifactResponse_Trailer{Trailer: &healthz.ArtifactTrailer{}}})
}
