package testnet

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Build makes programs of cmd/ in dir, as the Makefile does.
func Build(dir string, programs ...string) error {
	args := []string{"build", "-trimpath", "-o", dir + "/"}
	for _, name := range programs {
		args = append(args, "router/cmd/"+name)
	}
	build := exec.Command("go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOAMD64="+cmp.Or(os.Getenv("GOAMD64"), "v2"))
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w\n%s", programs, err, out)
	}
	return nil
}

// Main is the TestMain of a package whose tests run routerd and rcli: it stores in
// bin the folder where they are, runs the tests, removes the folder and exits.
func Main(m *testing.M, bin *string) {
	code, err := mainIn(m, bin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func mainIn(m *testing.M, bin *string) (code int, err error) {
	if *bin, err = os.MkdirTemp("", "router-bin"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(*bin)
	if err := Build(*bin, "routerd", "rcli"); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
