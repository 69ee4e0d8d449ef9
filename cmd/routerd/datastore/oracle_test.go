package datastore

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
	"router/gen"
	"router/models"
)

// A wanderer makes random operations on anything that the schema has. The
// values are those of the examples, mixed up, so that references meet something often, and
// numbers near them.
type wanderer struct {
	*rand.Rand
	s      *tree.Schema
	values map[string][]any    // of leaves, by schema path
	keys   map[string][]string // of keys, by schema path
	names  []any               // all strings: any leaf may get any of them
}

// examples are the configurations that ship with the router.
func examples(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../../../examples/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	var texts []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	return texts
}

func newWanderer(t testing.TB, s *tree.Schema, seed uint64) *wanderer {
	t.Helper()
	w := &wanderer{Rand: rand.New(rand.NewPCG(seed, 5)), s: s, values: map[string][]any{}, keys: map[string][]string{}}
	names := map[string]bool{"default": true, "red": true, "ge0": true, "ge0.0": true, "ge1.5": true, "lo0": true, "0": true, "1": true, "5.1": true,
		"10.0.0.0/8": true, "10.0.0.1": true, "0.0.0.0/0": true, "2001:db8::/32": true, "2001:db8::1": true, "fe80::1": true, "224.0.0.0/4": true, "02:00:00:00:00:01": true}
	for _, text := range examples(t) {
		d := &gen.Device{}
		op := tree.Op{Kind: tree.Replace, Value: ietf("%s", text)}
		if errs := s.Editor(d, func(tree.Path) {}).Apply(op); len(errs) > 0 {
			t.Fatal(errs[0])
		}
		leaves, err := tree.Walker{Schema: s, Config: d, Filter: tree.ConfigOnly}.Leaves(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range leaves {
			p := l.Node.SchemaPath()
			if l.Node.IsKey() {
				w.keys[p] = append(w.keys[p], l.Value.Text())
				names[l.Value.Text()] = true
				continue
			}
			v := l.Value.Plain(true)
			w.values[p] = append(w.values[p], v)
			if text, ok := v.(string); ok {
				names[text] = true
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		w.names = append(w.names, n)
	}
	return w
}

func one[T any](w *wanderer, list []T) T { return list[w.IntN(len(list))] }

// key chooses a key: of an entry that is there, of an example, or any name.
func (w *wanderer) key(d *gen.Device, list tree.Path, k *tree.Node) string {
	if w.IntN(3) > 0 {
		var have []string
		walk := tree.Walker{Schema: w.s, Config: d, Filter: tree.ConfigOnly, Depth: 1,
			Match: func(_ *tree.Node, p tree.Path) error {
				have = append(have, p[len(p)-1].GetKey()[k.Name])
				return nil
			},
			Leaf: func(tree.LeafValue) error { return nil }}
		if walk.Walk(list) == nil && len(have) > 0 {
			return one(w, have)
		}
	}
	if known := w.keys[k.SchemaPath()]; len(known) > 0 && w.IntN(4) > 0 {
		return one(w, known)
	}
	if w.IntN(4) == 0 {
		return strconv.Itoa(w.IntN(8))
	}
	return one(w, w.names).(string)
}

// path goes down from the root at random.
func (w *wanderer) path(d *gen.Device) (*tree.Node, tree.Path) {
	n, p := w.s.Root, tree.Path{}
	for {
		var children []*tree.Node
		for _, c := range n.Children {
			if c.Config && !c.IsKey() && !c.KeyCopy && c.SchemaPath() != "/annotation" && c.SchemaPath() != "/mark" {
				children = append(children, c)
			}
		}
		if len(children) == 0 || n.Parent != nil && w.IntN(9) == 0 {
			return n, p
		}
		c := one(w, children)
		e := &gnmi.PathElem{Name: c.Name}
		p = p.Child(e)
		if n = c; c.IsLeaf() {
			return n, p
		}
		if c.Kind != tree.List || w.IntN(40) == 0 {
			if c.Kind == tree.List {
				return n, p // the whole list
			}
			continue
		}
		e.Key = map[string]string{}
		list := p[:len(p)-1].Named(c.Name)
		for _, k := range c.Keys {
			e.Key[k.Name] = w.key(d, list, k)
		}
	}
}

// value is one for a leaf.
func (w *wanderer) value(n *tree.Node) any {
	known := w.values[n.SchemaPath()]
	if len(known) > 0 && w.IntN(3) > 0 {
		v := one(w, known)
		if num, ok := v.(json.Number); ok && w.IntN(3) == 0 {
			if i, err := num.Int64(); err == nil {
				return i + int64(w.IntN(5)) - 2
			}
		}
		return v
	}
	switch w.IntN(5) {
	case 0:
		return w.IntN(2) == 0
	case 1, 2:
		return one(w, []int{0, 1, 2, 3, 64, 100, 1280, 1500, 4094, 9000, 65535})
	}
	return one(w, w.names)
}

// op is a random operation on d.
func (w *wanderer) op(t testing.TB, d *gen.Device) tree.Op {
	n, p := w.path(d)
	encode := func(v any) *gnmi.TypedValue {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return ietf("%s", b)
	}
	kind := tree.Update
	switch w.IntN(8) {
	case 0:
		kind = tree.Delete
	case 1, 2, 3:
		kind = tree.Replace
	}
	if kind == tree.Delete || len(p) == 0 {
		return tree.Op{Kind: tree.Delete, Path: p}
	}
	switch n.Kind {
	case tree.Leaf:
		return tree.Op{Kind: kind, Path: p, Value: encode(w.value(n))}
	case tree.LeafList:
		return tree.Op{Kind: kind, Path: p, Value: encode([]any{w.value(n)})}
	case tree.Container, tree.List:
		if n.Kind == tree.List && len(p[len(p)-1].GetKey()) == 0 {
			return tree.Op{Kind: tree.Update, Path: p, Value: encode([]any{})}
		}
		return tree.Op{Kind: tree.Update, Path: p, Value: encode(map[string]any{})}
	}
	return tree.Op{Kind: tree.Delete, Path: p}
}

// fit tries operations until the editor takes one, and leaves it on the tree.
func (w *wanderer) fit(t testing.TB, s *Store, tx *tx) (tree.Op, bool) {
	for range 200 {
		op := w.op(t, s.candidate)
		// One that can't be carried out may leave the tree half edited.
		probe := &gen.Device{}
		s.schema.Copy(probe, s.candidate, nil)
		if len(s.schema.Editor(probe, func(tree.Path) {}).Apply(op)) > 0 {
			continue
		}
		if v := tx.apply([]tree.Op{op}); len(v) > 0 {
			t.Fatalf("%v is taken by a copy, and not by the tree: %v", op, v)
		}
		return op, true
	}
	return tree.Op{}, false
}

func idsOf(path, rule string) string { return path + " " + rule }

// A judgement is one random commit, and what the whole tree has against it.
type judgement struct {
	ops  []tree.Op
	text []byte // the configuration
	bad  []models.PathError
}

func opsText(ops []tree.Op) string {
	var lines []string
	for _, op := range ops {
		lines = append(lines, fmt.Sprintf("%v %v %s", op.Kind, op.Path, op.Value.GetJsonIetfVal()))
	}
	return strings.Join(lines, "\n")
}

// wander makes random commits on each example, and fails where what the change
// says differs from what the whole says. each sees every judgement.
func wander(t *testing.T, steps int, each func(judgement)) (accepted, refused int) {
	t.Helper()
	for i, text := range examples(t) {
		s := open(t, t.TempDir(), &fakeApplier{})
		mustCommit(t, s, tree.Op{Kind: tree.Replace, Value: ietf("%s", text)})
		w := newWanderer(t, s.schema, uint64(i))
		for step := range steps {
			txn := newTx(s)
			var ops []tree.Op
			change, err := txn.prepare(t.Context(), func(txn *tx) []Violation {
				for range 1 + w.IntN(4) {
					if op, ok := w.fit(t, s, txn); ok {
						ops = append(ops, op)
					}
				}
				return nil
			})
			where := func() string { return fmt.Sprintf("example %d, step %d:\n%s", i, step, opsText(ops)) }
			var rejected *Rejected
			if err != nil && !errors.As(err, &rejected) {
				t.Fatalf("%s: %v", where(), err)
			}
			whole, bad := models.Compile(s.candidate)
			if (rejected == nil) != (bad == nil) {
				t.Fatalf("%s\nthe change says %v\nthe whole says %v", where(), err, bad)
			}
			text, merr := s.schema.Marshal(s.candidate)
			if merr != nil {
				t.Fatal(merr)
			}
			each(judgement{ops, text, bad})
			if rejected != nil {
				refused++
				var got, want []string
				for _, v := range rejected.Violations {
					got = append(got, idsOf(v.Path, v.Rule))
				}
				for _, v := range bad {
					want = append(want, idsOf(v.Path, v.Rule))
				}
				slices.Sort(got)
				slices.Sort(want)
				if got, want = slices.Compact(got), slices.Compact(want); !slices.Equal(got, want) {
					t.Fatalf("%s\nthe change breaks\n%s\nthe whole breaks\n%s\n%s", where(), strings.Join(got, "\n"), strings.Join(want, "\n"), text)
				}
				txn.undo()
				continue
			}
			accepted++
			if err := s.compiled.Commit(change); err != nil {
				t.Fatal(err)
			}
			if got, want := s.compiled.Intent(), whole.Intent(); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s\nthe intent is\n%+v\nas a whole it is\n%+v", where(), got, want)
			}
			txn.publish(Commit{Number: s.last.Number + 1})
		}
	}
	return accepted, refused
}

// Random edits of every list of the model: whether they are taken, what rules
// they break where, and the intent are those of compiling the whole tree.
func TestRandomEditsAgreeWithTheWhole(t *testing.T) {
	steps := envSteps(600)
	if testing.Short() {
		steps = 60
	}
	rules := map[string]int{}
	accepted, refused := wander(t, steps, func(j judgement) {
		for _, v := range j.bad {
			rules[v.Rule]++
		}
	})
	t.Logf("%d sequences accepted, %d refused by %d different rules", accepted, refused, len(rules))
	if accepted < steps || refused < steps || len(rules) < 20 {
		t.Errorf("%d accepted, %d refused by %d rules: the walk tests little", accepted, refused, len(rules))
	}
}

// sentences are the rules that the model states by a sentence, which no XPath
// evaluates, somewhere.
func sentences(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("../../../yang/*.yang")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?s)rt:check\s.*?error-app-tag\s+"([^"]+)"`).FindAllStringSubmatch(string(b), -1) {
			said[m[1]] = true
		}
	}
	return said
}

// What we accept, yanglint accepts; what we refuse by rules that are all musts
// or types, it refuses.
func TestRandomEditsAgreeWithYanglint(t *testing.T) {
	if _, err := exec.LookPath("yanglint"); err != nil {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatal("yanglint (libyang2-tools) is not installed, and REQUIRE_PRIVILEGED=1 forbids to skip")
		}
		t.Skip("yanglint (libyang2-tools) is not installed")
	}
	steps := envSteps(40)
	if testing.Short() {
		steps = 3
	}
	said := sentences(t)
	file := filepath.Join(t.TempDir(), "config.json")
	taken, refused := 0, 0
	wander(t, steps, func(j judgement) {
		if err := os.WriteFile(file, j.text, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("yanglint", "-p", "../../../yang", "-t", "config", "../../../yang/routerd.yang", file).CombinedOutput()
		byXPath := slices.ContainsFunc(j.bad, func(v models.PathError) bool { return !said[v.Rule] })
		switch {
		case err != nil && len(j.bad) == 0:
			t.Errorf("yanglint refuses what is accepted: %s\n%s\n%s", out, opsText(j.ops), j.text)
		case err == nil && byXPath:
			t.Errorf("yanglint accepts what breaks %v\n%s\n%s", j.bad, opsText(j.ops), j.text)
		case err != nil:
			refused++
		default:
			taken++
		}
		if t.Failed() {
			t.FailNow()
		}
	})
	t.Logf("yanglint agrees on %d sequences that it takes and %d that it refuses", taken, refused)
}

// envSteps is how many commits a walk makes on each example: n, or ORACLE_STEPS
// of the environment, for long hunts.
func envSteps(n int) int {
	if v, err := strconv.Atoi(os.Getenv("ORACLE_STEPS")); err == nil {
		return v
	}
	return n
}
