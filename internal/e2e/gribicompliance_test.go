package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// complianceWorld is the diagram in gribigo's tests: three ports with
// 192.0.2.0/31, /31 more and /31 more, and one instance more.
const complianceWorld = `{"routerd:interface":[
  {"name":"ge0","unit":[{"id":"0","family":[{"type":"inet","config":{},"address":[{"prefix":"192.0.2.0/31"}]},{"type":"inet6"}]}]},
  {"name":"ge1","unit":[{"id":"0","family":[{"type":"inet","address":[{"prefix":"192.0.2.2/31"}]},{"type":"inet6"}]}]},
  {"name":"ge2","unit":[{"id":"0","family":[{"type":"inet","address":[{"prefix":"192.0.2.4/31"}]},{"type":"inet6"}]}]}],
 "routerd:instance":[{"name":"NON-DEFAULT-VRF","config":{}}]}`

// TestGRIBICompliance runs the compliance tests of openconfig/gribigo against a
// daemon. They are a module of their own, which takes the network to build.
func TestGRIBICompliance(t *testing.T) {
	l := labOf(t)
	program := filepath.Join(t.TempDir(), "compliance.test")
	build := exec.Command("go", "test", "-c", "-o", program, ".")
	build.Dir = "../gribicompliance"
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatalf("building gribigo's tests: %v\n%s", err, out)
		}
		t.Skipf("gribigo's tests can't be built here: %v\n%s", err, out)
	}
	for host, device := range map[string]string{"h0": "ge0", "h1": "ge1", "h2": "ge2"} {
		l.wire(host, device)
	}
	l.start("--gribi-listen", "127.0.0.1:9340")
	l.load(complianceWorld)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, program, "-test.v", "-addr", relay(t, l.space("router"), "127.0.0.1:9340"))
	out, err := run.CombinedOutput()
	count := func(what string) int {
		return len(regexp.MustCompile(`(?m)^ +--- `+what+`: TestCompliance/`).FindAll(out, -1))
	}
	if err != nil {
		t.Fatalf("gribigo's tests: %v\n%s", err, out)
	}
	t.Logf("gribigo's tests: %d passed, %d failed, %d do not apply", count("PASS"), count("FAIL"), count("SKIP"))
	if count("PASS") < 60 {
		t.Errorf("only %d of gribigo's tests ran:\n%s", count("PASS"), out)
	}
}
