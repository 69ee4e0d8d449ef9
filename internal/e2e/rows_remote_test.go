package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rowsRemote are the rows about scripts, programs that drive rcli's screen, and what
// would happen to a packet.
func rowsRemote() []row {
	return []row{
		{"row-12 live values of show path", testLivePath},
		{"row-46 one-shot commands and their exit codes", testExitCodes},
		{"row-46 Ctrl-C ends a command with 130", testInterrupt},
		{"row-46 a connection that breaks under a command", testBrokenConnection},
		{"row-46 a reader that goes away", testBrokenPipe},
		{"row-46 a router elsewhere: its certificate, the user, the password", testRemoteTarget},
		{"row-46 completion in bash, zsh and fish", testCompletions},
		{"row-47 the dialogue of Netmiko and network_cli", testDialogue},
	}
}

func testLivePath(t *testing.T, w *world) {
	s := w.rcliShell(t)
	s.Type("show path 192.0.2.2 interface ge1.")
	s.Key(keyTab)
	s.Expect(`ge1\.0\b`)
	s.Expect(`ge1\.10\b`)
	s.Type("10 ")
	s.Type("instance bl")
	s.Key(keyTab)
	s.ExpectRow(`interface ge1\.10 instance blue`)
}

// oneShot runs rcli on a socket and returns its outputs apart.
func oneShot(t *testing.T, args ...string) (out, errOut string, code int) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, "rcli"), args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_CONFIG_HOME=", "XDG_STATE_HOME=")
	var o, e strings.Builder
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait() // the exit code says it
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func testExitCodes(t *testing.T, w *world) {
	socket := w.socket()
	full := "no /dev/full"
	if f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0); err == nil {
		full = ""
		f.Close()
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		json bool
		says string // on standard error; "" for nothing
	}{
		{"done, as JSON", []string{"--socket", socket, "-c", "show interfaces", "--json"}, 0, true, ""},
		{"as JSON by the command's words", []string{"--socket", socket, "--json", "show", "route"}, 0, true, ""},
		{"a path as JSON", []string{"--socket", socket, "-c", "show path 192.0.2.2", "--json"}, 0, true, ""},
		{"several", []string{"--socket", socket, "-c", "show interfaces", "-c", "show route"}, 0, false, ""},
		{"nothing to do", []string{"--socket", socket, "-c", ""}, 0, false, ""},
		{"refused by the router", []string{"--socket", socket, "show", "path", "192.0.2.2", "interface", "ge7.0"}, 1, false, "there is no interface ge7.0"},
		{"the first of several refused", []string{"--socket", socket, "-c", "show path 192.0.2.2 interface ge7.0", "-c", "show route"}, 1, false, "ge7.0"},
		{"an unknown command", []string{"--socket", socket, "shwo"}, 2, false, "shwo"},
		{"an unknown command behind -c", []string{"--socket", socket, "-c", "shwo"}, 2, false, "shwo"},
		{"an unknown flag", []string{"--sokcet", socket}, 2, false, "sokcet"},
		{"a value out of range", []string{"--socket", socket, "show", "path", "192.0.2.2", "ttl", "256"}, 2, false, "256"},
		{"no router", []string{"--socket", socket + ".none", "show", "interfaces"}, 3, false, "no connection"},
		{"no router behind -c", []string{"--socket", socket + ".none", "-c", "show interfaces"}, 3, false, "no connection"},
		{"no router elsewhere", []string{"--target", "127.0.0.1:1", "show", "interfaces"}, 3, false, "no connection"},
		{"nobody of that name", []string{"--target", "router.invalid", "show", "interfaces"}, 3, false, "no connection"},
	} {
		out, errOut, code := oneShot(t, tt.args...)
		if code != tt.code {
			t.Errorf("%s: exit code %d, want %d: %s%s", tt.name, code, tt.code, out, errOut)
		}
		if tt.json && !json.Valid([]byte(out)) {
			t.Errorf("%s: no JSON: %s", tt.name, out)
		}
		if tt.says == "" && errOut != "" || !strings.Contains(errOut, tt.says) {
			t.Errorf("%s: says %q, want %q", tt.name, errOut, tt.says)
		}
		if strings.Contains(out+errOut, "\x1b") {
			t.Errorf("%s: there are escapes in %q", tt.name, out+errOut)
		}
	}
	if full != "" {
		t.Log(full)
		return
	}
	for _, command := range []string{"show path 192.0.2.2", "show interfaces", "get /interface"} {
		text, err := exec.Command("sh", "-c", fmt.Sprintf("'%s' --socket '%s' %s > /dev/full; echo $?", filepath.Join(bin, "rcli"), socket, command)).CombinedOutput()
		if err != nil || !strings.HasSuffix(string(text), "\n1\n") {
			t.Errorf("%s on a full disk: %v, %s", command, err, text)
		}
	}
}

func testInterrupt(t *testing.T, w *world) {
	s := newScreen(t, nil, "rcli", "--socket", w.socket(), "ping", "192.0.2.1", "--count", "0", "--interval", "100ms")
	s.Expect(`seq=`)
	s.Type(ctrl('C'))
	s.Expect(`packets transmitted`)
	if code := s.Exit(); code != 0 {
		t.Errorf("ping, which runs until it is interrupted: exit code %d", code)
	}
	// A router that takes the call and never answers.
	silent := w.proxy(t, true)
	s = newScreen(t, nil, "rcli", "--socket", silent.socket, "show", "interfaces")
	silent.wait(t)
	s.Type(ctrl('C'))
	if code := s.Exit(); code != 130 {
		t.Errorf("a command that waits for the router: exit code %d", code)
	}
	s = newScreen(t, nil, "rcli", "--socket", silent.socket, "-c", "show interfaces", "-c", "show route")
	silent.wait(t)
	s.Type(ctrl('C'))
	if code := s.Exit(); code != 130 {
		t.Errorf("-c: exit code %d", code)
	}
	s = newScreen(t, nil, "rcli", "--socket", w.socket(), "watch", "/interface[name=ge0]/state/oper-status")
	s.Expect(`oper-status`)
	s.Type(ctrl('C'))
	if code := s.Exit(); code != 0 {
		t.Errorf("watch, which runs until it is interrupted: exit code %d", code)
	}
}

// A proxy stands between rcli and the router's socket.
type proxy struct {
	socket string
	silent bool // what rcli says goes nowhere
	came   chan net.Conn
}

func (w *world) proxy(t *testing.T, silent bool) *proxy {
	t.Helper()
	p := &proxy{socket: filepath.Join(t.TempDir(), "s"), silent: silent, came: make(chan net.Conn, 16)}
	l, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			if silent {
				go func() { _, _ = io.Copy(io.Discard, c) }()
				p.came <- c
				continue
			}
			up, err := net.Dial("unix", w.socket())
			if err != nil {
				_ = c.Close()
				return
			}
			go func() { _, _ = io.Copy(up, c); _ = up.Close() }()
			go func() { _, _ = io.Copy(c, up); _ = c.Close() }()
			p.came <- c
		}
	}()
	return p
}

// wait waits for a connection.
func (p *proxy) wait(t *testing.T) net.Conn {
	t.Helper()
	select {
	case c := <-p.came:
		time.Sleep(100 * time.Millisecond) // until the call is under way
		return c
	case <-time.After(patience):
		t.Fatal("rcli does not connect")
		return nil
	}
}

func testBrokenConnection(t *testing.T, w *world) {
	p := w.proxy(t, false)
	s := newScreen(t, nil, "rcli", "--socket", p.socket, "watch", "/interface[name=ge0]/state/oper-status")
	c := p.wait(t)
	s.Expect(`oper-status`)
	_ = c.Close()
	if code := s.Exit(); code != 3 {
		t.Errorf("watch: exit code %d", code)
	}
	silent := w.proxy(t, true)
	s = newScreen(t, nil, "rcli", "--socket", silent.socket, "-c", "show interfaces")
	c = silent.wait(t)
	_ = os.Remove(silent.socket) // so that it can't connect again
	_ = c.Close()
	if code := s.Exit(); code != 3 {
		t.Errorf("-c: exit code %d", code)
	}
}

func testBrokenPipe(t *testing.T, w *world) {
	w.load(manyRoutes(3000))
	text, err := exec.Command("bash", "-c", fmt.Sprintf("'%s' --socket '%s' show route | head -1; echo ${PIPESTATUS[0]}", filepath.Join(bin, "rcli"), w.socket())).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	// By SIGPIPE, or all had been written already.
	if err != nil || len(lines) != 2 || lines[1] != fmt.Sprint(128+int(syscall.SIGPIPE)) && lines[1] != "0" {
		t.Errorf("%v: %s", err, text)
	}
}

// manyRoutes is the rows' configuration with n static routes more.
func manyRoutes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{ "prefix": "10.%d.%d.0/24", "next-hop": [ { "index": 1, "config": { "gateway": "192.0.2.2" } } ] }, `, i>>8, i&0xff)
	}
	return strings.Replace(rowsConfig, `"static-route": [ `, `"static-route": [ `+b.String(), 1)
}

func testDialogue(t *testing.T, w *world) {
	if out, err := exec.Command("python3", "-c", "import pexpect").CombinedOutput(); err != nil {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatalf("python3-pexpect is missing: %s", out)
		}
		t.Skip("python3-pexpect is missing")
	}
	w.load(manyRoutes(100))
	cmd := exec.Command("python3", "testdata/dialogue.py", filepath.Join(bin, "rcli"), "--socket", w.socket())
	cmd.Env = append(os.Environ(), "HOME="+w.home(t), "XDG_CONFIG_HOME=", "XDG_STATE_HOME=", "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// outside is an address of the machine's own namespace from which connections go to
// port 9339 of the router's.
func (w *world) outside(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var up net.Conn
			err = w.space("router").Do(func() error {
				up, err = net.Dial("tcp", "127.0.0.1:9339")
				return err
			})
			if err != nil {
				_ = c.Close()
				continue
			}
			go func() { _, _ = io.Copy(up, c); _ = up.Close() }()
			go func() { _, _ = io.Copy(c, up); _ = c.Close() }()
		}
	}()
	return l.Addr().String()
}

func testRemoteTarget(t *testing.T, w *world) {
	hash, code := w.run("sh", "-c", "echo secret | '"+filepath.Join(bin, "rcli")+"' hash-password")
	if code != 0 {
		t.Fatal(hash)
	}
	w.load(strings.Replace(rowsConfig, "{\n", fmt.Sprintf(`{ "routerd:user": [ { "name": "ann", "config": { "password-hash": %q, "role": ["admin"] } } ],`+"\n", strings.TrimSpace(hash)), 1))
	address, home := w.outside(t), w.home(t)
	env := []string{"HOME=" + home, "XDG_CONFIG_HOME=", "XDG_STATE_HOME="}
	open := func() *screen { return newScreen(t, env, "rcli", "--target", "ann@"+address) }

	// The first time the certificate is shown, as the router shows it itself.
	out, _, _ := oneShot(t, "--socket", w.socket(), "show", "certificate")
	s := open()
	s.Expect(`^Is that the one`)
	shown := regexp.MustCompile(`[0-9a-f]{64}`).FindString(s.Text())
	if shown == "" || !strings.Contains(out, shown) {
		t.Errorf("rcli shows %q, the router\n%s", shown, out)
	}
	s.Line("perhaps")
	s.Expect(`Type yes or no`)
	s.Line("yes")
	s.Expect(`^ann's password at \S+: *$`)
	s.Line("secret")
	s.Expect(`^ann@r1>$`)
	s.Never(`secret`)
	s.Line("exit")
	if code := s.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	file := filepath.Join(home, ".config", "rcli", "known_hosts")
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%s: %v", file, err)
	}

	// From then on it is known, and a wrong password is not.
	s = open()
	s.Expect(`^ann's password at`)
	s.Never(`Is that the one`)
	s.Line("guess")
	if code := s.Exit(); code != 1 {
		t.Errorf("a wrong password: exit code %d", code)
	}

	// One that has changed is refused before a password is asked for.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), shown, strings.Repeat("ab", 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	s = newScreen(t, env, "rcli", "--target", "ann@"+address, "show", "interfaces")
	s.Expect(`HAS CHANGED`)
	if code := s.Exit(); code != 3 || strings.Contains(s.Raw(), "password at") {
		t.Errorf("another certificate: exit code %d:\n%s", code, s.Text())
	}

	// Without a terminal nobody is asked.
	_, errOut, code := oneShot(t, "--target", "ann@"+address, "show", "interfaces")
	if code != 3 || !strings.Contains(errOut, "--fingerprint") {
		t.Errorf("without a terminal: exit code %d, %s", code, errOut)
	}
	password := filepath.Join(home, "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errOut, code = oneShot(t, "--target", "ann@"+address, "--fingerprint", shown, "--password-file", password, "show", "interfaces", "--json")
	if code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("with the fingerprint: exit code %d, %s%s", code, out, errOut)
	}
}
