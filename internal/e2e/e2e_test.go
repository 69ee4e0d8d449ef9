// Package e2e runs the router as a user does, between hosts in network
// namespaces. The scripts in testdata/script are the tests, and read as a
// manual of what the router does.
package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"router/internal/probe"
	"router/internal/testnet"
)

// bin is where TestMain has put routerd and rcli.
var bin string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "router-e2e")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.Command("go", "build", "-trimpath", "-o", dir+"/", "router/cmd/routerd", "router/cmd/rcli")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

func TestScripts(t *testing.T) {
	testnet.Require(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			l := &lab{dir: env.WorkDir, spaces: map[string]*testnet.Namespace{}}
			env.Values[labKey{}] = l
			env.Defer(l.remove)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"net":     cmdNet,
			"host":    cmdHost,
			"routerd": cmdRouterd,
			"rcli":    cmdRcli,
			"eventually": func(ts *testscript.TestScript, neg bool, args []string) {
				eventually(ts, neg, args)
			},
		},
	})
}

type labKey struct{}

// A lab is the namespaces of one script. It is a testnet.T, whose failure ends
// the script.
type lab struct {
	dir      string
	ts       *testscript.TestScript
	spaces   map[string]*testnet.Namespace
	daemon   *exec.Cmd
	exited   chan error
	cleanups []func()
}

func of(ts *testscript.TestScript) *lab {
	l := ts.Value(labKey{}).(*lab)
	l.ts = ts
	return l
}

func (l *lab) Helper()                           {}
func (l *lab) Cleanup(f func())                  { l.cleanups = append(l.cleanups, f) }
func (l *lab) Fatalf(format string, args ...any) { l.ts.Fatalf(format, args...) }

func (l *lab) remove() {
	if l.daemon != nil {
		_ = l.end(syscall.SIGTERM)
	}
	for i := len(l.cleanups) - 1; i >= 0; i-- {
		l.cleanups[i]()
	}
}

func (l *lab) space(name string) *testnet.Namespace {
	ns := l.spaces[name]
	if ns == nil {
		ns = testnet.New(l, name)
		l.spaces[name] = ns
	}
	return ns
}

// cmdNet makes hosts, and a wire from each to a device of the router:
//
//	net h1-ge0 h2-ge1 h3-ge2
func cmdNet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: net HOST-DEVICE...")
	}
	l := of(ts)
	router := l.space("router")
	ts.Setenv("ROUTER", router.Name)
	for _, arg := range args {
		name, device, ok := strings.Cut(arg, "-")
		if !ok {
			ts.Fatalf("net %s: want HOST-DEVICE", arg)
		}
		testnet.Pair(l, testnet.End{In: router, Name: device}, testnet.End{In: l.space(name), Name: "eth0"})
	}
}

// cmdHost does something at a host:
//
//	host h1 address 192.0.2.2/24 via 192.0.2.1   an address, and where else to go
//	host h1 vlan 100                             it speaks in a VLAN from now on
//	host h1 ping 198.51.100.2 [size N]           within ten seconds
//	host h1 trace 198.51.100.2                   prints a hop a line
//	host h1 run COMMAND...                       a command in its namespace
//	host h1 unplug; host h1 plug DEVICE          take its wire away, give it one
func cmdHost(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: host NAME address|vlan|ping|trace|run|unplug|plug ...")
	}
	l := of(ts)
	ns, ok := l.spaces[args[0]]
	if !ok {
		ts.Fatalf("there is no host %s", args[0])
	}
	verb, rest := args[1], args[2:]
	if neg && verb != "ping" && verb != "run" {
		ts.Fatalf("! is for ping and run")
	}
	switch {
	case verb == "address" && len(rest) == 3 && rest[1] == "via":
		ns.Address(l, "eth0", rest[0])
		ns.Route(l, "default", rest[2])
	case verb == "address" && len(rest) == 1:
		ns.Address(l, "eth0", rest[0])
	case verb == "vlan" && len(rest) == 1:
		id, err := strconv.ParseUint(rest[0], 10, 12)
		ts.Check(err)
		ns.Tag(l, "eth0", uint16(id))
	case verb == "ping" && (len(rest) == 1 || len(rest) == 3 && rest[1] == "size"):
		size := 56
		if len(rest) == 3 {
			n, err := strconv.Atoi(rest[2])
			ts.Check(err)
			size = n
		}
		ping(ts, neg, ns, rest[0], size)
	case verb == "trace" && len(rest) == 1:
		trace(ts, ns, rest[0])
	case verb == "run" && len(rest) > 0:
		finish(ts, neg, ts.Exec("nsenter", append([]string{"--net=" + ns.Path(), "--"}, rest...)...))
	case verb == "unplug" && len(rest) == 0:
		ns.Delete(l, "eth0")
	case verb == "plug" && len(rest) == 1:
		testnet.Pair(l, testnet.End{In: l.space("router"), Name: rest[0]}, testnet.End{In: ns, Name: "eth0"})
	default:
		ts.Fatalf("host %s: I don't know how to %s", args[0], strings.Join(args[1:], " "))
	}
}

func finish(ts *testscript.TestScript, neg bool, err error) {
	switch {
	case err != nil && !neg:
		ts.Fatalf("it failed: %v", err)
	case err == nil && neg:
		ts.Fatalf("it succeeded")
	}
}

// ping wants an answer within ten seconds, or with neg none within two.
func ping(ts *testscript.TestScript, neg bool, ns *testnet.Namespace, target string, size int) {
	dst, err := netip.ParseAddr(target)
	ts.Check(err)
	tries := 10
	if neg {
		tries = 2
	}
	err = ns.Do(func() error {
		p, err := probe.NewPinger(dst)
		if err != nil {
			return err
		}
		defer p.Close()
		for range tries {
			r, perr := p.Ping(size, 0, time.Second)
			if perr == nil && r.Reached {
				ts.Logf("%s answers after %v", dst, r.RTT)
				return nil
			}
			err = perr
			if perr == nil {
				err = fmt.Errorf("%s: %v, code %d, from %s", dst, r.Type, r.Code, r.From)
				time.Sleep(100 * time.Millisecond)
			}
		}
		return err
	})
	finish(ts, neg, err)
}

func trace(ts *testscript.TestScript, ns *testnet.Namespace, target string) {
	dst, err := netip.ParseAddr(target)
	ts.Check(err)
	var lines []string
	ts.Check(ns.Do(func() error {
		hops, err := probe.Trace(dst, 5, 2*time.Second)
		for i, h := range hops {
			lines = append(lines, fmt.Sprintf("%d %s", i+1, h.From))
		}
		return err
	}))
	ts.Check(ts.Exec("printf", "%s\n", strings.Join(lines, "\n")))
}

// cmdRouterd runs the daemon in the router's namespace:
//
//	routerd start [FLAGS]   and waits until it is ready
//	routerd stop            by SIGTERM
//	routerd kill            by SIGKILL
//	routerd fails FLAGS     prints what it says when it doesn't start
//	routerd log PATTERN     waits for a line with this text in its log
func cmdRouterd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: routerd start|stop|kill|fails|log ...")
	}
	l := of(ts)
	switch args[0] {
	case "start":
		l.start(args[1:])
	case "stop":
		if err := l.end(syscall.SIGTERM); err != nil {
			ts.Fatalf("routerd: %v\n%s", err, l.log())
		}
	case "kill":
		_ = l.end(syscall.SIGKILL)
	case "fails":
		argv := append([]string{"--net=" + l.space("router").Path(), "--", filepath.Join(bin, "routerd")}, l.flags(args[1:])...)
		finish(ts, true, ts.Exec("nsenter", argv...))
	case "log":
		l.wait(args[1])
	default:
		ts.Fatalf("routerd: I don't know how to %s", args[0])
	}
}

func (l *lab) socket() string { return filepath.Join(l.dir, "routerd.sock") }

func (l *lab) flags(more []string) []string {
	return append([]string{"--config", "/dev/null", "--state-dir", filepath.Join(l.dir, "state"), "--socket", l.socket(), "--listen", "127.0.0.1:9339"}, more...)
}

func (l *lab) log() string {
	text, err := os.ReadFile(filepath.Join(l.dir, "routerd.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (l *lab) start(flags []string) {
	log, err := os.Create(filepath.Join(l.dir, "routerd.log"))
	l.ts.Check(err)
	defer log.Close()
	l.daemon = exec.Command(filepath.Join(bin, "routerd"), l.flags(flags)...)
	l.daemon.Stdout, l.daemon.Stderr = log, log
	l.ts.Check(l.space("router").Start(l.daemon))
	l.exited = make(chan error, 1)
	daemon, exited := l.daemon, l.exited
	go func() { exited <- daemon.Wait() }()
	l.wait("msg=ready")
}

// wait waits until the log has text.
func (l *lab) wait(text string) {
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(l.log(), text); time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-l.exited:
			l.exited <- err
			if !strings.Contains(l.log(), text) {
				l.ts.Fatalf("routerd ended (%v) before it said %q:\n%s", err, text, l.log())
			}
			return
		default:
		}
		if time.Now().After(deadline) {
			l.ts.Fatalf("routerd has not said %q within 20 s:\n%s", text, l.log())
		}
	}
}

// end ends the daemon by a signal and returns how it ended.
func (l *lab) end(sig syscall.Signal) error {
	if l.daemon == nil {
		return nil
	}
	_ = l.daemon.Process.Signal(sig)
	select {
	case err := <-l.exited:
		l.daemon = nil
		return err
	case <-time.After(20 * time.Second):
		_ = l.daemon.Process.Kill()
		<-l.exited
		l.daemon = nil
		return fmt.Errorf("did not end within 20 s of %v", sig)
	}
}

// cmdRcli runs rcli on the router's socket.
func cmdRcli(ts *testscript.TestScript, neg bool, args []string) {
	finish(ts, neg, ts.Exec(filepath.Join(bin, "rcli"), append([]string{"--socket", of(ts).socket()}, args...)...))
}

// eventually repeats an rcli command until its output has a text:
//
//	eventually 'ge0 *up' show interfaces
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: eventually TEXT RCLI-COMMAND...")
	}
	argv := append([]string{"--socket", of(ts).socket()}, args[1:]...)
	var out []byte
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		out, _ = exec.Command(filepath.Join(bin, "rcli"), argv...).CombinedOutput()
		if strings.Contains(string(out), args[0]) != neg {
			return
		}
	}
	ts.Fatalf("10 s passed; the last answer was\n%s", out)
}
