package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"router/internal/testnet"
)

func TestScripts(t *testing.T) {
	testnet.Require(t)
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(cond string) (bool, error) {
			if cond != "lenient" {
				return false, fmt.Errorf("unknown condition %s", cond)
			}
			return os.Getenv("REQUIRE_PRIVILEGED") != "1", nil // what is missing may be skipped
		},
		Setup: func(env *testscript.Env) error {
			l := newLab(env.WorkDir, nil)
			env.Values[labKey{}] = l
			env.Setenv("EXAMPLES", examples)
			env.Setenv("SOCKET", l.socket())
			env.Setenv("PATH", bin+":"+env.Getenv("PATH"))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			env.Defer(l.remove)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"net":        cmdNet,
			"host":       cmdHost,
			"routerd":    cmdRouterd,
			"rcli":       cmdRcli,
			"exits":      cmdExits,
			"eventually": cmdEventually,
			"multicast":  cmdMulticast,
		},
	})
}

type labKey struct{}

func of(ts *testscript.TestScript) *lab {
	l := ts.Value(labKey{}).(*lab)
	l.fatalf = ts.Fatalf
	return l
}

// finish fails the script when what happened is not what it wants.
func finish(ts *testscript.TestScript, neg bool, err error) {
	switch {
	case err != nil && !neg:
		ts.Fatalf("it failed: %v", err)
	case err == nil && neg:
		ts.Fatalf("it succeeded")
	}
}

// cmdRouterd runs the daemon in the router's namespace:
//
//	routerd start [FLAGS]   and waits until it is ready
//	routerd stop            by SIGTERM
//	routerd kill            by SIGKILL
//	routerd handover        by SIGUSR2
//	routerd log TEXT        waits for a line with this text in its log
func cmdRouterd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: routerd start|stop|kill|handover|log ...")
	}
	l := of(ts)
	switch args[0] {
	case "start":
		l.start(args[1:]...)
	case "stop":
		if err := l.end(syscall.SIGTERM); err != nil {
			ts.Fatalf("routerd: %v\n%s", err, l.log())
		}
	case "handover":
		if err := l.end(syscall.SIGUSR2); err != nil {
			ts.Fatalf("routerd: %v\n%s", err, l.log())
		}
	case "kill":
		_ = l.end(syscall.SIGKILL)
	case "log":
		if len(args) != 2 {
			ts.Fatalf("usage: routerd log TEXT")
		}
		l.wait(args[1])
	default:
		ts.Fatalf("routerd: I don't know how to %s", args[0])
	}
}

// cmdRcli runs rcli on the router's socket.
func cmdRcli(ts *testscript.TestScript, neg bool, args []string) {
	finish(ts, neg, ts.Exec(filepath.Join(bin, "rcli"), append([]string{"--socket", of(ts).socket()}, args...)...))
}

// cmdExits runs a program that is to exit with a code:
//
//	exits 2 rcli show nothing
//	exits 2 routerd --no-such-flag
//
// rcli has the router's socket, and routerd the lab's directories, in front of
// the arguments.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE rcli|routerd ...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	l := of(ts)
	argv := args[2:]
	switch args[1] {
	case "rcli":
		argv = append([]string{"--socket", l.socket()}, argv...)
	case "routerd":
		argv = l.flags(argv)
	default:
		ts.Fatalf("exits: I know rcli and routerd, not %s", args[1])
	}
	argv = append([]string{"--net=" + l.space("router").Path(), "--", filepath.Join(bin, args[1])}, argv...)
	got := 0
	if err := ts.Exec("nsenter", argv...); err != nil {
		exit, ok := err.(*exec.ExitError)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// cmdEventually repeats an rcli command until its output matches, as stdout
// would:
//
//	eventually 'ge0 +up' show interfaces
func cmdEventually(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN RCLI-COMMAND...")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	argv := append([]string{"--socket", of(ts).socket()}, args[1:]...)
	var out []byte
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		// A command that fails is repeated too.
		out, _ = exec.Command(filepath.Join(bin, "rcli"), argv...).CombinedOutput()
		if pattern.Match(out) != neg {
			return
		}
	}
	ts.Fatalf("30 s passed; the last answer was\n%s", out)
}
