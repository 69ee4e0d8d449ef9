package northbound

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"router/cmd/rcli/conf"
	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

// TestCompareIsAPatch makes random candidates, and their texts of compare again of
// running in another candidate: both forms have to make the same.
func TestCompareIsAPatch(t *testing.T) {
	b := newBed(t, nil)
	ann := b.editor("ann", &configpb.OpenRequest{})
	ann.begin()
	whole := func(e *editor) string {
		t.Helper()
		resp, err := e.client.Read(e.ctx, &configpb.ReadRequest{Id: e.id, Format: configpb.Edit_Load_COMMANDS, Whole: true})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetText()
	}
	random := rand.New(rand.NewPCG(1, 2))
	commands := func() string {
		var s strings.Builder
		for range 1 + random.IntN(12) {
			i, u := random.IntN(3), random.IntN(3)
			entry := fmt.Sprintf("/interface[name=ge%d]", i)
			unit := fmt.Sprintf("%s/unit[id=%d]", entry, u)
			term := fmt.Sprintf("/filter[name=f]/term[name=%c]", 'a'+rune(random.IntN(5)))
			switch random.IntN(14) {
			case 0, 1:
				fmt.Fprintf(&s, "set %s/config/mru %d\n", entry, 1500+random.IntN(3))
			case 2:
				fmt.Fprintf(&s, "set %s/config/description \"%d ; {}\"\n", unit, random.IntN(9))
			case 3:
				fmt.Fprintf(&s, "set %s/vlan/config/outer-vlan-id %d\n", unit, 1+random.IntN(9))
			case 4:
				fmt.Fprintf(&s, "set %s/family[type=inet]/address[prefix=192.0.2.%d/24]\n", unit, 1+random.IntN(3))
			case 5, 6:
				fmt.Fprintf(&s, "set %s/match/config/protocol tcp %d\n", term, random.IntN(20))
			case 7:
				fmt.Fprintf(&s, "set %s\n", term)
			case 8:
				fmt.Fprintf(&s, "delete %s\n", term)
			case 9:
				fmt.Fprintf(&s, "delete %s\n", unit)
			case 10:
				fmt.Fprintf(&s, "delete %s\n", entry)
			case 11:
				fmt.Fprintf(&s, "delete %s/config/mru\n", entry)
			case 12:
				fmt.Fprintf(&s, "set %s\nannotate %s \"note %d\"\n", unit, unit, random.IntN(9))
			case 13:
				fmt.Fprintf(&s, "delete /filter[name=f]\nset /filter[name=f]/config/family inet\nset %s\n", term)
			}
		}
		return s.String()
	}
	toggle := func(e *editor) {
		for _, p := range []string{"/interface[name=ge0]", "/interface[name=ge1]/unit[id=1]", "/filter[name=f]", "/interface[name=ge2]/config/mru"} {
			switch random.IntN(4) {
			case 0:
				_, _ = e.client.Edit(e.ctx, &configpb.EditRequest{Id: e.id, Edit: []*configpb.Edit{{Edit: &configpb.Edit_Deactivate{Deactivate: p}}}})
			case 1:
				_, _ = e.client.Edit(e.ctx, &configpb.EditRequest{Id: e.id, Edit: []*configpb.Edit{{Edit: &configpb.Edit_Activate{Activate: p}}}})
			}
		}
	}
	rounds, committed := 150, 0
	for round := range rounds {
		edits := commands()
		ann.edit(commandsEdit(edits))
		toggle(ann)
		diff, err := ann.client.Compare(ann.ctx, &configpb.CandidateRequest{Id: ann.id})
		if err != nil {
			t.Fatal(err)
		}
		want := whole(ann)
		var patch, set strings.Builder
		if err := conf.Compare(&patch, diff.GetDifference(), schema.Path{}); err != nil {
			t.Fatal(err)
		}
		if err := conf.CompareCommands(&set, diff.GetDifference(), schema.Path{}); err != nil {
			t.Fatal(err)
		}
		n, err := conf.Read(want)
		if err != nil {
			t.Fatal(err)
		}
		braces, err := conf.Parse(n.Text(), schema.Path{})
		if err != nil {
			t.Fatalf("%v in\n%s", err, n.Text())
		}
		for form, read := range map[string]func() ([]*configpb.Edit, error){
			"patch":    func() ([]*configpb.Edit, error) { return conf.Patch(patch.String(), schema.Path{}) },
			"commands": func() ([]*configpb.Edit, error) { return conf.Edits(set.String(), schema.Path{}) },
			"braces":   func() ([]*configpb.Edit, error) { return []*configpb.Edit{conf.CommandsEdit(braces, true)}, nil },
		} {
			edits, err := read()
			if err != nil {
				t.Fatalf("round %d, %s: %v in\n%s\n%s", round, form, err, patch.String(), set.String())
			}
			bob := b.editor("bob", &configpb.OpenRequest{})
			bob.begin()
			before := whole(bob)
			if len(edits) > 0 {
				if _, err := bob.client.Edit(bob.ctx, &configpb.EditRequest{Id: bob.id, Edit: edits}); err != nil {
					t.Fatalf("round %d, %s: %v in\n%s\n%s", round, form, err, patch.String(), set.String())
				}
			}
			if got := whole(bob); got != want {
				t.Fatalf("round %d: what was\n%s\nbecomes by the %s\n%s\n%s\n%s\nwant\n%s", round, before, form, patch.String(), set.String(), got, want)
			}
			bob.end()
		}
		if _, err := ann.client.Commit(ann.ctx, &configpb.CommitRequest{Id: ann.id}); err == nil {
			committed++
		} else if _, err := ann.client.Discard(ann.ctx, &configpb.DiscardRequest{Id: ann.id}); err != nil {
			t.Fatal(err)
		}
	}
	if committed < rounds/4 {
		t.Errorf("%d of %d candidates could be committed: the rest says little", committed, rounds)
	}
	t.Logf("%d of %d candidates were committed", committed, rounds)
}
