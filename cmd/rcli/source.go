package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"router/cmd/rcli/command"
	"router/cmd/rcli/conf"
	"router/cmd/rcli/output"
	"router/cmd/rcli/schema"
	"router/gen/configpb"
)

// A source is a configuration that can be printed: a candidate's, or running.
type source struct {
	client    *client
	candidate string // "" for running
}

// showConfiguration prints what runs, as configuration mode prints a candidate.
func showConfiguration(ctx context.Context, env *command.Env, in *command.Input) error {
	return of(env).with(func(c *client) error {
		p := in.Path("path")
		return source{client: c}.show(ctx, env, p)
	})
}

// read fetches what stands at a path, as commands with inactive parts and comments.
func (s source) read(ctx context.Context, p schema.Path) (text string, err error) {
	resp, err := s.client.configuration().Read(s.client.context(ctx), &configpb.ReadRequest{
		Id: s.candidate, Path: p.String(), Format: configpb.Edit_Load_COMMANDS, Whole: true})
	if err != nil {
		return "", inWords(err)
	}
	return resp.GetText(), nil
}

// values are those of the leaf-lists that a path names, in their order, each once.
func (s source) values(ctx context.Context, p schema.Path) ([]string, error) {
	text, err := s.read(ctx, p)
	if err != nil {
		return nil, err
	}
	n, err := conf.Read(text)
	if err != nil {
		return nil, fmt.Errorf("the router's answer for %s: %w", p.Words(), err)
	}
	var list []string
	n.Leaves(func(leaf *conf.Node) {
		for _, v := range leaf.Values {
			if !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
	})
	return list, nil
}

// has refuses values that none of the leaf-lists has which the paths name. What can't be read is
// the router's to refuse.
func (s source) has(ctx context.Context, paths []schema.Path, values []string) error {
	var there []string
	for _, p := range paths {
		list, err := s.values(ctx, p)
		if err != nil {
			return nil //nolint:nilerr // the edit says it
		}
		there = append(there, list...)
	}
	for _, v := range values {
		switch {
		case slices.Contains(there, v):
		case len(there) == 0:
			return fmt.Errorf("nothing stands at %s", paths[0].Words())
		default:
			return fmt.Errorf("%s has no value %s: it has %s", paths[0].Words(), schema.Quote(v), quoteSome(there))
		}
	}
	return nil
}

// quoteSome are a few values in words.
func quoteSome(values []string) string {
	const most = 8
	var b strings.Builder
	for i, v := range values {
		if i == most {
			fmt.Fprintf(&b, " and %d more", len(values)-most)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(schema.Quote(v))
	}
	return b.String()
}

// show prints what stands at a path in the form that is asked for.
func (s source) show(ctx context.Context, env *command.Env, p schema.Path) error {
	if env.JSON || env.Form == "json" || len(env.Fields) > 0 || env.Form == output.YAML || env.Form == output.Table || env.Form == output.Yang {
		return s.showData(ctx, env, p)
	}
	text, err := s.read(ctx, p)
	if err != nil {
		return err
	}
	switch env.Form {
	case "set":
		_, err := io.WriteString(env.Out, text)
		return err
	case "xpath":
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, "set "); ok {
				if _, err := io.WriteString(env.Out, rest); err != nil {
					return err
				}
			}
		}
		return nil
	case "", "curly":
	default:
		return s.showData(ctx, env, p)
	}
	n, err := conf.Read(text)
	if err != nil {
		return fmt.Errorf("the router's answer can't be shown: %w", err)
	}
	return n.Below(p).Write(env.Out)
}

// showData prints what of the candidate is active in a form of data, and says what
// such a form has no words for.
func (s source) showData(ctx context.Context, env *command.Env, p schema.Path) error {
	resp, err := s.client.configuration().Read(s.client.context(ctx), &configpb.ReadRequest{Id: s.candidate, Path: p.String()})
	if err != nil {
		return inWords(err)
	}
	text := []byte(cmp.Or(resp.GetText(), "{}"))
	if env.JSON || env.Form == "json" {
		if err := printJSON(env.Out, text); err != nil {
			return err
		}
		return s.sayLeftOut(ctx, env, p)
	}
	sink, err := of(env).sink()
	if err != nil {
		return err
	}
	if err := sink.Value(output.Value{Path: p.String(), JSON: text, Alone: true}); err != nil {
		return err
	}
	if err := sink.Close(); err != nil {
		return err
	}
	return s.sayLeftOut(ctx, env, p)
}

// sayLeftOut tells people what at and below a path is inactive or
// noted: data is of what is active alone.
func (s source) sayLeftOut(ctx context.Context, env *command.Env, p schema.Path) error {
	resp, err := s.client.configuration().Read(s.client.context(ctx), &configpb.ReadRequest{Id: s.candidate, Path: "/mark[path=*]/config"})
	if err != nil {
		return inWords(err)
	}
	marks := map[string]json.RawMessage{}
	if resp.GetText() != "" {
		if err := json.Unmarshal([]byte(resp.GetText()), &marks); err != nil {
			return fmt.Errorf("the router's answer for what is inactive: %w", err)
		}
	}
	inactive, comments, top := 0, 0, strings.TrimSuffix(p.String(), "/")
	for at, raw := range marks {
		var m struct {
			Path     string `json:"path"`
			Inactive bool   `json:"inactive"`
			Comment  string `json:"comment"`
		}
		if err := json.Unmarshal(unqualify(raw), &m); err != nil {
			return fmt.Errorf("the router's answer for %s: %w", at, err)
		}
		if m.Path != top && !strings.HasPrefix(m.Path, top+"/") && !strings.HasPrefix(m.Path, top+"[") {
			continue
		}
		if m.Inactive {
			inactive++
		}
		if m.Comment != "" {
			comments++
		}
	}
	if inactive+comments == 0 {
		return nil
	}
	_, err = fmt.Fprintf(env.Err, "%d inactive parts and %d comments are left out: show and | display set have them\n", inactive, comments)
	return err
}
