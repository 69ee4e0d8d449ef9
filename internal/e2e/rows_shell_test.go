package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// rowsShell are the rows of the shell's frame.
func rowsShell() []row {
	return []row{
		{"row-01 operational and configuration mode", rowModes},
		{"row-02 banner", rowBanner},
		{"row-03 edit, up, top, exit", rowMoving},
		{"row-04 absolute path", rowAbsolute},
		{"row-05 run", rowRun},
		{"row-06 question mark", rowHelp},
		{"row-07 second question mark", rowHelpTwice},
		{"row-08 Tab and its menu", rowTab},
		{"row-09 Space", rowSpace},
		{"row-10 abbreviations", rowAbbreviations},
		{"row-11 types in the help", rowTypes},
		{"row-12 live values", rowLive},
		{"row-13 marks of keys", rowMarks},
		{"row-14 did you mean", rowMeant},
		{"row-15 apropos", rowApropos},
		{"row-42 history", rowHistory},
		{"row-43 emacs and vi keys", rowKeys},
		{"row-44 aliases", rowAliases},
		{"row-45 pasted lines", rowPaste},
		{"row-47 basic engine", rowBasic},
		{"Ctrl-C, Ctrl-D, resize and hangup", rowSignals},
	}
}

func rowModes(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.ExpectRow(`^root@r1>$`)
	s.Line("configure")
	s.Expect(`^\[edit\]\nroot@r1#$`)
	s.Line("exit")
	s.ExpectRow(`^root@r1>$`)
	s.Line("exit")
	if code := s.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	direct := w.rcliShell(t, "configure")
	direct.Expect(`^\[edit\]\nroot@r1#$`)
	direct.Line("set system hostname renamed")
	direct.Line("commit")
	direct.Expect(`^\[edit\]\nroot@renamed#$`)
}

func rowBanner(t *testing.T, w *world) {
	s := w.rcliShell(t, "configure", "shared", "b")
	s.Line("edit interface ge0")
	s.Expect(`^\[edit interface ge0\]\nroot@r1#$`)
	// Somebody's commit changes what this prompt shows, though nobody types here.
	file := filepath.Join(t.TempDir(), "x.set")
	if err := os.WriteFile(file, []byte("set /interface[name=ge0]/config/description waits\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Type("sh")
	if out, code := w.rcli("commit", "confirmed", "5", file, "--id", "row2"); code != 0 {
		t.Fatal(out)
	}
	s.Expect(`^\[edit interface ge0\]!\nroot@r1# sh$`)
	if out, code := w.rcli("commit", "cancel"); code != 0 {
		t.Fatal(out)
	}
	s.Expect(`^\[edit interface ge0\]\nroot@r1# sh$`)
}

func rowMoving(t *testing.T, w *world) {
	s := w.rcliShell(t, "configure")
	s.Line("edit interface ge1 unit 0")
	s.Expect(`^\[edit interface ge1 unit 0\]$`)
	s.Line("edit family inet")
	s.Expect(`^\[edit interface ge1 unit 0 family inet\]$`)
	s.Line("up 2")
	s.Expect(`^\[edit interface ge1\]$`)
	s.Line("up")
	s.Expect(`^\[edit\]\nroot@r1# $|^\[edit\]\nroot@r1#$`)
	s.Line("edit instance blue")
	s.Expect(`^\[edit instance blue\]$`)
	s.Do("top")
	s.Expect(`^\[edit\]$`)
	s.Line("edit instance blue")
	s.Expect(`^\[edit instance blue\]$`)
	s.Do("exit")
	s.Expect(`^\[edit\]$`)
}

func rowAbsolute(t *testing.T, w *world) {
	s := w.rcliShell(t, "configure")
	s.Line("/interface[name=ge0]/unit[id=0]")
	s.Expect(`^\[edit interface ge0 unit 0\]$`)
	s.Line("/instance[name=blue]")
	s.Expect(`^\[edit instance blue\]$`)
	s.Do("/instance[name=blue]/cnfig")
	s.Expect(`did you mean config`)
	s.Clear()
	s.Type("/interface[name=ge")
	s.Key(keyTab)
	s.Expect(`\[name=ge0\]`)
}

func rowRun(t *testing.T, w *world) {
	s := w.rcliShell(t, "configure")
	s.Do("run show interfaces ge0")
	s.Expect(`^ge0 +up`)
	s.Clear()
	s.Type("run show neigh")
	s.Key(keyTab)
	s.ExpectRow(`# run show neighbors$`)
}

func rowHelp(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Type("show ro?")
	s.Expect(`(?s)Possible completions:\n.*route +routes by prefix.*root@r1> show ro$`)
	s.Type("ute ?")
	s.Expect(`(?s)<Enter> +run this command.*instance +routing instance.*root@r1> show route$`)
	s.Key(keyEnter)
	s.Expect(`^10\.0\.0\.0/8 +\*\[static/5\]`)
}

func rowHelpTwice(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Type("show ?")
	s.Expect(`Possible completions`)
	s.Type("?")
	s.Expect(`(?s)Ctrl-R +search the history.*root@r1> show$`)
}

func rowTab(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Type("show inter")
	s.Key(keyTab)
	s.ExpectRow(`> show interfaces$`)
	s.Fresh()
	s.Type("show f")
	s.Key(keyTab)
	s.ExpectRow(`> show filter`)
	s.Expect(`^ +filter-log +packets that filters logged`)
	s.Expect(`^ +filter +filters, or the terms of one`)
	s.Key(keyTab)
	s.ExpectRow(`> show filter$`)
	s.Key(keyTab)
	s.ExpectRow(`> show filter-log$`)
	s.Key(keyUp)
	s.ExpectRow(`> show filter$`)
	s.Key(keyEnter)
	s.Until("the menu closes", func() bool { return !strings.Contains(s.Text(), "packets that filters") })
	s.ExpectRow(`> show filter$`)
	s.Key(keyEnter)
	s.Expect(`^edge +inet`)

	c := w.rcliShell(t, "configure")
	c.Type("edit interface ge1 ")
	c.Key(keyTab)
	c.ExpectRow(`# edit interface ge1 unit$`)
	c.Type("1")
	c.Key(keyTab)
	c.ExpectRow(`# edit interface ge1 unit 10$`)
	c.Fresh()
	c.Type("set interface ge0 m")
	c.Key(keyTab)
	c.Expect(`^ +mac-address +The device's own address`)
	c.Expect(`^ +mru +The largest frame`)
	c.Type("r")
	c.Key(keyTab)
	c.ExpectRow(`# set interface ge0 mru$`)
}

func rowSpace(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Type("sh int ")
	s.ExpectRow(`> show interfaces$`)
	// Values are never completed by Space.
	s.Type("ge ")
	s.ExpectRow(`> show interfaces ge$`)
	s.Fresh()
	s.Line("cli space-completion off")
	s.ExpectRow(`>$`)
	s.Type("sh int ")
	s.ExpectRow(`> sh int$`)
}

func rowAbbreviations(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Line("cli space-completion off")
	s.ExpectRow(`>$`)
	s.Do("sh ro 10.0.0.0/8")
	s.Expect(`^10\.0\.0\.0/8 +\*\[static/5\]`)
	s.Do("sh s")
	s.Expect(`ambiguous: sessions, system`)
	// What all others begin with is meant.
	s.Do("sh f edge")
	s.Expect(`^a `)
}

func rowTypes(t *testing.T, w *world) {
	s := w.rcliShell(t, "configure")
	s.Resize(150, 24)
	s.Type("edit interface ?")
	s.Expect(`^\* <link-name> +The name of the kernel's link \(link-name, 1\.\.15 characters\)$`)
	s.Fresh()
	s.Type("edit interface ge0 unit 0 family ?")
	s.Expect(`(?s)inet\n.*inet6\n`)
	s.Fresh()
	s.Type("set interface ge0 mru ?")
	s.Expect(`(?s)<86..9600> +The largest frame.*\(uint16 86\.\.9600,\s+default\s+1518\)`)
	s.Fresh()
	s.Type("set interface ge0 type ?")
	s.Expect(`(?s)ethernet\n.*loopback\n`)
	s.Fresh()
	s.Type("run ping x count ?")
	s.Expect(`<0..2147483647> +packets to send; 0 for no end \(packets\), default 5`)
}

func rowLive(t *testing.T, w *world) {
	// Several commits, whatever ran before: of one, Tab would put in the number.
	for _, d := range []string{"one", "two"} {
		if out, code := w.rcli("set", "/interface[name=ge1]/config/description", d); code != 0 {
			t.Fatal(out)
		}
	}
	// A neighbour that is configured, and one that is learnt.
	if out, code := w.rcli("set", "/interface[name=ge0]/unit[id=0]/family[type=inet]/neighbor[address=192.0.2.3]/config/link-layer-address", "02:00:00:00:00:03"); code != 0 {
		t.Fatal(out)
	}
	w.space("h1").Address(w, "eth0", "192.0.2.7/24")
	w.Until(t, "a neighbour", func() bool {
		_, code := w.rcli("ping", "192.0.2.7", "--count", "1", "--wait", "1s")
		return code == 0
	})
	// What a leaf-list has, of which some may be deleted.
	if out, code := w.rcli("set", "filter", "edge", "term", "b", "match", "protocol", "tcp", "47"); code != 0 {
		t.Fatal(out)
	}
	config := w.rcliShell(t, "configure")
	config.Type("delete filter edge term b match protocol ")
	config.Key(keyTab, keyTab)
	config.Expect(`(?m)^ +tcp *$`)
	config.Expect(`(?m)^ +47 *$`)
	config.Fresh()
	config.Type("delete filter edge term b match protocol tcp ")
	config.Key(keyTab)
	config.ExpectRow(`protocol tcp 47$`)
	s := w.rcliShell(t)
	for _, c := range []struct{ line, want string }{
		{"show interfaces ", `(?s)ge0.*ge1`},
		{"show neighbors ", `(?s)ge0.*ge1`},
		{"show route instance ", `(?s)blue.*default`},
		{"show filter ", `edge`},
		{"show commits ", `^ +[0-9]+$`},
		{"show route ", `(?s)10\.0\.0\.0/8.*192\.0\.2\.0/24.*198\.51\.100\.0/24`},
		{"show route 192.0.", `(?s)192\.0\.2\.0/24.*192\.0\.2\.1/32`},
		{"show routes interface ", `(?s)ge0\..*ge1\.`},
		{"show routes interface ge1.", `(?s)ge1\.0.*ge1\.10`},
	} {
		s.Fresh()
		s.Type(c.line)
		s.Key(keyTab, keyTab)
		s.Expect(c.want)
	}
	cfg := w.rcliShell(t, "configure")
	for _, c := range []struct{ line, want string }{
		{"edit interface ", `(?s)\* ge0.*\* ge1`},
		{"edit interface ge1 unit ", `(?s)\* 0.*\* 10`},
		{"edit instance default static-route ", `static-route 10\.0\.0\.0/8`},
		{"edit filter ", `filter edge`},
		{"edit filter edge term ", `(?s)\* a.*\* b`},
		{"set interface ge0 unit 0 family inet instance ", `(?s)blue.*default`},
		{"edit interface ge0 unit 0 family inet neighbor ", `(?s)\* 192\.0\.2\.3.*\* 192\.0\.2\.7`}, // configured, learnt
		{"set interface ge0 unit 0 family inet filter input ", `filter input edge`},
	} {
		cfg.Fresh()
		cfg.Type(c.line)
		cfg.Key(keyTab, keyTab)
		cfg.Expect(c.want)
	}
}

func rowMarks(t *testing.T, w *world) {
	s := w.rcliShell(t, "configure")
	s.Type("edit interface ?")
	s.Expect(`^\* ge0`)
	s.Expect(`^\* <link-name>`)
	s.Fresh()
	s.Type("edit interface ge0 ?")
	s.Expect(`^> unit +`)
	s.Fresh()
	s.Type("rename interface ge0 ?")
	s.Expect(`^\+ to +`)
}

func rowMeant(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Do("show intrefaces")
	s.Expect(`^root@r1> show intrefaces\n {14}\^{10}\n.*did you mean interfaces\?`)
	c := w.rcliShell(t, "configure")
	c.Do("edit intreface ge0")
	c.Expect(`^root@r1# edit intreface ge0\n {14}\^{9}\n.*did you mean interface\?`)
}

func rowApropos(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Do("help apropos echo")
	s.Expect(`^ping DESTINATION`)
	s.Do("help apropos largest frame")
	s.Expect(`^set interface <name> mru +The largest frame`)
}

func rowHistory(t *testing.T, w *world) {
	home := w.home(t)
	s := w.rcliShellAt(t, home)
	s.Do("show interfaces ge0")
	s.Do("show interfaces ge1")
	s.Do("help apropos secret")
	s.Key(keyUp, keyUp)
	s.ExpectRow(`> show interfaces ge0$`)
	s.Key(ctrl('C'))
	s.ExpectRow(`>$`)
	s.Line("exit")
	s.Exit()

	s = w.rcliShellAt(t, home)
	s.Key(ctrl('R'))
	s.Type("ge0")
	s.ExpectRow("^\\(search\\) `ge0': show interfaces ge0$")
	s.Key(keyEnter)
	s.Expect(`^ge0 +up`)
	s.Do("history")
	s.Expect(`2 +show interfaces ge1`)
	s.Never(`secret`)
	st, err := os.Stat(filepath.Join(home, ".config", "rcli", "history"))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the history: %v %v, want a file of mode 0600", st, err)
	}
}

func rowKeys(t *testing.T, w *world) {
	home := w.home(t)
	s := w.rcliShellAt(t, home)
	s.Type("interfaces ge0")
	s.Key(ctrl('A'))
	s.Type("show ")
	s.ExpectRow(`> show interfaces ge0$`)
	s.Key(ctrl('E'), keyBackspace)
	s.Type("1")
	s.Key(ctrl('W'))
	s.ExpectRow(`> show interfaces$`)
	s.Key(ctrl('Y'))
	s.ExpectRow(`> show interfaces ge1$`)
	s.Key("\x1bb", ctrl('K'))
	s.ExpectRow(`> show interfaces$`)
	s.Key(ctrl('C'))
	s.Line("cli keys vi")
	s.ExpectRow(`>$`)
	s.Line("exit")
	s.Exit()

	// The choice is kept.
	s = w.rcliShellAt(t, home)
	s.Type("shw interfaces xx")
	s.Key(keyEscape)
	s.Until("the escape is over", func() bool { _, c := s.Row(); return c == len("root@r1> shw interfaces x") })
	s.Key("d", "b", "x", "0", "f", "w", "i")
	s.Type("o")
	s.ExpectRow(`> show interfaces$`)
	s.Key(keyEscape)
	s.Until("the escape is over", func() bool { _, c := s.Row(); return c == len("root@r1> sh") })
	s.Key("A")
	s.Type("ge0")
	s.Key(keyEnter)
	s.Expect(`^ge0 +up`)
}

func rowAliases(t *testing.T, w *world) {
	home := w.home(t)
	s := w.rcliShellAt(t, home)
	s.Do(`alias ifs "show interfaces $1"`)
	s.Do("ifs ge1")
	s.Expect(`^ge1 +up`)
	s.Never(`^ge0 `)
	s.Do(`alias rt "show route instance"`)
	s.Fresh()
	s.Type("rt bl")
	s.Key(keyTab)
	s.ExpectRow(`> rt blue$`)
	s.Key(keyEnter)
	s.Fresh()
	s.Do("alias show x")
	s.Expect(`there is a command of that name`)
	s.Line("exit")
	s.Exit()
	s = w.rcliShellAt(t, home)
	s.Do("alias")
	s.Expect(`^alias ifs "show interfaces \$1"$`)
	s.Do("unalias ifs")
	s.Do("ifs ge1")
	s.Expect(`there is no command "ifs"`)
}

func rowPaste(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Type("# a comment\rshow interfaces ge0 # and another\r  configure\redit interface ge0\r")
	s.Expect(`^ge0 +up`)
	s.Expect(`^\[edit interface ge0\]$`)
	// A bracketed paste: tabs and question marks are text.
	s.Do("top")
	s.Type("\x1b[200~edit\tinstance blue\r\nrun show interfaces ge1\r\n\x1b[201~")
	s.Expect(`^\[edit instance blue\]$`)
	s.Expect(`^ge1 +up`)
}

func rowBasic(t *testing.T, w *world) {
	s := newScreen(t, []string{"HOME=" + w.home(t), "TERM=dumb"}, "rcli", "--socket", w.socket())
	s.ExpectRow(`^root@r1>$`)
	s.Line("show interfaces ge0")
	s.Expect(`^ge0 +up`)
	s.ExpectRow(`^root@r1>$`)
	s.Line("shw")
	s.Expect(`did you mean show`)
	s.Line("show ro?")
	s.Expect(`(?s)^Possible completions:\n  route`)
	s.Line("configure")
	s.ExpectRow(`^root@r1#$`)
	s.Line("quit")
	if code := s.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(s.Raw(), "\x1b") {
		t.Errorf("escapes: %q", s.Raw())
	}
	b := newScreen(t, []string{"HOME=" + w.home(t)}, "rcli", "--basic", "--socket", w.socket())
	b.ExpectRow(`^root@r1>$`)
	b.Line("show interfaces ge0 --json")
	b.Expect(`"name": "ge0.0"`)
	if strings.Contains(b.Raw(), "\x1b") {
		t.Errorf("escapes: %q", b.Raw())
	}
}

func rowSignals(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Type("show interf")
	s.Key(ctrl('C'))
	s.ExpectRow(`^root@r1>$`)
	// Ctrl-C stops a command, and the shell stays.
	s.Line("watch /interface[name=ge0]/state/oper-status")
	s.Expect(`oper-status`)
	s.Key(ctrl('C'))
	s.ExpectRow(`^root@r1>$`)
	s.Fresh()
	s.Type(strings.Repeat("x", 100))
	s.Resize(40, 24)
	s.Resize(120, 24)
	s.Expect(`^root@r1> x{100}$`)
	s.Key(ctrl('U'), ctrl('D'))
	if code := s.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// However it ends, the terminal is as before.
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		h := w.rcliShell(t, "configure")
		h.Type("set interface")
		h.ExpectRow(`# set interface$`)
		if h.Cooked() {
			t.Error("the terminal is not raw while a line is edited: the test looks in the wrong place")
		}
		h.Signal(sig)
		h.Exit()
		if !h.Cooked() {
			t.Errorf("%v left the terminal raw", sig)
		}
	}
}
