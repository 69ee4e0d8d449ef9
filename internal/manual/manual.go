// Package manual makes the manual pages and the shell completions that docs/man and
// docs/completions hold, and checks that they are what the programs say of themselves.
// Only tests import it: `make generate` runs those with -update.
package manual

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

var update = flag.Bool("update", false, "write the generated manual pages and completions")

// Check holds a file below docs to what it should be; with -update it writes it.
func Check(t *testing.T, name string, want []byte) {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "docs", filepath.FromSlash(name))
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: make generate writes it", err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("docs/%s is not what the program says of itself (%s): make generate", name, difference(have, want))
	}
}

// difference is the first line in which two texts differ.
func difference(have, want []byte) string {
	a, b := strings.Split(string(have), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(a), len(b)) {
		x, y := "nothing", "nothing"
		if i < len(a) {
			x = fmt.Sprintf("%q", a[i])
		}
		if i < len(b) {
			y = fmt.Sprintf("%q", b[i])
		}
		if x != y {
			return fmt.Sprintf("line %d is %s, want %s", i+1, x, y)
		}
	}
	return "no difference"
}

// repository is the directory with go.mod, above the test's own.
func repository() (string, error) {
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, serr := os.Stat(filepath.Join(dir, "go.mod")); serr == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above %s", dir)
		}
	}
	return "", err
}

// A Page is a manual page in the making: markdown, section by section.
type Page struct {
	Name    string
	Section int
	Purpose string // behind the dash of NAME
	text    strings.Builder
}

// Head begins a section.
func (p *Page) Head(title string) { fmt.Fprintf(&p.text, "\n# %s\n\n", strings.ToUpper(title)) }

// Sub begins a part of a section.
func (p *Page) Sub(title string) { fmt.Fprintf(&p.text, "\n### %s\n\n", escape(title)) }

// Text adds a paragraph, or several.
func (p *Page) Text(text string) { fmt.Fprintf(&p.text, "%s\n\n", escape(strings.TrimSpace(text))) }

// Code adds lines as they are, not directly behind an Item.
func (p *Page) Code(text string) {
	p.text.WriteString("```\n" + strings.TrimRight(text, "\n") + "\n```\n\n")
}

// Item adds a term and what it means.
func (p *Page) Item(term, text string) {
	if text = strings.TrimSpace(text); text == "" {
		text = "..."
	}
	fmt.Fprintf(&p.text, "**%s**\n: %s\n\n", escape(term), escape(strings.Join(strings.Fields(text), " ")))
}

// special is what markdown would read as something else.
var special = regexp.MustCompile("[\\\\`*_{}\\[\\]()#+!|<>~-]")

func escape(s string) string {
	return special.ReplaceAllString(s, `\$0`)
}

// Render is the page in roff. It bears no date: it changes with the program alone.
func (p *Page) Render() []byte {
	head := fmt.Sprintf("%% %s %d\n\n# NAME\n\n%s \\- %s\n", p.Name, p.Section, escape(p.Name), escape(p.Purpose))
	return md2man.Render([]byte(head + p.text.String()))
}
