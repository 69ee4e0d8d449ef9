package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"router/cmd/rcli/command"
)

// aliases are a user's own words for commands, kept in a file of lines such as
//
//	alias up1 "show interfaces $1 | match up"
//
// $1 to $9 are the words behind the alias, $* all of them; where it has none, they
// follow.
type aliases struct {
	file string // "" when there is no place for one
	text map[string]string
}

var aliasName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// configFile is a file of the user's configuration directory.
func configFile(name string) string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "rcli", name)
}

// loadAliases reads the user's file; without one there are none. Lines that are no
// alias are left out.
func loadAliases() *aliases {
	a := &aliases{file: configFile("aliases"), text: map[string]string{}}
	f, err := os.Open(a.file)
	if err != nil {
		return a
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		words, err := command.Words(lines.Text())
		if err == nil && len(words) == 3 && words[0] == "alias" && aliasName.MatchString(words[1]) {
			a.text[words[1]] = words[2]
		}
	}
	return a
}

// set declares an alias, or forgets it when text is empty, and keeps the file.
func (a *aliases) set(name, text string) error {
	if !aliasName.MatchString(name) {
		return usagef("alias %s: a name has letters, digits, '-' and '_', a letter first", name)
	}
	if text == "" {
		if _, ok := a.text[name]; !ok {
			return fmt.Errorf("there is no alias %s", name)
		}
		delete(a.text, name)
	} else {
		a.text[name] = text
	}
	return a.save()
}

func (a *aliases) save() error {
	if a.file == "" {
		return errors.New("the alias holds for this session: there is no directory to keep it in; set HOME")
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(a.text)) {
		fmt.Fprintf(&b, "alias %s %s\n", name, command.QuoteWord(a.text[name]))
	}
	return writePrivate(a.file, b.String())
}

// writePrivate writes a file that only the user may read, all or nothing.
func writePrivate(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".new-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}

// expand puts the text of an alias in place of it. A command of the table is stronger
// than an alias of its name, and an alias is expanded once.
func (a *aliases) expand(line string, mode command.Mode) string {
	tokens, err := command.Split(line)
	if err != nil || len(tokens) == 0 || tokens[0].Quoted {
		return line
	}
	text, ok := a.text[tokens[0].Text]
	if !ok || commandTable().Begins(mode, tokens[0].Text) {
		return line
	}
	tail, words := "", tokens[1:]
	for i, t := range words {
		if t.Pipe {
			tail, words = " "+line[t.At:], words[:i]
			break
		}
	}
	used := false
	text = regexp.MustCompile(`\$([1-9*])`).ReplaceAllStringFunc(text, func(m string) string {
		used = true
		var list []string
		for _, w := range words {
			list = append(list, line[w.At:w.End])
		}
		if m == "$*" {
			return strings.Join(list, " ")
		}
		n, err := strconv.Atoi(m[1:])
		if err != nil || n > len(list) {
			return ""
		}
		return list[n-1]
	})
	if !used && len(words) > 0 {
		text += " " + line[words[0].At:words[len(words)-1].End]
	}
	return text + tail
}

// candidates are the aliases, for completion and help.
func (a *aliases) candidates(prefix string) []command.Candidate {
	var list []command.Candidate
	for _, name := range slices.Sorted(maps.Keys(a.text)) {
		if strings.HasPrefix(name, prefix) {
			list = append(list, command.Candidate{Text: name, Help: "alias of: " + a.text[name]})
		}
	}
	return list
}
