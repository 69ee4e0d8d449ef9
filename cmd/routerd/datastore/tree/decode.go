package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/jsonerr"
)

// A value is a decoded TypedValue: a place in a JSON document, or in any one of the
// forms that encoding/json gives with UseNumber, text, or octets. scalar marks one that
// can only be a leaf's.
type value struct {
	doc    *document
	at     int
	any    any
	scalar bool
}

// decode reads a TypedValue (gNMI specification, section 2.2.3). JSON and
// JSON_IETF differ, on input, only in how 64-bit numbers are written, and both
// ways are taken. ASCII is a value in its lexical form (RFC 7950, section 9).
func decode(tv *gnmi.TypedValue) (value, *Error) {
	switch v := tv.GetValue().(type) {
	case *gnmi.TypedValue_JsonVal:
		return decodeJSON(v.JsonVal)
	case *gnmi.TypedValue_JsonIetfVal:
		return decodeJSON(v.JsonIetfVal)
	case *gnmi.TypedValue_LeaflistVal:
		list := make([]any, 0, len(v.LeaflistVal.GetElement()))
		for _, e := range v.LeaflistVal.GetElement() {
			d, err := decode(e)
			if err != nil {
				return value{}, err
			}
			list = append(list, d.plain())
		}
		return value{any: list, scalar: true}, nil
	}
	return decodeScalar(tv)
}

func decodeScalar(tv *gnmi.TypedValue) (value, *Error) {
	var out any
	switch v := tv.GetValue().(type) {
	case *gnmi.TypedValue_StringVal:
		out = v.StringVal
	case *gnmi.TypedValue_IntVal:
		out = json.Number(strconv.FormatInt(v.IntVal, 10))
	case *gnmi.TypedValue_UintVal:
		out = json.Number(strconv.FormatUint(v.UintVal, 10))
	case *gnmi.TypedValue_AsciiVal:
		out = text(v.AsciiVal)
	case *gnmi.TypedValue_BytesVal:
		out = octets(v.BytesVal)
	case *gnmi.TypedValue_BoolVal:
		out = v.BoolVal
	case *gnmi.TypedValue_DoubleVal:
		out = json.Number(strconv.FormatFloat(v.DoubleVal, 'f', -1, 64))
	case nil:
		return value{}, &Error{Kind: Invalid, Err: errors.New("the operation has no value")}
	default:
		return value{}, &Error{Kind: Unsupported,
			Err: fmt.Errorf("values of type %s are not supported: use json_ietf_val, json_val or a scalar", strings.TrimPrefix(fmt.Sprintf("%T", v), "*gnmi.TypedValue_"))}
	}
	return value{any: out, scalar: true}, nil
}

func decodeJSON(data []byte) (value, *Error) {
	if doc, _, _, ok := scanJSON(data); ok {
		if err := checkUnicode(data); err != nil {
			return value{}, &Error{Kind: Invalid, Err: fmt.Errorf("bad JSON: %w", err)}
		}
		return value{doc: doc}, nil
	}
	// encoding/json knows best what is wrong.
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		return value{}, &Error{Kind: Invalid, Err: fmt.Errorf("bad JSON: %w", jsonerr.InLine(data, err))}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return value{}, &Error{Kind: Invalid, Err: errors.New("bad JSON: more after the value")}
	}
	if _, name, repeated, _ := scanJSON(data); repeated {
		return value{}, &Error{Kind: Invalid, Err: fmt.Errorf("bad JSON: an object has the member %q twice", name)}
	}
	return value{}, &Error{Kind: Invalid, Err: errors.New("bad JSON: it is too long, or too deep")}
}
