package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/protobuf/proto"

	"router/cmd/routerd/datastore/tree"
)

// This file reads what the first version wrote: journals whose records hold
// operations rather than their effect, and snapshots in JSON. What it can't tell is how to
// take a commit back: the log begins with the first commit of the present format.

const legacyMagic = 0x52444a31 // "RDJ1"

// decodeLegacy reads the payload of a frame of the first format: the time, user,
// source, comment, and operations as gNMI updates.
func decodeLegacy(b []byte, _ bool) (*Record, error) {
	if len(b) < 8 {
		return nil, errBadFrame
	}
	r := &Record{Kind: Committed, Commit: Commit{Time: time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC()}}
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
	r.Ops = make([]tree.Op, 0, n)
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
		r.Ops = append(r.Ops, tree.Op{Kind: kind, Path: u.GetPath().GetElem(), Value: u.GetVal()})
		b = rest
	}
	if len(b) > 0 {
		return nil, errBadFrame
	}
	return r, nil
}

// decodeLegacySnapshot reads a snapshot of the first format: a line of JSON, and
// the configuration as RFC 7951 JSON.
func decodeLegacySnapshot(data []byte) (*Record, error) {
	line, config, ok := bytes.Cut(data, []byte{'\n'})
	if !ok {
		return nil, errors.New("no header line")
	}
	var h struct {
		Commit Commit `json:"commit"`
		Length int    `json:"length"`
		CRC32C uint32 `json:"crc32c"`
	}
	if err := json.Unmarshal(line, &h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if h.Length != len(config) {
		return nil, fmt.Errorf("has %d octets, not %d", len(config), h.Length)
	}
	if sum := crc32.Checksum(config, castagnoli); sum != h.CRC32C {
		return nil, fmt.Errorf("has checksum %08x, not %08x", sum, h.CRC32C)
	}
	return &Record{Kind: Snapshot, Commit: h.Commit, Ops: []tree.Op{{
		Kind: tree.Replace, Value: &gnmi.TypedValue{Value: &gnmi.TypedValue_JsonIetfVal{JsonIetfVal: config}}}}}, nil
}
