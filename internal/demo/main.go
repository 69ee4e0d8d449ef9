// Demo makes a small world of network namespaces, runs routerd in the middle,
// declares examples/demo.json through rcli, and shows that the hosts reach each
// other. It needs root, and the binaries in bin/ (make demo builds them).
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"router/internal/probe"
	"router/internal/testnet"
)

// A host stands at one device of the router.
type host struct {
	name    string
	device  string // the router's end
	vlan    uint16 // 0: untagged
	v4, v6  string
	gw4     string
	gw6     string
	private bool // in an instance of its own: reaches its gateway only
}

// The names are documentation prefixes (RFC 5737, RFC 3849).
var hosts = []host{
	{name: "h1", device: "ge0", v4: "192.0.2.2/24", v6: "2001:db8:1::2/64", gw4: "192.0.2.1", gw6: "2001:db8:1::1"},
	{name: "h2", device: "ge1", v4: "198.51.100.2/24", v6: "2001:db8:2::2/64", gw4: "198.51.100.1", gw6: "2001:db8:2::1"},
	{name: "h3", device: "ge2", vlan: 100, v4: "203.0.113.2/24", v6: "2001:db8:3::2/64", gw4: "203.0.113.1", gw6: "2001:db8:3::1"},
	{name: "h4", device: "ge3", v4: "192.0.2.2/24", v6: "2001:db8:1::2/64", gw4: "192.0.2.1", gw6: "2001:db8:1::1", private: true},
}

const prefix = "demo-"

func main() {
	keep := flag.Bool("keep", false, "leave the world up")
	down := flag.Bool("down", false, "remove a world that -keep left up, and do nothing else")
	bin := flag.String("bin", "bin", "directory of routerd and rcli")
	config := flag.String("config", "examples/demo.json", "the configuration to declare")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *keep, *down, *bin, *config)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, keep, down bool, bin, config string) (err error) {
	if os.Geteuid() != 0 {
		return fmt.Errorf("network namespaces need root: run it as root")
	}
	if err := removeOld(); err != nil || down {
		return err
	}
	w := &world{bin: bin}
	defer func() {
		// The world reports what it can't do by panicking with a failure.
		if r := recover(); r != nil {
			f, ok := r.(failure)
			if !ok {
				panic(r)
			}
			err = f.err
		}
		// A world that went wrong is worth a look too.
		if keep && w.daemon != nil {
			w.howToEnter()
			return
		}
		w.remove()
	}()
	w.build()
	if err := w.start(ctx); err != nil {
		return err
	}
	return w.show(ctx, config)
}

// failure is how the helpers of testnet end the demo.
type failure struct{ err error }

// A world is the namespaces and the router between them.
type world struct {
	bin      string
	dir      string
	router   *testnet.Namespace
	hosts    map[string]*testnet.Namespace
	daemon   *exec.Cmd
	cleanups []func()
}

// Helper, Cleanup and Fatalf make a world a testnet.T.
func (w *world) Helper()                           {}
func (w *world) Cleanup(f func())                  { w.cleanups = append(w.cleanups, f) }
func (w *world) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

func stateDir() string { return filepath.Join(os.TempDir(), "router-demo") }

func (w *world) socket() string { return filepath.Join(w.dir, "routerd.sock") }

func (w *world) build() {
	title("The world: three hosts and a fourth in an instance of its own, around one router")
	w.dir = stateDir()
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		w.Fatalf("%v", err)
	}
	w.Cleanup(func() { os.RemoveAll(w.dir) })
	w.router = testnet.NewNamed(w, prefix+"router")
	w.hosts = map[string]*testnet.Namespace{}
	for _, h := range hosts {
		ns := testnet.NewNamed(w, prefix+h.name)
		w.hosts[h.name] = ns
		testnet.Pair(w, testnet.End{In: w.router, Name: h.device}, testnet.End{In: ns, Name: "eth0"})
		note := ""
		if h.vlan != 0 {
			ns.Tag(w, "eth0", h.vlan)
			note = fmt.Sprintf(", VLAN %d", h.vlan)
		}
		if h.private {
			note = ", instance red: the same addresses as h1"
		}
		ns.Address(w, "eth0", h.v4, h.v6)
		ns.Route(w, "default", h.gw4)
		ns.Route(w, "default", h.gw6)
		fmt.Printf("  %s  eth0 -- %s  %s  %s%s\n", h.name, h.device, h.v4, h.v6, note)
	}
}

// start runs routerd in the router's namespace and waits until it answers.
func (w *world) start(ctx context.Context) error {
	log, err := os.Create(filepath.Join(w.dir, "routerd.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	w.daemon = exec.Command(filepath.Join(w.bin, "routerd"),
		"--state-dir", filepath.Join(w.dir, "state"), "--socket", w.socket(), "--listen", "127.0.0.1:9339", "--config", "/dev/null")
	w.daemon.Stdout, w.daemon.Stderr = log, log
	// Its own session, so that it stays when -keep lets it.
	w.daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := w.router.Start(w.daemon); err != nil {
		return fmt.Errorf("routerd: %w (make build makes it)", err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "pid"), fmt.Appendf(nil, "%d\n", w.daemon.Process.Pid), 0o600); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- w.daemon.Wait() }()
	w.Cleanup(func() {
		if err := w.daemon.Process.Signal(syscall.SIGTERM); err != nil {
			return
		}
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			fmt.Fprintln(os.Stderr, "demo: routerd did not stop within 10 s; killing it")
			if err := w.daemon.Process.Kill(); err == nil {
				<-exited
			}
		}
	})
	for deadline := time.Now().Add(15 * time.Second); ; {
		if _, err := w.rcli(ctx, "get", "/system/state/version"); err == nil {
			return nil
		}
		select {
		case <-exited:
			exited <- nil
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("routerd ended:\n%s", text)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("routerd does not answer after 15 s:\n%s", text)
		}
	}
}

func (w *world) rcli(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(w.bin, "rcli"), append([]string{"--socket", w.socket()}, args...)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("rcli %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// command shows a command of rcli and what it prints.
func (w *world) command(ctx context.Context, args ...string) error {
	fmt.Printf("\n$ rcli %s\n", strings.Join(args, " "))
	out, err := w.rcli(ctx, args...)
	fmt.Print(out)
	return err
}

func (w *world) show(ctx context.Context, config string) error {
	title("One gNMI Set declares the router")
	if err := w.command(ctx, "load", "replace", config); err != nil {
		return err
	}
	if err := w.pings(); err != nil {
		return err
	}
	if err := w.traces(); err != nil {
		return err
	}
	if err := w.transfers(ctx); err != nil {
		return err
	}
	title("What the router says")
	for _, c := range [][]string{{"show", "interfaces"}, {"show", "routes"}, {"show", "routes", "--instance", "red"}, {"show", "neighbors"}} {
		if err := w.command(ctx, c...); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) pings() error {
	title("Hosts reach each other, and the router's own addresses")
	for _, from := range hosts {
		for _, to := range hosts {
			targets := []string{to.v4, to.v6}
			name := to.name
			if from.name == to.name {
				targets, name = []string{from.gw4, from.gw6}, "router"
			} else if from.private || to.private {
				continue
			}
			for _, target := range targets {
				dst := address(target)
				if err := w.ping(from.name, name, dst); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ping sends three requests, once a first one has been answered: addresses that
// are a moment old are still being checked for duplicates.
func (w *world) ping(from, to string, dst netip.Addr) error {
	return w.hosts[from].Do(func() error {
		p, err := probe.NewPinger(dst)
		if err != nil {
			return err
		}
		defer p.Close()
		for range 10 {
			if _, err = p.Ping(56, 0, time.Second); err == nil {
				break
			}
		}
		var best time.Duration
		for i := range 3 {
			r, err := p.Ping(56, 0, 5*time.Second)
			if err != nil {
				return fmt.Errorf("%s to %s: %w", from, to, err)
			}
			if !r.Reached {
				return fmt.Errorf("%s to %s: ping %s: %v code %d from %s", from, to, dst, r.Type, r.Code, r.From)
			}
			if i == 0 || r.RTT < best {
				best = r.RTT
			}
		}
		fmt.Printf("  %s -> %-6s  ping %-16s  3 of 3, best %.3f ms\n", from, to, dst, float64(best.Microseconds())/1000)
		return nil
	})
}

func (w *world) traces() error {
	title("Traceroute: the router is a hop")
	for _, target := range []string{hosts[2].v4, hosts[2].v6} {
		dst := address(target)
		err := w.hosts["h1"].Do(func() error {
			hops, err := probe.Trace(dst, 5, 2*time.Second)
			if err != nil {
				return err
			}
			fmt.Printf("  h1 -> h3  %s\n", dst)
			for i, h := range hops {
				fmt.Printf("    %d  %s  %.3f ms\n", i+1, h.From, float64(h.RTT.Microseconds())/1000)
			}
			if len(hops) != 2 || !hops[1].Reached {
				return fmt.Errorf("trace to %s: want the router and then the host", dst)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) transfers(ctx context.Context) error {
	title("TCP, both ways")
	const octets = 64 << 20
	h1, h3 := hosts[0], hosts[2]
	for _, t := range []struct {
		from, to string
		dst      string
	}{{"h1", "h3", h3.v4}, {"h3", "h1", h1.v4}, {"h1", "h3", h3.v6}, {"h3", "h1", h1.v6}} {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		took, err := probe.Transfer(ctx, octets, netip.AddrPortFrom(address(t.dst), 5001), w.hosts[t.to].Do, w.hosts[t.from].Do)
		cancel()
		if err != nil {
			return fmt.Errorf("%s to %s: %w", t.from, t.to, err)
		}
		fmt.Printf("  %s -> %s  %-16s  64 MiB in %.2f s: %.0f Mbit/s\n", t.from, t.to, address(t.dst), took.Seconds(), octets*8/took.Seconds()/1e6)
	}
	return nil
}

// remove takes everything down, last made first.
func (w *world) remove() {
	for len(w.cleanups) > 0 {
		last := len(w.cleanups) - 1
		f := w.cleanups[last]
		w.cleanups = w.cleanups[:last]
		f()
	}
}

func (w *world) howToEnter() {
	title("The world stays up")
	fmt.Printf("  ip netns exec %sh1 bash            # be a host; h2, h3, h4 likewise\n", prefix)
	fmt.Printf("  ip netns exec %srouter bash        # be on the router\n", prefix)
	fmt.Printf("  %s --socket %s show interfaces\n", filepath.Join(w.bin, "rcli"), w.socket())
	fmt.Printf("  less %s\n", filepath.Join(w.dir, "routerd.log"))
	fmt.Printf("  make demo DOWN=1                     # remove it\n")
}

// removeOld ends a world that -keep left up.
func removeOld() error {
	if text, err := os.ReadFile(filepath.Join(stateDir(), "pid")); err == nil {
		var pid int
		if _, err := fmt.Sscan(string(text), &pid); err == nil && isRouterd(pid) {
			if err := syscall.Kill(pid, syscall.SIGTERM); err == nil {
				for range 100 {
					if !isRouterd(pid) {
						break
					}
					time.Sleep(100 * time.Millisecond)
				}
			}
		}
	}
	for _, name := range []string{"router", "h1", "h2", "h3", "h4", "red"} {
		path := filepath.Join("/run/netns", prefix+name)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := syscall.Unmount(path, syscall.MNT_DETACH); err != nil && err != syscall.EINVAL {
			return fmt.Errorf("namespace %s: %w", path, err)
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return os.RemoveAll(stateDir())
}

// isRouterd guards against a process that has got the number since.
func isRouterd(pid int) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && strings.TrimSpace(string(name)) == "routerd"
}

func address(cidr string) netip.Addr {
	text, _, _ := strings.Cut(cidr, "/")
	return netip.MustParseAddr(text)
}

func title(text string) { fmt.Printf("\n== %s\n", text) }
