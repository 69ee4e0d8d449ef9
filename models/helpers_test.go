package models

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// load reads RFC 7951 JSON.
func load(t testing.TB, data []byte) *gen.Device {
	t.Helper()
	dev := &gen.Device{}
	if err := gen.Unmarshal(data, dev); err != nil {
		t.Fatal(err)
	}
	return dev
}

func loadFile(t testing.TB, name string) *gen.Device {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return load(t, data)
}

// emit is the configuration of dev as RFC 7951 JSON.
func emit(t testing.TB, dev *gen.Device) []byte {
	t.Helper()
	text, err := ygot.EmitJSON(dev, &ygot.EmitJSONConfig{
		Format:         ygot.RFC7951,
		RFC7951Config:  &ygot.RFC7951JSONConfig{AppendModuleName: true},
		SkipValidation: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

// yanglint validates a configuration, and returns what it complains of.
func yanglint(t *testing.T, file string) (complaint string, ok bool) {
	t.Helper()
	if _, err := exec.LookPath("yanglint"); err != nil {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatal("yanglint (libyang2-tools) is not installed, and REQUIRE_PRIVILEGED=1 forbids to skip")
		}
		t.Skip("yanglint (libyang2-tools) is not installed")
	}
	out, err := exec.Command("yanglint", "-p", "../yang", "-t", "config", "../yang/routerd.yang", file).CombinedOutput()
	return string(out), err == nil
}

// yangText is all of yang/.
func yangText(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../yang/*.yang")
	if err != nil || len(files) == 0 {
		t.Fatalf("no model in ../yang: %v", err)
	}
	var b strings.Builder
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(data)
	}
	return b.String()
}

var tagAndMessage = regexp.MustCompile(`error-app-tag "([^"]+)";\s+error-message\s+"([^"]+)"`)

func rulesOf(errs []PathError) map[string]bool {
	rules := map[string]bool{}
	for _, e := range errs {
		rules[e.Rule] = true
	}
	return rules
}
