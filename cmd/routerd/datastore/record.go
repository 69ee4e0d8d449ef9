package datastore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/datastore/tree"
)

// A Commit is one numbered change of the running configuration.
type Commit struct {
	Number  uint64    // counts from 1; 0 is the empty configuration
	Time    time.Time // when it was made durable
	User    string    // who asked for it, "" when not known
	Source  string    // through what: "gnmi", "socket"
	Comment string
}

// A record is a commit with the operations that make it.
type record struct {
	Commit
	ops []tree.Op
}

// A journal is a sequence of frames, all numbers big endian:
//
//	0  4  magic
//	4  4  length of the payload
//	8  8  commit number
//	16 4  CRC32C of bytes 0 to 15
//	20 4  CRC32C of the payload
//	24    payload
//
// The header has a checksum of its own so that a length can be believed before
// the payload is read, and so that a frame can be found behind damage.
const (
	frameMagic  = 0x52444a31 // "RDJ1"
	frameHeader = 24
	maxPayload  = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends the frame of r to buf.
func appendFrame(buf []byte, r *record) ([]byte, error) {
	start := len(buf)
	buf = append(buf, make([]byte, frameHeader)...)
	buf = binary.BigEndian.AppendUint64(buf, uint64(r.Time.UnixNano()))
	for _, s := range []string{r.User, r.Source, r.Comment} {
		buf = appendBytes(buf, []byte(s))
	}
	buf = binary.AppendUvarint(buf, uint64(len(r.ops)))
	for _, op := range r.ops {
		m, err := proto.MarshalOptions{Deterministic: true}.Marshal(&gnmi.Update{Path: &gnmi.Path{Elem: op.Path}, Val: op.Value})
		if err != nil {
			return nil, fmt.Errorf("commit %d, %s %s: %w", r.Number, op.Kind, op.Path, err)
		}
		buf = append(buf, byte(op.Kind))
		buf = appendBytes(buf, m)
	}
	h, payload := buf[start:start+frameHeader], buf[start+frameHeader:]
	if len(payload) > maxPayload {
		return nil, fmt.Errorf("commit %d takes %d octets, more than %d: split it", r.Number, len(payload), maxPayload)
	}
	binary.BigEndian.PutUint32(h[0:], frameMagic)
	binary.BigEndian.PutUint32(h[4:], uint32(len(payload)))
	binary.BigEndian.PutUint64(h[8:], r.Number)
	binary.BigEndian.PutUint32(h[16:], crc32.Checksum(h[:16], castagnoli))
	binary.BigEndian.PutUint32(h[20:], crc32.Checksum(payload, castagnoli))
	return buf, nil
}

func appendBytes(buf, b []byte) []byte {
	return append(binary.AppendUvarint(buf, uint64(len(b))), b...)
}

// goodHeader reports whether b starts with the header of a frame, and what it says.
func goodHeader(b []byte) (length int, number uint64, ok bool) {
	if len(b) < frameHeader || binary.BigEndian.Uint32(b) != frameMagic ||
		binary.BigEndian.Uint32(b[16:]) != crc32.Checksum(b[:16], castagnoli) {
		return 0, 0, false
	}
	length = int(binary.BigEndian.Uint32(b[4:]))
	return length, binary.BigEndian.Uint64(b[8:]), length <= maxPayload
}

var (
	errShortFrame = errors.New("frame ends early")
	errBadFrame   = errors.New("frame is damaged")
)

// readFrame reads the frame at the start of b and returns its size.
func readFrame(b []byte) (*record, int, error) {
	if len(b) < frameHeader {
		return nil, 0, errShortFrame
	}
	length, number, ok := goodHeader(b)
	if !ok {
		return nil, 0, errBadFrame
	}
	if len(b) < frameHeader+length {
		return nil, 0, errShortFrame
	}
	payload := b[frameHeader : frameHeader+length]
	if binary.BigEndian.Uint32(b[20:]) != crc32.Checksum(payload, castagnoli) {
		return nil, 0, errBadFrame
	}
	r, err := decodePayload(payload)
	if err != nil {
		return nil, 0, fmt.Errorf("commit %d: %w", number, err)
	}
	r.Number = number
	return r, frameHeader + length, nil
}

func decodePayload(b []byte) (*record, error) {
	if len(b) < 8 {
		return nil, errBadFrame
	}
	r := &record{Commit: Commit{Time: time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC()}}
	b = b[8:]
	for _, s := range []*string{&r.User, &r.Source, &r.Comment} {
		v, rest, err := cutBytes(b)
		if err != nil {
			return nil, err
		}
		*s, b = string(v), rest
	}
	n, size := binary.Uvarint(b)
	// Each operation takes two octets at least: a count beyond that is a lie.
	if size <= 0 || n > uint64(len(b)) {
		return nil, errBadFrame
	}
	b = b[size:]
	for range n {
		if len(b) == 0 || b[0] > byte(tree.Update) {
			return nil, errBadFrame
		}
		kind := tree.OpKind(b[0])
		m, rest, err := cutBytes(b[1:])
		if err != nil {
			return nil, err
		}
		var u gnmi.Update
		if err := proto.Unmarshal(m, &u); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadFrame, err)
		}
		r.ops = append(r.ops, tree.Op{Kind: kind, Path: u.GetPath().GetElem(), Value: u.GetVal()})
		b = rest
	}
	if len(b) > 0 {
		return nil, errBadFrame
	}
	return r, nil
}

func cutBytes(b []byte) (v, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, errBadFrame
	}
	return b[size : size+int(n)], b[size+int(n):], nil
}
