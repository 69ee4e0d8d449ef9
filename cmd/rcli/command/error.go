package command

import (
	"errors"
	"strings"

	"github.com/rivo/uniseg"
)

// An Error is a mistake in a command line. Errors are what the user typed wrong:
// nothing was done.
type Error struct {
	Line    string
	At, End int // octets in Line
	Msg     string
	Meant   []string // words that were probably meant
}

func newError(line string, at, end int, msg string, names []string, word ...string) *Error {
	e := &Error{Line: line, At: min(at, len(line)), End: min(max(end, at), len(line)), Msg: msg}
	if len(word) > 0 {
		e.Meant = Nearest(word[0], names)
	}
	return e
}

func (e *Error) Error() string {
	if len(e.Meant) == 0 {
		return e.Msg
	}
	return e.Msg + "; did you mean " + strings.Join(e.Meant, " or ") + "?"
}

// Caret is the line with a caret under the mistake, for a person; lead is what
// stands in front of the line, a prompt say. It ends in a line break.
func (e *Error) Caret(lead string) string {
	return lead + e.Line + "\n" + e.Mark(uniseg.StringWidth(lead))
}

// Mark is the line with carets alone, columns from the left.
func (e *Error) Mark(columns int) string {
	var line strings.Builder
	for i, part := range strings.Split(e.Line[:min(e.At, len(e.Line))], "\t") {
		if i > 0 {
			line.WriteByte('\t')
		}
		line.WriteString(strings.Repeat(" ", uniseg.StringWidth(part)))
	}
	width := max(1, uniseg.StringWidth(e.Line[min(e.At, len(e.Line)):min(e.End, len(e.Line))]))
	return strings.Repeat(" ", columns) + line.String() + strings.Repeat("^", width) + "\n"
}

// AsError finds the Error in err.
func AsError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}

// Nearest are the names, three at most, that word probably means: those with few
// letters wrong, missing, too many or swapped, or that begin with it. It ignores
// case. The nearest comes first.
func Nearest(word string, names []string) []string {
	const most = 3
	word = strings.ToLower(word)
	limit := 1 + len(word)/4
	byDistance := make([][]string, limit+1)
	for _, n := range names {
		d := distance(word, strings.ToLower(n))
		if len(word) > 2 && strings.Contains(strings.ToLower(n), word) {
			d = min(d, 1)
		}
		if d <= limit && d < len(n) {
			byDistance[d] = append(byDistance[d], n)
		}
	}
	for _, list := range byDistance {
		if len(list) > 0 {
			return list[:min(len(list), most)]
		}
	}
	return nil
}

// distance counts the single letters to change, insert, delete or swap with their
// neighbour (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
