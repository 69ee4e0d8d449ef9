package boot

import (
	"math/bits"
	"strconv"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// The greatest sizes that can be set, in MiB. A program in the kernel can address
// MostFastTables of tables; a router with more has no fast path.
const (
	MostFastTables = 512
	mostTables     = 2048
	mostFilters    = 256
)

func tableFlags(f *pflag.FlagSet) {
	f.Int("table-memory", MostFastTables, "the most memory that forwarding tables may take, in MiB, a power of two from 1 to 2048; a million IPv4 routes with random next hops take some 14. Routes beyond it wait until there is room. With more than 512 the router has no fast path")
	f.Int("filter-memory", 64, "the most memory that filters may take in the fast path, in MiB, a power of two from 1 to 256; a thousand terms take some 100 KiB. Filters beyond it are the user path's")
}

func (s *Settings) readTables(v *viper.Viper) error {
	for _, m := range []struct {
		key  string
		to   *int
		most int
		cure string
	}{
		{"table-memory", &s.TableMemory, mostTables, "raise it to one that is, or leave it out for 512"},
		{"filter-memory", &s.FilterMemory, mostFilters, "raise it to one that is, or leave it out for 64"},
	} {
		n, err := strconv.Atoi(v.GetString(m.key))
		if err != nil {
			return usage("%s %q: want a number of MiB", m.key, v.GetString(m.key))
		}
		if n < 1 || n > m.most || bits.OnesCount(uint(n)) != 1 {
			return usage("%s %d: want a power of two from 1 to %d MiB: %s", m.key, n, m.most, m.cure)
		}
		*m.to = n
	}
	return nil
}
