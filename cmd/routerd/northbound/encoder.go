package northbound

import (
	"maps"
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
	notificationAtomic    protowire.Number = 6

	updatePath       protowire.Number = 1
	updateVal        protowire.Number = 3
	updateDuplicates protowire.Number = 4

	pathOrigin protowire.Number = 2
	pathElem   protowire.Number = 3
	pathTarget protowire.Number = 4

	elemName protowire.Number = 1
	elemKey  protowire.Number = 2

	valueJSON protowire.Number = 10
	valueIETF protowire.Number = 11
)

// encodedAtOnce is how many updates a message of an encoder takes: more than a sender's,
// since they take less.
const encodedAtOnce = 512

// An encoder is a sender that writes protobuf itself. It has no deletes. What it says is
// what the sender would, as a test compares, but that what stands outside of atomic nodes
// goes on being gathered beside them.
type encoder struct {
	c          *stream
	stamp      int64
	duplicates uint32
	origin     string

	plain   writing   // of what stands in no atomic node
	whole   writing   // of the atomic node at
	at      tree.Path // nil for none
	room    tree.Path // that at takes
	wanted  bool      // something of the node is to be sent, so all of it is
	prefix  pathWriter
	value   []byte
	scratch []byte
}

// A writing is one notification that is being written.
type writing struct {
	head    []byte // before the updates
	origin  []byte // what each path begins with
	updates []byte
	n       int
	path    pathWriter
	scratch []byte
}

// A pathWriter writes the elements of paths that mostly begin as the one before.
type pathWriter struct {
	last  tree.Path
	elems []byte
	ends  []int // where each element ends in elems
}

func (c *stream) encoder(origin string, stamp int64, duplicates uint32) (*encoder, error) {
	w := &encoder{c: c, stamp: stamp, duplicates: duplicates, origin: origin}
	w.plain.head = w.timestamp(nil)
	if p := echo(c.prefix); p != nil {
		b, err := proto.Marshal(p)
		if err != nil {
			return nil, err
		}
		w.plain.head = appendBytes(w.plain.head, notificationPrefix, b)
	}
	if origin != "" {
		w.plain.origin = appendString(nil, pathOrigin, origin)
	}
	return w, nil
}

func (w *encoder) timestamp(b []byte) []byte {
	b = protowire.AppendTag(b, notificationTimestamp, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(w.stamp))
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
// encoder: other views are a sender's.
func (c *stream) canEncode(sub *subscription) bool {
	return !sub.annotation && sub.view == nil && (sub.origin == "" || sub.origin == nativeOrigin)
}

// sampleEncoded is sample, by an encoder.
func (c *stream) sampleEncoded(sub *subscription, duplicates uint32, pick func(tree.LeafValue, []byte) (bool, error)) error {
	w, err := c.encoder(sub.origin, c.now().UnixNano(), duplicates)
	if err != nil {
		return failf(codes.Internal, "prefix: %v", err)
	}
	c.brief = true
	defer func() { c.brief = false }()
	err = c.eachOf(sub, sub.pattern, func(l tree.LeafValue) error {
		v, err := c.appendValue(w.value[:0], l)
		if err != nil {
			return failf(codes.Internal, "path %s: %v", l.Path, err)
		}
		w.value = v
		wanted := true
		if pick != nil {
			if wanted, err = pick(l, v); err != nil {
				return err
			}
		}
		return w.leaf(l, v, wanted)
	})
	if err != nil {
		return err
	}
	return w.flush()
}

// leaf takes the next leaf of a walk, with its encoded value, and sends a message when
// it is full.
func (w *encoder) leaf(l tree.LeafValue, value []byte, wanted bool) error {
	n := l.Node.AtomicElems()
	if n == 0 {
		if err := w.end(); err != nil || !wanted {
			return err
		}
		if w.plain.update(l.Path, value, w.duplicates); w.plain.n < encodedAtOnce {
			return nil
		}
		return w.send(&w.plain)
	}
	if at := l.Path[:n]; len(w.at) != n || !slices.Equal(at, w.at) && !at.HasPrefix(w.at) {
		if err := w.end(); err != nil {
			return err
		}
		w.begin(at)
	}
	w.wanted = w.wanted || wanted
	w.whole.update(l.Path[n:], value, w.duplicates)
	return nil
}

// begin begins the notification of an atomic node: its prefix is the node.
func (w *encoder) begin(at tree.Path) {
	w.at = append(w.room[:0], at...)
	w.room = w.at
	w.prefix.write(at)
	b := w.scratch[:0]
	if o := w.c.prefix.GetOrigin() + w.origin; o != "" {
		b = appendString(b, pathOrigin, o)
	}
	b = append(b, w.prefix.elems...)
	if t := w.c.prefix.GetTarget(); t != "" {
		b = appendString(b, pathTarget, t)
	}
	w.scratch = b
	h := appendBytes(w.timestamp(w.whole.head[:0]), notificationPrefix, b)
	h = protowire.AppendTag(h, notificationAtomic, protowire.VarintType)
	w.whole.head = protowire.AppendVarint(h, protowire.EncodeBool(true))
}

// end ends the atomic node, if one has begun.
func (w *encoder) end() error {
	if w.at == nil {
		return nil
	}
	wanted := w.wanted
	w.at, w.wanted = nil, false
	if !wanted {
		w.whole.updates, w.whole.n = w.whole.updates[:0], 0
		return nil
	}
	return w.send(&w.whole)
}

// update adds an update with an encoded value.
func (e *writing) update(p tree.Path, value []byte, duplicates uint32) {
	e.path.write(p)
	u := e.scratch[:0]
	u = protowire.AppendTag(u, updatePath, protowire.BytesType)
	u = protowire.AppendVarint(u, uint64(len(e.origin)+len(e.path.elems)))
	u = append(u, e.origin...)
	u = append(u, e.path.elems...)
	u = appendBytes(u, updateVal, value)
	if duplicates > 0 {
		u = protowire.AppendTag(u, updateDuplicates, protowire.VarintType)
		u = protowire.AppendVarint(u, uint64(duplicates))
	}
	e.scratch = u
	e.updates = appendBytes(e.updates, notificationUpdate, u)
	e.n++
}

// write makes elems those of p. Walks share elements between neighbours, so that
// most of them are where they should be.
func (w *pathWriter) write(p tree.Path) {
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
	w.last = append(w.last[:same], p[same:]...)
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
		var room [4]string
		for _, k := range sortedKeys(room[:0], e) {
			add(k, e.GetKey()[k])
		}
		return b
	}
	for k, v := range e.GetKey() {
		add(k, v)
	}
	return b
}

// sortedKeys appends the names of the element's keys to list, in order.
func sortedKeys(list []string, e *gnmi.PathElem) []string {
	list = slices.AppendSeq(list, maps.Keys(e.GetKey()))
	slices.Sort(list)
	return list
}

// appendValue writes the TypedValue of the leaf in the stream's encoding.
func (c *stream) appendValue(b []byte, l tree.LeafValue) ([]byte, error) {
	switch c.encoding {
	case gnmi.Encoding_PROTO:
		return l.Value.AppendTyped(b)
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

// flush sends what is gathered.
func (w *encoder) flush() error {
	if err := w.end(); err != nil {
		return err
	}
	return w.send(&w.plain)
}

func (w *encoder) send(e *writing) error {
	if e.n == 0 {
		return nil
	}
	size := len(e.head) + len(e.updates)
	// The message is grpc's once it is handed over.
	b := make([]byte, 0, size+8)
	b = protowire.AppendTag(b, responseUpdate, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = append(b, e.head...)
	b = append(b, e.updates...)
	n := e.n
	e.updates, e.n = e.updates[:0], 0
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
