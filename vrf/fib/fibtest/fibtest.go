// Package fibtest holds what tests and benchmarks of forwarding need in
// several packages: a real routing table, and addresses drawn over it.
//
// The real table is the test data of github.com/gaissmai/bart: 1.06 million
// prefixes of both families, read from the module cache.
package fibtest

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const bart = "github.com/gaissmai/bart"

// Prefixes returns the real prefixes of both families in the order of the
// file, which sorts them as text. It skips the test when bart's module is not
// in the module cache, and with REQUIRE_PRIVILEGED=1 fails it. The slice is shared: copy it before changing it.
func Prefixes(tb testing.TB) []netip.Prefix {
	tb.Helper()
	all, err := Load()
	if err != nil {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			tb.Fatalf("real prefixes: %v; REQUIRE_PRIVILEGED=1 forbids to skip", err)
		}
		tb.Skipf("real prefixes: %v", err)
	}
	return all
}

// Load is Prefixes for programs that are no tests; it must run in a directory of
// this module.
func Load() ([]netip.Prefix, error) { return load() }

var load = sync.OnceValues(func() ([]netip.Prefix, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", bart).Output()
	if err != nil {
		return nil, fmt.Errorf("find module %s: %w", bart, err)
	}
	name := filepath.Join(strings.TrimSpace(string(dir)), "internal", "tests", "testdata", "prefixes.txt.gz")
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("run go mod download %s: %w", bart, err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var all []netip.Prefix
	for lines := bufio.NewScanner(z); ; {
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			return all, nil
		}
		p, err := netip.ParsePrefix(strings.TrimSpace(lines.Text()))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, p)
	}
})

// Family returns those of the prefixes that are IPv6, or that are not.
func Family(all []netip.Prefix, v6 bool) []netip.Prefix {
	var some []netip.Prefix
	for _, p := range all {
		if p.Addr().Is6() == v6 {
			some = append(some, p)
		}
	}
	return some
}

// Address returns a random address in p.
func Address(rnd *rand.Rand, p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= byte(rnd.Uint32()&1) << (7 - i%8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// Addresses draws n addresses: each a random one in a prefix that is drawn
// with equal probability.
func Addresses(rnd *rand.Rand, prefixes []netip.Prefix, n int) []netip.Addr {
	out := make([]netip.Addr, n)
	for i := range out {
		out[i] = Address(rnd, prefixes[rnd.IntN(len(prefixes))].Masked())
	}
	return out
}

// RandomPrefix returns a prefix of the family. Most share few high bits, so
// that many nest and collide; some are anywhere.
func RandomPrefix(rnd *rand.Rand, v6 bool) netip.Prefix {
	b := make([]byte, 4, 16)
	if v6 {
		b = b[:16]
	}
	switch rnd.IntN(3) {
	case 0: // anywhere
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
	case 1: // few values in each byte
		for i := range b {
			b[i] = byte(rnd.Uint32() & 0x81)
		}
	case 2: // zero but for one byte
		b[rnd.IntN(len(b))] = byte(rnd.Uint32())
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(addr, rnd.IntN(addr.BitLen()+1)).Masked()
}
