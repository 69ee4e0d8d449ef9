package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// A screenshot is a command in docs/rcli.md and what it prints there.
type screenshot struct {
	prompt, command string
	lines           []string
}

var manualPrompt = regexp.MustCompile(`^(?:    )?(?:root|ann)@r1([>#]) (.+)$`)

// screenshots are those of the manual that print something: in fences, or indented.
func screenshots(text string) []screenshot {
	var list []screenshot
	fenced, open := false, false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "```") {
			fenced, open = !fenced, false
			continue
		}
		if !fenced && line != "" && !strings.HasPrefix(line, "    ") {
			open = false
			continue
		}
		if m := manualPrompt.FindStringSubmatch(line); m != nil {
			list, open = append(list, screenshot{prompt: m[1], command: m[2]}), true
			continue
		}
		if open && strings.TrimSpace(line) != "" && !strings.HasPrefix(strings.TrimSpace(line), "[edit") {
			last := &list[len(list)-1]
			last.lines = append(last.lines, line)
		}
	}
	return list
}

// varies is what differs from one run to the next, and what stands for it.
var varies = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`), "MAC"},
	{regexp.MustCompile(`\b(af-xdp|af-packet)[/\w-]*`), "DRIVER"},
	{regexp.MustCompile(`[0-9.]+ [kMG]?bit/s`), "RATE"},
	{regexp.MustCompile(`[ \t]+-[ \t]+-$`), " RATE RATE"}, // not known yet
	{regexp.MustCompile(`\b\d+ (s|min|h|d)( \d+ (s|min|h))?$`), "AGE"},
	{regexp.MustCompile(`found through \S+`), "found through ROUTE"}, // the link's, or the neighbour's once it is known
	{regexp.MustCompile(`\d+ destinations, \d+ routes`), "COUNTS"},
	{regexp.MustCompile(`(not shown for want of room: ).*`), "$1"},
	{regexp.MustCompile(`\bcommit \d+`), "commit N"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`[ \t]+`), " "},
}

func alike(line string) string {
	line = strings.TrimSpace(line)
	for _, v := range varies {
		line = v.what.ReplaceAllString(line, v.by)
	}
	return line
}

// rowManual gives the commands of docs/rcli.md: each line that is shown there has to come,
// in this order.
func rowManual(t *testing.T, w *world) {
	text, err := os.ReadFile("../../docs/rcli.md")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(rowsConfig, "to h1", "to the core", 1)
	config = strings.Replace(config, `"static-route": [ `, `"static-route": [ { "prefix": "10.1.0.0/16", "config": { "action": "discard" } }, `+
		`{ "prefix": "10.2.0.0/16", "next-hop": [ { "index": 1, "config": { "gateway": "203.0.113.9" } } ] }, `, 1)
	config = strings.Replace(config, `"routerd:interface": [`, `"routerd:interface": [ { "name": "ge9" },`, 1)
	w.load(config)
	operational, editing := w.rcliShell(t), w.rcliShell(t, "configure")
	// What the lines about editing begin with.
	editing.Do("set interface eth1 unit 0 family inet address 192.0.2.1/24")
	editing.Do("set interface eth1 unit 7 vlan outer-vlan-id 7")
	editing.Do("set interface eth1 mru 1600")
	editing.Do(`annotate interface eth1 mru "patched to rack 7"`)
	editing.Do("deactivate interface eth1 unit 7")
	tried := 0
	for _, shot := range screenshots(string(text)) {
		// What waits, is a key, or needs what the lines before have done, is tested by a row of its own.
		if len(shot.lines) == 0 || strings.ContainsAny(shot.command, "<?$") || strings.HasPrefix(shot.command, "commit") || strings.HasPrefix(shot.command, "set user") || shot.command == "show | compare" {
			continue
		}
		s := operational
		if shot.prompt == "#" {
			s = editing
		}
		tried++
		s.Clear()
		s.Line(shot.command)
		echo := regexp.MustCompile(`(?s)\A.*[>#] ` + regexp.QuoteMeta(shot.command) + `\n(.*)\n(\n\[edit[^\n]*\n)?\S+@\S+[>#]\z`)
		var m []string
		s.Until("the end of "+shot.command, func() bool { m = echo.FindStringSubmatch(s.Text()); return m != nil })
		var have []string
		for line := range strings.Lines(m[1]) {
			have = append(have, alike(line))
		}
		at := 0
		for _, line := range shot.lines {
			found := false
			for ; at < len(have) && !found; at++ {
				found = have[at] == alike(line)
			}
			if !found {
				t.Errorf("%s: docs/rcli.md shows\n%s\nand it prints\n%s", shot.command, line, m[1])
				break
			}
		}
	}
	if tried < 6 {
		t.Errorf("%d commands of the manual were tried, want 6 at least", tried)
	}
}
