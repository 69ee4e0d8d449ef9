package restart

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
)

// accessExecute asks access(2) whether a file can be run.
const accessExecute = 1

// Executable is the program that Exec runs: the file that this process was
// started from, or what stands in its place now.
func Executable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("restart: %w", err)
	}
	if err := syscall.Access(path, accessExecute); err != nil {
		return "", fmt.Errorf("restart: %s can't be run: %w", path, err)
	}
	return path, nil
}

// Exec replaces the process by a new routerd with the same settings, process
// number and surroundings; so it needs nobody who starts it again. It returns only
// if it fails.
func Exec() error {
	path, err := Executable()
	if err != nil {
		return err
	}
	if err := syscall.Exec(path, again(os.Args), withoutFlush(os.Environ())); err != nil {
		return fmt.Errorf("restart: %s: %w", path, err)
	}
	return nil
}

// again is the command line of the next run. Flushing the configuration was meant
// for this one.
func again(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(a string) bool {
		return a == "--flush" || strings.HasPrefix(a, "--flush=")
	})
}

// withoutFlush overrides the settings file, where flush may stand too.
func withoutFlush(env []string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, "ROUTERD_FLUSH=") })
	return append(env, "ROUTERD_FLUSH=false")
}
