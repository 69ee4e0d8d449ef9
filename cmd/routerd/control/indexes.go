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
// lines "index name"; a new index is appended and synced before it is used.
type indexFile struct {
	path string
	f    *os.File
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
	if err := errors.Join(f.Truncate(int64(len(whole))), seekEnd(f)); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("if_index numbers: %s: %w", path, err), f.Close())
	}
	return &indexFile{path, f}, known, nil
}

func seekEnd(f *os.File) error {
	_, err := f.Seek(0, 2)
	return err
}

// add remembers that name has index i.
func (x *indexFile) add(name string, i intf.Index) error {
	if _, err := fmt.Fprintf(x.f, "%d %s\n", i, name); err != nil {
		return fmt.Errorf("if_index of %s: %w", name, err)
	}
	if err := x.f.Sync(); err != nil {
		return fmt.Errorf("if_index of %s: %w", name, err)
	}
	return nil
}

func (x *indexFile) close() error { return x.f.Close() }
