package gnoi

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	gfile "github.com/openconfig/gnoi/file"
	"github.com/openconfig/gnoi/types"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/northbound"
)

// A Directory is one whose files clients may read. They know it as /NAME, and know
// no other directory of the machine.
type Directory struct {
	Name      string
	Path      string // on the machine; it need not be there
	Prefix    string // what names of its files begin with; others stay unseen
	Removable bool   // clients may remove its files
}

// A fileService is gnoi.file.File over a list of directories: what the router
// writes for people to read, and nothing that holds secrets.
//
// Paths are walked inside a directory by openat2's rules (os.Root), and a symbolic
// link anywhere is refused: whoever can make one there doesn't decide what clients
// get to see.
type fileService struct {
	gfile.UnimplementedFileServer
	directories []Directory
	life        *life
	log         *slog.Logger
}

// chunk is how much of a file goes into a message: 64 KB, as gNOI has it.
const chunk = 64 << 10

// place finds the directory of a path and the file's name in it; name is empty
// for the directory itself, and dir is nil for "/".
func (s *fileService) place(remote string) (dir *Directory, name string, err error) {
	if !path.IsAbs(remote) {
		return nil, "", failf(codes.InvalidArgument, "%q is no absolute path: want one such as %s", remote, s.example())
	}
	if strings.ContainsRune(remote, 0) || slices.Contains(strings.Split(remote, "/"), "..") {
		return nil, "", failf(codes.InvalidArgument, "%q: a path has neither .. nor NUL in it", remote)
	}
	clean := strings.Trim(path.Clean(remote), "/")
	if clean == "" {
		return nil, "", nil
	}
	first, name, _ := strings.Cut(clean, "/")
	for i := range s.directories {
		if s.directories[i].Name == first {
			dir = &s.directories[i]
		}
	}
	if dir == nil {
		return nil, "", failf(codes.PermissionDenied, "%s: clients read files of %s only", remote, s.example())
	}
	if name != "" && !strings.HasPrefix(name, dir.Prefix) {
		return nil, "", failf(codes.NotFound, "%s: there is no such file", remote)
	}
	return dir, name, nil
}

// example lists the directories.
func (s *fileService) example() string {
	var list []string
	for _, d := range s.directories {
		list = append(list, "/"+d.Name)
	}
	return strings.Join(list, ", ")
}

// open opens a regular file.
func (s *fileService) open(remote string) (*os.File, fs.FileInfo, error) {
	dir, name, err := s.place(remote)
	if err != nil {
		return nil, nil, err
	}
	if name == "" {
		return nil, nil, failf(codes.InvalidArgument, "%s is a directory: Stat lists its files", remote)
	}
	root, err := os.OpenRoot(dir.Path)
	if err != nil {
		return nil, nil, fileStatus(remote, err)
	}
	defer root.Close()
	if err := plain(root, name); err != nil {
		return nil, nil, fileStatus(remote, err)
	}
	// Neither a link that came a moment ago nor a pipe holds us up.
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fileStatus(remote, err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errNotPlain
	}
	if err != nil {
		return nil, nil, errors.Join(fileStatus(remote, err), f.Close())
	}
	return f, st, nil
}

var errNotPlain = errors.New("it is neither a plain file nor a directory")

// plain refuses a path with a symbolic link in it.
func plain(root *os.Root, name string) error {
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		st, err := root.Lstat(name[:i])
		if err != nil {
			return err
		}
		if st.Mode()&fs.ModeSymlink != 0 {
			return errNotPlain
		}
	}
	return nil
}

// fileStatus is the status of a file that can't be had. It names no path of the
// machine.
func fileStatus(remote string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return failf(codes.NotFound, "%s: there is no such file", remote)
	case errors.Is(err, errNotPlain), errors.Is(err, syscall.ELOOP), errors.Is(err, fs.ErrPermission):
		return failf(codes.PermissionDenied, "%s: %v", remote, err)
	}
	return failf(codes.Internal, "%s: %v", remote, err)
}

// Get implements gNOI's file Get. A file that grows meanwhile, as logs do, is sent
// as long as it was at the beginning; one that shrinks is Aborted. The hash is SHA-256.
func (s *fileService) Get(req *gfile.GetRequest, stream gfile.File_GetServer) error {
	f, st, err := s.open(req.GetRemoteFile())
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, release := s.life.of(stream)
	defer release()
	sum := sha256.New()
	if err := s.send(ctx, stream, f, st.Size(), sum); err != nil {
		return err
	}
	return stream.Send(&gfile.GetResponse{Response: &gfile.GetResponse_Hash{
		Hash: &types.HashType{Method: types.HashType_SHA256, Hash: sum.Sum(nil)},
	}})
}

func (s *fileService) send(ctx context.Context, stream gfile.File_GetServer, f io.Reader, left int64, sum hash.Hash) error {
	for left > 0 {
		if ctx.Err() != nil {
			return ended(ctx)
		}
		b := make([]byte, min(left, chunk))
		n, err := io.ReadFull(f, b)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return failf(codes.Aborted, "the file became shorter while it was read: get it again")
		}
		if err != nil {
			return failf(codes.Internal, "%v", err)
		}
		left -= int64(n)
		sum.Write(b)
		if err := stream.Send(&gfile.GetResponse{Response: &gfile.GetResponse_Contents{Contents: b}}); err != nil {
			return err
		}
	}
	return nil
}

// Stat implements gNOI's file Stat: of a file, or of all files of a directory. "/"
// lists the directories.
func (s *fileService) Stat(_ context.Context, req *gfile.StatRequest) (*gfile.StatResponse, error) {
	dir, name, err := s.place(req.GetPath())
	if err != nil {
		return nil, err
	}
	r := &gfile.StatResponse{}
	if dir == nil {
		for _, d := range s.directories {
			if st, err := os.Lstat(d.Path); err == nil {
				r.Stats = append(r.Stats, statInfo("/"+d.Name, st))
			}
		}
		return r, nil
	}
	root, err := os.OpenRoot(dir.Path)
	if errors.Is(err, fs.ErrNotExist) && name == "" {
		return r, nil // nothing has been written there yet
	}
	if err != nil {
		return nil, fileStatus(req.GetPath(), err)
	}
	defer root.Close()
	if name != "" {
		if err := plain(root, name); err != nil {
			return nil, fileStatus(req.GetPath(), err)
		}
		st, err := root.Lstat(name)
		if err != nil {
			return nil, fileStatus(req.GetPath(), err)
		}
		if !st.IsDir() {
			r.Stats = append(r.Stats, statInfo("/"+dir.Name+"/"+name, st))
			return r, nil
		}
	}
	sub := name
	if sub == "" {
		sub = "."
	}
	list, err := fs.ReadDir(root.FS(), sub)
	if err != nil {
		return nil, fileStatus(req.GetPath(), err)
	}
	for _, e := range list {
		st, err := e.Info()
		if err != nil || !(st.Mode().IsRegular() || st.IsDir()) || name == "" && !strings.HasPrefix(e.Name(), dir.Prefix) {
			continue
		}
		r.Stats = append(r.Stats, statInfo(path.Join("/", dir.Name, name, e.Name()), st))
	}
	return r, nil
}

func statInfo(name string, st fs.FileInfo) *gfile.StatInfo {
	// gNOI wants the octal digits as a decimal number.
	mode, err := strconv.ParseUint(strconv.FormatUint(uint64(st.Mode().Perm()), 8), 10, 32)
	if err != nil {
		mode = 0
	}
	return &gfile.StatInfo{
		Path: name, LastModified: uint64(st.ModTime().UnixNano()), Permissions: uint32(mode), Size: uint64(st.Size()), Umask: 22,
	}
}

// Remove implements gNOI's file Remove, where files are the clients' to remove.
func (s *fileService) Remove(ctx context.Context, req *gfile.RemoveRequest) (*gfile.RemoveResponse, error) {
	remote := req.GetRemoteFile()
	dir, name, err := s.place(remote)
	if err != nil {
		return nil, err
	}
	if dir == nil || name == "" {
		return nil, failf(codes.InvalidArgument, "%s is a directory: want a file", remote)
	}
	if !dir.Removable {
		return nil, failf(codes.PermissionDenied, "%s: the files of /%s are not for clients to remove", remote, dir.Name)
	}
	root, err := os.OpenRoot(dir.Path)
	if err != nil {
		return nil, fileStatus(remote, err)
	}
	defer root.Close()
	if err := plain(root, name); err != nil {
		return nil, fileStatus(remote, err)
	}
	st, err := root.Lstat(name)
	if err == nil && st.IsDir() {
		return nil, failf(codes.InvalidArgument, "%s is a directory: want a file", remote)
	}
	if err == nil {
		err = root.Remove(name)
	}
	if err != nil {
		return nil, fileStatus(remote, err)
	}
	user, _ := northbound.Caller(ctx)
	s.log.Info("file removed by a client", "file", remote, "user", user)
	return &gfile.RemoveResponse{}, nil
}

// Put implements gNOI's file Put.
func (s *fileService) Put(gfile.File_PutServer) error {
	return failf(codes.Unimplemented, "Put: nothing in the router reads files that clients bring")
}

// TransferToRemote implements gNOI's file TransferToRemote.
func (s *fileService) TransferToRemote(context.Context, *gfile.TransferToRemoteRequest) (*gfile.TransferToRemoteResponse, error) {
	return nil, failf(codes.Unimplemented, "TransferToRemote: the router keeps no credentials of other machines: use Get")
}
