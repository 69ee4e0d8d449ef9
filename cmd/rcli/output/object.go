package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/openconfig/goyang/pkg/yang"
)

// A member is a member of a JSON object: objects keep their order here.
type member struct {
	name  string
	value any // object, []any, string, json.Number, bool or nil
}

type object []member

// decode reads JSON with the order of its members.
func decode(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return decodeNext(d)
}

func decodeNext(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if delim == '[' {
		list := []any{}
		for d.More() {
			v, err := decodeNext(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	o := object{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := decodeNext(d)
		if err != nil {
			return nil, err
		}
		o = append(o, member{local(fmt.Sprint(name)), v})
	}
	_, err = d.Token()
	return o, err
}

// encode writes what decode has read.
func encode(b *bytes.Buffer, v any) error {
	switch x := v.(type) {
	case object:
		b.WriteByte('{')
		for i, m := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, m.name); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := encode(b, m.value); err != nil {
				return err
			}
		}
		b.WriteByte('}')
		return nil
	case []any:
		b.WriteByte('[')
		for i, e := range x {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, e); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	}
	text, err := json.Marshal(v)
	b.Write(text)
	return err
}

// entries are the elements of a JSON array that is a list of the model: all of them
// objects.
func entries(v any) ([]object, bool) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, false
	}
	out := make([]object, len(list))
	for i, e := range list {
		if out[i], ok = e.(object); !ok {
			return nil, false
		}
	}
	return out, true
}

// scalar is the text of a leaf, or of a leaf-list.
func scalar(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case []any:
		words := make([]string, len(x))
		for i, e := range x {
			words[i] = scalar(e)
		}
		return strings.Join(words, " ")
	case object:
		return ""
	}
	return fmt.Sprint(v)
}

func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// keyText is the entry's keys as people write them, behind the list's name.
func (o object) keyText(e *yang.Entry) string {
	var words []string
	for _, k := range keysOf(e) {
		if v, ok := o.get(k); ok {
			words = append(words, scalar(v))
		}
	}
	return strings.Join(words, " ")
}
