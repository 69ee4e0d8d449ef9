package boot

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"router/internal/manual"
)

// values are those of settings that take a few words.
var values = map[string][]string{
	"log-level": {"debug", "info", "warn", "error"}, "log-format": {"text", "json"}, "auth": {AuthRequired, AuthLocal, AuthNone}, "keep-forwarding": {"unless-stopped", "always", "never"},
}

// machine are the settings whose default depends on the machine.
var machine = map[string]string{"workers": "one less than the processors, at most 16"}

func defaultOf(f *pflag.Flag) string {
	switch {
	case machine[f.Name] != "":
		return "; default: " + machine[f.Name]
	case f.DefValue == "" || f.DefValue == "false":
		return ""
	}
	return "; default: " + f.DefValue
}

// TestManual makes routerd.8, routerd.yaml.5 and the completions of routerd, with
// -update, and checks them else.
func TestManual(t *testing.T) {
	page := manual.Page{Name: "routerd", Section: 8, Purpose: "a software router"}
	page.Head("synopsis")
	page.Text("routerd [OPTION]...")
	page.Head("description")
	page.Text("Routerd takes a router's configuration over gNMI, keeps it in place, and forwards packets. It is configured and watched with rcli(1) or any other gNMI client. It runs as root in the network namespace whose devices it uses, in the foreground, and tells systemd when it is ready.")
	page.Head("options")
	page.Text("Each option is a setting, too, that the environment and the file name: see routerd.yaml(5).")
	settings := manual.Page{Name: "routerd.yaml", Section: 5, Purpose: "settings of routerd"}
	settings.Head("description")
	settings.Text("What routerd needs before it has a configuration stands in this file, in YAML: a key and a value a line. It holds no configuration of the router: that is set over gNMI or with rcli(1). A key that is unknown is an error.")
	settings.Text("A setting comes, in order of precedence, from its option, from the environment, from the file, from its default. The variable in the environment is the key in capitals behind ROUTERD_, with underscores: ROUTERD_STATE_DIR for state-dir.")
	settings.Head("keys")
	var list []manual.Flag
	flags().VisitAll(func(f *pflag.Flag) {
		kind, usage := pflag.UnquoteUsage(f)
		what := "--" + f.Name
		if kind != "" {
			what += " " + strings.ToUpper(kind)
		}
		page.Item(what, usage+defaultOf(f))
		if f.Name != "config" {
			settings.Item(f.Name, usage+defaultOf(f))
		}
		list = append(list, manual.Flag{Name: f.Name, Help: f.Usage, Bool: f.Value.Type() == "bool", Values: values[f.Name],
			File: f.Name == "config" || f.Name == "log-file" || f.Name == "socket" || f.Name == "state-dir" || f.Name == "pin-dir" || strings.HasPrefix(f.Name, "tls-")})
	})
	page.Head("signals")
	page.Item("SIGTERM, SIGINT", "stop: calls under way end, and devices go back to the kernel")
	page.Item("SIGUSR2", "stop for a restart: devices go on forwarding until the next routerd takes them over (see --keep-forwarding)")
	page.Item("SIGHUP", "open the log file anew and read the certificate again")
	page.Head("exit status")
	page.Item("0", "after a clean stop")
	page.Item("1", "after a failure, which the last line explains")
	page.Item("2", "for a mistake in the options or the settings")
	page.Head("files")
	page.Item(DefaultFile, "settings, routerd.yaml(5); may be absent")
	page.Item("/var/lib/routerd", "the configuration with its history, the certificate, the audit log")
	page.Item("/run/routerd/routerd.sock", "gNMI for root on this machine")
	page.Head("see also")
	page.Text("rcli(1), routerd.yaml(5)")

	settings.Head("example")
	settings.Code("listen: 192.0.2.1:9339\ntls-cert: /etc/routerd/router.pem\ntls-key: /etc/routerd/router.key\nlog-level: info")
	settings.Head("see also")
	settings.Text("routerd(8), rcli(1)")

	manual.Check(t, "man/routerd.8", page.Render())
	manual.Check(t, "man/routerd.yaml.5", settings.Render())
	manual.Check(t, "completions/bash/routerd", manual.Bash("routerd", list))
	manual.Check(t, "completions/zsh/_routerd", manual.Zsh("routerd", list))
	manual.Check(t, "completions/fish/routerd.fish", manual.Fish("routerd", list))
}

// TestManualValues holds the words that completions offer to those that are taken.
func TestManualValues(t *testing.T) {
	for key, words := range values {
		for _, word := range words {
			if _, err := Load([]string{"--config", "/dev/null", "--state-dir", t.TempDir(), fmt.Sprintf("--%s=%s", key, word)}); err != nil {
				t.Errorf("%s %s: %v", key, word, err)
			}
		}
	}
}
