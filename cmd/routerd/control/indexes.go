package control

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"router/intf"
)

// An indexFile keeps the if_index of every device and unit that ever had one,
// so that an index is stable across commits and restarts. It is a text file of
// lines "index name"; new indexes are appended and synced, all those of a
// commit together, before they are used.
type indexFile struct {
	path string
	f    *os.File
	size int64  // of the synced part
	more []byte // lines to append
}

// openIndexes reads the file, which may be absent, and cuts off a last line
// that a crash left unfinished: its index was never used.
func openIndexes(dir string) (*indexFile, map[string]intf.Index, error) {
	path := filepath.Join(dir, "if-index")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("if_index numbers: %w", err)
	}
	whole := data[:strings.LastIndexByte(string(data), '\n')+1]
	known := make(map[string]intf.Index)
	used := make(map[intf.Index]string)
	lines := bufio.NewScanner(strings.NewReader(string(whole)))
	for n := 1; lines.Scan(); n++ {
		number, name, ok := strings.Cut(lines.Text(), " ")
		i, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil || i == 0 || name == "" {
			return nil, nil, fmt.Errorf("if_index numbers: %s line %d: %q is not \"index name\"; mend the line, or move the file away to number the interfaces anew", path, n, lines.Text())
		}
		if other, taken := used[intf.Index(i)]; taken && other != name {
			return nil, nil, fmt.Errorf("if_index numbers: %s line %d: index %d belongs to %s already; remove one of the two lines", path, n, i, other)
		}
		known[name], used[intf.Index(i)] = intf.Index(i), name
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("if_index numbers: %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("if_index numbers: %w", err)
	}
	if err := f.Truncate(int64(len(whole))); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("if_index numbers: %s: %w", path, err), f.Close())
	}
	return &indexFile{path: path, f: f, size: int64(len(whole))}, known, nil
}

// add remembers that name has index i, from the next flush on.
func (x *indexFile) add(name string, i intf.Index) {
	x.more = fmt.Appendf(x.more, "%d %s\n", i, name)
}

// flush makes durable what was added. After an error the next flush tries it
// again.
func (x *indexFile) flush() error {
	if len(x.more) == 0 {
		return nil
	}
	_, err := x.f.WriteAt(x.more, x.size)
	if err == nil {
		err = x.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("if_index numbers: %w", err)
	}
	x.size += int64(len(x.more))
	x.more = x.more[:0]
	return nil
}

func (x *indexFile) close() error { return x.f.Close() }
