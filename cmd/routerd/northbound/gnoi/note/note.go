// Package note puts a line of text beside the fields of a gNOI message, where the
// message has no place for what the router knows: which ICMP error answered a
// ping. A client that doesn't know it skips it, as protocol buffers want
// (Encoding, "Unknown fields").
package note

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Field is the number of the field: beyond those that gNOI is going to use, and a
// string.
const Field protowire.Number = 50001

// Put gives m a note; an empty one is none.
func Put(m proto.Message, text string) {
	if text == "" {
		return
	}
	r := m.ProtoReflect()
	b := protowire.AppendTag(r.GetUnknown(), Field, protowire.BytesType)
	r.SetUnknown(protowire.AppendString(b, text))
}

// Of is the note of m, empty when it has none.
func Of(m proto.Message) string {
	for b := []byte(m.ProtoReflect().GetUnknown()); len(b) > 0; {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ""
		}
		b = b[n:]
		if num == Field && typ == protowire.BytesType {
			text, n := protowire.ConsumeString(b)
			if n < 0 {
				return ""
			}
			return text
		}
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return ""
		}
		b = b[n:]
	}
	return ""
}
