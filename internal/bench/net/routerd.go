package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// A daemon is a routerd in its namespace, that is configured over gNMI and gets
// its routes over gRIBI.
type daemon struct {
	w       *world
	log     bytes.Buffer
	process *exec.Cmd
	exited  chan error
	conn    *grpc.ClientConn
	gnmi    gpb.GNMIClient
	feed    *feed
	loaded  map[bool][]route // by family
	config  string           // in force
	mode    mode             // of it
}

// startWait is how long routerd may take until it answers, and stopWait until it
// is gone.
const (
	startWait = 30 * time.Second
	stopWait  = time.Minute // with a million routes to forget
)

// startDaemon starts routerd off the processor that the generator has, where there
// is another one.
func startDaemon(ctx context.Context, w *world, bin, dir string) (*daemon, error) {
	socket := filepath.Join(dir, "socket")
	argv := []string{filepath.Join(bin, "routerd"), "--config", "/dev/null", "--flush", "--state-dir", filepath.Join(dir, "state"), "--socket", socket, "--listen", "", "--worker-nice", "-10"}
	if n := runtime.NumCPU(); n > 1 {
		argv = append([]string{"taskset", "-c", fmt.Sprintf("1-%d", n-1)}, argv...)
	}
	d := &daemon{w: w, process: exec.Command(argv[0], argv[1:]...), exited: make(chan error, 1), loaded: make(map[bool][]route), mode: mode{driver: "af-xdp"}}
	d.process.Stderr = &d.log
	if err := w.spaces[inRouterd].Start(d.process); err != nil {
		return nil, fmt.Errorf("start routerd (make build makes it): %w", err)
	}
	go func() { d.exited <- d.process.Wait() }()
	err := d.dial(ctx, socket)
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// dial connects to routerd, as soon as it answers.
func (d *daemon) dial(ctx context.Context, socket string) (err error) {
	d.conn, err = grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20), grpc.WaitForReady(true)))
	if err != nil {
		return err
	}
	d.gnmi = gpb.NewGNMIClient(d.conn)
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	if _, err := d.gnmi.Capabilities(ctx, &gpb.CapabilityRequest{}); err != nil {
		return fmt.Errorf("routerd doesn't answer: %w\n%s", err, d.said())
	}
	return nil
}

// close ends routerd.
func (d *daemon) close() error {
	var errs []error
	if d.feed != nil {
		d.feed.close()
	}
	if d.conn != nil {
		errs = append(errs, d.conn.Close())
	}
	errs = append(errs, d.process.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-d.exited:
		if err != nil {
			errs = append(errs, fmt.Errorf("routerd: %w\n%s", err, d.said()))
		}
	case <-time.After(stopWait):
		errs = append(errs, d.process.Process.Kill(), fmt.Errorf("routerd had not ended after %v\n%s", stopWait, d.said()))
		<-d.exited
	}
	return errors.Join(errs...)
}

// said is the end of routerd's log.
func (d *daemon) said() string {
	const most = 2000
	s := d.log.String()
	return s[max(0, len(s)-most):]
}

// A mode is how routerd forwards.
type mode struct {
	driver string
	fast   bool // by the fast path where it can
	busy   bool // workers never sleep
}

// configure puts a configuration for a scenario into force.
func (d *daemon) configure(ctx context.Context, m mode, s *scenario, r *ruleset) error {
	data, err := json.Marshal(d.configuration(m, s, r))
	if err != nil {
		return err
	}
	if d.config != string(data) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		_, err = d.gnmi.Set(ctx, &gpb.SetRequest{Replace: []*gpb.Update{{
			Path: &gpb.Path{}, Val: &gpb.TypedValue{Value: &gpb.TypedValue_JsonIetfVal{JsonIetfVal: data}},
		}}})
		if err != nil {
			return fmt.Errorf("configure routerd: %w", err)
		}
		d.config, d.mode = string(data), m
	}
	for _, port := range ports {
		if err := d.await(ctx, "/interface[name="+port+"]/state/driver-in-use", m.driver); err != nil {
			return err
		}
		if err := d.await(ctx, "/interface[name="+port+"]/state/polling", map[bool]string{true: "busy", false: "adaptive"}[m.busy]); err != nil {
			return err
		}
		if err := d.await(ctx, fastPath(port)+"/receives", strconv.FormatBool(m.fast)); err != nil {
			return err
		}
	}
	if m.fast {
		return d.await(ctx, fastPath(ports[1])+"/sends", "true")
	}
	return nil
}

func fastPath(port string) string { return "/interface[name=" + port + "]/state/fast-path" }

// fastPackets is how many packets have come in, and how many of them went by the
// fast path.
func (d *daemon) fastPackets(ctx context.Context) (fast, all uint64, err error) {
	for path, n := range map[string]*uint64{fastPath(ports[0]) + "/packets": &fast, "/interface[name=" + ports[0] + "]/state/counters/in-unicast-pkts": &all} {
		text, err := d.get(ctx, path)
		if err != nil {
			return 0, 0, err
		}
		if *n, err = strconv.ParseUint(text, 10, 64); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", path, err)
		}
	}
	return fast, all, nil
}

// get is the value of a leaf.
func (d *daemon) get(ctx context.Context, path string) (string, error) {
	r, err := d.gnmi.Get(ctx, &gpb.GetRequest{Path: []*gpb.Path{parsePath(path)}, Encoding: gpb.Encoding_JSON_IETF})
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	for _, n := range r.GetNotification() {
		for _, u := range n.GetUpdate() {
			return strings.Trim(string(u.GetVal().GetJsonIetfVal()), `"`), nil
		}
	}
	return "", fmt.Errorf("%s: routerd says nothing of it", path)
}

// An object is one of RFC 7951.
type object = map[string]any

// configuration is one in the form of RFC 7951.
func (d *daemon) configuration(m mode, s *scenario, r *ruleset) object {
	var interfaces, vrfs []object
	for i, port := range ports {
		units := []object{{"id": "0", "family": []object{d.family(i, false, gateways), d.family(i, true, gateways)}}}
		if r != nil {
			for _, f := range units[0]["family"].([]object) {
				if f["type"] == familyName(s.V6) {
					f["filter"] = object{"config": object{[]string{"input", "output"}[i]: r.name}}
				}
			}
		}
		for n := range s.Instances {
			f := d.family(i, s.V6, instanceGateways)
			f["config"] = object{"type": familyName(s.V6), "instance": instanceName(n)}
			units = append(units, object{
				"id": fmt.Sprint(vlanOf(n)), "vlan": object{"config": object{"outer-vlan-id": vlanOf(n)}}, "family": []object{f},
			})
		}
		config := object{"name": port, "driver": m.driver}
		if m.busy {
			config["polling"] = "busy"
		}
		interfaces = append(interfaces, object{"name": port, "config": config, "unit": units})
	}
	for n := range s.Instances {
		vrfs = append(vrfs, object{"name": instanceName(n)})
	}
	fast := "off"
	if m.fast {
		fast = "auto"
	}
	config := object{"routerd:system": object{"config": object{"fast-path": fast}}, "routerd:interface": interfaces, "routerd:gribi": object{"config": object{"entry-limit": 4000000}}}
	if len(vrfs) > 0 {
		config["routerd:instance"] = vrfs
	}
	if r != nil {
		config["routerd:filter"] = []object{r.config}
	}
	return config
}

// family is one of a unit of port i, with the first n gateways behind the second
// port.
func (d *daemon) family(i int, v6 bool, n int) object {
	f := object{"type": familyName(v6), "address": []object{{"prefix": routerPrefix[v6][i]}}}
	if i == 1 {
		mac := d.w.sinkMAC("routerd").String()
		var neighbors []object
		for g := range n {
			a := gateway(v6, g).String()
			neighbors = append(neighbors, object{"address": a, "config": object{"address": a, "link-layer-address": mac}})
		}
		f["neighbor"] = neighbors
	}
	return f
}

// await waits until a leaf has a value.
func (d *daemon) await(ctx context.Context, path, want string) error {
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	for {
		got, err := d.get(ctx, path)
		if err == nil && strings.Contains(got, want) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s of routerd is %q and doesn't become %q: %w", path, got, want, errors.Join(err, ctx.Err()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// parsePath reads a path with at most one key an element, without escapes.
func parsePath(path string) *gpb.Path {
	p := &gpb.Path{}
	for _, e := range strings.Split(strings.Trim(path, "/"), "/") {
		elem := &gpb.PathElem{Name: e}
		if name, rest, ok := strings.Cut(e, "["); ok {
			key, value, _ := strings.Cut(strings.TrimSuffix(rest, "]"), "=")
			elem.Name, elem.Key = name, map[string]string{key: value}
		}
		p.Elem = append(p.Elem, elem)
	}
	return p
}

// load makes what gRIBI programs what list says, and nothing else.
func (d *daemon) load(ctx context.Context, list []route, v6 bool) (err error) {
	if d.feed == nil {
		if d.feed, err = openFeed(ctx, d.conn); err != nil {
			return err
		}
		for _, v6 := range []bool{false, true} {
			if err := d.feed.gateways(gateways, v6); err != nil {
				return err
			}
		}
	}
	old := d.loaded[v6]
	same := 0
	for same < min(len(old), len(list)) && old[same] == list[same] {
		same++
	}
	// A prefix that stays with another next hop is replaced, not deleted.
	kept := make(map[netip.Prefix]bool, len(list)-same)
	for _, r := range list[same:] {
		kept[r.prefix] = true
	}
	var gone []route
	for _, r := range old[same:] {
		if !kept[r.prefix] {
			gone = append(gone, r)
		}
	}
	if err := d.feed.change(list[same:], v6, false); err != nil {
		return fmt.Errorf("routerd's table of %d routes: %w", len(list), err)
	}
	if err := d.feed.change(gone, v6, true); err != nil {
		return fmt.Errorf("delete %d of routerd's routes: %w", len(gone), err)
	}
	d.loaded[v6] = list
	return nil
}

// binaryOf checks that there is a routerd to start.
func binaryOf(bin string) error {
	if _, err := os.Stat(filepath.Join(bin, "routerd")); err != nil {
		return fmt.Errorf("%w: run make build", err)
	}
	return nil
}
