package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/goyang/pkg/yang"

	"router/gen"
)

// schemaOf finds the schema node at a path; nil when the model has none.
func schemaOf(p *gpb.Path) (*yang.Entry, error) {
	s, err := gen.Schema()
	if err != nil {
		return nil, fmt.Errorf("the model built into rcli: %w", err)
	}
	e := s.RootSchema()
	for _, elem := range p.GetElem() {
		_, name, ok := strings.Cut(elem.GetName(), ":")
		if !ok {
			name = elem.GetName()
		}
		if e = e.Dir[name]; e == nil {
			return nil, nil
		}
	}
	return e, nil
}

// encodeValue turns what a person typed into what the leaf at p takes. Text
// that the leaf can't take is sent as it is: the router's answer says why not.
func encodeValue(p *gpb.Path, text string) (*gpb.TypedValue, error) {
	e, err := schemaOf(p)
	if err != nil {
		return nil, err
	}
	if e == nil || e.IsDir() || e.IsLeafList() {
		if !json.Valid([]byte(text)) {
			if e == nil {
				return nil, usagef("%s: the model has no such node", pathText(p))
			}
			return nil, usagef("%s: want JSON here, because it is no single leaf: %s", pathText(p), text)
		}
		return &gpb.TypedValue{Value: &gpb.TypedValue_JsonIetfVal{JsonIetfVal: []byte(text)}}, nil
	}
	if e.Type != nil {
		//exhaustive:ignore all other kinds are text
		switch e.Type.Kind {
		case yang.Ybool:
			if b, err := strconv.ParseBool(text); err == nil {
				return &gpb.TypedValue{Value: &gpb.TypedValue_BoolVal{BoolVal: b}}, nil
			}
		case yang.Yuint8, yang.Yuint16, yang.Yuint32, yang.Yuint64:
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				return &gpb.TypedValue{Value: &gpb.TypedValue_UintVal{UintVal: n}}, nil
			}
		case yang.Yint8, yang.Yint16, yang.Yint32, yang.Yint64:
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				return &gpb.TypedValue{Value: &gpb.TypedValue_IntVal{IntVal: n}}, nil
			}
		case yang.Yunion:
			n, err := strconv.ParseUint(text, 10, 64)
			if err == nil && slices.ContainsFunc(e.Type.Type, func(m *yang.YangType) bool { return m.Kind >= yang.Yuint8 && m.Kind <= yang.Yuint64 }) {
				return &gpb.TypedValue{Value: &gpb.TypedValue_UintVal{UintVal: n}}, nil
			}
		}
	}
	return &gpb.TypedValue{Value: &gpb.TypedValue_StringVal{StringVal: text}}, nil
}
