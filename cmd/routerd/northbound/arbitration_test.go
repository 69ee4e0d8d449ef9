package northbound

import (
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
)

func testArbitration(t *checklist) {
	set := func(b *bed, role string, high, low uint64) error {
		a := &gnmi_ext.MasterArbitration{ElectionId: &gnmi_ext.Uint128{High: high, Low: low}}
		if role != "" {
			a.Role = &gnmi_ext.Role{Id: role}
		}
		_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_MasterArbitration{MasterArbitration: a}}},
			Update: []*gnmi.Update{{Path: p(b.t, "/system/config/hostname"), Val: str("r")}}})
		return err
	}
	ok := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	t.row("42/lower, equal, higher", func(t *testing.T) {
		b := newBed(t, nil)
		ok(t, set(b, "", 1, 5))
		ok(t, set(b, "", 1, 5))
		wantCode(t, set(b, "", 1, 4), codes.PermissionDenied, "{high:1 low:5}")
		wantCode(t, set(b, "", 0, 1<<63), codes.PermissionDenied, "{high:1 low:5}")
		ok(t, set(b, "", 2, 0))
		wantCode(t, set(b, "", 1, 5), codes.PermissionDenied, "{high:2 low:0}")
	})
	t.row("42/by role", func(t *testing.T) {
		b := newBed(t, nil)
		ok(t, set(b, "", 0, 9))
		ok(t, set(b, "a", 0, 1))
		ok(t, set(b, "b", 0, 2))
		wantCode(t, set(b, "b", 0, 1), codes.PermissionDenied, `role "b"`, "low:2")
		ok(t, set(b, "a", 0, 1))
	})
	t.row("42/an empty Set elects", func(t *testing.T) {
		b := newBed(t, nil)
		ok(t, set(b, "", 0, 1))
		_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_MasterArbitration{
			MasterArbitration: &gnmi_ext.MasterArbitration{ElectionId: &gnmi_ext.Uint128{Low: 2}}}}}})
		ok(t, err)
		wantCode(t, set(b, "", 0, 1), codes.PermissionDenied)
	})
	t.row("42/no id, none at all", func(t *testing.T) {
		b := newBed(t, nil)
		ok(t, set(b, "", 0, 9))
		_, err := b.client.Set(b.ctx(), &gnmi.SetRequest{Extension: []*gnmi_ext.Extension{{Ext: &gnmi_ext.Extension_MasterArbitration{
			MasterArbitration: &gnmi_ext.MasterArbitration{}}}}})
		wantCode(t, err, codes.InvalidArgument, "election_id")
		b.set("/system/config/hostname", `"anybody"`)
	})
	t.row("42/roles are bounded", func(t *testing.T) {
		var m masters
		for i := range maxRoles {
			done, err := m.take(t.Context(), &gnmi_ext.MasterArbitration{Role: &gnmi_ext.Role{Id: string(rune(i + 1))}, ElectionId: &gnmi_ext.Uint128{}})
			if err != nil {
				t.Fatal(err)
			}
			done()
		}
		_, err := m.take(t.Context(), &gnmi_ext.MasterArbitration{Role: &gnmi_ext.Role{Id: "one more"}, ElectionId: &gnmi_ext.Uint128{}})
		wantCode(t, err, codes.ResourceExhausted, "one more")
	})
}

func testMarking(t *checklist) {
	tos := func(t *testing.T, b *bed) (value int) {
		t.Helper()
		n := 0
		b.server.conns.Range(func(_, c any) bool {
			raw, err := c.(*markedConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			cerr := raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS) })
			if err != nil || cerr != nil {
				t.Fatal(err, cerr)
			}
			n++
			return true
		})
		if n != 1 {
			t.Fatalf("%d connections", n)
		}
		return value
	}
	marked := func(t *testing.T, b *bed, dscp uint32) *call {
		list := subs(t, poll, &gnmi.Subscription{}, desc)
		list.Qos = &gnmi.QOSMarking{Marking: dscp}
		c := b.subscribe(list)
		c.toSync()
		return c
	}
	end := func(t *testing.T, c *call) {
		t.Helper()
		if err := c.stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		c.wantClosed(codes.OK)
	}
	t.row("69", func(t *testing.T) {
		b := furnished(t)
		if got := tos(t, b); got != 0 {
			t.Errorf("at first %#x", got)
		}
		first := marked(t, b, 46)
		if got := tos(t, b); got != 46<<2 {
			t.Errorf("marked 46: %#x", got)
		}
		second := marked(t, b, 8)
		if got := tos(t, b); got != 8<<2 {
			t.Errorf("marked 8 later: %#x", got)
		}
		end(t, second)
		if got := tos(t, b); got != 46<<2 {
			t.Errorf("the later one ended: %#x", got)
		}
		end(t, first)
		if got := tos(t, b); got != 0 {
			t.Errorf("both ended: %#x", got)
		}
		list := subs(t, once, &gnmi.Subscription{}, desc)
		list.Qos = &gnmi.QOSMarking{Marking: 64}
		b.subscribe(list).wantClosed(codes.InvalidArgument, "64 is no DSCP")
	})
	t.row("69/a connection without IP", func(t *testing.T) {
		unmark, err := furnished(t).server.mark(t.Context(), 46)
		if err != nil {
			t.Fatal(err)
		}
		unmark()
	})
}
