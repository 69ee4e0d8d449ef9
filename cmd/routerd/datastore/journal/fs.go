package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// A File is an open file as the journal uses it; [os.File] is one.
type File interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// An FS is the part of a file system that the state directory needs. What a
// call has changed is durable only after Sync of the file, and for names after
// SyncDir of the directory. Errors are those of package os.
type FS interface {
	// OpenFile opens a file with the flags of package os, permissions 0600.
	OpenFile(name string, flag int) (File, error)
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	Rename(from, to string) error
	Remove(name string) error
	Mkdir(name string) error
	SyncDir(name string) error
}

// OS is the file system of the machine.
type OS struct{}

// OpenFile implements [FS].
func (OS) OpenFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err // a nil *os.File is no nil File
	}
	return f, nil
}

// ReadFile implements [FS].
func (OS) ReadFile(name string) ([]byte, error) { return os.ReadFile(name) }

// ReadDir implements [FS].
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Rename implements [FS].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements [FS].
func (OS) Remove(name string) error { return os.Remove(name) }

// Mkdir implements [FS].
func (OS) Mkdir(name string) error { return os.Mkdir(name, 0o700) }

// SyncDir implements [FS].
func (OS) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("directory %s: %w", name, err)
	}
	return nil
}

// writeWhole stores data under a name so that a crash at any moment leaves
// either what stood there before or all of data. When it returns nil, it is durable.
func writeWhole(f FS, dir, path string, data []byte) error {
	tmp := path + tmpSuffix
	file, err := f.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(data, 0)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = f.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, removeIfThere(f, tmp))
	}
	return f.SyncDir(dir)
}

func removeIfThere(f FS, path string) error {
	if err := f.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
