package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/term"
)

// passwordVariable is the environment's variable with the password.
const passwordVariable = "RCLI_PASSWORD"

// findPassword finds the password of the user that --user names: in
// --password-file, in the environment, or by asking. Without --user there is none,
// unless the environment has one.
func (t target) findPassword() (string, error) {
	if t.password != "" || t.address == "" {
		return t.password, nil // root's socket asks for none
	}
	if t.passwordFile != "" {
		f, err := os.Open(t.passwordFile)
		if err != nil {
			return "", fmt.Errorf("--password-file: %w", err)
		}
		defer f.Close()
		password, err := firstLine(f)
		if err != nil {
			return "", fmt.Errorf("--password-file: %s: %w", t.passwordFile, err)
		}
		return password, nil
	}
	if password, ok := os.LookupEnv(passwordVariable); ok {
		return password, nil
	}
	if !t.asks() {
		return "", nil
	}
	return ask(fmt.Sprintf("%s's password at %s: ", t.user, t.address))
}

// asks reports whether findPassword would ask at the terminal.
func (t target) asks() bool {
	_, given := os.LookupEnv(passwordVariable)
	return t.password == "" && t.passwordFile == "" && !given && t.user != "" && t.cert == "" && term.IsTerminal(int(os.Stdin.Fd()))
}

// ask asks at the terminal, without showing what is typed.
func ask(prompt string) (string, error) {
	// The terminal stops to show what is typed before it is asked for: a password that
	// is typed ahead isn't shown either.
	fd := int(os.Stdin.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{oneByte{os.Stdin}, os.Stderr}, "")
	text, err := t.ReadPassword(prompt)
	if rerr := term.Restore(fd, before); err == nil {
		err = rerr
	}
	switch {
	case errors.Is(err, io.EOF): // Ctrl-C, or Ctrl-D
		fmt.Fprintln(os.Stderr)
		return "", &exitError{exitInterrupted}
	case err != nil:
		return "", fmt.Errorf("password: %w", err)
	}
	return text, nil
}

// firstLine reads a password of one line.
func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("there is no password in the first line")
	}
	return line, nil
}

// hashCost makes a guess of a password take some 60 ms.
const hashCost = 10

// longestPassword is what bcrypt looks at, in octets.
const longestPassword = 72

// hashPassword asks for a password, or reads one, and prints its hash.
func (o *options) hashPassword() error {
	hash, err := o.newHash()
	if err != nil {
		return fmt.Errorf("hash-password: %w", err)
	}
	_, err = fmt.Fprintf(o.out, "%s\n", hash)
	return err
}

// newHash is the hash of a password that is asked for, or read.
func (o *options) newHash() (string, error) {
	password, err := o.newPassword()
	if err != nil {
		return "", err
	}
	return hashOf(password)
}

// hashOf is the bcrypt hash of a password.
func hashOf(password string) (string, error) {
	if len(password) > longestPassword {
		return "", usagef("the password has %d octets: choose one of at most %d", len(password), longestPassword)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), hashCost)
	if err != nil {
		return "", err
	}
	return string(hash), nil
}

// asker is what asks for a line that isn't shown; nil where nobody is there to ask.
func (o *options) asker() func(prompt string) (string, error) {
	switch {
	case o.secret != nil:
		return o.secret
	case o.in == os.Stdin && term.IsTerminal(int(os.Stdin.Fd())):
		return ask
	}
	return nil
}

// newPassword asks twice at a terminal, and reads a line elsewhere.
func (o *options) newPassword() (string, error) {
	ask := o.asker()
	if ask == nil {
		return firstLine(o.in)
	}
	password, err := ask("New password: ")
	if err != nil {
		return "", err
	}
	again, err := ask("Again: ")
	if err != nil {
		return "", err
	}
	switch {
	case password == "":
		return "", errors.New("an empty password is none: type one")
	case password != again:
		return "", errors.New("the two differ: try again")
	}
	return password, nil
}

// secretValue is the value of a leaf that has a secret: a hash is taken as it is, "@FILE"
// is that of the password in the first line of a file, "@-" of the one that standard
// input has, and "" of one that is asked for.
func (o *options) secretValue(word string) (string, error) {
	switch file, named := strings.CutPrefix(word, "@"); {
	case word == "" && o.asker() == nil:
		return "", usagef("there is no terminal to ask for the password: give @FILE, or @- for the next line of standard input")
	case word == "", word == "@-":
		return o.newHash()
	case named:
		f, err := os.Open(file)
		if err != nil {
			return "", usagef("%w", err)
		}
		defer f.Close()
		password, err := firstLine(f)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		return hashOf(password)
	}
	return word, nil
}
