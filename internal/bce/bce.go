// Package bce watches over the bounds checks of the packet path: the compiler says
// where it could not prove that an index is in range (-d=ssa/check_bce), and what it
// says must be what accepted.txt says, function by function. Loops of the route
// lookup have none at all.
//
// A change that adds a check to a function on the list fails the test; so does one
// that removes some, until the list is made anew with
//
//	go test ./internal/bce -update
//
// The list belongs to the release of Go that go.mod names.
package bce

import (
	"bufio"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Function is one of the packet path.
type Function struct {
	File string // from the module's root
	Name string // Type.Method, or the name alone
}

// Counts is how many checks functions have; those without any are 0 if they are
// watched.
type Counts map[Function]int

// found is how the compiler tells of a check.
var found = regexp.MustCompile(`^(?:router/)?(\S+\.go):(\d+):\d+: Found Is(?:Slice)?InBounds$`)

// Parse counts the checks that the compiler's output tells of, by the functions
// that they are in. What is in other files than those that functions knows, or
// outside of functions, is left out. functions is by file.
func Parse(output io.Reader, functions map[string][]Span) (Counts, error) {
	counts := make(Counts)
	for file, spans := range functions {
		for _, s := range spans {
			counts[Function{file, s.Name}] = 0
		}
	}
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		m := found.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		file := path.Clean(strings.TrimPrefix(m[1], "./"))
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return nil, err
		}
		for _, s := range functions[file] {
			if s.First <= n && n <= s.Last {
				counts[Function{file, s.Name}]++
			}
		}
	}
	return counts, lines.Err()
}

// A Span is the lines of a function.
type Span struct {
	Name        string
	First, Last int
}

// Spans are the functions of a source file.
func Spans(name string) ([]Span, error) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, nil, 0)
	if err != nil {
		return nil, err
	}
	var spans []Span
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		s := Span{fn.Name.Name, files.Position(fn.Pos()).Line, files.Position(fn.End()).Line}
		if fn.Recv != nil {
			s.Name = receiver(fn.Recv.List[0].Type) + "." + s.Name
		}
		spans = append(spans, s)
	}
	return spans, nil
}

// receiver is the name of a method's type.
func receiver(e ast.Expr) string {
	switch t := e.(type) {
	case *ast.StarExpr:
		return receiver(t.X)
	case *ast.IndexExpr:
		return receiver(t.X)
	case *ast.Ident:
		return t.Name
	}
	return "?"
}

// Write lists counts, sorted.
func (c Counts) Write(w io.Writer) error {
	list := make([]Function, 0, len(c))
	for f := range c {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Function) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Name, b.Name))
	})
	for _, f := range list {
		if _, err := fmt.Fprintf(w, "%s %s %d\n", f.File, f.Name, c[f]); err != nil {
			return err
		}
	}
	return nil
}

// Read is what Write wrote; lines that begin with # are remarks.
func Read(r io.Reader) (Counts, error) {
	c := make(Counts)
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || text[0] == '#' {
			continue
		}
		fields := strings.Fields(text)
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d: %q: want a file, a function and a number", n, text)
		}
		count, err := strconv.Atoi(fields[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		c[Function{fields[0], fields[1]}] = count
	}
	return c, lines.Err()
}
