package command

import (
	"context"
	"io"

	"router/cmd/rcli/schema"
)

// An Env is what a command has around it. It is not safe for concurrent use, but
// for Keys.
type Env struct {
	In  io.Reader
	Out io.Writer // the head of the pipe, if there is one
	Err io.Writer

	Terminal bool       // Out is a terminal that a person looks at, and no pipe
	Basic    bool       // the terminal has no escapes: TERM=dumb, or --basic
	Width    func() int // the terminal's columns; 0 when there is none

	JSON    bool     // --json: print JSON, for programs
	Form    string   // of `| display` or `| as`: set, json, xpath, table, yaml ...; "" for the command's own
	Fields  []string // of `| fields`
	NoPager bool     // of `| no-more`

	Compare  bool   // of `| compare`
	Rollback string // of `| compare rollback N`: the commit, "" for running

	Session *Session

	// Client is the program's connection to the router. This package only hands it on.
	Client any
	// Shell is the program's session, nil for a command that is an argument of rcli.
	Shell any

	// Keys are the keys of the list at a path whose last step has no keys, as
	// /interface[name=eth1]/unit, that begin with prefix; limit at most. Keys before the
	// end may be '*'. It is nil without a router, and answers nothing when the router
	// does not within the bound of ctx.
	Keys func(ctx context.Context, path, key, prefix string, limit int) []Candidate
	// Present are the values that the leaf-list at a path has, in their order; as Keys is.
	Present func(ctx context.Context, path string) []Candidate
}

// A Session is what lasts from one command to the next.
type Session struct {
	Mode Mode
	Edit schema.Path // where configuration mode stands
	Quit bool        // set by the command that ends the shell

	Candidate string // id of the open candidate, "" for none
	Status    Status // of the candidate and of the router's commits

	Interactive bool // a person is there to be asked

	// Ask asks a question that is answered by yes or no; nil when nobody is there.
	Ask func(question string) bool
	// ReadLine reads a line of text for a command that wants more; nil when nobody is
	// there. It fails with io.EOF at Ctrl-D and io.ErrUnexpectedEOF at Ctrl-C.
	ReadLine func(prompt string) (string, error)
	// Secret reads a line that is not shown; nil when nobody is there.
	Secret func(prompt string) (string, error)
}

// A Status is what the banner and the prompt show of the configuration.
type Status struct {
	Changed bool // the candidate differs from running: '*'
	Waiting bool // a confirmed commit waits: '!'
}

// An Input is a command line that was understood.
type Input struct {
	Line    string // as it was typed, without the pipe
	Command *Command
	Pipes   []Pipe
	Nested  *Input // the command behind this one, as behind `run`

	values map[string][]string
	paths  map[string][]schema.Statement
}

// Has reports whether the argument was given.
func (in *Input) Has(name string) bool {
	return len(in.values[name]) > 0 || len(in.paths[name]) > 0
}

// Value is the argument's value, "" when it was not given.
func (in *Input) Value(name string) string {
	if v := in.values[name]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// Values are all values of an argument that repeats, or of the rest of the line.
func (in *Input) Values(name string) []string { return in.values[name] }

// Path is the value of an argument of kind Path: the edit path when none was given.
func (in *Input) Path(name string) schema.Path {
	if s := in.paths[name]; len(s) > 0 {
		return s[0].Path
	}
	return schema.Path{}
}

// Statements are the value of an argument of kind Set, or of kind Path with Some: its path
// with the values behind it.
func (in *Input) Statements(name string) []schema.Statement { return in.paths[name] }

// Put gives an argument a value, as the parser does: for tests, and for programs
// that make an Input from their own flags.
func (in *Input) Put(name string, values ...string) {
	if in.values == nil {
		in.values = map[string][]string{}
	}
	in.values[name] = append(in.values[name], values...)
}

func (in *Input) putPath(name string, s []schema.Statement) {
	if in.paths == nil {
		in.paths = map[string][]schema.Statement{}
	}
	in.paths[name] = s
}
