package northbound

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/datastore"
	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/gen/configpb"
	"router/models"
)

// This file tells a client whether what it has set is in place
// (docs/decisions/0020-applied.md), and reads the registered extension that asks for a
// dry run or for waiting.

// setExtension is the id of the registered extension; its messages are SetOptions and
// SetResult of configuration.proto.
const setExtension = gnmi_ext.ExtensionID_EID_EXPERIMENTAL

// An Applied is a [State] that knows what is not in place. Unapplied lists what of an object
// isn't; like Fill, it doesn't call the datastore.
type Applied interface {
	Unapplied(o models.Object) []models.Unapplied

	// EachUnapplied calls f for all that is declared and not in place, until it returns
	// false: of the list or container root at the top of the tree alone, unless that is
	// empty. It holds up nothing for longer than a moment.
	EachUnapplied(root string, f func(models.Unapplied) bool)
}

// maxUnapplied bounds what an answer lists; the rest is counted.
const maxUnapplied = 1000

// waitPause is the least time between two looks at what a Set waits for.
const waitPause = 20 * time.Millisecond

// maxWait bounds how long a Set waits for what is not in place.
const maxWait = 10 * time.Minute

// setOptions reads the registered extension of a Set, nil for none.
func setOptions(list []*gnmi_ext.Extension) (*configpb.SetOptions, error) {
	var found *configpb.SetOptions
	for _, e := range list {
		r := e.GetRegisteredExt()
		if r == nil || r.GetId() != setExtension {
			continue
		}
		if found != nil {
			return nil, failf(codes.InvalidArgument, "the registered extension %d stands twice: give it once", setExtension)
		}
		found = &configpb.SetOptions{}
		if err := proto.Unmarshal(r.GetMsg(), found); err != nil {
			return nil, failf(codes.InvalidArgument, "the registered extension %d of a Set is no routerd.v1.SetOptions: %v", setExtension, err)
		}
		if w := time.Duration(found.GetWaitMilliseconds()) * time.Millisecond; w > maxWait {
			return nil, failf(codes.InvalidArgument, "wait_milliseconds %d: %d are the most", found.GetWaitMilliseconds(), maxWait.Milliseconds())
		}
	}
	return found, nil
}

// A setting follows one Set, or commit, until it can be answered.
type setting struct {
	s       *Server
	opt     *configpb.SetOptions // nil for none
	plan    datastore.Plan
	touched []tree.Path
}

// request adds to req what the answer will need.
func (t *setting) request(req *datastore.Request) {
	req.Touched = &t.touched
	if t.opt.GetDryRun() {
		req.DryRun, req.Plan = true, &t.plan
	}
}

// result is the extension of the response, nil for none.
func (t *setting) result(ctx context.Context) []*gnmi_ext.Extension {
	wait := time.Duration(t.opt.GetWaitMilliseconds()) * time.Millisecond
	r := &configpb.SetResult{}
	r.Unapplied, r.More = t.s.unapplied(ctx, t.touched, wait)
	if t.opt == nil && len(r.GetUnapplied()) == 0 {
		return nil
	}
	r.Commit = t.s.store.Last().Number
	if t.opt.GetDryRun() {
		r.Plan = t.s.plan(ctx, t.plan)
	}
	msg, err := proto.Marshal(r)
	if err != nil {
		// The commit is done: its answer must not fail for a text that is no UTF-8.
		t.s.log.Error("the result of a Set can't be encoded", "err", err)
		return nil
	}
	return []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_RegisteredExt{RegisteredExt: &gnmi_ext.RegisteredExtension{Id: setExtension, Msg: msg}}}}
}

// unapplied lists what stands below the paths and is not in place, after waiting
// for it. The cost follows what the paths cover.
func (s *Server) unapplied(ctx context.Context, touched []tree.Path, wait time.Duration) (list []*configpb.Unapplied, more uint32) {
	state, ok := s.opt.State.(Applied)
	if !ok || len(touched) == 0 {
		return nil, 0
	}
	var objects []models.Object
	s.store.View(func(dev *gen.Device, _ datastore.Commit) {
		for _, p := range touched {
			objects = models.AppendObjects(objects, dev, &gnmi.Path{Elem: p})
		}
	})
	objects = models.SortObjects(objects)
	wake := make(chan struct{}, 1)
	if wait > 0 {
		defer s.opt.State.Watch(func(StateChange) {
			select {
			case wake <- struct{}{}:
			default:
			}
		})()
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		var waiting []models.Unapplied
		objects = slices.DeleteFunc(objects, func(o models.Object) bool {
			u := state.Unapplied(o)
			if wait == 0 {
				// Nobody waits for what takes a moment.
				u = slices.DeleteFunc(u, func(u models.Unapplied) bool { return u.Brief })
			}
			waiting = append(waiting, u...)
			return len(u) == 0
		})
		if len(waiting) > 0 && wait > 0 {
			select {
			case <-wake:
				// Of many objects each change is an event.
				time.Sleep(waitPause)
				continue
			case <-timeout.C:
			case <-ctx.Done():
			case <-s.done:
			}
		}
		return unappliedMessages(waiting)
	}
}

func unappliedMessages(waiting []models.Unapplied) (list []*configpb.Unapplied, more uint32) {
	slices.SortFunc(waiting, func(a, b models.Unapplied) int { return strings.Compare(a.Path, b.Path) })
	for i, u := range waiting {
		if i == maxUnapplied {
			return list, uint32(len(waiting) - i)
		}
		list = append(list, unappliedMessage(u))
	}
	return list, 0
}

func unappliedMessage(u models.Unapplied) *configpb.Unapplied {
	m := &configpb.Unapplied{Path: u.Path, Status: u.Status.String(), Reason: u.Reason, Retries: u.Retries}
	if !u.Since.IsZero() {
		m.Since = u.Since.UnixNano()
	}
	return m
}
