package manual

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var example = []Flag{
	{Name: "config", Help: "a file", File: true}, {Name: "level", Help: "how much: it's [a lot]", Values: []string{"debug", "info"}},
	{Name: "flush", Help: "begin anew", Bool: true}, {Name: "listen", Help: "address"},
}

// TestBash asks bash itself what it would offer.
func TestBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "completion")
	if err := os.WriteFile(file, Bash("prog", example), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ words, want string }{
		{"prog --l", "--level --listen"},
		{"prog --level d", "debug"},
		{"prog --level = i", "info"},
		{"prog --level ''", "debug info"},
		{"prog --listen x", ""},
		{"prog --flush --c", "--config"},
	} {
		script := `source "$1"; COMP_WORDS=(` + tt.words + `); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _prog; echo "${COMPREPLY[@]}"`
		out, err := exec.Command(bash, "--norc", "-c", script, "bash", file).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != tt.want {
			t.Errorf("%s: %v, offers %q, want %q", tt.words, err, got, tt.want)
		}
	}
}

func TestZshAndFish(t *testing.T) {
	zsh, fish := string(Zsh("prog", example)), string(Fish("prog", example))
	for _, want := range []string{"#compdef prog", `'--level[how much, it'\''s (a lot)]:level:(debug info)'`, `'--flush[begin anew]'`, ":file:_files"} {
		if !strings.Contains(zsh, want) {
			t.Errorf("zsh: %q is not in\n%s", want, zsh)
		}
	}
	for _, want := range []string{"-l level -x -a 'debug info' -d 'how much: it\\'s [a lot]'", "-l flush -d 'begin anew'", "-l config -r -F"} {
		if !strings.Contains(fish, want) {
			t.Errorf("fish: %q is not in\n%s", want, fish)
		}
	}
}

// TestPage has groff read what markdown could take for something else.
func TestPage(t *testing.T) {
	p := Page{Name: "prog", Section: 1, Purpose: "a_program *for* tests"}
	p.Head("text")
	p.Text("/interface[name=ge0]/config, <value> | more & `code` -- 1. #2 ~x")
	p.Sub("show [NAME] -o FILE")
	p.Item("--flag <X>", "")
	p.Head("example")
	p.Code("  a  b\n")
	got := string(p.Render())
	for _, want := range []string{".TH prog 1", ".SH TEXT", ".SS show [NAME] -o FILE", "/interface[name=ge0]/config, <value> | more & `code`", "a_program *for* tests", "  a  b"} {
		if !strings.Contains(strings.ReplaceAll(strings.ReplaceAll(got, `\-`, "-"), `\`, ""), want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}
