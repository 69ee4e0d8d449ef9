package bpf

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"router/internal/testnet"
)

// A memoryGroup is a control group that limits memory, of either version.
type memoryGroup struct{ dir, usage, limit, unlimited string }

// newMemoryGroup makes one, if the machine lets us.
func newMemoryGroup(t *testing.T) memoryGroup {
	t.Helper()
	for _, g := range []memoryGroup{
		{"/sys/fs/cgroup", "memory.current", "memory.max", "max"},
		{"/sys/fs/cgroup/memory", "memory.usage_in_bytes", "memory.limit_in_bytes", "-1"},
	} {
		g.dir = filepath.Join(g.dir, fmt.Sprint("router-test-", os.Getpid()))
		if os.Mkdir(g.dir, 0o700) != nil {
			continue
		}
		t.Cleanup(func() { _ = unix.Rmdir(g.dir) }) // os.Remove would try the files in it
		if _, err := os.Stat(filepath.Join(g.dir, g.limit)); err == nil {
			return g
		}
	}
	t.Skip("no control group can be made that limits memory")
	return memoryGroup{}
}

func (g memoryGroup) write(file, text string) error {
	return os.WriteFile(filepath.Join(g.dir, file), []byte(text), 0)
}

// limitRoom is what the group has left when the tables are to grow by four times as much.
const limitRoom = 8 << 20

// TestGrowInALimitedGroup: where the control group has no memory for larger tables, the error
// says so and how to have more, the old ones stay as they are and nobody is killed; and they grow
// when there is more.
func TestGrowInALimitedGroup(t *testing.T) {
	testnet.Require(t)
	const inside = "ROUTER_TEST_MEMORY_GROUP"
	if text := os.Getenv(inside); text != "" {
		f := strings.Fields(text)
		growInGroup(t, memoryGroup{f[0], f[1], f[2], f[3]})
		return
	}
	g := newMemoryGroup(t)
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+strings.Join([]string{g.dir, g.usage, g.limit, g.unlimited}, " "))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("in the group: %v\n%s", err, out)
	}
}

func growInGroup(t *testing.T, g memoryGroup) {
	check(t, g.write("cgroup.procs", strconv.Itoa(os.Getpid())))
	f := newTestFast(t)
	f.words[5000] = 77
	text, err := os.ReadFile(filepath.Join(g.dir, g.usage))
	check(t, err)
	used, err := strconv.Atoi(strings.TrimSpace(string(text)))
	check(t, err, g.write(g.limit, strconv.Itoa(used+limitRoom)))
	const words = 4 * limitRoom / 8
	if err := f.Grow(words); !errors.Is(err, unix.ENOMEM) || !strings.Contains(err.Error(), "raise the memory limit of routerd's control group") {
		t.Fatalf("tables of %d octets where the group has %d left: %v", 8*words, limitRoom, err)
	}
	if f.words[5000] != 77 || f.size != firstTables || f.Off() != nil {
		t.Errorf("after the refusal: word 5000 is %d, %d octets, off because %v", f.words[5000], f.size, f.Off())
	}
	check(t, g.write(g.limit, g.unlimited))
	f.refused.at = time.Now().Add(-2 * denialTime)
	check(t, f.Grow(words))
	if f.words[5000] != 77 || f.size != 8*words {
		t.Errorf("after growing: word 5000 is %d, %d octets", f.words[5000], f.size)
	}
}
