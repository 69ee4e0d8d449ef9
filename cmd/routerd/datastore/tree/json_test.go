package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func repeatedMember(data []byte) (name string, found bool) {
	_, name, found, _ = scanJSON(data)
	return name, found
}

func TestRepeatedMember(t *testing.T) {
	many := func(last string) string {
		var names []string
		for i := range 40 {
			names = append(names, `"m`+strings.Repeat("x", i)+`":{}`)
		}
		return "{" + strings.Join(append(names, `"`+last+`":1`), ",") + "}"
	}
	for _, tc := range []struct{ name, json, want string }{
		{"a scalar", `7`, ""},
		{"a string", `"a\"b"`, ""},
		{"an empty object", `{}`, ""},
		{"the same name in different objects", `{"a":{"a":[{"a":1},{"a":2}]},"b":{"a":3}}`, ""},
		{"the name as a value", `{"a":"a","b":["a","a"]}`, ""},
		{"twice", `{"a":1,"a":1}`, "a"},
		{"twice in an array", `[{"b":1},{"a":1,"b":[],"a":2}]`, "a"},
		{"twice, the second after an object", `{"a":{"x":"}"},"a":1}`, "a"},
		{"twice, once escaped", `{"a":1,"\u0061":1}`, "a"},
		{"a quote in the name", `{"\"":1,"\\":2}`, ""},
		{"twice among many", many("m"), "m"},
		{"many", many("n"), ""},
		{"the last of many", `{"a":` + many("m"+strings.Repeat("x", 39)) + "}", "m" + strings.Repeat("x", 39)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, found := repeatedMember([]byte(tc.json)); got != tc.want || found != (tc.want != "") {
				t.Errorf("%q, %t; want %q", got, found, tc.want)
			}
		})
	}
}

// FuzzJSON reads what encoding/json reads, and the same from it.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":1,"a":2}`, `[{"a":{"b":"\""}}]`, `"\\"`, `{"":{},"":[]}`, ` [ -0.5e+3 , true,false , null ] `, `{"\u0061":"\ud834\udd1e\n"}`,
		"\"\xff\"", `01`, `-`, `1.`, `1e`, `[1,]`, `{"a"}`, `"\x"`, `tru`, `{} {}`, "\"\x01\"", `{"a":[{},[]]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var want any
		err := d.Decode(&want)
		if err == nil {
			if _, more := d.Token(); !errors.Is(more, io.EOF) {
				err = errors.New("more")
			}
		}
		doc, name, repeated, ok := scanJSON(data)
		switch {
		case repeated:
			// Go's reader keeps the last of two members: then there are fewer.
			var object map[string]json.RawMessage
			if json.Unmarshal(data, &object) == nil && strings.Count(string(data), ":") == len(object) {
				t.Errorf("%s: %q is said to stand there twice", data, name)
			}
		case ok != (err == nil):
			t.Errorf("%q: read %t, encoding/json says %v", data, ok, err)
		case ok:
			if got := doc.plain(0); !reflect.DeepEqual(got, want) {
				t.Errorf("%q is read as %#v, not %#v", data, got, want)
			}
		}
	})
}
