// Package layering keeps the rule of who may import whom (docs/architecture.md).
// It parses the sources, so that no build cache can hide a change.
package layering

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "router"

// layer orders the folders: a package may import packages of its own layer's
// folder and of lower layers.
var layers = []struct {
	folder string
	level  int
}{
	{"cmd", 6},
	{"models", 5},
	{"gen", 4},
	{"dataplane", 3},
	{"vrf", 2},
	{"routing", 1},
	{"intf", 0},
}

// leaves are the only packages that may talk to the kernel below the Go
// standard library, by what they may import.
var leaves = map[string][]string{
	"unsafe":                       {"gen/configpb", "vrf/fib", "dataplane", "dataplane/bpf", "dataplane/xsk", "dataplane/afpacket", "dataplane/ethtool", "dataplane/host", "intf/kernel"},
	"golang.org/x/sys/unix":        {"dataplane", "dataplane/xsk", "dataplane/afpacket", "dataplane/bpf", "dataplane/driver", "dataplane/ethtool", "dataplane/host", "intf/kernel", "cmd/routerd", "cmd/routerd/northbound", "cmd/routerd/datastore", "cmd/rcli/editor", "cmd/rcli/tty"},
	"github.com/vishvananda/":      {"dataplane/xsk", "dataplane/afpacket", "dataplane/bpf", "dataplane/driver", "dataplane/ethtool", "dataplane/ethtool", "dataplane/host", "intf/kernel"},
	"github.com/cilium/ebpf":       {"dataplane/bpf", "dataplane/afpacket", "dataplane/xsk", "dataplane/driver"},
	"google.golang.org/grpc":       {"cmd/routerd", "cmd/rcli", "gen/configpb"},
	"github.com/openconfig/gnmi/":  {"cmd/routerd/northbound", "cmd/routerd/datastore", "cmd/rcli", "models", "gen"},
	"github.com/openconfig/ygot/":  {"models", "gen", "cmd/routerd/datastore", "cmd/routerd/northbound", "cmd/routerd/gribi", "cmd/rcli"},
	"github.com/openconfig/goyang": {"models", "gen", "cmd/routerd/datastore", "cmd/routerd/northbound", "cmd/rcli"},
	"github.com/openconfig/gribi/": {"cmd/routerd/gribi"},
	module + "/gen":                {"models", "cmd"},
}

func level(pkg string) (int, bool) {
	for _, l := range layers {
		if pkg == l.folder || strings.HasPrefix(pkg, l.folder+"/") {
			return l.level, true
		}
	}
	return 0, false
}

// under reports whether pkg is one of folders or below one.
func under(pkg string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool {
		return pkg == f || strings.HasPrefix(pkg, f+"/") && f != "dataplane"
	})
}

func check(pkg, imported string) string {
	if strings.HasPrefix(pkg, "internal/") {
		return "" // helpers of tests and of the demo stand beside the layers
	}
	for prefix, folders := range leaves {
		if strings.HasPrefix(imported, prefix) && !under(pkg, folders) {
			return "only " + strings.Join(folders, ", ") + " may import " + imported
		}
	}
	own, ok := strings.CutPrefix(imported, module+"/")
	if !ok {
		return ""
	}
	if strings.HasPrefix(own, "internal/") {
		return "only tests may import " + imported
	}
	from, ok := level(pkg)
	if !ok {
		return "no layer is known for " + pkg + ": add it to layers"
	}
	to, ok := level(own)
	if !ok {
		return "no layer is known for " + own + ": add it to layers"
	}
	if to > from {
		return "imports point down: " + pkg + " may not import " + own
	}
	return ""
}

func TestImportsPointDown(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := 0
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && p != root {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(rel))
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			seen++
			if why := check(pkg, name); why != "" {
				t.Errorf("%s: %s", rel, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatal("no imports found: the test looks in the wrong place")
	}
}

func TestRuleNotices(t *testing.T) {
	for _, c := range []struct{ pkg, imported string }{
		{"intf", "router/vrf"},
		{"dataplane", "router/gen"},
		{"vrf", "github.com/vishvananda/netlink"},
		{"routing", "golang.org/x/sys/unix"},
		{"cmd/routerd/northbound", "router/internal/testnet"},
		{"dataplane/packet", "unsafe"},
	} {
		if check(c.pkg, c.imported) == "" {
			t.Errorf("%s importing %s went unnoticed", c.pkg, c.imported)
		}
	}
	if why := check("vrf", "router/routing"); why != "" {
		t.Errorf("vrf importing routing: %s", why)
	}
}
