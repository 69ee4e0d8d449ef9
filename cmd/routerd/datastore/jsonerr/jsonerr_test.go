package jsonerr

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestInLine(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"one line", `{"a":}`, "invalid character '}' looking for beginning of value"},
		{"third line", "{\n \"a\": 1,\n \"b\" 2\n}", "line 3: invalid character '2' after object key"},
		{"at the end", "{\n \"a\": 1\n", "line 3: unexpected end of JSON input"},
		{"no syntax error", "[\n 1\n]", "json: cannot unmarshal array into Go value of type map[string]interface {}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var v map[string]any
			err := json.Unmarshal([]byte(tc.text), &v)
			got := InLine([]byte(tc.text), err)
			if got == nil || got.Error() != tc.want {
				t.Errorf("got %v\nwant %s", got, tc.want)
			}
			if !errors.Is(got, err) {
				t.Errorf("%v is no %v", got, err)
			}
		})
	}
	if err := InLine([]byte("{\n}"), nil); err != nil {
		t.Errorf("an error of nothing: %v", err)
	}
}
