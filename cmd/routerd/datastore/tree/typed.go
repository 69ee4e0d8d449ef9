package tree

import (
	"math"
	"reflect"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// The fields of gnmi.proto's TypedValue that AppendTyped writes.
const (
	typedString protowire.Number = 1
	typedInt    protowire.Number = 2
	typedUint   protowire.Number = 3
	typedBool   protowire.Number = 4
	typedDouble protowire.Number = 14
)

// AppendTyped appends Typed as protobuf: the same octets, without the message.
func (l Value) AppendTyped(b []byte) ([]byte, error) {
	v, ok := scalar(l.v)
	if !ok {
		return b, nil
	}
	if name, ok := enumName(v); ok {
		b = protowire.AppendTag(b, typedString, protowire.BytesType)
		return protowire.AppendString(b, name), nil
	}
	switch v.Kind() {
	case reflect.Bool:
		b = protowire.AppendTag(b, typedBool, protowire.VarintType)
		return protowire.AppendVarint(b, protowire.EncodeBool(v.Bool())), nil
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		b = protowire.AppendTag(b, typedInt, protowire.VarintType)
		return protowire.AppendVarint(b, uint64(v.Int())), nil
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		b = protowire.AppendTag(b, typedUint, protowire.VarintType)
		return protowire.AppendVarint(b, v.Uint()), nil
	case reflect.Float64:
		b = protowire.AppendTag(b, typedDouble, protowire.Fixed64Type)
		return protowire.AppendFixed64(b, math.Float64bits(v.Float())), nil
	case reflect.String:
		b = protowire.AppendTag(b, typedString, protowire.BytesType)
		return protowire.AppendString(b, v.String()), nil
	default:
		return proto.MarshalOptions{Deterministic: true}.MarshalAppend(b, typedOf(v))
	}
}
