// Package command writes a configuration as commands, one a line, and reads
// them back:
//
//	set /interface[name=ge0]/config/mru 1500
//	set /interface[name=ge0]/unit[id=0]
//	set /filter[name=f]/term[name=a]/from/config/protocol tcp udp
//	replace /prefix-list[name=p]/config/prefix 192.0.2.0/24
//	delete /interface[name=ge1]
//	deactivate /interface[name=ge0]/unit[id=0]
//	annotate /interface[name=ge0] "to the core"
//
// It is the ASCII encoding of gNMI's Get, the text of origin routerd_cli in its
// Set, and what rcli shows and loads as set-commands.
//
// Invariant: Format is canonical: equal configurations give equal text, and
// Parse of that text makes the same configuration again.
//
// The text. A line holds a verb, a path in gNMI's text form and values, apart by
// blanks. A value that has blanks, quotes, backslashes or control characters, that
// is empty or starts with '#', stands in double quotes with the escapes \" \\ \n
// \r \t; a path may stand in them, too. What follows a '#' at the start of a word
// is a comment. Values are in YANG's lexical form (RFC 7950, section 9).
//
//   - set of a leaf gives it its one value; set of a leaf-list appends the values;
//     set of a container or a list entry, without values, makes it.
//   - replace gives a leaf or a leaf-list exactly the values.
//   - delete removes what the path matches, wildcards included; with values, those
//     of leaf-lists, and no others.
//   - deactivate takes what the path matches out of use and keeps it, activate brings it
//     back; annotate puts a comment on a node, or takes it away with "".
package command

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// verbs of a command.
const (
	verbSet     = "set"
	verbReplace = "replace"
	verbDelete  = "delete"

	verbDeactivate = "deactivate"
	verbActivate   = "activate"
	verbAnnotate   = "annotate"
)

// Quote is a value as a command has it: bare where that is unambiguous, else
// in double quotes.
func Quote(value string) string {
	if bare(value) {
		return value
	}
	return quoted(value)
}

// bare reports whether a word means itself.
func bare(s string) bool {
	if s == "" || s[0] == '#' || !utf8.ValidString(s) {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r == '"' || r == '\\' || r == '\'' || unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

func quoted(s string) string { return `"` + escapes.Replace(s) + `"` }

// pathWord is a path as a command has it: blanks may stand in its keys.
func pathWord(path string) string {
	if strings.ContainsAny(path, "\"\n\r\t") {
		return quoted(path)
	}
	return path
}
