package models

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/openconfig/goyang/pkg/yang"

	"router/gen"
	"router/intf"
	"router/routing"
)

func TestRulesAreThoseOfTheModel(t *testing.T) {
	inModel := map[string]bool{}
	for _, m := range regexp.MustCompile(`error-app-tag "([^"]+)"`).FindAllStringSubmatch(yangText(t), -1) {
		inModel[m[1]] = true
	}
	want := slices.Sorted(maps.Keys(inModel))
	got := Rules()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("rules\n%v\nwant the model's\n%v", got, want)
	}
}

func TestEveryRuleHasOneMessage(t *testing.T) {
	messages := map[string]string{}
	for _, m := range tagAndMessage.FindAllStringSubmatch(yangText(t), -1) {
		if have, ok := messages[m[1]]; ok && have != m[2] {
			t.Errorf("%s says both %q and %q", m[1], have, m[2])
		}
		messages[m[1]] = m[2]
		if !strings.Contains(m[2], ":") {
			t.Errorf("%s: %q names no cure behind a colon", m[1], m[2])
		}
	}
	for _, r := range Rules() {
		if messages[r] == "" {
			t.Errorf("%s has no error-message", r)
		}
	}
}

func TestRevision(t *testing.T) {
	data, err := os.ReadFile("../yang/routerd.yang")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), "revision "+Revision+" {") {
		t.Errorf("yang/routerd.yang has no revision %s", Revision)
	}
}

func TestDefaultsAreThoseOfTheModel(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"interface/config/enabled", "true"},
		{"interface/config/type", "ethernet"},
		{"interface/config/mru", uintText(defaultMRU)},
		{"interface/config/attach", "exclusive"},
		{"interface/config/driver", "auto"},
		{"interface/config/polling", intf.PollAdaptive.String()},
		{"interface/unit/config/enabled", "true"},
		{"interface/unit/vlan/config/outer-tpid", "0x8100"},
		{"interface/unit/vlan/config/inner-tpid", "0x8100"},
		{"interface/unit/family/config/enabled", "true"},
		{"interface/unit/family/config/instance", DefaultInstance},
		{"interface/unit/family/address/config/primary", "false"},
		{"interface/unit/family/address/config/preferred", "false"},
		{"interface/unit/family/config/redirects", "true"},
		{"interface/unit/family/router-advertisement/config/enabled", "false"},
		{"interface/unit/family/router-advertisement/config/max-interval", uintText(defaultMaxInterval)},
		{"interface/unit/family/router-advertisement/config/preference", intf.PreferMedium.String()},
		{"interface/unit/family/router-advertisement/config/managed", "false"},
		{"interface/unit/family/router-advertisement/config/other-config", "false"},
		{"interface/unit/family/router-advertisement/config/cur-hop-limit", uintText(defaultHopLimit)},
		{"interface/unit/family/router-advertisement/config/reachable-time", "0"},
		{"interface/unit/family/router-advertisement/config/retrans-timer", "0"},
		{"interface/unit/family/router-advertisement/prefix/config/on-link", "true"},
		{"interface/unit/family/router-advertisement/prefix/config/autonomous", "true"},
		{"interface/unit/family/router-advertisement/prefix/config/valid-lifetime", uintText(uint64(defaultValid))},
		{"interface/unit/family/router-advertisement/prefix/config/preferred-lifetime", uintText(uint64(defaultPreferred))},
		{"interface/unit/family/router-advertisement/route/config/preference", intf.PreferMedium.String()},
		{"instance/static-route/config/preference", uintText(uint64(routing.Static.Preference()))},
		{"instance/static-route/config/action", Forward.String()},
		{"instance/multicast-route/config/action", MulticastForward.String()},
		{"instance/multicast-route/config/local", "false"},
		{"user/config/enabled", "true"},
		{"instance/multicast/config/cache-entries", uintText(defaultCacheEntries)},
		{"instance/multicast/config/cache-idle-time", uintText(defaultCacheIdle)},
	} {
		e := gen.SchemaTree["Device"]
		for _, name := range strings.Split(c.path, "/") {
			if e = e.Dir[name]; e == nil {
				t.Fatalf("the model has no %s", c.path)
			}
		}
		if got := e.DefaultValues(); !slices.Equal(got, []string{c.want}) {
			t.Errorf("default of %s is %v, and the compiler takes %s", c.path, got, c.want)
		}
	}
}

func TestEveryNodeIsDescribed(t *testing.T) {
	start := regexp.MustCompile(`^( +)(leaf|container|list|grouping|typedef|enum) (\S+) \{$`)
	lines := strings.Split(yangText(t), "\n")
	seen := 0
	for i, line := range lines {
		m := start.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		seen++
		end := i + slices.Index(lines[i:], m[1]+"}")
		if !slices.Contains(lines[i:end], m[1]+"  description") {
			t.Errorf("%s %s has no description", m[2], m[3])
		}
	}
	if seen < 100 {
		t.Errorf("only %d nodes found", seen)
	}
}

func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			c, errs := Compile(loadFile(t, f))
			for _, err := range errs {
				t.Error(err)
			}
			if errs == nil && len(c.Intent().Units) == 0 {
				t.Error("compiles to nothing")
			}
			if complaint, ok := yanglint(t, f); !ok {
				t.Errorf("yanglint: %s", complaint)
			}
		})
	}
}

// The patterns of the schema compile, all of them.
func TestPatternsCompile(t *testing.T) {
	n := 0
	var walk func(e *yang.Entry)
	walk = func(e *yang.Entry) {
		if e.IsLeaf() && e.Type.Kind != yang.Yleafref {
			n++
			newValueCheck(e.Type)
		}
		for _, child := range e.Dir {
			walk(child)
		}
	}
	walk(gen.SchemaTree["Device"])
	if n < 100 {
		t.Errorf("only %d leaves found", n)
	}
}
