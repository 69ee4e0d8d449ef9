package command

import (
	"context"
	"slices"
	"strings"

	"router/cmd/rcli/schema"
)

// unitType is the model's type of names such as ge0.100: a device, a dot, a unit.
const unitType = "unit-name"

// keyValues are the keys that the list at the end of a path has now.
func keyValues(ctx context.Context, env *Env, at schema.Path, key *schema.Node, start string) []Candidate {
	if env.Keys == nil {
		return nil
	}
	list := schema.Path{Elems: append([]schema.Elem(nil), at.Elems...), Node: at.Node}
	last := &list.Elems[len(list.Elems)-1]
	last.Keys = nil
	found := env.Keys(ctx, list.String(), key.Name, start, most)
	if len(found) == 0 {
		return leafValues(ctx, env, key, at, start)
	}
	return alive(found)
}

// leafValues are the values that a leaf may take of those that are there now: the
// keys of the list that it refers to, or whose key it is. at is where it stands: as
// far as the list stands there too, it is the same one.
func leafValues(ctx context.Context, env *Env, n *schema.Node, at schema.Path, start string) []Candidate {
	if env.Keys == nil {
		return nil
	}
	if n.Type != nil && n.Type.Name == unitType {
		return unitValues(ctx, env, start)
	}
	var list *schema.Node
	if n.Refers != "" {
		list, _ = schema.Find(n.Refers)
	} else if at.IsRoot() {
		list = n.List()
	}
	if list == nil || list.Kind != schema.List || len(list.Keys) == 0 {
		return nil
	}
	key := list.Keys[0].Name
	if n.IsKey {
		key = n.Name
	}
	return alive(env.Keys(ctx, listPath(list, at), key, start, most))
}

// presentValues are the values of the leaf-list that w stands at, without those that were given.
func presentValues(ctx context.Context, env *Env, w *schema.Walker, start string) []Candidate {
	list := slices.DeleteFunc(env.Present(ctx, w.At().String()), func(c Candidate) bool {
		return !strings.HasPrefix(c.Text, start) || slices.Contains(w.Given(), c.Text)
	})
	return alive(list)
}

// alive marks values of the moment.
func alive(list []Candidate) []Candidate {
	for i := range list {
		list[i].Live = true
	}
	return list
}

// listPath is the path of a list, with the keys that at has for its ancestors and
// wildcards for the others.
func listPath(list *schema.Node, at schema.Path) string {
	var nodes []*schema.Node
	for n := list; n.Parent != nil; n = n.Parent {
		nodes = append([]*schema.Node{n}, nodes...)
	}
	p := schema.Path{}
	same := true
	for i, n := range nodes {
		p = p.Child(n)
		if same = same && i < len(at.Elems) && at.Elems[i].Name == n.Name; n == list {
			break
		}
		for j := range n.Keys {
			value := "*"
			if same && j < len(at.Elems[i].Keys) {
				value = at.Elems[i].Keys[j].Value
			}
			p = p.WithKey(value)
		}
	}
	return p.String()
}

// unitValues are devices, and behind a dot the units of one.
func unitValues(ctx context.Context, env *Env, start string) []Candidate {
	device, unit, dot := strings.Cut(start, ".")
	if !dot {
		list := env.Keys(ctx, "/interface", "name", device, most)
		for i := range list {
			list[i].Text += "."
			list[i].Part = true
		}
		return alive(list)
	}
	p := schema.Path{}.Child(schema.Root().Child("interface")).WithKey(device)
	list := env.Keys(ctx, p.Child(p.Node.Child("unit")).String(), "id", unit, most)
	for i := range list {
		list[i].Text = device + "." + list[i].Text
	}
	return alive(list)
}

// pathCandidates completes a word that is an absolute path.
func pathCandidates(ctx context.Context, env *Env, word string, view schema.View) []Candidate {
	cut, depth, bracket := 0, 0, -1
	for i := range len(word) {
		switch c := word[i]; {
		case c == '\\':
			continue
		case c == '[' && (i == 0 || word[i-1] != '\\'):
			if depth++; depth == 1 {
				bracket = i
			}
		case c == ']' && word[i-1] != '\\':
			if depth = max(0, depth-1); depth == 0 {
				bracket = -1
			}
		case c == '/' && depth == 0:
			cut = i
		}
	}
	if bracket >= 0 {
		return pathKeys(ctx, env, word, bracket)
	}
	p, err := schema.ParsePath(word[:cut])
	if err != nil {
		return nil
	}
	head, tail := word[:cut+1], word[cut+1:]
	if strings.HasSuffix(tail, "]") {
		return []Candidate{{Text: word + "/", Part: true}}
	}
	var list []Candidate
	for _, n := range p.Target().Children() {
		if !strings.HasPrefix(n.Name, tail) || view == schema.Config && !n.Config {
			continue
		}
		c := childCandidate(n)
		switch {
		case n.Kind == schema.List && len(n.Keys) > 0:
			c.Text, c.Part = head+n.Name+"["+n.Keys[0].Name+"=", true
		case n.Kind == schema.Container && n.Name == tail:
			c.Text, c.Part = head+n.Name+"/", true
		case n.Kind == schema.Container:
			c.Text, c.Part = head+n.Name, true
		default:
			c.Text = head + n.Name
		}
		list = append(list, c)
	}
	return list
}

// pathKeys completes the key that a path has begun at the bracket.
func pathKeys(ctx context.Context, env *Env, word string, bracket int) []Candidate {
	// What stands before the last element's first key is the list.
	first := bracket
	for i := bracket - 1; i > 0 && word[i] != '/'; i-- {
		if word[i] == '[' {
			first = i
		}
	}
	p, err := schema.ParsePath(word[:first])
	if err != nil || p.Target().Kind != schema.List {
		return nil
	}
	name, value, ok := strings.Cut(word[bracket+1:], "=")
	var list []Candidate
	for _, k := range p.Node.Keys {
		switch {
		case !ok && strings.HasPrefix(k.Name, name):
			list = append(list, Candidate{Text: word[:bracket+1] + k.Name + "=", Help: k.Summary(), Mark: KeyMark, Part: true})
		case ok && k.Name == name:
			found := append(names(k.Type.Names(), value), keyValues(ctx, env, p, k, value)...)
			for _, c := range found {
				c.Text, c.Mark, c.Part = word[:bracket+1]+name+"="+c.Text+"]", KeyMark, true
				list = append(list, c)
			}
		}
	}
	return list
}
