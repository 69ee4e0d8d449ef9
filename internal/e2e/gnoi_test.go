package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gfile "github.com/openconfig/gnoi/file"
	"github.com/openconfig/gnoi/healthz"
	"github.com/openconfig/gnoi/system"
	"github.com/openconfig/gnoi/types"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"router/cmd/routerd/northbound/gnoi/note"
	"router/dataplane/ethtool"
	"router/internal/testnet"
)

// gnoiLab is a router between a host and a chain of two Linux routers with a
// host at its end, in IPv4 and IPv6:
//
//	h1 -ge0- router -ge1- r3 -- r4 -- h5
//
// What goes to 10.9.9.0/24 runs in circles between r3 and r4.
func gnoiLab(t *testing.T) (*lab, system.SystemClient) {
	l := labOf(t)
	l.wire("h1", "ge0")
	l.wire("r3", "ge1")
	h1, r3, r4, h5 := l.space("h1"), l.space("r3"), l.space("r4"), l.space("h5")
	testnet.Pair(l, testnet.End{In: r3, Name: "east"}, testnet.End{In: r4, Name: "west"})
	testnet.Pair(l, testnet.End{In: r4, Name: "east"}, testnet.End{In: h5, Name: "west"})
	for _, r := range []*testnet.Namespace{r3, r4} {
		for key, value := range map[string]string{
			"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1", "net/ipv4/icmp_ratelimit": "0", "net/ipv6/icmp/ratelimit": "0",
		} {
			r.Sysctl(l, key, value)
		}
	}
	h5.Sysctl(l, "net/ipv4/icmp_ratelimit", "0")
	h5.Sysctl(l, "net/ipv6/icmp/ratelimit", "0")
	h1.Address(l, "eth0", "192.0.2.10/24", "2001:db8:1::10/64")
	r3.Address(l, "eth0", "198.51.100.3/24", "2001:db8:2::3/64")
	r3.Address(l, "east", "10.3.4.3/24", "2001:db8:34::3/64")
	r4.Address(l, "west", "10.3.4.4/24", "2001:db8:34::4/64")
	r4.Address(l, "east", "10.4.5.4/24", "2001:db8:45::4/64")
	h5.Address(l, "west", "10.4.5.5/24", "2001:db8:45::5/64")
	h1.Route(l, "0.0.0.0/0", "192.0.2.1")
	h1.Route(l, "::/0", "2001:db8:1::1")
	r3.Route(l, "0.0.0.0/0", "198.51.100.1")
	r3.Route(l, "::/0", "2001:db8:2::1")
	r3.Route(l, "10.4.5.0/24", "10.3.4.4")
	r3.Route(l, "10.9.9.0/24", "10.3.4.4")
	r3.Route(l, "2001:db8:45::/64", "2001:db8:34::4")
	r4.Route(l, "0.0.0.0/0", "10.3.4.3")
	r4.Route(l, "::/0", "2001:db8:34::3")
	h5.Route(l, "0.0.0.0/0", "10.4.5.4")
	h5.Route(l, "::/0", "2001:db8:45::4")
	l.start()
	l.load(gnoiConfig)
	return l, system.NewSystemClient(gnoiDial(t, l))
}

const gnoiConfig = `{"routerd:interface":[
	{"name":"ge0","unit":[{"id":"0","family":[
		{"type":"inet","address":[{"prefix":"192.0.2.1/24"}]},{"type":"inet6","address":[{"prefix":"2001:db8:1::1/64"}]}]}]},
	{"name":"ge1","unit":[{"id":"0","family":[
		{"type":"inet","config":{"instance":"blue"},"address":[{"prefix":"198.51.100.1/24"}]},
		{"type":"inet6","config":{"instance":"blue"},"address":[{"prefix":"2001:db8:2::1/64"}]}]}]}],
	"routerd:instance":[
	{"name":"default","static-route":[
		{"prefix":"0.0.0.0/0","next-hop":[{"index":0,"config":{"gateway":"198.51.100.3","instance":"blue"}}]},
		{"prefix":"::/0","next-hop":[{"index":0,"config":{"gateway":"2001:db8:2::3","instance":"blue"}}]}]},
	{"name":"blue","static-route":[
		{"prefix":"192.0.2.1/32","config":{"action":"receive"}},
		{"prefix":"192.0.2.0/24","next-hop":[{"index":0,"config":{"interface":"ge0"}}]},
		{"prefix":"2001:db8:1::/64","next-hop":[{"index":0,"config":{"interface":"ge0"}}]},
		{"prefix":"10.0.0.0/8","next-hop":[{"index":0,"config":{"gateway":"198.51.100.3"}}]},
		{"prefix":"2001:db8:34::/48","next-hop":[{"index":0,"config":{"gateway":"2001:db8:2::3"}}]},
		{"prefix":"2001:db8:45::/64","next-hop":[{"index":0,"config":{"gateway":"2001:db8:2::3"}}]}]}]}`

func gnoiDial(t *testing.T, l *lab) *grpc.ClientConn {
	conn, err := grpc.NewClient("unix:"+l.socket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// pings makes one call of Ping, and says each answer in a word or two.
func pings(ctx context.Context, c system.SystemClient, req *system.PingRequest) (answers []string, sum *system.PingResponse, err error) {
	stream, err := c.Ping(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	for {
		r, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return answers, sum, nil
		case err != nil:
			return answers, sum, err
		case r.GetSent() > 0:
			sum = r
		case r.GetBytes() == 0:
			answers = append(answers, fmt.Sprintf("%d %s: %s", r.GetSequence(), r.GetSource(), note.Of(r)))
		default:
			answers = append(answers, fmt.Sprintf("%d %s: %d bytes ttl %d", r.GetSequence(), r.GetSource(), r.GetBytes(), r.GetTtl()))
			if r.GetTime() <= 0 || r.GetTime() > int64(5*time.Second) {
				return answers, sum, fmt.Errorf("a round trip of %d ns", r.GetTime())
			}
		}
	}
}

// hops makes one call of Traceroute, and lists who has answered at each hop.
func hops(ctx context.Context, c system.SystemClient, req *system.TracerouteRequest) (list []string, err error) {
	stream, err := c.Traceroute(ctx, req)
	if err != nil {
		return nil, err
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		if r.GetHop() == 0 {
			continue
		}
		for len(list) < int(r.GetHop()) {
			list = append(list, "")
		}
		who := r.GetAddress()
		if r.GetState() == system.TracerouteResponse_NONE {
			who = "*"
		}
		if text := note.Of(r); text != "" {
			who += " " + text
		}
		if at := &list[r.GetHop()-1]; !strings.Contains(*at, who) {
			*at = strings.TrimSpace(*at + " " + who)
		}
	}
}

// TestGNOIPaths pings and traces through the dataplane, and compares with what
// traceroute(8) says on a Linux host beside the router.
func TestGNOIPaths(t *testing.T) {
	l, c := gnoiLab(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	// IPv6 addresses are ours a second after they were configured.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		_, sum, err := pings(ctx, c, &system.PingRequest{Destination: "2001:db8:45::5", Count: 1, NetworkInstance: "blue", Wait: 5e8})
		if err == nil && sum.GetReceived() == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the way to 2001:db8:45::5 is not there within 20 s: %v", err)
		}
	}

	for _, p := range []struct {
		name string
		req  *system.PingRequest
		want []string
	}{
		{"from an instance", &system.PingRequest{Destination: "10.4.5.5", Count: 3, Interval: 2e7, NetworkInstance: "blue"},
			[]string{"1 10.4.5.5: 64 bytes ttl 62", "2 10.4.5.5: 64 bytes ttl 62", "3 10.4.5.5: 64 bytes ttl 62"}},
		{"into another instance", &system.PingRequest{Destination: "10.4.5.5", Count: 1, Size: 100}, []string{"1 10.4.5.5: 108 bytes ttl 62"}},
		{"IPv6 from an instance", &system.PingRequest{Destination: "2001:db8:45::5", Count: 2, Interval: 2e7, NetworkInstance: "blue"},
			[]string{"1 2001:db8:45::5: 64 bytes ttl 62", "2 2001:db8:45::5: 64 bytes ttl 62"}},
		{"a loop", &system.PingRequest{Destination: "10.9.9.9", Count: 1, NetworkInstance: "blue"}, []string{"1 10.3.4.4: Time to live exceeded"}},
		{"no route behind", &system.PingRequest{Destination: "2001:db8:34:ff::1", Count: 1, NetworkInstance: "blue", Wait: 3e8}, nil},
		{"a flood", &system.PingRequest{Destination: "192.0.2.10", Count: 100, Interval: -1}, nil},
	} {
		t.Run("ping "+p.name, func(t *testing.T) {
			got, sum, err := pings(ctx, c, p.req)
			if err != nil {
				t.Fatalf("%v, %v", got, err)
			}
			if p.want != nil && !slices.Equal(got, p.want) {
				t.Errorf("%q, want %q", got, p.want)
			}
			if sum.GetSent() != p.req.GetCount() {
				t.Errorf("sent %d of %d", sum.GetSent(), p.req.GetCount())
			}
			if p.name == "a flood" && sum.GetReceived() != 100 {
				t.Errorf("received %d of 100", sum.GetReceived())
			}
		})
	}

	linux := func(args ...string) []string {
		out, err := l.space("h1").Run("traceroute", append([]string{"-n", "-q", "1", "-N", "1", "-w", "2"}, args...)...)
		if err != nil {
			t.Fatalf("traceroute: %v\n%s", err, out)
		}
		var list []string
		for _, m := range regexp.MustCompile(`(?m)^ *\d+ +(\S+)`).FindAllStringSubmatch(out, -1) {
			list = append(list, m[1])
		}
		return list
	}
	for _, p := range []struct {
		destination string
		l4          system.TracerouteRequest_L4Protocol
		flag        string
	}{
		{"10.4.5.5", system.TracerouteRequest_UDP, "-U"},
		{"10.4.5.5", system.TracerouteRequest_ICMP, "-I"},
		{"10.4.5.5", system.TracerouteRequest_TCP, "-T"},
		{"2001:db8:45::5", system.TracerouteRequest_UDP, "-U"},
		{"2001:db8:45::5", system.TracerouteRequest_ICMP, "-I"},
		{"2001:db8:45::5", system.TracerouteRequest_TCP, "-T"},
	} {
		t.Run(fmt.Sprint("trace ", p.destination, " ", p.l4), func(t *testing.T) {
			got, err := hops(ctx, c, &system.TracerouteRequest{Destination: p.destination, L4Protocol: p.l4, NetworkInstance: "blue", DoNotResolve: true})
			if err != nil {
				t.Fatal(err)
			}
			// The host's first hop is the router itself.
			want := linux(p.flag, p.destination)
			if len(want) != 4 || !slices.Equal(got, want[1:]) {
				t.Errorf("%q; traceroute(8) beside the router says %q", got, want)
			}
		})
	}
	t.Run("trace to where there is no way", func(t *testing.T) {
		got, err := hops(ctx, c, &system.TracerouteRequest{Destination: "10.9.9.9", MaxTtl: 5, NetworkInstance: "blue", DoNotResolve: true, L4Protocol: system.TracerouteRequest_UDP})
		if want := []string{"198.51.100.3", "10.3.4.4", "198.51.100.3", "10.3.4.4", "198.51.100.3"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		got, err = hops(ctx, c, &system.TracerouteRequest{Destination: "192.0.2.77", MaxTtl: 3, Wait: 2e8, DoNotResolve: true})
		if want := []string{"*", "*", "*"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	})

	t.Run("a client that goes away", func(t *testing.T) {
		for range 3 * 32 {
			ctx, cancel := context.WithCancel(ctx)
			stream, err := c.Ping(ctx, &system.PingRequest{Destination: "192.0.2.10", Count: -1, Interval: 1e7})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatalf("no answer: %v", err)
			}
			cancel()
		}
	})
	t.Run("too many at once", func(t *testing.T) {
		time.Sleep(100 * time.Millisecond) // for the last ones to be gone
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		for i := range 33 {
			stream, err := c.Ping(ctx, &system.PingRequest{Destination: "192.0.2.10", Count: -1})
			if err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			if want := map[bool]codes.Code{true: codes.OK, false: codes.ResourceExhausted}[i < 32]; status.Code(err) != want {
				t.Fatalf("ping %d: %v, want %v", i+1, err, want)
			}
		}
	})
	t.Run("time", func(t *testing.T) {
		r, err := c.Time(ctx, &system.TimeRequest{})
		if off := time.Since(time.Unix(0, int64(r.GetTime()))); err != nil || off < 0 || off > time.Minute {
			t.Errorf("%v off, %v", off, err)
		}
	})
}

// TestReboot restarts routerd in place while a host sends through it, and counts
// what is lost.
func TestReboot(t *testing.T) {
	l, c := gnoiLab(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := c.Reboot(ctx, &system.RebootRequest{Method: system.RebootMethod_HALT}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("HALT: %v", err)
	}
	if _, err := c.Reboot(ctx, &system.RebootRequest{Method: system.RebootMethod_COLD, Delay: uint64(time.Hour), Message: "an upgrade"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Reboot(ctx, &system.RebootRequest{Method: system.RebootMethod_COLD}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a second one: %v", err)
	}
	// The order outlives the daemon.
	_ = l.end(9)
	l.start()
	pid := l.daemon.Process.Pid
	st, err := c.RebootStatus(ctx, &system.RebootStatusRequest{}, grpc.WaitForReady(true))
	if err != nil || !st.GetActive() || st.GetReason() != "an upgrade" || st.GetWait() < uint64(58*time.Minute) || st.GetMethod() != system.RebootMethod_COLD || st.GetCount() != 0 {
		t.Fatalf("%v, %v", st, err)
	}
	if _, err := c.CancelReboot(ctx, &system.CancelRebootRequest{Message: "not today"}); err != nil {
		t.Fatal(err)
	}
	if st, err := c.RebootStatus(ctx, &system.RebootStatusRequest{}); err != nil || st.GetActive() {
		t.Fatalf("after the cancel: %v, %v", st, err)
	}

	for _, p := range []*system.KillProcessRequest{
		{Pid: 1, Signal: system.KillProcessRequest_SIGNAL_TERM},
		{Name: "sshd", Signal: system.KillProcessRequest_SIGNAL_KILL},
	} {
		if _, err := c.KillProcess(ctx, p); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%v: %v", p, err)
		}
	}

	// 1,000 packets a second from host to host, across the restart. With the checksum
	// left to a device that is not there, as a veth does it, the fast path would
	// leave them to the user path, which stands still.
	l.space("h1").Offload(l, "eth0", map[string]bool{ethtool.TxChecksum: false})
	type loss struct {
		longest time.Duration
		packets int
	}
	lost := make(chan loss, 1)
	sending, stop := context.WithCancel(ctx)
	go func() {
		longest, n := gap(t, l, sending)
		lost <- loss{longest, n}
	}()
	time.Sleep(300 * time.Millisecond)
	if _, err := c.Reboot(ctx, &system.RebootRequest{Method: system.RebootMethod_WARM, Message: "a new version"}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if st, err = c.RebootStatus(ctx, &system.RebootStatusRequest{}); err == nil && st.GetCount() == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not restarted within 20 s: %v, %v", st, err)
		}
	}
	if st.GetActive() || st.GetReason() != "a new version" || st.GetStatus().GetStatus() != system.RebootStatus_STATUS_SUCCESS {
		t.Errorf("%v", st)
	}
	if l.daemon.Process.Pid != pid || l.daemon.Process.Signal(syscall.Signal(0)) != nil {
		t.Error("the process is another one")
	}
	time.Sleep(3 * time.Second)
	stop()
	d := <-lost
	t.Logf("%d packets lost; longest gap %v", d.packets, d.longest)
	if d.packets != 0 {
		t.Errorf("%d packets lost; longest gap %v", d.packets, d.longest)
	}
}

// gap sends a datagram each millisecond from h1 to h5 until ctx ends, and returns
// the longest time without one that arrived, and how many did not.
func gap(t *testing.T, l *lab, ctx context.Context) (longest time.Duration, lost int) {
	var in, out net.Conn
	l.check(l.space("h5").Do(func() error {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(10, 4, 5, 5), Port: 7007})
		in = c
		return err
	}))
	defer in.Close()
	l.check(l.space("h1").Do(func() (err error) {
		out, err = net.Dial("udp", "10.4.5.5:7007")
		return err
	}))
	defer out.Close()
	ended := make(chan int, 1)
	go func() {
		sent := 0
		for ctx.Err() == nil {
			if _, err := out.Write([]byte("x")); err == nil {
				sent++
			}
			time.Sleep(time.Millisecond)
		}
		ended <- sent
	}()
	var last time.Time
	came := 0
	b := make([]byte, 16)
	// What is under way when ctx ends still counts.
	for {
		_ = in.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := in.Read(b); err != nil {
			if ctx.Err() != nil {
				break
			}
			continue
		}
		came++
		now := time.Now()
		if !last.IsZero() {
			longest = max(longest, now.Sub(last))
		}
		last = now
	}
	if last.IsZero() || time.Since(last) > time.Second {
		t.Error("nothing is forwarded at the end")
	}
	return longest, <-ended - came
}

// TestHealthz follows a link that goes down through gNOI's Healthz.
func TestHealthz(t *testing.T) {
	l, _ := gnoiLab(t)
	conn := gnoiDial(t, l)
	c := healthz.NewHealthzClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	path := func(name string) *types.Path {
		return &types.Path{Elem: []*types.PathElem{{Name: "components"}, {Name: "component", Key: map[string]string{"name": name}}}}
	}
	until := func(want healthz.Status) *healthz.ComponentStatus {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			r, err := c.Get(ctx, &healthz.GetRequest{Path: path("interfaces")})
			if err != nil {
				t.Fatal(err)
			}
			if r.GetComponent().GetStatus() == want {
				return r.GetComponent()
			}
			if time.Now().After(deadline) {
				t.Fatalf("%v, want %v", r, want)
			}
		}
	}
	until(healthz.Status_STATUS_HEALTHY)
	if out, err := l.space("h1").Run("ip", "link", "set", "eth0", "down"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	st := until(healthz.Status_STATUS_UNHEALTHY)
	if st.GetId() == "" || st.GetCreated() == nil || len(st.GetArtifacts()) != 1 || st.GetAcknowledged() {
		t.Fatalf("%v", st)
	}
	if r, err := c.Check(ctx, &healthz.CheckRequest{}); err != nil || r.GetStatus().GetStatus() != healthz.Status_STATUS_UNHEALTHY || len(r.GetStatus().GetSubcomponents()) != 7 {
		t.Errorf("%v, %v", r, err)
	}
	if r, err := c.Check(ctx, &healthz.CheckRequest{Path: path("interfaces"), EventId: st.GetId()}); err != nil || len(r.GetStatus().GetArtifacts()) != 2 {
		t.Errorf("%v, %v", r, err)
	}
	var text []byte
	stream, err := c.Artifact(ctx, &healthz.ArtifactRequest{Id: st.GetArtifacts()[0].GetId()})
	if err != nil {
		t.Fatal(err)
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, r.GetBytes()...)
	}
	if !strings.HasPrefix(string(text), "ge0: ") || int64(len(text)) != st.GetArtifacts()[0].GetFile().GetSize() {
		t.Errorf("the artifact is %q", text)
	}
	if r, err := c.Acknowledge(ctx, &healthz.AcknowledgeRequest{Path: path("interfaces"), Id: st.GetId()}); err != nil || !r.GetStatus().GetAcknowledged() {
		t.Errorf("%v, %v", r, err)
	}
	for all, want := range map[bool]int{false: 0, true: 1} {
		if r, err := c.List(ctx, &healthz.ListRequest{Path: path("interfaces"), IncludeAcknowledged: all}); err != nil || len(r.GetStatuses()) != want {
			t.Errorf("include acknowledged %v: %v, %v", all, r, err)
		}
	}
	for _, p := range []*types.Path{path("none"), {Elem: []*types.PathElem{{Name: "interface", Key: map[string]string{"name": "ge0"}}}}} {
		if r, err := c.Get(ctx, &healthz.GetRequest{Path: p}); err == nil {
			t.Errorf("%v: %v", p, r)
		}
	}
	// Files: the audit log's directory and nothing else.
	if _, err := gfile.NewFileClient(conn).Stat(ctx, &gfile.StatRequest{Path: "/state/tls-key.pem"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("the key's file: %v", err)
	}
	if out, err := l.space("h1").Run("ip", "link", "set", "eth0", "up"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	until(healthz.Status_STATUS_HEALTHY)
}
