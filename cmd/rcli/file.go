package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	gfile "github.com/openconfig/gnoi/file"
)

func (o *options) listFiles(ctx context.Context, f gfile.FileClient, args []string) error {
	at := "/"
	if len(args) > 0 {
		at = args[0]
	}
	r, err := f.Stat(ctx, &gfile.StatRequest{Path: at})
	if err != nil {
		return err
	}
	if o.json {
		return o.printMessage(r)
	}
	var rows [][]string
	for _, st := range r.GetStats() {
		rows = append(rows, []string{st.GetPath(), fmt.Sprint(st.GetSize()), time.Unix(0, int64(st.GetLastModified())).UTC().Format(time.RFC3339)})
	}
	return table(o.out, "Path Octets Modified", rows)
}

// getFile fetches a file, and keeps it only if it came whole.
func (o *options) getFile(ctx context.Context, f gfile.FileClient, remote, to string) error {
	stream, err := f.Get(ctx, &gfile.GetRequest{RemoteFile: remote})
	if err != nil {
		return err
	}
	if to == "" {
		to = path.Base(remote)
	}
	if to == "-" {
		return receiveFile(stream, o.out)
	}
	tmp, err := os.CreateTemp(filepath.Dir(to), ".rcli-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	// The router's refusal comes first, as it is.
	err = receiveFile(stream, tmp)
	if end := tmp.Close(); err == nil {
		err = end
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), to)
}

func receiveFile(stream gfile.File_GetClient, w io.Writer) error {
	sum, sent := sha256.New(), ""
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if sent != string(sum.Sum(nil)) {
				return errors.New("the file came damaged: its SHA-256 is another one")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if h := r.GetHash(); h != nil {
			sent = string(h.GetHash())
		}
		sum.Write(r.GetContents())
		if _, err := w.Write(r.GetContents()); err != nil {
			return err
		}
	}
}
