package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An editShell drives one shell, command by command, in a terminal without escapes:
// what it prints is what is looked at.
type editShell struct {
	*screen
	t *testing.T
}

// shell starts a shell.
func (w *world) shell(t *testing.T, args ...string) *editShell {
	t.Helper()
	return &editShell{w.rcliShell(t, append([]string{"--basic"}, args...)...), t}
}

// editing starts a shell in configuration mode.
func (w *world) editing(t *testing.T, args ...string) *editShell {
	t.Helper()
	s := w.shell(t, args...)
	s.do("configure")
	return s
}

var promptAtEnd = regexp.MustCompile(`(?:^|\n)\S+@\S+[>#] $`)

// answer types a line and returns what comes up to what matches: by itself the next
// prompt.
func (s *editShell) answer(line string, until *regexp.Regexp) string {
	s.t.Helper()
	from := len(s.Raw())
	s.Line(line)
	var text string
	s.Until("the answer to "+line, func() bool {
		text = strings.ReplaceAll(s.Raw()[from:], "\r", "")
		return strings.Contains(text, "\n") && until.MatchString(text)
	})
	_, text, _ = strings.Cut(text, "\n")
	return text
}

// do gives a command that works, or that says what matches.
func (s *editShell) do(line string, want ...string) string {
	s.t.Helper()
	text := s.answer(line, promptAtEnd)
	if len(want) == 0 && strings.Contains(text, "error:") {
		s.t.Fatalf("%s: it says\n%s", line, text)
	}
	for _, w := range want {
		if !regexp.MustCompile("(?m)" + w).MatchString(text) {
			s.t.Errorf("%s: no %s in\n%s", line, w, text)
		}
	}
	return text
}

// never gives a command that says nothing of what is listed.
func (s *editShell) never(line string, unwanted ...string) {
	s.t.Helper()
	text := s.answer(line, promptAtEnd)
	for _, w := range unwanted {
		if regexp.MustCompile("(?m)" + w).MatchString(text) {
			s.t.Errorf("%s: %s in\n%s", line, w, text)
		}
	}
}

// file writes a file for load.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// rowsEdit are the rows of editing and commits.
func rowsEdit() []row {
	return []row{
		{"row-16 set, delete, rename, copy, insert", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("set interface ge0 mru 1600 description \"to the core\"")
			s.do("show interface ge0", `^description "to the core";$`, `^mru 1600;$`)
			s.do("delete interface ge0 description")
			s.never("show interface ge0", "description")
			s.do("delete interface ge0 description", "nothing stands at interface ge0 description")
			s.do("rename instance blue to green")
			s.do("show instance", `^instance green;$`)
			s.do("copy interface ge1 unit 10 to 11")
			s.do("set interface ge1 unit 11 vlan outer-vlan-id 11")
			s.do("show interface ge1 unit 11", `outer-vlan-id 11;`, `instance blue;`)
			s.do("insert filter edge term b before a")
			s.do("show filter edge", `^term b;\n(.*\n)*term a;$`)
			s.do("insert filter edge term b last")
			s.do("show filter edge", `^term a;\n(.*\n)*term b;$`)
			s.do("insert interface ge0 first", "its place means nothing")
		}},
		{"row-16 delete of single values", func(t *testing.T, w *world) {
			s := w.editing(t)
			const dns = "interface ge1 unit 0 family inet6 router-advertisement dns-server"
			s.do("set filter edge term a match protocol tcp 47 udp")
			s.do("set " + dns + " 2001:db8::3 2001:db8::1 2001:db8::2")
			s.do("commit", `^commit \d+`)
			n := w.lastCommit(t)
			s.do("delete filter edge term a match protocol 47")
			s.do("delete " + dns + " 2001:db8::1")
			s.do("show filter edge term a", `protocol \[ tcp udp \];`)
			s.do("show "+dns, `^dns-server \[ 2001:db8::3 2001:db8::2 \];$`)
			s.do("show | compare", `^-  protocol \[ tcp 47 udp \];\n\+  protocol \[ tcp udp \];$`)
			s.do("compare | display set", `^replace filter edge term a match protocol tcp udp$`)
			// What isn't there is told, and nothing is done.
			s.do("delete filter edge term a match protocol udp icmp", `^error: filter edge term a match protocol has no value icmp: it has tcp, udp$`)
			s.do("show filter edge term a", `protocol \[ tcp udp \];`)
			s.do("delete filter edge term b match protocol tcp", "^error: nothing stands at filter edge term b match protocol")
			s.do("delete filter edge term a match protocol ipx", "is no ip-protocol")
			s.do("delete filter edge term a match ttl 7", "^error: nothing stands at filter edge term a match ttl")
			s.do("delete filter edge term a match fragment any", `ends here: nothing follows "fragment"`)
			s.do("commit", `^commit \d+`)
			// The last ones leave nothing behind.
			s.do("edit filter edge term a match")
			s.do("delete protocol [ udp tcp ]")
			s.do("top")
			s.do("show filter edge", `^term a;$`)
			s.do("delete " + dns + " 2001:db8::2 2001:db8::3")
			s.never("show interface ge1 unit 0 family inet6", "router-advertisement", "dns-server")
			s.do("commit", `^commit \d+`)
			s.do("rollback " + strconv.Itoa(n))
			s.do("show "+dns, `^dns-server \[ 2001:db8::3 2001:db8::1 2001:db8::2 \];$`)
			// Patterns, inactive parts, and texts, where what isn't there is no error.
			s.do("set filter edge term b match protocol udp")
			s.do("deactivate filter edge term b")
			s.do("delete filter edge term * match protocol udp")
			s.do("show filter edge", `^term a \{\n +match \{\n +protocol \[ tcp 47 \];`, `^inactive: term b;$`)
			s.do("load set "+file(t, "delete filter edge term a match protocol tcp icmp\n"), "load complete")
			s.do("load merge "+file(t, "interface ge1 {\n unit 0 {\n family inet6 {\n router-advertisement {\n delete: dns-server 2001:db8::3;\n}\n}\n}\n}\n"), "load complete")
			s.do("show filter edge", `protocol 47;`)
			s.do("show "+dns, `^dns-server \[ 2001:db8::1 2001:db8::2 \];$`)
			s.do("load patch "+file(t, "[edit filter edge term a match]\n-  protocol [ tcp 47 ];\n"), "load complete")
			s.do("show filter edge", `^term a;$`)
			// Values of the same leaf-list that somebody else takes away meanwhile are a conflict, as what
			// somebody else sets is.
			s.do("rollback " + strconv.Itoa(n))
			s.do("commit", `^commit \d+`)
			other := w.editing(t)
			s.do("delete " + dns + " 2001:db8::1")
			other.do("delete " + dns + " 2001:db8::2")
			other.do("commit", `^commit \d+`)
			s.do("commit", "somebody has changed the same", dns+`: you set it to \["2001:db8::3","2001:db8::2"\], root in commit \d+ set it to \["2001:db8::3","2001:db8::1"\]`)
			s.do("update mine")
			s.do("commit", `^commit \d+`)
			other.do("show "+dns, `^dns-server \[ 2001:db8::3 2001:db8::2 \];$`)
		}},
		{"row-17 deactivate and activate", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("deactivate interface ge1 unit 10")
			s.do("show interface ge1", `^inactive: unit 10 \{$`)
			s.do("show | compare", `^\[edit interface ge1\]$`, `^!  inactive: unit 10;$`)
			s.do("show interface ge1 | display set", `^deactivate /interface\[name=ge1\]/unit\[id=10\]$`)
			s.do("show interface ge0 | as yaml", `description: to h1`)
			s.never("show interface ge0 | as yaml", "left out")
			// Data has no words for what is inactive, and the person is told.
			s.do("show interface ge1 | display json", `^1 inactive parts and 0 comments are left out`)
			s.do("show | as yaml", `^1 inactive parts and 0 comments are left out`)
			// Terms, whose order counts, too: into a patch and back.
			s.do("deactivate filter edge term b")
			s.do("show filter edge", `^term a;$`, `^inactive: term b;$`)
			patch := s.do("show | compare", `^\[edit filter edge\]\n!  inactive: term b;$`)
			s.do("rollback")
			s.never("show filter edge", "inactive")
			s.do("load patch "+file(t, patch[:strings.LastIndex(patch, "\n[edit]")]), "load complete")
			if again := s.do("show | compare"); again != patch {
				t.Errorf("the patch makes\n%sof\n%s", again, patch)
			}
			s.do("activate filter edge term b")
			s.do("commit", `^commit \d+`)
			if out, code := w.rcli("get", "--type", "config", "/interface[name=ge1]/unit[id=10]"); code == 0 && strings.Contains(out, `"10"`) {
				t.Errorf("an inactive unit is there: %s", out)
			}
			// It is edited where it is, and a reference to it leads nowhere.
			s.do("set interface ge1 unit 10 description later")
			s.do("deactivate instance blue")
			s.do("commit", `^commit \d+`)
			s.do("activate interface ge1 unit 10")
			s.do("commit check", "instance blue")
			s.do("activate instance blue")
			s.do("commit", `^commit \d+`)
			s.do("show interface ge1 unit 10", "description later;")
			s.never("show interface ge1", "inactive")
			s.do("activate instance blue", "is not inactive")
		}},
		{"row-18 annotate", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do(`annotate interface ge0 "patched to rack 7"`)
			s.do("show", `^/\* patched to rack 7 \*/\ninterface ge0 \{$`)
			s.do("show | compare", `^!  annotate interface ge0 "patched to rack 7";$`)
			s.do("commit", `^commit \d+`)
			s.do("show | display set", `^annotate /interface\[name=ge0\] "patched to rack 7"$`)
			s.do(`annotate interface ge0 ""`)
			s.do("commit", `^commit \d+`)
			s.never("show", "patched")
		}},
		{"row-19 wildcards and ranges", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("set interface ge[0-1] mru 1700")
			s.do("set interface ge* unit * description all")
			s.do("show | compare", `^\[edit interface ge0\]\n\+  mru 1700;$`, `^\[edit interface ge1\]\n\+  mru 1700;$`,
				`^\[edit interface ge1 unit 10\]\n\+  description all;$`)
			s.do("delete interface ge[0-3] unit * description")
			s.never("show | compare", "description")
			s.do("set interface ge1 unit [11,13-14] vlan outer-vlan-id 9")
			s.do("show interface ge1", `^unit 11 \{$`, `^unit 13 \{$`, `^unit 14 \{$`)
			s.do("set interface x* mru 1700", "matches nothing")
			s.do("set interface ge* unit ?0 description ten")
			s.do("show interface ge* unit ?0 description", `^description ten;$`)
			s.do("show interface ?e1 unit 0 | display set", `^set /interface\[name=ge1\]/unit\[id=0\]/family`)
			s.do("delete interface ge* unit ?0 description")
			s.do("delete interface ge* unit ?0 description", `^error: nothing stands at interface ge\* unit \?0 description$`)
			s.do("delete interface x*", `^error: nothing stands at interface x\*$`)
			s.do("delete interface ?e1")
			s.never("show interface", "ge1")
			s.do("set interface ge[3-1] mru 1700", "is no range")
		}},
		{"row-20 load merge, replace, set, patch", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("load merge "+file(t, "interface ge0 {\n    mru 1600;\n    /* by hand */\n    unit 7 {\n        vlan {\n            outer-vlan-id 7;\n        }\n    }\n}\n"), "load complete")
			s.do("show interface ge0", `mru 1600;`, `/\* by hand \*/`, `description "to h1";`)
			s.do("load set "+file(t, "set interface ge0 mru 1800\ndelete interface ge0 unit 7\ninsert filter edge term b first\n"), "load complete")
			s.do("show interface ge0", `mru 1800;`)
			s.do("show filter edge", `^term b;\n(.*\n)*term a;$`)
			s.do("load replace "+file(t, "system {\n    hostname r1;\n}\ninterface ge0;\n"), "load complete")
			s.do("show", `^interface ge0;\n(.*\n)*system \{$`)
			s.do("load replace "+file(t, `{"routerd:system": {"config": {"hostname": "r1"}}}`), "load complete")
			s.never("show", "interface")
			// A patch is what compare prints.
			s.do("rollback")
			s.do("load patch "+file(t, "[edit]\n-  instance blue;\n[edit interface ge0]\n-  description \"to h1\";\n+  description \"to h2\";\n[edit interface ge1]\n!  inactive: unit 10;\n"), "load complete")
			s.do("show | compare", `^-  instance blue;$`, `^-  description "to h1";\n\+  description "to h2";$`, `^!  inactive: unit 10;$`)
			s.do("load merge "+file(t, "interface ge0 {\n    mur 1;\n}\n"), "line 2")
			// From the terminal, to Ctrl-D.
			s.do("rollback")
			s.answer("load merge terminal", regexp.MustCompile("Ctrl-D"))
			s.Line("interface ge0 {")
			s.Line("mru 1650; }")
			s.Key(ctrl('D'))
			s.Expect("load complete: the candidate changes 1 leaves")
			s.do("show | compare", `^\+  mru 1650;$`)
		}},
		{"row-21 private, exclusive and shared candidates", func(t *testing.T, w *world) {
			a, b := w.editing(t), w.shell(t)
			a.do("set system hostname r2")
			b.do("configure", `root edits too, since .* private`)
			b.never("show system", "r2")
			b.do("exit")
			a.do("rollback")
			a.do("exit")
			a.do("configure exclusive")
			b.do("configure", "exclusive")
			b.do("set system hostname r3", "locked by the exclusive candidate of root")
			b.do("exit")
			a.do("exit")
			a.do("configure shared ops")
			a.do("set interface ge0 mru 1600")
			b.do("configure shared ops")
			b.do("show | compare", `^\+  mru 1600;$`)
			b.do("rollback")
			a.never("show | compare", "mru")
		}},
		{"row-22 status", func(t *testing.T, w *world) {
			a, b := w.editing(t), w.editing(t)
			a.do("set system hostname r2")
			b.do("status", `private.*root`)
		}},
		{"row-23 show | compare rollback", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("set interface ge0 mru 1600")
			s.do("commit", `^commit \d+`)
			n := w.lastCommit(t)
			s.do("set interface ge0 mru 1700")
			s.do("show | compare", `^\[edit interface ge0\]\n-  mru 1600;\n\+  mru 1700;$`)
			s.do("show | compare rollback "+minus(n, 1), `^\[edit interface ge0\]\n\+  mru 1700;$`)
			s.do("edit interface ge1")
			s.never("show | compare", "mru")
			s.do("top")
			s.do("compare", `mru 1700`)
			for _, line := range []string{"show | compare | display set", "show | display set | compare", "show interface ge0 | compare | display set"} {
				s.do(line, `^\S*replace interface ge0 mru 1700$`)
				s.never(line, "set /interface")
			}
			s.do("show | compare | display json", `"path": "/interface\[name=ge0\]/config/mru"`)
			s.do("show | compare | as yaml", "^error: .*curly, json and set")
			s.do("status | compare", "^error: compare: it stands behind show")
		}},
		{"row-24 commit check", func(t *testing.T, w *world) {
			s := w.editing(t)
			n := w.lastCommit(t)
			s.do("set interface ge0 mru 1600")
			s.do("commit check", "the candidate is valid", "change interface ge0")
			s.do("set instance default static-route 10.9.0.0/16 action discard")
			s.do("set instance default static-route 10.9.0.0/16 next-hop 1 gateway 192.0.2.2")
			s.do("commit check", "static-route 10.9.0.0/16")
			if w.lastCommit(t) != n {
				t.Error("a check has committed")
			}
		}},
		{"row-25 commit comment", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("set interface ge0 mru 1600")
			s.do(`commit comment "for the jumbo test"`, `^commit \d+`)
			s.do("run show system commit", "for the jumbo test")
		}},
		{"row-26 commit confirmed", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("set interface ge0 mru 1600")
			s.do("commit confirmed", `^commit \d+`, "taken back in 10 min", `^\[edit\]!$`)
			s.do("commit", "is confirmed")
			s.do("show interface ge0", "mru 1600;")
			s.do("delete interface ge0 mru")
			s.do("commit confirmed 5", "taken back in 5 min")
			// It survives a crash of the daemon.
			w.crash()
			w.start()
			s2 := w.editing(t)
			s2.do("show system", `hostname`, `^\[edit\]!$`)
			s2.do("commit cancel", "taken back")
			s2.do("show interface ge0", "mru 1600;")
		}},
		{"row-27 commit and-quit", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("set interface ge0 mru 1600")
			s.do("commit and-quit", `^commit \d+`, `^root@r1> $`)
		}},
		{"row-28 errors carry the path", func(t *testing.T, w *world) {
			s := w.editing(t)
			n := w.lastCommit(t)
			s.do("set interface ge0 mru 1600")
			s.do("set interface ge1 unit 11 description twin")
			s.do("commit", `^interface ge1 unit 11: unit 0 of this interface`)
			if w.lastCommit(t) != n {
				t.Error("a refused commit is there")
			}
			s.do("show | compare", "mru 1600")
		}},
		{"row-29 rollback", func(t *testing.T, w *world) {
			s := w.editing(t)
			n := w.lastCommit(t)
			s.do("set interface ge0 mru 1600")
			s.do("commit", `^commit \d+`)
			s.do("set interface ge0 mru 1700")
			s.do("rollback "+minus(n, 0), "load complete")
			s.do("show | compare", `^-  mru 1600;$`)
			s.do("rollback")
			s.never("show | compare", "mru")
			s.do("rollback 99999", "no such commit")
		}},
		{"row-30 rescue", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("run rescue save")
			s.do("delete filter edge")
			s.do("commit", `^commit \d+`)
			s.do("rollback rescue", "load complete")
			s.do("show | compare", `^\+  filter edge \{$`)
			s.do("commit", `^commit \d+`)
		}},
		{"row-31 show system commit", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("set interface ge0 mru 1600")
			s.do("commit comment why", `^commit \d+`)
			s.do("run show system commit", `Commit +Time +User +Source +Changes +Comment`, `^ *\d+ +\S+ \S+ +root +rcli +\d+ +why`)
		}},
		{"row-32 a commit is persistent", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("set interface ge0 mru 1600")
			s.do("commit", `^commit \d+`)
			w.crash()
			w.start()
			w.editing(t).do("show interface ge0", "mru 1600;")
		}},
		{"row-33 exit with changes asks", func(t *testing.T, w *world) {
			s := w.editing(t)
			s.do("set interface ge0 mru 1600")
			asks := regexp.MustCompile(`not committed.* $`)
			s.answer("exit", asks)
			s.do("no", `^\[edit\]\*$`)
			s.do("show interface ge0", "mru 1600;")
			s.answer("exit", asks)
			s.do("yes", `^root@r1> $`)
		}},
		{"row-34 a commit that cuts the connection warns", func(t *testing.T, w *world) {
			w.restart("--listen", ":9339", "--insecure")
			defer w.restart()
			h1 := w.space("h1")
			h1.Address(w.lab, "eth0", "192.0.2.2/24")
			args := []string{"--target", "192.0.2.1:9339", "--insecure", "--basic"}
			s := &editShell{newScreenBy(t, h1.Start, []string{"HOME=" + w.home(t), "XDG_CONFIG_HOME=", "XDG_STATE_HOME="}, "rcli", args...), t}
			s.Expect(`^\S+@r1[>#]$`)
			s.do("configure")
			s.do("set interface ge0 description changed")
			s.do("commit", `^commit \d+`)
			s.do("delete interface ge0 unit 0 family inet address 192.0.2.1/24")
			n := w.lastCommit(t)
			text := s.answer("commit", regexp.MustCompile(`Commit all the same\?.* $`))
			if !strings.Contains(text, "warning: this commit may cut the connection") || !strings.Contains(text, "interface ge0 unit 0 loses the address 192.0.2.1") {
				t.Errorf("it says\n%s", text)
			}
			s.do("no", `^\[edit\]\*$`)
			if w.lastCommit(t) != n {
				t.Error("it is committed without a yes")
			}
			// Without a terminal it takes the explicit word: in a session, and as one command.
			remote := func(args ...string) (string, int) {
				var text strings.Builder
				cmd := exec.Command(filepath.Join(bin, "rcli"), append([]string{"--target", "192.0.2.1:9339", "--insecure"}, args...)...)
				cmd.Stdout, cmd.Stderr = &text, &text
				if err := h1.Start(cmd); err != nil {
					t.Fatal(err)
				}
				timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
				defer timer.Stop()
				_ = cmd.Wait() // the exit code says it
				return text.String(), cmd.ProcessState.ExitCode()
			}
			const gone, path = "delete interface ge0 unit 0 family inet address 192.0.2.1/24", "/interface[name=ge0]/unit[id=0]/family[type=inet]/address[prefix=192.0.2.1/24]"
			commands := file(t, "delete "+path+"\n")
			for _, args := range [][]string{
				{"-c", "configure", "-c", gone, "-c", "commit"},
				{"delete", path},
				{"load", commands},
			} {
				if out, code := remote(args...); code != 1 || !strings.Contains(out, "loses the address 192.0.2.1") || !strings.Contains(out, "force") || w.lastCommit(t) != n {
					t.Errorf("%q without the word: exit code %d, %s", args, code, out)
				}
			}
			if out, code := remote("load", commands, "--check"); code != 0 || !strings.Contains(out, "may cut this connection") {
				t.Errorf("a check says nothing of it: exit code %d, %s", code, out)
			}
			if out, code := remote("set", "/interface[name=ge0]/config/description", "unharmed"); code != 0 {
				t.Errorf("a commit that cuts nothing: exit code %d, %s", code, out)
			}
			n = w.lastCommit(t)
			// What says so is done, and its answer is cut off.
			cut := exec.Command(filepath.Join(bin, "rcli"), "--target", "192.0.2.1:9339", "--insecure", "delete", "--force", path)
			if err := h1.Start(cut); err != nil {
				t.Fatal(err)
			}
			w.Until(t, "with the word it is done", func() bool { return w.lastCommit(t) == n+1 })
			_ = cut.Process.Kill()
			_ = cut.Wait() // it was killed, or cut off
			if out, code := w.rcli("rollback", minus(n, 0)); code != 0 {
				t.Fatal(out)
			}
			// Over the socket nothing is cut.
			local := w.editing(t)
			local.do("delete interface ge0 unit 0 family inet address 192.0.2.1/24")
			local.do("commit", `\A\S*commit \d+`)
		}},
	}
}

// minus is the number of an earlier commit.
func minus(n, back int) string { return strconv.Itoa(n - back) }

// lastCommit is the number of the newest commit.
func (w *world) lastCommit(t *testing.T) int {
	t.Helper()
	out, code := w.rcli("get", "/system/state/datastore/commit-number")
	m := regexp.MustCompile(`"(\d+)"`).FindStringSubmatch(out)
	if code != 0 || m == nil {
		t.Fatalf("the newest commit: %s", out)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// crash kills routerd.
func (w *world) crash() { _ = w.end(syscall.SIGKILL) }

// restart starts routerd anew with other flags.
func (w *world) restart(flags ...string) {
	_ = w.end(syscall.SIGTERM)
	w.start(flags...)
}
