package command

import (
	"fmt"
	"strings"
)

// A Token is a word of a line.
type Token struct {
	Text    string // without quotes
	At, End int    // octets in the line, quotes included
	Quoted  bool   // a quote was in it: it is no keyword and no abbreviation
	Pipe    bool   // a bare '|'
	open    bool   // the line ends inside its quotes
}

// Split cuts a line into words at blanks. Quotes keep blanks, and so do brackets; in
// double quotes \" \\ \n \r \t have their usual meaning. A '#' at the start of a word
// begins a comment. It fails when a quote is not closed; the tokens up to there,
// the open one included, come all the same.
func Split(line string) ([]Token, error) {
	var list []Token
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case blank(c):
			i++
		case c == '#':
			return list, nil
		case c == '|':
			list = append(list, Token{Text: "|", At: i, End: i + 1, Pipe: true})
			i++
		default:
			t := word(line, i)
			list = append(list, t)
			if i = t.End; t.open {
				return list, newError(line, t.At, t.At+1, "the quote is not closed", nil)
			}
		}
	}
	return list, nil
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// word reads the word that begins at an octet of line.
func word(line string, at int) Token {
	t := Token{At: at}
	var b strings.Builder
	var quote byte
	depth, i := 0, at
	for ; i < len(line); i++ {
		c := line[i]
		if quote != 0 {
			switch {
			case c == quote:
				quote = 0
			case c == '\\' && quote == '"' && i+1 < len(line):
				i++
				b.WriteByte(unescape(line[i]))
			default:
				b.WriteByte(c)
			}
			continue
		}
		if depth == 0 && (blank(c) || c == '|') {
			break
		}
		switch c {
		case '\'', '"':
			// Inside a word's brackets a quote only keeps blanks.
			quote, t.Quoted = c, t.Quoted || b.Len() == 0
			continue
		case '[':
			depth++
		case ']':
			depth = max(0, depth-1)
		}
		b.WriteByte(c)
	}
	t.Text, t.End, t.open = b.String(), i, quote != 0
	return t
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

// Words are the texts of the words of a line that has no pipe.
func Words(line string) ([]string, error) {
	tokens, err := Split(line)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, t := range tokens {
		list = append(list, t.Text)
	}
	return list, nil
}

// Join makes a line of words, so that Split gives the words again.
func Join(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = QuoteWord(w)
	}
	return strings.Join(quoted, " ")
}

// QuoteWord is a word as a line has it. Words that no line means otherwise stay bare.
func QuoteWord(w string) string {
	if t := word(w+" ", 0); w != "" && w[0] != '#' && w[0] != '|' && t.End == len(w) && t.Text == w && !t.Quoted {
		return w
	}
	return fmt.Sprintf(`"%s"`, strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(w))
}
