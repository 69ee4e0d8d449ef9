package bce

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write accepted.txt anew")

// none are functions whose loops run for every packet several times: no check is
// accepted there. What a batch has around its loops does not count.
var none = []Function{
	{"vrf/fib/lookup.go", "Table.Lookup4"}, {"vrf/fib/lookup.go", "Table.Lookup6"},
	{"vrf/fib/lookup.go", "descend4"}, {"vrf/fib/lookup.go", "descend6"}, {"vrf/fib/lookup.go", "leaf"},
	{"vrf/fib/lookup.go", "page"}, {"dataplane/stages.go", "age"}, {"dataplane/stages.go", "pkt.came"},
	{"vrf/fib/batch.go", "Table.lanes4"}, {"vrf/fib/batch.go", "Table.lanes6"},
	{"dataplane/flow.go", "mixFlow"}, {"dataplane/flow.go", "nextFlow"},
}

func TestBoundsChecksAreThoseAccepted(t *testing.T) {
	file, err := os.ReadFile("accepted.txt")
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	functions, packages := map[string][]Span{}, map[string]bool{}
	for f := range accepted {
		if functions[f.File] == nil {
			spans, err := Spans(filepath.Join("..", "..", f.File))
			if err != nil {
				t.Fatal(err)
			}
			functions[f.File] = spans
		}
		packages["./"+filepath.Dir(f.File)] = true
	}
	args := []string{"build", "-trimpath", "-gcflags=-d=ssa/check_bce"}
	for p := range packages {
		args = append(args, p)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join("..", "..")
	// What the compiler says does not hang on these, but the cache does.
	cmd.Env = append(os.Environ(), "GOFLAGS=-trimpath", "GOAMD64=v2")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	counts, err := Parse(bytes.NewReader(out), functions)
	if err != nil {
		t.Fatal(err)
	}
	// Functions of the same files that nobody put on the list are not watched.
	got := Counts{}
	total := 0
	for f := range accepted {
		n, ok := counts[f]
		if !ok {
			t.Errorf("%s has no function %s any more", f.File, f.Name)
			continue
		}
		got[f] = n
		total += n
	}
	if total == 0 {
		t.Fatalf("the compiler told of no check at all: the test looks at the wrong place\n%.2000s", out)
	}
	for _, f := range none {
		if n, ok := counts[f]; !ok || n > 0 {
			t.Errorf("%s: %s has %d bounds checks, want none", f.File, f.Name, n)
		}
	}
	if *update {
		var text bytes.Buffer
		text.WriteString("# Bounds checks by function of the packet path: go test ./internal/bce -update\n")
		if err := got.Write(&text); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("accepted.txt", text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for f, n := range got {
		if n > accepted[f] {
			t.Errorf("%s: %s has %d bounds checks, %d are accepted: go build -gcflags=-d=ssa/check_bce ./%s shows them",
				f.File, f.Name, n, accepted[f], filepath.Dir(f.File))
		} else if n < accepted[f] {
			t.Errorf("%s: %s has %d bounds checks, fewer than the %d accepted: go test ./internal/bce -update", f.File, f.Name, n, accepted[f])
		}
	}
}

func TestParse(t *testing.T) {
	functions := map[string][]Span{"a/b.go": {{"T.f", 10, 20}, {"g", 22, 30}}}
	const output = `# router/a
router/a/b.go:10:3: Found IsInBounds
./a/b.go:20:3: Found IsSliceInBounds
a/b.go:21:3: Found IsInBounds
router/a/c.go:11:3: Found IsInBounds
b.go:11:3: something else
`
	got, err := Parse(strings.NewReader(output), functions)
	want := Counts{{"a/b.go", "T.f"}: 2, {"a/b.go", "g"}: 0}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	var text bytes.Buffer
	if err := want.Write(&text); err != nil {
		t.Fatal(err)
	}
	if back, err := Read(&text); err != nil || !maps.Equal(back, want) {
		t.Errorf("read back %v, %v", back, err)
	}
	for _, bad := range []string{"a/b.go f", "a/b.go f x"} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestSpans(t *testing.T) {
	spans, err := Spans("bce.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, s := range spans {
		names[s.Name] = s.First < s.Last
	}
	if !names["Counts.Write"] || !names["Parse"] || !names["receiver"] {
		t.Errorf("functions %v", spans)
	}
}
