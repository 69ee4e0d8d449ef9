package e2e

import (
	"context"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"router/internal/testnet"
)

// inside runs a program in a namespace, for ten seconds at most, and returns
// what it said on both outputs.
func inside(ts *testscript.TestScript, ns *testnet.Namespace, argv []string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var text strings.Builder
	cmd.Stdout, cmd.Stderr = &text, &text
	ts.Check(ns.Start(cmd))
	err := cmd.Wait()
	return strings.TrimSuffix(text.String(), "\n"), err
}

// until runs a program again and again until what it says matches; a failure of
// the program is repeated, too.
func until(ts *testscript.TestScript, ns *testnet.Namespace, pattern string, argv []string) {
	want, err := regexp.Compile("(?m)" + pattern)
	ts.Check(err)
	out := ""
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if out, _ = inside(ts, ns, argv); want.MatchString(out) {
			return
		}
	}
	ts.Fatalf("30 s passed; the last output was\n%s", out)
}
