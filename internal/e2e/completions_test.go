package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// testCompletions types at other shells, which complete rcli's words by
// docs/completions: commands, keywords as flags, values of the running router.
func testCompletions(t *testing.T, w *world) {
	docs, err := filepath.Abs("../../docs/completions")
	if err != nil {
		t.Fatal(err)
	}
	const ready = `[$%#>]$` // the prompt that each begins with, and the one that it is given
	for _, shell := range []struct {
		name  string
		args  []string
		begin []string // lines that load the completion
	}{
		{"bash", []string{"--norc", "--noprofile", "-i"}, []string{"PS1='$ '; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'", "source /usr/share/bash-completion/bash_completion; source '" + docs + "/bash/rcli'"}},
		{"zsh", []string{"-f", "-i"}, []string{"PS1='$ '; unsetopt beep zle_bracketed_paste prompt_sp; fpath=('" + docs + "/zsh' $fpath)", "autoload -U compinit; compinit -u -D"}},
		{"fish", []string{"--no-config", "-i"}, []string{"function fish_prompt; echo -n '$ '; end; set -U fish_greeting; set -g fish_autosuggestion_enabled 0", "source '" + docs + "/fish/rcli.fish'"}},
	} {
		t.Run(shell.name, func(t *testing.T) {
			program, err := exec.LookPath(shell.name)
			if shell.name == "bash" && err == nil {
				_, err = os.Stat("/usr/share/bash-completion/bash_completion") // which loads them
			}
			if err != nil {
				if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
					t.Fatalf("%s or its completion is missing: %v", shell.name, err)
				}
				t.Skipf("%s or its completion is missing: %v", shell.name, err)
			}
			s := newScreen(t, []string{"HOME=" + w.home(t), "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "XDG_STATE_HOME=", "PATH=" + bin + ":" + os.Getenv("PATH")}, program, shell.args...)
			s.Resize(120, 24)
			s.ExpectRow(ready)
			for _, line := range shell.begin {
				s.Line(line)
			}
			command := "rcli --socket " + w.socket()
			for _, c := range []struct{ typed, line string }{
				{command + " show rou", `show route *$`},
				{command + " show route --prot", `show route --protocol *$`},
				{command + " show route instance bl", `show route instance blue *$`},
				{command + " show route 10.", `show route 10\.0\.0\.0/8 *$`},
			} {
				s.Line("clear")
				s.ExpectRow(ready)
				s.Type(c.typed)
				s.ExpectRow(regexp.QuoteMeta(c.typed[len(c.typed)-8:]) + `$`)
				s.Key(keyTab)
				s.ExpectRow(c.line)
				s.Key(ctrl('U'))
			}
			s.Line("clear")
			s.ExpectRow(ready)
			s.Type(command + " show interfaces ge")
			s.ExpectRow(`interfaces ge$`)
			s.Key(keyTab, keyTab)
			s.Expect(`(?s)ge0\b.*ge1\b`)
			s.Key(ctrl('C'))
		})
	}
}
