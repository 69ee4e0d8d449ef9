package gnoi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	gfile "github.com/openconfig/gnoi/file"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// serving answers on a connection in memory.
func serving(t *testing.T, register func(grpc.ServiceRegistrar)) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	register(g)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)
	conn, err := grpc.NewClient("passthrough:test", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return l.Dial() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// fileWorld has files, links out and in, a pipe, and a secret beside.
func fileWorld(t *testing.T) gfile.FileClient {
	dir := t.TempDir()
	for _, d := range []string{"audit", "captures/old", "log"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 10_001)
	for name, text := range map[string][]byte{
		"secret": []byte("key"), "audit/audit.log": big, "audit/empty": nil, "captures/one": []byte("1"), "captures/old/two": []byte("22"),
		"log/routerd.log": []byte("line\n"), "log/auth.log": []byte("other"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"captures/out": "../secret", "captures/in": "one", "captures/dir": "old", "captures/abs": dir + "/secret"} {
		if err := os.Symlink(to, filepath.Join(dir, from)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "captures/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &fileService{life: newLife(), log: slog.New(slog.DiscardHandler), directories: []Directory{
		{Name: "audit", Path: dir + "/audit"}, {Name: "captures", Path: dir + "/captures", Removable: true},
		{Name: "log", Path: dir + "/log", Prefix: "routerd"}, {Name: "core", Path: dir + "/none"},
	}}
	return gfile.NewFileClient(serving(t, func(g grpc.ServiceRegistrar) { gfile.RegisterFileServer(g, s) }))
}

// fetch gets a file and checks its hash.
func fetch(t *testing.T, c gfile.FileClient, name string) ([]byte, error) {
	t.Helper()
	stream, err := c.Get(t.Context(), &gfile.GetRequest{RemoteFile: name})
	if err != nil {
		return nil, err
	}
	var all, sum []byte
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			want := sha256.Sum256(all)
			if !bytes.Equal(sum, want[:]) {
				t.Errorf("%s: the hash is %x", name, sum)
			}
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if len(r.GetContents()) > 64<<10 {
			t.Errorf("%s: a message of %d octets", name, len(r.GetContents()))
		}
		all = append(all, r.GetContents()...)
		if h := r.GetHash(); h != nil {
			sum = h.GetHash()
		}
	}
}

func TestFileGet(t *testing.T) {
	c := fileWorld(t)
	for name, size := range map[string]int{"/audit/audit.log": 160_016, "/audit/empty": 0, "/captures/old/two": 2, "//captures//one": 1, "/log/routerd.log": 5} {
		if b, err := fetch(t, c, name); err != nil || len(b) != size {
			t.Errorf("%s: %d octets, %v", name, len(b), err)
		}
	}
	for name, want := range map[string]codes.Code{
		"":                              codes.InvalidArgument,
		"audit/audit.log":               codes.InvalidArgument,
		"/":                             codes.InvalidArgument,
		"/audit":                        codes.InvalidArgument,
		"/captures/old":                 codes.PermissionDenied,
		"/audit/../secret":              codes.InvalidArgument,
		"/captures/old/../../secret":    codes.InvalidArgument,
		"/captures/..":                  codes.InvalidArgument,
		"/secret":                       codes.PermissionDenied,
		"/etc/shadow":                   codes.PermissionDenied,
		"/captures/out":                 codes.PermissionDenied,
		"/captures/abs":                 codes.PermissionDenied,
		"/captures/in":                  codes.PermissionDenied,
		"/captures/dir/two":             codes.PermissionDenied,
		"/captures/pipe":                codes.PermissionDenied,
		"/captures/one\x00":             codes.InvalidArgument,
		"/captures/three":               codes.NotFound,
		"/captures/one/more":            codes.NotFound,
		"/log/auth.log":                 codes.NotFound,
		"/core/1":                       codes.NotFound,
		"/captures/%2e%2e/secret":       codes.NotFound,
		"/captures/..\\secret":          codes.NotFound,
		"/captures/\u2024\u2024/secret": codes.NotFound,
	} {
		if b, err := fetch(t, c, name); status.Code(err) != want {
			t.Errorf("%q: %q, %v, want %v", name, b, err, want)
		}
	}
}

func TestFileStat(t *testing.T) {
	c := fileWorld(t)
	for name, want := range map[string][]string{
		"/":                {"/audit", "/captures", "/log"},
		"/captures":        {"/captures/old", "/captures/one"},
		"/captures/old":    {"/captures/old/two"},
		"/captures/one":    {"/captures/one"},
		"/log":             {"/log/routerd.log"},
		"/core":            nil,
		"/audit/audit.log": {"/audit/audit.log"},
	} {
		r, err := c.Stat(t.Context(), &gfile.StatRequest{Path: name})
		var got []string
		for _, st := range r.GetStats() {
			got = append(got, st.GetPath())
			if st.GetPath() == "/audit/audit.log" && (st.GetSize() != 160_016 || st.GetPermissions() != 640 || st.GetLastModified() == 0) {
				t.Errorf("%v", st)
			}
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]codes.Code{"/captures/../..": codes.InvalidArgument, "/captures/dir": codes.PermissionDenied, "/proc": codes.PermissionDenied, "/log/auth.log": codes.NotFound} {
		if r, err := c.Stat(t.Context(), &gfile.StatRequest{Path: name}); status.Code(err) != want {
			t.Errorf("%s: %v, %v, want %v", name, r, err, want)
		}
	}
}

func TestFileRemove(t *testing.T) {
	c := fileWorld(t)
	for _, step := range []struct {
		name string
		want codes.Code
	}{
		{"/captures/one", codes.OK}, {"/captures/one", codes.NotFound}, {"/captures/old", codes.InvalidArgument}, {"/captures", codes.InvalidArgument},
		{"/audit/audit.log", codes.PermissionDenied}, {"/captures/out", codes.PermissionDenied}, {"/captures/../audit/audit.log", codes.InvalidArgument},
		{"/captures/dir/two", codes.PermissionDenied}, {"/captures/old/two", codes.OK},
	} {
		if _, err := c.Remove(t.Context(), &gfile.RemoveRequest{RemoteFile: step.name}); status.Code(err) != step.want {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
	}
}
