package northbound

import (
	"strconv"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"

	"router/cmd/routerd/datastore"
)

// This file has what a stream of configuration alone is told at the end of each
// commit (gNMI config subscriptions, section 2.2.2).

// A boundary is the end of a commit.
type boundary struct {
	number uint64
	id     string // of the confirmed commit that it is, or that it took back
}

// mostBoundaries bounds what a reader that is slow can make the server keep; of
// more commits than that it is told of the newest.
const mostBoundaries = 4096

// end notes the end of a commit, behind the marks of what it changed.
func (d *dirty) end(e datastore.Event) {
	if !d.bounded || e.Kind != datastore.Committed {
		return
	}
	b := boundary{number: e.Commit.Number, id: e.Commit.ConfirmID}
	if e.Ends != "" {
		b.id = e.Ends
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ends) == mostBoundaries {
		d.ends = d.ends[1:]
	}
	d.ends = append(d.ends, b)
}

// syncDone tells the client that what the commits changed has been sent.
func (c *stream) syncDone(ends []boundary) error {
	for _, b := range ends {
		err := c.out.Send(&gnmi.SubscribeResponse{Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_ConfigSubscription{
			ConfigSubscription: &gnmi_ext.ConfigSubscription{Action: &gnmi_ext.ConfigSubscription_SyncDone{
				SyncDone: &gnmi_ext.ConfigSubscriptionSyncDone{CommitConfirmId: b.id, ServerCommitId: strconv.FormatUint(b.number, 10), Done: true}}}}}}})
		if err != nil {
			return err
		}
	}
	return nil
}
