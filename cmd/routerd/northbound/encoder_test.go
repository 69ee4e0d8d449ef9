package northbound

import (
	"slices"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/datastore/tree"
	"router/intf"
	"router/models"
)

// What an encoder writes is what a sender would send, in every encoding, leaf by
// leaf of a configuration with state.
func TestEncoderAgreesWithSender(t *testing.T) {
	b := newBed(t, nil)
	key := intf.UnitKey{Device: "ge0", ID: "7"}
	b.state.devices["ge0"] = models.DeviceState{Name: "ge0", Drops: map[string]uint64{"ttl": 1 << 60}, OffloadsOff: []string{"gro", "lro"}}
	b.state.units[key] = models.UnitState{Key: key, OperReason: "no \"carrier\"", Counters: models.Counters{InOctets: 1<<64 - 1},
		Families: []models.FamilyState{{Family: intf.Inet}, {Family: intf.Inet6}}}
	b.set("/interface", `[{"name":"ge0","unit":[{"id":"7","config":{"description":"a \"b\" é"},"vlan":{"config":{"outer-vlan-id":7}},"family":[{"type":"inet","address":[{"prefix":"192.0.2.1/24"}]}]}]}]`)
	for _, encoding := range []gnmi.Encoding{gnmi.Encoding_PROTO, gnmi.Encoding_JSON, gnmi.Encoding_JSON_IETF, gnmi.Encoding_ASCII} {
		for _, prefix := range []*gnmi.Path{nil, {Target: "edge"}} {
			var plain, encoded capture
			c := &stream{Server: b.server, prefix: prefix, encoding: encoding}
			s := &sender{c: c, origin: "routerd", stamp: 42, duplicates: 3}
			w, err := c.encoder("routerd", 42, 3)
			if err != nil {
				t.Fatal(err)
			}
			leaves := 0
			if err := c.each(nil, func(l tree.LeafValue) error {
				leaves++
				v, err := c.encode(l)
				if err != nil {
					return err
				}
				c.out = &plain
				if err := s.update(l.Path, v); err != nil {
					return err
				}
				if w.value, err = c.appendValue(w.value[:0], l); err != nil {
					return err
				}
				c.out = &encoded
				return w.update(l.Path, w.value)
			}); err != nil {
				t.Fatal(err)
			}
			c.out = &plain
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
			c.out = &encoded
			if err := w.flush(); err != nil {
				t.Fatal(err)
			}
			if leaves < 100 || len(plain.updates) != leaves {
				t.Fatalf("%v: %d leaves, %d updates", encoding, leaves, len(plain.updates))
			}
			if !slices.EqualFunc(plain.updates, encoded.updates, func(a, b *gnmi.Update) bool { return proto.Equal(a, b) }) {
				for i := range min(len(plain.updates), len(encoded.updates)) {
					if !proto.Equal(plain.updates[i], encoded.updates[i]) {
						t.Fatalf("%v: %v\nis encoded as %v", encoding, plain.updates[i], encoded.updates[i])
					}
				}
				t.Fatalf("%v: %d updates, %d encoded", encoding, len(plain.updates), len(encoded.updates))
			}
			if !proto.Equal(plain.last, encoded.last) {
				t.Errorf("%v: the notification is %v, encoded %v", encoding, plain.last, encoded.last)
			}
		}
	}
}

// A capture is a stream that keeps what is sent.
type capture struct {
	gnmi.GNMI_SubscribeServer
	updates []*gnmi.Update
	last    *gnmi.Notification // without its updates
}

func (c *capture) Send(r *gnmi.SubscribeResponse) error {
	c.updates = append(c.updates, r.GetUpdate().GetUpdate()...)
	n := r.GetUpdate()
	c.last = &gnmi.Notification{Timestamp: n.GetTimestamp(), Prefix: n.GetPrefix()}
	return nil
}

func (c *capture) SendMsg(m any) error {
	buffers, err := newCodec().Marshal(m)
	if err != nil {
		return err
	}
	r := &gnmi.SubscribeResponse{}
	if err := newCodec().Unmarshal(buffers, r); err != nil {
		return err
	}
	return c.Send(r)
}
