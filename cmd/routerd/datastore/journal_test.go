package datastore

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"router/cmd/routerd/datastore/tree"
)

type op = tree.Op

// ops are the operations of the test's commit n.
func ops(t testing.TB, n int) []op {
	return []op{update(t, "/system/config/hostname", `"h%d"`, n)}
}

// killedOps are the operations of commit n of a child that gets killed.
func killedOps(t testing.TB, n uint64) []op {
	list := []op{{Kind: tree.Delete, Path: mustPath(t, "/interface")}}
	for i := range 10 {
		list = append(list, update(t, fmt.Sprintf("/interface[name=ge%d]/config/description", i), `"d%d"`, n))
	}
	return append(list, update(t, "/system/config/hostname", `"h%d"`, n))
}

func FuzzFrame(f *testing.F) {
	frame, err := appendFrame(nil, &record{
		Commit: Commit{Number: 7, Time: time.Unix(1, 2).UTC(), User: "ann", Source: "gnmi", Comment: "why"},
		ops:    append(ops(f, 1), op{Kind: tree.Delete, Path: mustPath(f, "/interface[name=*]")}),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Add(frame[:len(frame)-1])
	f.Add([]byte("RDJ1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, n, err := readFrame(data)
		if err != nil {
			// The payload alone, where no checksum guards it.
			if r, err := decodePayload(data); err == nil {
				if _, err := appendFrame(nil, r); err != nil {
					t.Errorf("a decoded payload can't be written: %v", err)
				}
			}
			return
		}
		again, err := appendFrame(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		back, _, err := readFrame(again)
		if err != nil || back.Commit != r.Commit || len(back.ops) != len(r.ops) || n < frameHeader {
			t.Errorf("read back %+v, %v; was %+v", back, err, r)
		}
	})
}

func FuzzSnapshot(f *testing.F) {
	f.Add([]byte(`{"commit":{"Number":1},"length":2,"crc32c":1}` + "\n{}"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, config, err := parseSnapshot(data); err == nil && !bytes.HasSuffix(data, config) {
			t.Error("the configuration is not the snapshot's end")
		}
	})
}
