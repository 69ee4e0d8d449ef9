package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"router/cmd/rcli/editor"
)

// loadPreferences reads how the user likes the shell: lines of a name and a value in
// a file of the user's configuration directory.
func loadPreferences() map[string]string {
	m := map[string]string{}
	f, err := os.Open(configFile("preferences"))
	if err != nil {
		return m
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) == 2 {
			m[words[0]] = words[1]
		}
	}
	return m
}

// prefer makes and keeps a choice of the user's.
func (s *shell) prefer(name, value string) error {
	e, ok := s.input.(*editor.Editor)
	if !ok {
		return fmt.Errorf("cli %s: this terminal edits its lines itself", name)
	}
	switch name {
	case "keys":
		e.SetVi(value == "vi")
	case "space-completion":
		e.SetSpace(value == "on")
	}
	file := configFile("preferences")
	if file == "" {
		return errors.New("the choice holds for this session: there is no directory to keep it in; set HOME")
	}
	m := loadPreferences()
	m[name] = value
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s %s\n", k, m[k])
	}
	return writePrivate(file, b.String())
}
