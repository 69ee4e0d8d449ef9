package journal

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"router/cmd/routerd/datastore/tree"
)

// A journal is a sequence of frames, all numbers big endian:
//
//	0  4  magic, "RDJ2"
//	4  4  length of the payload
//	8  8  commit number
//	16 4  CRC32C of bytes 0 to 15
//	20 4  CRC32C of the payload
//	24    payload
//
// The header has a checksum of its own so that a length can be believed before
// the payload is read, and so that a frame can be found behind damage. The payload is
//
//	1  kind
//	1  1 when the delta is compressed (RFC 1951)
//	n  uvarint length, and the meta in JSON
//	   the delta
//
// Frames of the first format ("RDJ1", legacy.go) are still read.
const (
	frameMagic  = 0x52444a32
	frameHeader = 24
	maxPayload  = 1 << 30

	// compressFrom is the size of a delta, in octets, from which on it is
	// compressed: a loaded configuration shrinks to a tenth, a leaf doesn't.
	compressFrom = 16 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A meta is what a record says beside its change.
type meta struct {
	Time      time.Time `json:"time"`
	User      string    `json:"user,omitempty"`
	Source    string    `json:"source,omitempty"`
	Comment   string    `json:"comment,omitempty"`
	ID        string    `json:"id,omitempty"`
	Deadline  *Deadline `json:"deadline,omitempty"`
	Ends      bool      `json:"ends,omitempty"`
	Reverts   *uint64   `json:"reverts,omitempty"`
	ConfirmID string    `json:"confirm-id,omitempty"`
	Changes   int       `json:"changes,omitempty"`
	Paths     []string  `json:"paths,omitempty"`
}

var (
	errShortFrame = errors.New("frame ends early")
	errBadFrame   = errors.New("frame is damaged")
)

// appendFrame appends the frame of r to buf.
func appendFrame(buf []byte, r *Record) ([]byte, error) {
	start := len(buf)
	m := meta{Time: r.Time, User: r.User, Source: r.Source, Comment: r.Comment, ID: r.ID, Deadline: r.Deadline, Ends: r.Ends, ConfirmID: r.ConfirmID,
		Changes: r.Changes, Paths: r.Paths}
	if r.IsRevert {
		m.Reverts = &r.Reverts
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("commit %d: %w", r.Number, err)
	}
	delta, compressed := r.Delta.Bytes(), byte(0)
	if len(delta) >= compressFrom {
		if delta, err = deflate(delta); err != nil {
			return nil, fmt.Errorf("commit %d: %w", r.Number, err)
		}
		compressed = 1
	}
	buf = append(buf, make([]byte, frameHeader)...)
	buf = append(buf, byte(r.Kind), compressed)
	buf = append(binary.AppendUvarint(buf, uint64(len(text))), text...)
	buf = append(buf, delta...)
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

func deflate(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// goodHeader reports whether b starts with the header of a frame, and what it says.
func goodHeader(b []byte) (length int, number uint64, ok bool) {
	if len(b) < frameHeader || binary.BigEndian.Uint32(b[16:]) != crc32.Checksum(b[:16], castagnoli) {
		return 0, 0, false
	}
	if m := binary.BigEndian.Uint32(b); m != frameMagic && m != legacyMagic {
		return 0, 0, false
	}
	length = int(binary.BigEndian.Uint32(b[4:]))
	return length, binary.BigEndian.Uint64(b[8:]), length <= maxPayload
}

// readFrame reads the frame at the start of b and returns its size. Without
// change the change is left out, which makes it quick.
func readFrame(b []byte, change bool) (*Record, int, error) {
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
	decode := decodePayload
	if binary.BigEndian.Uint32(b) == legacyMagic {
		decode = decodeLegacy
	}
	r, err := decode(payload, change)
	if err != nil {
		return nil, 0, fmt.Errorf("commit %d: %w", number, err)
	}
	r.Number = number
	return r, frameHeader + length, nil
}

func decodePayload(b []byte, change bool) (*Record, error) {
	if len(b) < 2 || b[0] < byte(Committed) || b[0] > byte(Snapshot) || b[1] > 1 {
		return nil, errBadFrame
	}
	r := &Record{Kind: Kind(b[0])}
	text, delta, err := cutBytes(b[2:])
	if err != nil {
		return nil, err
	}
	var m meta
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadFrame, err)
	}
	r.Commit = Commit{Time: m.Time.UTC(), User: m.User, Source: m.Source, Comment: m.Comment, ConfirmID: m.ConfirmID, Changes: m.Changes, Paths: m.Paths}
	r.ID, r.Deadline, r.Ends = m.ID, m.Deadline, m.Ends
	if m.Reverts != nil {
		r.Reverts, r.IsRevert = *m.Reverts, true
	}
	if !change {
		return r, nil
	}
	if b[1] == 1 {
		const most = 4 << 30 // far above what flate makes of maxPayload in earnest
		if delta, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(delta)), most)); err != nil {
			return nil, fmt.Errorf("%w: %w", errBadFrame, err)
		}
	} else {
		delta = bytes.Clone(delta) // the record outlives the buffer
	}
	if r.Delta, err = tree.ParseDelta(delta); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadFrame, err)
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

// nextFrame finds the first good frame header in b, or -1.
func nextFrame(b []byte) int {
	for off := 0; ; off++ {
		i := bytes.Index(b[off:], []byte("RDJ"))
		if i < 0 {
			return -1
		}
		off += i
		if _, _, ok := goodHeader(b[off:]); ok {
			return off
		}
	}
}
