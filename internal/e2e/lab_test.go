package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"router/internal/testnet"
)

// A lab is the namespaces of one test and the daemon among them. It is a
// testnet.T, whose failure ends the test.
type lab struct {
	dir      string
	fatalf   func(format string, args ...any)
	spaces   map[string]*testnet.Namespace
	daemon   *exec.Cmd
	exited   chan error
	cleanups []func()
	program  string // of the daemon; "" is the one that the tests have built
}

func newLab(dir string, fatalf func(string, ...any)) *lab {
	return &lab{dir: dir, fatalf: fatalf, spaces: map[string]*testnet.Namespace{}}
}

// labOf is a lab of a Go test, removed when the test ends.
func labOf(t *testing.T) *lab {
	t.Helper()
	testnet.Require(t)
	l := newLab(t.TempDir(), t.Fatalf)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("routerd's log:\n%s", l.log())
		}
		l.remove()
	})
	return l
}

func (l *lab) Helper()                           {}
func (l *lab) Cleanup(f func())                  { l.cleanups = append(l.cleanups, f) }
func (l *lab) Fatalf(format string, args ...any) { l.fatalf(format, args...) }

func (l *lab) check(err error) {
	if err != nil {
		l.Fatalf("%v", err)
	}
}

func (l *lab) remove() {
	if l.daemon != nil {
		_ = l.end(syscall.SIGTERM)
	}
	_ = unix.Unmount(l.pins(), unix.MNT_DETACH)
	for i := len(l.cleanups) - 1; i >= 0; i-- {
		l.cleanups[i]()
	}
}

// space is the namespace of a host, or of the router; it is made when first
// asked for.
func (l *lab) space(name string) *testnet.Namespace {
	ns := l.spaces[name]
	if ns == nil {
		ns = testnet.New(l, name)
		l.spaces[name] = ns
	}
	return ns
}

// wire joins a host to a device of the router.
func (l *lab) wire(host, device string) {
	testnet.Pair(l, testnet.End{In: l.space("router"), Name: device}, testnet.End{In: l.space(host), Name: "eth0"})
}

func (l *lab) socket() string { return filepath.Join(l.dir, "routerd.sock") }

// pins is where routerd mounts a BPF file system for what outlives it, which goes
// with the lab.
func (l *lab) pins() string { return filepath.Join(l.dir, "pins") }

// flags are those of every daemon, and more.
func (l *lab) flags(more []string) []string {
	return append([]string{"--config", "/dev/null", "--state-dir", filepath.Join(l.dir, "state"), "--socket", l.socket(), "--listen", "127.0.0.1:9339", "--auth", "none", "--pin-dir", l.pins()}, more...)
}

func (l *lab) log() string {
	text, err := os.ReadFile(filepath.Join(l.dir, "routerd.log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// start starts the daemon and waits until it is ready.
func (l *lab) start(flags ...string) {
	l.startQuiet(flags...)
	l.wait("msg=ready")
}

// startQuiet is start without waiting for what the log says.
func (l *lab) startQuiet(flags ...string) {
	log, err := os.Create(filepath.Join(l.dir, "routerd.log"))
	l.check(err)
	defer log.Close()
	program := l.program
	if program == "" {
		program = filepath.Join(bin, "routerd")
	}
	l.daemon = exec.Command(program, l.flags(flags)...)
	l.daemon.Stdout, l.daemon.Stderr = log, log
	l.check(l.space("router").Start(l.daemon))
	l.exited = make(chan error, 1)
	daemon, exited := l.daemon, l.exited
	go func() { exited <- daemon.Wait() }()
}

// wait waits until the log has text.
func (l *lab) wait(text string) {
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(l.log(), text); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-l.exited:
			l.exited <- err
			if !strings.Contains(l.log(), text) {
				l.Fatalf("routerd ended (%v) before it said %q:\n%s", err, text, l.log())
			}
			return
		default:
		}
		if time.Now().After(deadline) {
			l.Fatalf("routerd has not said %q within 20 s:\n%s", text, l.log())
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

// rcli runs rcli on the router's socket and returns what it printed on both
// outputs, and its exit code.
func (l *lab) rcli(args ...string) (out string, code int) {
	return l.run(filepath.Join(bin, "rcli"), append([]string{"--socket", l.socket()}, args...)...)
}

// run runs a program in the router's namespace, for ten seconds at most: one
// that is still running then is killed, and its exit code is -1.
func (l *lab) run(program string, args ...string) (out string, code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var text strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &text
	cmd.Dir = l.dir
	// What rcli keeps of its user is the lab's.
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+filepath.Join(l.dir, "config"))
	l.check(l.space("router").Start(cmd))
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.Fatalf("%s: %v", program, err)
	}
	return text.String(), cmd.ProcessState.ExitCode()
}

// load commits a configuration.
func (l *lab) load(config string) {
	file := filepath.Join(l.dir, "load.json")
	l.check(os.WriteFile(file, []byte(config), 0o600))
	if out, code := l.rcli("load", "replace", file); code != 0 {
		l.Fatalf("rcli load: exit code %d: %s", code, out)
	}
}
