package tree_test

import (
	"slices"
	"testing"

	"router/cmd/routerd/datastore/tree"
)

func TestOutermost(t *testing.T) {
	for name, c := range map[string]struct{ at, want []string }{
		"apart":                  {[]string{"/a", "/b[k=1]", "/b[k=2]/c"}, []string{"/a", "/b[k=1]", "/b[k=2]/c"}},
		"below":                  {[]string{"/a/b/c", "/a", "/a/d"}, []string{"/a"}},
		"twice":                  {[]string{"/a/b", "/a/b"}, []string{"/a/b"}},
		"an entry and its list":  {[]string{"/l[k=1]/c", "/l"}, []string{"/l"}},
		"below an entry":         {[]string{"/l[k=1]/c", "/l[k=1]", "/l[k=10]/c"}, []string{"/l[k=1]", "/l[k=10]/c"}},
		"a name begins the same": {[]string{"/ab", "/a", "/a-b/c"}, []string{"/ab", "/a", "/a-b/c"}},
		"the whole":              {[]string{"/a", "/", "/l[k=1]"}, []string{"/"}},
		"two keys":               {[]string{"/l[g=1][s=2]/c", "/l[g=1][s=2]", "/l[g=1][s=3]/c"}, []string{"/l[g=1][s=2]", "/l[g=1][s=3]/c"}},
		"keys with brackets":     {[]string{`/l[k=a\]\\]/c/d`, `/l[k=a\]\\]/c`, `/l[k=a\]\\\\]/c/d`}, []string{`/l[k=a\]\\]/c`, `/l[k=a\]\\\\]/c/d`}},
	} {
		t.Run(name, func(t *testing.T) {
			var at []tree.Path
			for _, text := range c.at {
				p, err := tree.Parse(text)
				if err != nil {
					t.Fatal(err)
				}
				at = append(at, p)
			}
			var got []string
			for _, p := range tree.Outermost(at) {
				got = append(got, p.String())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
