package fib_test

import (
	"fmt"
	"net/netip"

	"router/vrf/epoch"
	"router/vrf/fib"
)

func Example() {
	domain := epoch.New()
	arena, err := fib.NewHeapArena(1<<20, domain)
	if err != nil {
		fmt.Println(err)
		return
	}
	table, err := arena.NewTable()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer table.Close()
	// A full feed: every block is written once.
	if err := table.Update(func(x *fib.Txn) error {
		for i, s := range []string{"0.0.0.0/0", "192.0.2.0/24", "2001:db8::/32"} {
			if err := x.Insert(netip.MustParsePrefix(s), uint32(i+1)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		fmt.Println(err)
		return
	}
	// A worker: one Quiesce a batch, Park before it sleeps.
	reader := domain.Reader()
	defer reader.Close()
	reader.Quiesce()
	fmt.Println(table.Lookup4(0xc0000207), table.Lookup4(0x08080808), table.Lookup6(0x20010db8<<32, 1))
	reader.Park()
	p, nh, _ := table.LookupPrefix(netip.MustParseAddr("192.0.2.7"))
	fmt.Println(p, nh)
	// Output:
	// 2 1 3
	// 192.0.2.0/24 2
}
