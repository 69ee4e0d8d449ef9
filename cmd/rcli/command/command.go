// Package command is the language of the shell: one table of commands, and what
// comes from it: parsing with abbreviations, completion and help, errors that
// show where the mistake is, search, and the pipe behind a command.
//
// It knows the model (package schema) but no router: what it must ask one, the
// values that are there now, it asks the Env. So all of it is tested without one.
package command

import (
	"context"
	"io"
	"strconv"

	"router/cmd/rcli/schema"
)

// A Mode is where a command may be given; bits.
type Mode uint8

// The modes. What is Operational may be given as the arguments of rcli, too; Once
// marks what is for that alone. Everywhere is for both prompts.
const (
	Operational Mode = 1 << iota
	Configuration
	Once

	Everywhere = Operational | Configuration
)

// An Effect is what a command does to the router: the families of commands.
type Effect uint8

// The effects, the most harmless first.
const (
	Reads     Effect = iota // changes nothing
	Edits                   // changes a candidate, or the session
	Clears                  // forgets counters or learnt entries
	Commits                 // changes the configuration
	Disrupts                // may interrupt traffic
	Restarts                // ends the daemon
	Privilege               // leaves the router's own access control
)

// String is the effect as help shows it, "" for the harmless ones.
func (e Effect) String() string {
	switch e {
	case Reads, Edits:
		return ""
	case Clears:
		return "clears"
	case Commits:
		return "commits"
	case Disrupts:
		return "may interrupt traffic"
	case Restarts:
		return "restarts"
	case Privilege:
		return "needs root"
	}
	return strconv.Itoa(int(e))
}

// A Command is one row of the table.
type Command struct {
	Words   string   // "show route", "commit confirmed"
	Aliases []string // other words for it, complete ones: "show routes"
	Modes   Mode
	Help    string // one line, without a full stop
	Long    string // for man pages and `help`
	Args    []Arg
	Effect  Effect
	Hidden  bool // in neither completion nor help
	Live    bool // it goes on until it is stopped, or talks to the person: never paged
	Run     func(ctx context.Context, env *Env, in *Input) error
}

// A Kind is how an argument is written.
type Kind uint8

// The kinds of arguments. Positional ones come in the table's order; keywords and
// switches in any, and for scripts with two dashes as well: --instance blue, --all.
const (
	Value   Kind = iota // positional: a word
	Keyword             // a word followed by a value: instance NAME
	Switch              // a bare word: all
	Path                // positional: a node of the model, in words or as /path
	Set                 // positional: a node of the model with its value, as `set` has it
	Rest                // positional: the words that are left
	Nested              // positional: a whole command of another mode, as `run` has it
)

// An Arg is an argument of a command.
type Arg struct {
	Name     string // of a keyword or switch the word itself
	Help     string
	Kind     Kind
	Optional bool   // of positional ones; keywords and switches always are, unless Required
	Required bool   // of a keyword
	Repeat   bool   // of a keyword or a value: may come several times
	Short    string // one letter for scripts: -n
	Default  string // as help shows it
	Place    string // as usage shows the value: NAME; made from the type when empty
	Type     Type
	View     schema.View                                   // of Path and Set: which side of the model
	Whole    bool                                          // of Path: a list may stand without its keys
	Some     bool                                          // of Path: behind a leaf-list may stand some of its values
	Inner    bool                                          // of Path: only what has something below it is offered
	Dashed   bool                                          // of Rest: its words may begin with a minus sign, so that switches stand in front of them
	Of       Kind                                          // of Keyword: Path when its value is one, else Value
	Base     func(in *Input, edit schema.Path) schema.Path // of paths: where relative ones begin; nil for the edit path
	Mode     Mode                                          // of Nested: the mode of the command
	// Values are the values that are there now, and begin with prefix; the Type's own
	// are offered as well. It may be called often and must be quick.
	Values func(ctx context.Context, env *Env, in *Input, prefix string) []Candidate
}

// A Candidate is something that may come next.
type Candidate struct {
	Text  string // what is put into the line
	Help  string
	Mark  Mark
	Place bool // Text stands for a value, as <address> does: shown, not put in
	Live  bool // a value of the moment, the router's or a file's
	Part  bool // more of the same word follows: no blank behind it
	Pipe  bool // of a stage of the pipe
}

// A Mark says what is special about a candidate.
type Mark uint8

// The marks, as help shows them.
const (
	Plain     Mark = iota
	KeyMark        // '*': a key of a list
	Mandatory      // '+': it has to be there
	Deep           // '>': more stands below it
)

// String is the mark's sign, a blank for none.
func (m Mark) String() string {
	switch m {
	case Plain:
		return " "
	case KeyMark:
		return "*"
	case Mandatory:
		return "+"
	case Deep:
		return ">"
	}
	return "?"
}

// A Pipe is one stage behind a command, as it was given.
type Pipe struct {
	Stage *PipeStage
	Input *Input // its arguments
}

// A PipeStage is one row of the table of stages.
type PipeStage struct {
	Words string // "match", "display json"
	Help  string
	Long  string
	Args  []Arg
	// Setup, if any, is called before the command runs: a stage that wants another form
	// of the output says so in env.
	Setup func(env *Env, in *Input) error
	// New, if any, makes the stage: what is written to it comes out at next, and Close
	// ends it. It must not close next.
	New func(env *Env, in *Input, next io.Writer) (io.WriteCloser, error)
}
