// Package e2e runs the router as a user does, between hosts in network
// namespaces. The scripts in testdata/script are the tests, and read as a
// manual of what the router does; the Go tests beside them show what takes
// thousands of commits or packets to show. They are short by default, and run
// at full length with E2E_FULL=1 in the environment.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// bin is where TestMain has put routerd and rcli.
var bin string

// full says whether the tests are to run at full length. It is asked inside
// tests, where the go command sees that results depend on it.
func full() bool { return os.Getenv("E2E_FULL") == "1" }

func TestMain(m *testing.M) {
	if os.Getenv(collectSocket) != "" {
		if err := beCollectors(); err != nil {
			fmt.Fprintln(os.Stderr, "collectors:", err)
			os.Exit(1)
		}
		return
	}
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
