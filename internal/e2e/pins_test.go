package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestNoPlaceToPin: where nothing can be pinned routerd forwards all the same, the log and each
// device's state say why it will not outlive the process, and what to do; and the next
// one, started when that is mended, leaves forwarding behind again.
func TestNoPlaceToPin(t *testing.T) {
	s := labOf(t)
	s.wire("h1", "ge0")
	s.wire("h2", "ge1")
	for host, addrs := range map[string][2]string{"h1": {"192.0.2.2/24", "192.0.2.1"}, "h2": {"198.51.100.2/24", "198.51.100.1"}} {
		s.space(host).Address(s, "eth0", addrs[0])
		s.space(host).Route(s, "default", addrs[1])
	}
	config := `{"routerd:interface":[
		{"name":"ge0","unit":[{"id":"0","family":[{"type":"inet","address":[{"prefix":"192.0.2.1/24"}]}]}]},
		{"name":"ge1","unit":[{"id":"0","family":[{"type":"inet","address":[{"prefix":"198.51.100.1/24"}]}]}]}]}`
	mounts := filepath.Join(s.dir, "mounts")
	for _, c := range []struct{ name, mount, says string }{
		{"read-only", "mount -t bpf -o ro none /sys/fs/bpf", "remount it rw"},
		{"missing", "mount -t tmpfs none /sys/fs", "name an empty directory elsewhere"},
		{"not a BPF file system", "mount -t tmpfs none /sys/fs/bpf && touch /sys/fs/bpf/precious", "would hide precious"},
		{"mended", "true", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Mounts of its own, which go with it.
			script := "#!/bin/sh\nexec unshare -m sh -c '" + c.mount + " && exec \"$@\"' -- " + filepath.Join(bin, "routerd") + " \"$@\"\n"
			if err := os.WriteFile(mounts, []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			s.program = mounts
			if c.says == "" {
				s.program = ""
				s.start()
			} else {
				s.start("--pin-dir", "/sys/fs/bpf/routerd/test")
			}
			s.load(config)
			if !s.pings("198.51.100.2") {
				t.Errorf("h1 does not reach h2")
			}
			state, _ := s.rcli("get", "/interface[name=ge0]/state")
			keeps := strings.Contains(state, `keeps-forwarding": true`)
			if keeps != (c.says == "") || !strings.Contains(state, c.says) {
				t.Errorf("want keeps-forwarding %t, and %q: %s", c.says == "", c.says, state)
			}
			if !strings.Contains(s.log(), c.says) {
				t.Errorf("the log does not say %q:\n%s", c.says, s.log())
			}
			if err := s.end(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
		})
	}
}
