package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// rowsOutput are the rows of what is printed.
func rowsOutput() []row {
	return []row{
		{"row-35 match, except, count, find, last, no-more, save", rowPipes},
		{"row-36 display set, json, xpath, yang", rowDisplay},
		{"row-37 as table, yaml, json; fields", rowAs},
		{"row-38 info from running and state, depth", rowInfo},
		{"row-39 tree and diff", rowTree},
		{"row-40 pager", rowPager},
		{"row-41 monitor and watch", rowMonitor},
		{"row-48 families by how disruptive they are", rowFamilies},
		{"row-49 secrets", rowSecrets},
		{"row-49 a secret is asked for", rowSecretAsked},
		{"ages of routes and neighbours", rowAges},
		{"a narrow screen, and colours", rowScreen},
		{"the screens of the manual", rowManual},
	}
}

// contains fails for each pattern, in which ^ and $ are the ends of lines, that the
// text doesn't match.
func contains(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile("(?m)" + p).MatchString(text) {
			t.Errorf("no %s in\n%s", p, text)
		}
	}
}

func lacks(t *testing.T, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if regexp.MustCompile("(?m)" + p).MatchString(text) {
			t.Errorf("%s in\n%s", p, text)
		}
	}
}

// show gives a command and returns the screen once it is over.
func show(s *screen, line string) string {
	s.t.Helper()
	s.Clear()
	s.Line(line)
	echo := regexp.MustCompile(`(?s)\A.*[>#] ` + regexp.QuoteMeta(line[:min(len(line), 30)]) + `.*\n\S+@\S+[>#]\z`)
	s.Until("the end of "+line, func() bool { return echo.MatchString(s.Text()) })
	return s.Text()
}

func rowPipes(t *testing.T, w *world) {
	s := w.rcliShell(t)
	text := show(s, "show interfaces terse | match ge1")
	contains(t, text, `^ge1 +on`, `^ge1\.0 +on`)
	lacks(t, text, `^ge0`, `^Interface`)
	text = show(s, "show interfaces terse | except GE0")
	contains(t, text, `^ge0 +on`) // an upper-case letter: the case counts
	text = show(s, "show interfaces terse | except ge0 | count")
	contains(t, text, `^Count: [0-9]+ lines$`)
	text = show(s, "show interfaces terse | find ge1.10")
	contains(t, text, `^ge1\.10`)
	lacks(t, text, `^ge1\.0 `)
	text = show(s, "show interfaces terse | last 1")
	contains(t, text, `^ge1\.10`)
	lacks(t, text, `^ge0`)
	file := filepath.Join(t.TempDir(), "saved")
	contains(t, show(s, "show interfaces terse | match ge0 | save "+file), `lines written to`)
	contains(t, show(s, "show interfaces terse | match ge1 | save "+file+" append"), `lines written to`)
	saved, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(saved), `^ge0 `, `^ge1 `)
	lacks(t, string(saved), "\x1b")
	contains(t, show(s, "show interfaces terse | match ("), `no regular expression`)
	s.Clear()
	s.Line("tree | no-more")
	s.Expect(`^ +\+--ro .*\nroot@r1>\z`)
	s.Never(`more\)`)
	s.Clear()
	s.Type("show interfaces | ?")
	s.Expect(`count +count the lines`)
	s.Fresh()
}

func rowDisplay(t *testing.T, w *world) {
	s := w.rcliShell(t)
	const node = "info interface ge0 description "
	contains(t, show(s, node+"| display set"), `^set /interface\[name=ge0\]/config/description "to h1"$`)
	contains(t, show(s, node+"| display xpath"), `^/interface\[name='ge0'\]/config/description "to h1"$`)
	contains(t, show(s, node+"| display json"), `^"to h1"$`)
	contains(t, show(s, node+"| display yang"), `^leaf description \{$`, `^  type string \{ // description$`)
	s.Line("configure")
	s.ExpectRow(`^root@r1#$`)
	s.Line("set interface ge0 description other")
	contains(t, show(s, "show interface ge0 | display set"), `description other$`)
}

func rowAs(t *testing.T, w *world) {
	s := w.rcliShell(t)
	contains(t, show(s, "show interfaces ge0 | fields oper-status mtu"), `^interface +oper-status$`, `^ge0 +up$`, `^ge0 +0 +inet +1500`)
	contains(t, show(s, "show interfaces ge0.0 | fields oper-status | as yaml"), `^(- )? *id: "0"$`, `oper-status: up$`)
	contains(t, show(s, "show interfaces ge1.10 | fields oper-status | as json"), `"oper-status": "up"`)
	contains(t, show(s, "show route 10.1.1.1 | fields gateway active"), `route-prefix`, `^default +inet +10\.0\.0\.0/8 .*192\.0\.2\.2`)
	contains(t, show(s, "show interfaces | fields no-such-leaf"), `nothing here has no-such-leaf`)
}

func rowInfo(t *testing.T, w *world) {
	s := w.rcliShell(t)
	contains(t, show(s, "info from running interface ge0 unit 0 family inet address 192.0.2.1/24"), `^address 192\.0\.2\.1/24 \{$`, `^ +primary false$`)
	contains(t, show(s, "info from state interface ge0 oper-status"), `^oper-status up$`)
	text := show(s, "info from state depth 2 interface ge0 | match 'oper-status|in-pkts'")
	contains(t, text, `^ +oper-status up$`)
	lacks(t, text, `^ +in-pkts`)
	contains(t, show(s, "/interface[name=ge0]/config/description"), `^description "to h1"$`)
	contains(t, show(s, "info interface ge9"), `nothing stands at /interface\[name=ge9\]`)
}

func rowTree(t *testing.T, w *world) {
	s := w.rcliShell(t)
	contains(t, show(s, "tree depth 1 interface"), `^/interface$`, `\+--rw unit\* \[id\] \.\.\.`, `\+--ro state \.\.\.`)
	contains(t, show(s, "diff interface ge0"), `all that is declared there is in place`)
	out, code := w.rcli("set", "/interface[name=ge7]/config/description", "absent")
	if code != 0 {
		t.Fatal(out)
	}
	lacks(t, show(s, "diff interface ge7"), `panic`)
}

func rowPager(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Line("tree interface")
	s.Expect(`^---\(more\)---|more [0-9]+%`)
	s.Expect(`^/interface$`)
	s.Key(" ")
	s.Until("the second page", func() bool { return !strings.Contains(s.Text(), "\n/interface\n") })
	s.Key("b")
	s.Expect(`^/interface$`)
	s.Key("/")
	s.Type("rpf-check")
	s.Key(keyEnter)
	s.Expect(`rpf-check`)
	s.Key("G")
	s.Expect(`^\(END\)$`)
	s.Key("g")
	s.Expect(`^/interface$`)
	s.Resize(80, 12)
	s.Expect(`more`)
	s.Key("q")
	s.ExpectRow(`^root@r1>$`)
	s.Resize(80, 24)
	// What fits is not paged, and neither is what is piped.
	contains(t, show(s, "show system"), `^Hostname +r1`)
	s.Never(`END|more`)
	out, code := w.rcli("tree", "/interface")
	if code != 0 || strings.Contains(out, "more)") || strings.Count(out, "\n") < 100 {
		t.Errorf("exit %d, %d lines", code, strings.Count(out, "\n"))
	}
	// Ctrl-C leaves, too, and the shell goes on.
	s.Line("tree")
	s.Expect(`more`)
	s.Key(ctrl('C'))
	s.ExpectRow(`^root@r1>$`)
}

func rowMonitor(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Line("monitor interface ge0 interval 300ms")
	s.Expect(`every 300ms`)
	s.Expect(`^ge0 +up +[0-9.]+ .?bit/s`)
	s.Expect(`^ge0\.0 +up`)
	s.Resize(60, 10)
	s.Expect(`not|^ge0 +up`)
	s.Key("q")
	s.ExpectRow(`^root@r1>$`)
	s.Resize(80, 24)
	s.Line("monitor neighbor")
	s.Expect(`monitor neighbor$`)
	if out, code := w.rcli("set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/neighbor[address=192.0.2.99]/config/link-layer-address", "02:00:00:00:00:99"); code != 0 {
		t.Fatal(out)
	}
	s.Expect(`\+ 192\.0\.2\.99 ge0\.0 state permanent`)
	s.Key("q")
	s.ExpectRow(`^root@r1>$`)
	s.Line("monitor route")
	s.Expect(`[0-9]+ entries are watched`)
	if out, code := w.rcli("set", "/instance[name=default]/static-route[prefix=10.44.0.0/16]/config/action", "discard"); code != 0 {
		t.Fatal(out)
	}
	s.Expect(`\+ 10\.44\.0\.0/16 protocol static preference 5 active true`)
	s.Key(ctrl('C'))
	s.ExpectRow(`^root@r1>$`)
	s.Line("monitor log")
	s.Expect(`info +committed`)
	if out, code := w.rcli("clear", "counters", "interface"); code != 0 {
		t.Fatal(out)
	}
	s.Expect(`counters of interfaces cleared`)
	s.Key("q")
	s.ExpectRow(`^root@r1>$`)
	s.Clear()
	s.Line("watch /interface[name=ge0]/config/description")
	s.Expect(`/interface\[name=ge0\]/config/description "to h1"`)
	s.Key(ctrl('C'))
	s.ExpectRow(`^root@r1>$`)
	s.Clear()
	s.Line("watch /nonsense")
	s.Expect(`^error: path /nonsense: the model has no node "nonsense"`)
}

func rowFamilies(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Type("clear ?")
	s.Expect(`counters`)
	s.Fresh()
	s.Type("clear neighbors ?")
	s.Expect(`(?i)address`)
	s.Fresh()
	contains(t, show(s, "help clear neighbors"), `may interrupt traffic`)
	contains(t, show(s, "help restart"), `restarts`)
	contains(t, show(s, "help start shell"), `needs root`)
	contains(t, show(s, "clear counters interface ge0"), `the counters of 2 devices and units begin at zero`)
	contains(t, show(s, "clear counters filter edge"), `the counters of 1 filters begin at zero`)
	file := filepath.Join(t.TempDir(), "support.txt")
	contains(t, show(s, "request support information "+file), `parts, 0 not to be had`)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(text), `== system ==`, `^set /system/config/hostname r1$`)
	s.Clear()
	s.Line("start shell")
	s.Expect(`[#$] *$`)
	s.Type("echo $((6*7)) answers" + keyEnter)
	s.Expect(`^42 answers$`)
	s.Line("exit")
	s.ExpectRow(`^root@r1>$`)
}

func rowSecrets(t *testing.T, w *world) {
	const hash = "$2a$10$8pUgHOePFFfCzXOgzrbYVuIOCjFJXSOqN4K4EvCoaofxOmDXlCzZW"
	if out, code := w.rcli("set", "/user[name=ann]/config", `{"role":["viewer"],"password-hash":"`+hash+`"}`); code != 0 {
		t.Fatal(out)
	}
	s := w.rcliShell(t)
	file := filepath.Join(t.TempDir(), "support.txt")
	for _, command := range []string{"info user ann", "info user ann | display set", "info user ann | as yaml", "info user ann | as json", "request support information " + file} {
		text := show(s, command+" | no-more")
		if !strings.HasPrefix(command, "request") {
			contains(t, text, `hidden`)
		}
		lacks(t, text, `8pUgHOePFF`)
	}
	saved, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lacks(t, string(saved), `8pUgHOePFF`)
	s.Line("configure")
	s.ExpectRow(`^root@r1#$`)
	lacks(t, show(s, "show user ann"), `8pUgHOePFF`)
}

// logsIn reports whether a password is the user's: in a call of gNMI over TCP.
func (w *world) logsIn(t *testing.T, user, password string) bool {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, code := w.run(filepath.Join(bin, "rcli"), "--target", "127.0.0.1:9339", "--fingerprint", w.fingerprint(t), "--user", user, "--password-file", file, "get", "/system/state/hostname")
	return code == 0
}

// fingerprint is that of the router's certificate.
func (w *world) fingerprint(t *testing.T) string {
	t.Helper()
	out, _ := w.rcli("show", "certificate")
	f := regexp.MustCompile(`[0-9a-f]{64}`).FindString(out)
	if f == "" {
		t.Fatalf("no fingerprint in %s", out)
	}
	return f
}

func rowSecretAsked(t *testing.T, w *world) {
	home := w.home(t)
	const first, second, third, fourth, fifth = "correct horse", "battery staple", "of a file", "of standard input", "in the plain terminal"
	s := w.rcliShellAt(t, home, "configure")
	s.Do("set user ann role admin")
	s.Type("set user ann password-hash ?")
	s.Expect(`<Enter> +it is asked for, and not shown`)
	s.Expect(`<@FILE>`)
	s.Key(keyEnter)
	s.ExpectRow(`^New password:$`)
	time.Sleep(1200 * time.Millisecond) // whoever thinks about it isn't told that the command works
	s.ExpectRow(`^New password:$`)
	s.Type(first + keyEnter)
	s.ExpectRow(`^Again:$`)
	s.Line("another")
	s.Expect(`error: user ann password-hash: the two differ`)
	for range 2 {
		s.Clear()
		s.Line("set user ann password-hash")
		s.ExpectRow(`^New password:$`)
		s.Key(ctrl('C'))
		s.Expect(`^interrupted$`)
		s.ExpectRow(`^root@r1#$`)
	}
	s.Clear()
	s.Line("set user ann password-hash")
	s.ExpectRow(`^New password:$`)
	// Neither what is cut out nor what is typed wrong comes to light.
	s.Type("battery x")
	s.Key(ctrl('W'))
	s.Type("staple" + keyEnter)
	s.ExpectRow(`^Again:$`)
	s.Line(second)
	s.ExpectRow(`^root@r1#$`)
	s.Key(ctrl('Y'), keyUp)
	s.ExpectRow(`# set user ann role admin$`) // before it there is no line to go back to
	s.Key(ctrl('U'))
	contains(t, show(s, "show | compare"), `^\+ +password-hash <hidden>;$`)
	contains(t, show(s, "commit"), `^commit \d+$`)
	if !w.logsIn(t, "ann", second) || w.logsIn(t, "ann", first) {
		t.Error("the password that was typed twice is not the user's")
	}
	// What is typed in the wrong place is not repeated by the error, nor remembered.
	s.Clear()
	s.Line("set user ann password-hash hunter22")
	s.Expect(`error: password-hash: that is no hash of a password`)
	s.Key(keyUp)
	s.ExpectRow(`# commit$`)
	s.Key(ctrl('U'))
	for _, secret := range []string{first, second, "another", "staple"} {
		if strings.Contains(s.Raw(), secret) {
			t.Errorf("%q was shown", secret)
		}
	}
	s.Line("top")
	s.Line("quit")
	s.Exit()
	history, err := os.ReadFile(filepath.Join(home, ".config", "rcli", "history"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{first, second, "staple", "hunter22", "password"} {
		if strings.Contains(string(history), secret) {
			t.Errorf("%q is in the history", secret)
		}
	}

	// A file, for scripts; standard input; a terminal without escapes.
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(third+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := w.rcli("-c", "configure", "-c", "set user ann password-hash @"+file, "-c", "commit"); code != 0 || !w.logsIn(t, "ann", third) {
		t.Errorf("from a file: exit code %d, %s", code, out)
	}
	if out, code := w.run("sh", "-c", "echo '"+fourth+"' | '"+filepath.Join(bin, "rcli")+"' --socket '"+w.socket()+"' set '/user[name=ann]/config/password-hash' @-"); code != 0 || !w.logsIn(t, "ann", fourth) {
		t.Errorf("from standard input: exit code %d, %s", code, out)
	}
	if out, code := w.run("sh", "-c", "'"+filepath.Join(bin, "rcli")+"' --socket '"+w.socket()+"' -c configure -c 'set user ann password-hash' </dev/null"); code != 2 || !strings.Contains(out, "@FILE") {
		t.Errorf("with nobody to ask: exit code %d, %s", code, out)
	}
	b := w.editing(t)
	b.answer("set user ann password-hash", regexp.MustCompile(`New password: $`))
	b.answer(fifth, regexp.MustCompile(`Again: $`))
	b.do(fifth, `^root@r1# $`)
	b.do("commit", `^commit \d+`)
	if !w.logsIn(t, "ann", fifth) {
		t.Error("at a plain terminal: the password is not the user's")
	}
	if strings.Contains(b.Raw(), fifth) {
		t.Error("the plain terminal has shown the password")
	}
}

func rowAges(t *testing.T, w *world) {
	s := w.rcliShell(t)
	contains(t, show(s, "show route 10.1.1.1"), `^10\.0\.0\.0/8 +\*\[static/5\] \d+ s$`)
	contains(t, show(s, "show route 192.0.2.1"), `\*\[direct/0\] (\d+ min )?\d+ s, interface-local$`)
	out, code := w.rcli("get", "/instance[name=default]/rib[afi=inet]/route[prefix=10.0.0.0/8]/entry/state/last-change")
	at := regexp.MustCompile(`"(\d{19})"`).FindStringSubmatch(out)
	if code != 0 || at == nil {
		t.Fatalf("the state: %s", out)
	}
	if json, code := w.rcli("show", "route", "10.1.1.1", "--json"); code != 0 || !strings.Contains(json, `"last-change": "`+at[1]+`"`) {
		t.Errorf("show route --json has no last-change %s: %s", at[1], json)
	}
	// Another commit leaves it; one that changes the route doesn't.
	if out, code := w.rcli("set", "/interface[name=ge0]/config/description", "other"); code != 0 {
		t.Fatal(out)
	}
	if again, _ := w.rcli("get", "/instance[name=default]/rib[afi=inet]/route[prefix=10.0.0.0/8]/entry/state/last-change"); again != out {
		t.Errorf("a commit elsewhere has changed %s to %s", out, again)
	}
	s.Clear()
	s.Line("watch /instance[name=default]/rib[afi=inet]/route[prefix=10.0.0.0/8]/entry[source=user][if-index=0]/state/last-change")
	s.Until("the time is told", func() bool { return strings.Contains(s.Raw(), at[1]) })
	if out, code := w.rcli("set", "/instance[name=default]/static-route[prefix=10.0.0.0/8]/config/preference", "9"); code != 0 {
		t.Fatal(out)
	}
	s.Until("the other time is told", func() bool {
		told := regexp.MustCompile(`last-change "?(\d{19})`).FindAllStringSubmatch(s.Raw(), -1)
		return len(told) > 1 && told[len(told)-1][1] != at[1]
	})
	s.Key(ctrl('C'))
	s.ExpectRow(`^root@r1>$`)
	if again, _ := w.rcli("get", "/instance[name=default]/rib[afi=inet]/route[prefix=10.0.0.0/8]/entry/state/last-change"); again == out {
		t.Error("another preference is no change")
	}
	contains(t, show(s, "show neighbors"), `For$`)
}

func rowScreen(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Resize(50, 24)
	text := show(s, "show interfaces")
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > 50 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	contains(t, text, `^ge0 +up`, `not shown for want of room: .*Out-octets`)
	if !strings.Contains(s.Raw(), "\x1b[32mup\x1b[0m") {
		t.Error("no colour on a terminal")
	}
	plain := newScreen(t, []string{"HOME=" + w.home(t), "NO_COLOR=1"}, "rcli", "--socket", w.socket())
	plain.Expect(`^\S+@r1>$`)
	show(plain, "show interfaces")
	if strings.Contains(plain.Raw(), "\x1b[32m") {
		t.Error("a colour in spite of NO_COLOR")
	}
	out, code := w.rcli("show", "interfaces")
	if code != 0 || strings.Contains(out, "\x1b") {
		t.Errorf("exit %d: %q", code, out)
	}
}
