package manual

import (
	"fmt"
	"strings"
)

// A Flag is an option of a program that takes nothing but options.
type Flag struct {
	Name, Help string
	Bool       bool
	File       bool     // its value is a file
	Values     []string // that it takes; none for any
}

// quote is a word in single quotes, for any shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Bash is the completion of a program for bash.
func Bash(program string, flags []Flag) []byte {
	var b strings.Builder
	var names []string
	fmt.Fprintf(&b, "# bash completion of %s, made by make generate\n", program)
	fmt.Fprintf(&b, "_%s() {\n  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n  [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}\n  [[ $word == = ]] && word=\n  COMPREPLY=()\n  case $before in\n", program)
	for _, f := range flags {
		names = append(names, "--"+f.Name)
		switch {
		case f.Bool:
		case f.File:
			fmt.Fprintf(&b, "  --%s) mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return ;;\n", f.Name)
		case len(f.Values) > 0:
			fmt.Fprintf(&b, "  --%s) mapfile -t COMPREPLY < <(compgen -W %s -- \"$word\"); return ;;\n", f.Name, quote(strings.Join(f.Values, " ")))
		default:
			fmt.Fprintf(&b, "  --%s) return ;;\n", f.Name)
		}
	}
	fmt.Fprintf(&b, "  esac\n  mapfile -t COMPREPLY < <(compgen -W %s -- \"$word\")\n}\ncomplete -o filenames -F _%s %s\n", quote(strings.Join(names, " ")), program, program)
	return []byte(b.String())
}

// Zsh is the completion of a program for zsh.
func Zsh(program string, flags []Flag) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# made by make generate\n_arguments", program)
	clean := strings.NewReplacer("[", "(", "]", ")", ":", ",")
	for _, f := range flags {
		spec := fmt.Sprintf("--%s[%s]", f.Name, clean.Replace(f.Help))
		switch {
		case f.Bool:
		case f.File:
			spec += ":file:_files"
		case len(f.Values) > 0:
			spec += ":" + f.Name + ":(" + strings.Join(f.Values, " ") + ")"
		default:
			spec += ":" + f.Name + ":"
		}
		fmt.Fprintf(&b, " \\\n  %s", quote(spec))
	}
	b.WriteString("\n")
	return []byte(b.String())
}

// Fish is the completion of a program for fish.
func Fish(program string, flags []Flag) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# fish completion of %s, made by make generate\ncomplete -c %s -f\n", program, program)
	for _, f := range flags {
		fmt.Fprintf(&b, "complete -c %s -l %s", program, f.Name)
		switch {
		case f.Bool:
		case f.File:
			b.WriteString(" -r -F")
		case len(f.Values) > 0:
			fmt.Fprintf(&b, " -x -a %s", quote(strings.Join(f.Values, " ")))
		default:
			b.WriteString(" -x")
		}
		// In single quotes fish reads a backslash before a quote only.
		fmt.Fprintf(&b, " -d '%s'\n", strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(f.Help))
	}
	return []byte(b.String())
}
