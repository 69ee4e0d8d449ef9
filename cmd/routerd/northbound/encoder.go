package northbound

import (
	"maps"
	"math"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/openconfig/gnmi/proto/gnmi"

	"router/cmd/routerd/datastore/tree"
)

// Samples of all counters of a large router are a hundred thousand updates a
// second. An encoder writes them as protobuf right away, without a message in
// between: an update is the octets of the path before it, from where they differ on, and a
// number.

// The fields of gnmi.proto that an encoder writes, by message.
const (
	responseUpdate protowire.Number = 1

	notificationTimestamp protowire.Number = 1
	notificationPrefix    protowire.Number = 2
	notificationUpdate    protowire.Number = 4

	updatePath       protowire.Number = 1
	updateVal        protowire.Number = 3
	updateDuplicates protowire.Number = 4

	pathOrigin protowire.Number = 2
	pathElem   protowire.Number = 3

	elemName protowire.Number = 1
	elemKey  protowire.Number = 2

	valueString   protowire.Number = 1
	valueInt      protowire.Number = 2
	valueUint     protowire.Number = 3
	valueBool     protowire.Number = 4
	valueBytes    protowire.Number = 5
	valueLeaflist protowire.Number = 8
	valueJSON     protowire.Number = 10
	valueIETF     protowire.Number = 11
	valueDouble   protowire.Number = 14
)

// encodedAtOnce is how many updates a message of an encoder takes: more than a sender's,
// since they take less.
const encodedAtOnce = 512

// An encoder is a sender that writes protobuf itself. It has no deletes. What it says is
// what the sender would, as a test compares.
type encoder struct {
	c          *stream
	stamp      int64
	duplicates uint32
	head       []byte // what each message begins with
	origin     []byte // what each path begins with

	updates []byte
	n       int
	last    tree.Path // of the update before
	elems   []byte    // its elements
	ends    []int     // where each of them ends in elems
	scratch []byte
	value   []byte
}

func (c *stream) encoder(origin string, stamp int64, duplicates uint32) (*encoder, error) {
	w := &encoder{c: c, stamp: stamp, duplicates: duplicates}
	w.head = protowire.AppendTag(nil, notificationTimestamp, protowire.VarintType)
	w.head = protowire.AppendVarint(w.head, uint64(stamp))
	if p := echo(c.prefix); p != nil {
		b, err := proto.Marshal(p)
		if err != nil {
			return nil, err
		}
		w.head = protowire.AppendTag(w.head, notificationPrefix, protowire.BytesType)
		w.head = protowire.AppendBytes(w.head, b)
	}
	if origin != "" {
		w.origin = appendString(nil, pathOrigin, origin)
	}
	return w, nil
}

func appendString(b []byte, n protowire.Number, s string) []byte {
	b = protowire.AppendTag(b, n, protowire.BytesType)
	return protowire.AppendString(b, s)
}

func appendBytes(b []byte, n protowire.Number, v []byte) []byte {
	b = protowire.AppendTag(b, n, protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

// canEncode reports whether the samples of the subscription can be written by an
// encoder: what is to be read whole, and other views, are a sender's.
func (c *stream) canEncode(sub *subscription) bool {
	return !sub.annotation && sub.view == nil && (sub.origin == "" || sub.origin == nativeOrigin) && !slices.ContainsFunc(c.schema.Nodes(sub.pattern), hasAtomic)
}

// hasAtomic reports whether the model wants something at or below n read whole.
func hasAtomic(n *tree.Node) bool {
	return n.AtomicElems() > 0 || slices.ContainsFunc(n.Children, hasAtomic)
}

// sampleEncoded is sample, by an encoder.
func (c *stream) sampleEncoded(sub *subscription, duplicates uint32, pick func(tree.LeafValue, []byte) (bool, error)) error {
	w, err := c.encoder(sub.origin, c.now().UnixNano(), duplicates)
	if err != nil {
		return failf(codes.Internal, "prefix: %v", err)
	}
	err = c.eachOf(sub, sub.pattern, func(l tree.LeafValue) error {
		v, err := c.appendValue(w.value[:0], l)
		if err != nil {
			return failf(codes.Internal, "path %s: %v", l.Path, err)
		}
		w.value = v
		if pick != nil {
			if wanted, err := pick(l, v); err != nil || !wanted {
				return err
			}
		}
		return w.update(l.Path, v)
	})
	if err != nil {
		return err
	}
	return w.flush()
}

// update adds an update with an encoded value, and sends the message when it is
// full.
func (w *encoder) update(p tree.Path, value []byte) error {
	w.path(p)
	size := len(w.origin) + len(w.elems)
	u := w.scratch[:0]
	u = protowire.AppendTag(u, updatePath, protowire.BytesType)
	u = protowire.AppendVarint(u, uint64(size))
	u = append(u, w.origin...)
	u = append(u, w.elems...)
	u = appendBytes(u, updateVal, value)
	if w.duplicates > 0 {
		u = protowire.AppendTag(u, updateDuplicates, protowire.VarintType)
		u = protowire.AppendVarint(u, uint64(w.duplicates))
	}
	w.scratch = u
	w.updates = appendBytes(w.updates, notificationUpdate, u)
	if w.n++; w.n < encodedAtOnce {
		return nil
	}
	return w.flush()
}

// path makes elems those of p. Walks share elements between neighbours, so that
// most of them are where they should be.
func (w *encoder) path(p tree.Path) {
	same := 0
	for same < min(len(p), len(w.last)) && p[same] == w.last[same] {
		same++
	}
	w.ends = w.ends[:same]
	end := 0
	if same > 0 {
		end = w.ends[same-1]
	}
	w.elems = w.elems[:end]
	for _, e := range p[same:] {
		w.elems = appendElem(w.elems, e)
		w.ends = append(w.ends, len(w.elems))
	}
	w.last = p
}

func appendElem(b []byte, e *gnmi.PathElem) []byte {
	size := protowire.SizeTag(elemName) + protowire.SizeBytes(len(e.GetName()))
	entry := func(k, v string) int {
		return 2*protowire.SizeTag(1) + protowire.SizeBytes(len(k)) + protowire.SizeBytes(len(v))
	}
	for k, v := range e.GetKey() {
		size += protowire.SizeTag(elemKey) + protowire.SizeBytes(entry(k, v))
	}
	b = protowire.AppendTag(b, pathElem, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = appendString(b, elemName, e.GetName())
	add := func(k, v string) {
		b = protowire.AppendTag(b, elemKey, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(entry(k, v)))
		b = appendString(b, 1, k)
		b = appendString(b, 2, v)
	}
	if len(e.GetKey()) > 1 {
		for _, k := range slices.Sorted(maps.Keys(e.GetKey())) {
			add(k, e.GetKey()[k])
		}
		return b
	}
	for k, v := range e.GetKey() {
		add(k, v)
	}
	return b
}

// appendValue writes the TypedValue of the leaf in the stream's encoding.
func (c *stream) appendValue(b []byte, l tree.LeafValue) ([]byte, error) {
	switch c.encoding {
	case gnmi.Encoding_PROTO:
		return appendScalar(b, l.Value.Typed())
	case gnmi.Encoding_JSON, gnmi.Encoding_JSON_IETF:
		n, ietf := valueJSON, c.encoding == gnmi.Encoding_JSON_IETF
		if ietf {
			n = valueIETF
		}
		var room [32]byte
		text, err := l.Value.AppendJSON(room[:0], ietf)
		if err != nil {
			return nil, err
		}
		return appendBytes(b, n, text), nil
	case gnmi.Encoding_ASCII, gnmi.Encoding_BYTES:
	}
	v, err := c.encode(l)
	if err != nil {
		return nil, err
	}
	return proto.MarshalOptions{}.MarshalAppend(b, v)
}

func appendScalar(b []byte, typed *gnmi.TypedValue) ([]byte, error) {
	switch v := typed.GetValue().(type) {
	case *gnmi.TypedValue_UintVal:
		b = protowire.AppendTag(b, valueUint, protowire.VarintType)
		return protowire.AppendVarint(b, v.UintVal), nil
	case *gnmi.TypedValue_IntVal:
		b = protowire.AppendTag(b, valueInt, protowire.VarintType)
		return protowire.AppendVarint(b, uint64(v.IntVal)), nil
	case *gnmi.TypedValue_StringVal:
		return appendString(b, valueString, v.StringVal), nil
	case *gnmi.TypedValue_BoolVal:
		b = protowire.AppendTag(b, valueBool, protowire.VarintType)
		return protowire.AppendVarint(b, protowire.EncodeBool(v.BoolVal)), nil
	case *gnmi.TypedValue_DoubleVal:
		b = protowire.AppendTag(b, valueDouble, protowire.Fixed64Type)
		return protowire.AppendFixed64(b, math.Float64bits(v.DoubleVal)), nil
	case *gnmi.TypedValue_BytesVal:
		return appendBytes(b, valueBytes, v.BytesVal), nil
	case *gnmi.TypedValue_LeaflistVal:
		list, err := proto.Marshal(v.LeaflistVal)
		return appendBytes(b, valueLeaflist, list), err
	}
	return proto.MarshalOptions{}.MarshalAppend(b, typed)
}

// flush sends what is gathered.
func (w *encoder) flush() error {
	if w.n == 0 {
		return nil
	}
	size := len(w.head) + len(w.updates)
	// The message is grpc's once it is handed over.
	b := make([]byte, 0, size+8)
	b = protowire.AppendTag(b, responseUpdate, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = append(b, w.head...)
	b = append(b, w.updates...)
	n := w.n
	w.updates, w.n = w.updates[:0], 0
	return w.c.deliver(outgoing{b: b, updates: n, duplicates: w.duplicates})
}

// written is a SubscribeResponse that is protobuf already.
type written []byte

// A codec is grpc's for protobuf, but for what is written already.
type codec struct{ encoding.CodecV2 }

func newCodec() encoding.CodecV2 { return codec{encoding.GetCodecV2(protocodec.Name)} }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.(written); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	return c.CodecV2.Marshal(v)
}
