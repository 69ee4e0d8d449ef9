// Package e2e runs the router as a user does, between hosts in network
// namespaces. The scripts in testdata/script are the tests, and read as a
// manual of what the router does; the Go tests beside them show what takes
// thousands of commits or packets to show. They are short by default, and run
// at full length with E2E_FULL=1 in the environment.
package e2e

import (
	"fmt"
	"os"
	"testing"

	"router/internal/testnet"
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
	testnet.Main(m, &bin)
}
