package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"router/internal/testnet"
)

// TestTutorial follows docs/tutorial.md to the letter: it types what stands behind the
// prompts of its blocks and compares what comes with what is shown. "…" stands for
// anything within a line, a line of "…" alone for any lines; how many blanks there are
// does not count. Namespaces, /run and the home directory are the test's own, so that
// the tutorial can use the names that a reader would.
//
// Blocks of "console" are a root shell's ("# "), those of "rcli" are typed at the prompt
// of rcli, which the first of them starts.
func TestTutorial(t *testing.T) {
	testnet.Require(t)
	text, err := os.ReadFile("../../docs/tutorial.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := tutorialBlocks(string(text))
	if err != nil {
		t.Fatal(err)
	}
	r := startReader(t)
	start := time.Now()
	for _, b := range blocks {
		for _, s := range b.steps {
			got := r.do(b.kind, s.input)
			if why := compareShown(s.shown, got); why != "" {
				t.Fatalf("docs/tutorial.md line %d: %s\n%s\nprints\n%s\nwant\n%s", s.line, s.input, why, got, strings.Join(s.shown, "\n"))
			}
		}
	}
	t.Logf("%d blocks in %v", len(blocks), time.Since(start).Round(time.Millisecond))
}

// A tutorialBlock is a block to be executed.
type tutorialBlock struct {
	kind  string // console or rcli
	steps []tutorialStep
}

// A tutorialStep is what is typed and what is shown then.
type tutorialStep struct {
	line  int
	input string
	shown []string
}

var rcliPrompt = regexp.MustCompile(`^\S+@\S+[>#] (.*)$`)

// tutorialBlocks finds the blocks of a text that are to be executed.
func tutorialBlocks(text string) (list []tutorialBlock, err error) {
	var open *tutorialBlock
	fenced := false
	for i, line := range strings.Split(text, "\n") {
		n := i + 1
		if kind, ok := strings.CutPrefix(line, "```"); ok {
			switch {
			case fenced:
				if open != nil {
					list = append(list, *open)
				}
				open = nil
			case kind == "console" || kind == "rcli":
				open = &tutorialBlock{kind: kind}
			case kind == "":
				return nil, fmt.Errorf("line %d: say what the block is: console, rcli, or text, which is not executed", n)
			}
			fenced = !fenced
			continue
		}
		if open == nil {
			continue
		}
		input, ok := strings.CutPrefix(line, "# ")
		if open.kind == "rcli" {
			m := rcliPrompt.FindStringSubmatch(line)
			if ok = m != nil; ok {
				input = m[1]
			}
		}
		last := len(open.steps) - 1
		switch {
		case ok:
			open.steps = append(open.steps, tutorialStep{line: n, input: input})
		case last < 0:
			return nil, fmt.Errorf("line %d: the block begins without a prompt: %q", n, line)
		case open.kind == "console" && strings.HasPrefix(line, "> "):
			open.steps[last].input += "\n" + line[2:]
		default:
			open.steps[last].shown = append(open.steps[last].shown, line)
		}
	}
	if fenced {
		return nil, fmt.Errorf("a block is not closed")
	}
	return list, nil
}

// compareShown says how the output differs from what is shown, "" for not at all.
func compareShown(shown []string, got string) string {
	var pattern strings.Builder
	pattern.WriteString(`\A`)
	blanks := regexp.MustCompile(`[ \t]+`)
	line := func(s string) string { return strings.TrimSpace(blanks.ReplaceAllString(s, " ")) }
	for _, s := range shown {
		if s = line(s); s == "" {
			continue
		}
		if s == "…" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(s), "…", `.*`) + `\n`)
	}
	pattern.WriteString(`\z`)
	var have strings.Builder
	for _, s := range strings.Split(strings.ReplaceAll(got, "\r", ""), "\n") {
		if s = line(s); s != "" {
			have.WriteString(s + "\n")
		}
	}
	if regexp.MustCompile(pattern.String()).MatchString(have.String()) {
		return ""
	}
	return "it does not match what is shown"
}

// A reader is somebody who follows the tutorial: a root shell, and rcli at a terminal.
type reader struct {
	t     *testing.T
	shell *exec.Cmd
	in    io.Writer
	out   *bufio.Reader
	rcli  *os.File // the terminal, nil until it is used
	dir   string
}

// startReader starts a shell whose mounts and network are its own.
func startReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{t: t, dir: t.TempDir()}
	r.shell = exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "--norc")
	r.shell.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+r.dir, "XDG_CONFIG_HOME="+filepath.Join(r.dir, "config"), "TERM=dumb", "LANG=C.UTF-8")
	r.shell.Dir = r.dir
	r.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := r.shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.in, r.out = in, bufio.NewReader(out)
	if err := r.shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.rcli != nil {
			_ = r.rcli.Close()
		}
		// The first process of its namespace: all others end with it.
		_ = syscall.Kill(-r.shell.Process.Pid, syscall.SIGKILL)
		_ = r.shell.Wait()
	})
	r.console("exec 2>&1; ip link set lo up; mount -t tmpfs tmpfs /run; mkdir -p /run/netns /var/lib/routerd; mount -t tmpfs tmpfs /var/lib/routerd")
	return r
}

// do types a line and returns what is printed.
func (r *reader) do(kind, input string) string {
	if kind == "rcli" {
		return r.typed(input)
	}
	return r.console(input)
}

const tutorialWait = 30 * time.Second

// console runs a command in the shell.
func (r *reader) console(command string) string {
	r.t.Helper()
	const end = "__the_command_has_ended__"
	if _, err := fmt.Fprintf(r.in, "%s\necho %s\n", command, end); err != nil {
		r.t.Fatalf("%s: %v", command, err)
	}
	var b strings.Builder
	done := make(chan error, 1)
	go func() {
		for {
			line, err := r.out.ReadString('\n')
			if err != nil || strings.HasSuffix(line, end+"\n") {
				b.WriteString(strings.TrimSuffix(line, end+"\n"))
				done <- err
				return
			}
			b.WriteString(line)
		}
	}()
	select {
	case err := <-done:
		if err != nil {
			r.t.Fatalf("%s: %v", command, err)
		}
	case <-time.After(tutorialWait):
		r.t.Fatalf("%s: no end within %v", command, tutorialWait)
	}
	return b.String()
}

// typed types a line at rcli's prompt, and returns what is printed until the next.
func (r *reader) typed(line string) string {
	r.t.Helper()
	if r.rcli == nil {
		r.startRcli()
	}
	if _, err := r.rcli.WriteString(line + "\n"); err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
	got := r.untilPrompt(line)
	// The terminal echoes what is typed.
	_, got, _ = strings.Cut(got, "\n")
	return got
}

func (r *reader) startRcli() {
	// The shell's child is the first process of the namespaces.
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", r.shell.Process.Pid, r.shell.Process.Pid))
	pid, perr := strconv.Atoi(strings.TrimSpace(string(children)))
	if err != nil || perr != nil {
		r.t.Fatalf("the shell's process: %q, %v", children, err)
	}
	cmd := exec.Command("nsenter", "-t", strconv.Itoa(pid), "--mount", "--net", "ip", "netns", "exec", "r1", "rcli")
	cmd.Env, cmd.Dir = r.shell.Env, r.dir
	if r.rcli, err = pty.StartWithSize(cmd, &pty.Winsize{Rows: 60, Cols: 160}); err != nil {
		r.t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }() // it ends with its terminal
	r.untilPrompt("rcli")
}

var atPrompt = regexp.MustCompile(`(?:^|\n)(?:\[edit[^\n]*\n)?\S+@\S+[>#] $`)

// untilPrompt reads until rcli waits for a line, and returns what came before.
func (r *reader) untilPrompt(what string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), tutorialWait)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = r.rcli.SetReadDeadline(time.Now()) })
	defer stop()
	var b strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := r.rcli.Read(buf)
		b.Write(buf[:n])
		text := strings.ReplaceAll(b.String(), "\r", "")
		if at := atPrompt.FindStringIndex(text); at != nil {
			return text[:at[0]] + "\n"
		}
		if err != nil {
			r.t.Fatalf("%s: %v before the prompt; it prints\n%s", what, err, text)
		}
	}
}

func TestTutorialBlocks(t *testing.T) {
	blocks, err := tutorialBlocks("text\n```console\n# one \\\n> two\nshown\n# three\n```\n```text\n# not run\n```\n```rcli\nroot@r1> show x\na\nroot@r1# commit\n```\n")
	if err != nil || len(blocks) != 2 || len(blocks[0].steps) != 2 || blocks[0].steps[0].input != "one \\\ntwo" || blocks[1].steps[1].input != "commit" {
		t.Errorf("%+v, %v", blocks, err)
	}
	for _, bad := range []string{"```\nx\n```\n", "```console\nx\n```\n", "```console\n# x\n"} {
		if _, err := tutorialBlocks(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestCompareShown(t *testing.T) {
	for _, tt := range []struct {
		shown string
		got   string
		same  bool
	}{
		{"", "", true},
		{"", "x\n", false},
		{"a  b", "a b\n", true},
		{"a b", "a b\nc\n", false},
		{"a … d\n…\nz", "a b c d\n1\n2\nz\n", true},
		{"…", "", true},
		{"a(b) [1]", "a(b) [1]\n", true},
		{"x\n…", "y\nx\n", false},
	} {
		if why := compareShown(strings.Split(tt.shown, "\n"), tt.got); (why == "") != tt.same {
			t.Errorf("%q against %q: %q", tt.shown, tt.got, why)
		}
	}
}
