package bench

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"router/internal/classbench"
	"router/internal/testnet"
	"router/internal/testnet/traffic"
	"router/intf"
)

// BenchmarkFilter forwards packets of 64 octets through filters of 0 to 10,000
// terms, which packets match at random positions, with routerd by AF_XDP and with
// the kernel and the same rules in nftables, on the same veths. One iteration is a
// round of each in turn; the figures are medians, in millions of packets a second.
func BenchmarkFilter(b *testing.B) {
	testnet.Require(b)
	source := netip.MustParseAddr(stationAddr[0])
	for _, terms := range []int{0, 10, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("terms=%d", terms), func(b *testing.B) {
			x := newBench(b)
			spec := classbench.Filter(classbench.ACL, intf.Inet, terms, 1)
			destinations, err := classbench.Probe(spec, source, 9, 256)
			if err != nil {
				b.Fatal(err)
			}
			if terms == 0 {
				destinations = []netip.Addr{netip.MustParseAddr(stationAddr[1])}
			} else if len(destinations) < min(terms/4, 64) {
				b.Fatalf("only %d of %d terms can be reached", len(destinations), terms)
			}
			flow := x.stations[0].Flow(b, traffic.Packet{
				SourceMAC: x.hosts[0].In.MAC(b, "eth0"), DestMAC: x.router.MAC(b, "ge0"),
				Source: source, Dest: destinations[0], Size: 60,
			}, destinations, false)
			x.more = func(config map[string]any) {
				type m = map[string]any
				config["routerd:instance"] = []m{{"name": "default", "static-route": []m{{
					"prefix": "0.0.0.0/0", "next-hop": []m{{"index": 1, "config": m{"gateway": stationAddr[1]}}},
				}}}}
				if terms == 0 {
					return
				}
				config["routerd:filter"] = []m{classbench.Configuration(spec)}
				for _, i := range config["routerd:interface"].([]m) {
					if i["name"] != "ge0" {
						continue
					}
					for _, f := range i["unit"].([]m)[0]["family"].([]m) {
						if f["type"] == "inet" {
							f["filter"] = m{"config": m{"input": spec.Name}}
						}
					}
				}
			}
			rates := map[string][]float64{}
			measure := func(who string) func() {
				return func() {
					blast := func() error {
						_, err := flow.Blast(0, 500*time.Millisecond)
						return err
					}
					if err := blast(); err != nil { // warms up, and finds the flow's speed
						b.Fatal(err)
					}
					r, err := x.stations[1].Measure(blast)
					if err != nil {
						b.Fatal(err)
					}
					if r.Packets == 0 {
						b.Fatalf("%s forwards nothing", who)
					}
					rates[who] = append(rates[who], r.Mpps())
				}
			}
			rules := filepath.Join(x.dir, "rules.nft")
			if err := os.WriteFile(rules, []byte(classbench.NFT(spec)), 0o600); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				x.withKernel(func() {
					x.run("ip", "route", "add", "default", "via", stationAddr[1])
					if terms > 0 {
						x.run("nft", "-f", rules)
						defer x.run("nft", "flush", "ruleset")
					}
					measure("nftables")()
				})
				x.withRouterd("af-xdp", measure("af-xdp"))
			}
			for _, who := range []string{"nftables", "af-xdp"} {
				r := rates[who]
				slices.Sort(r)
				b.ReportMetric(r[len(r)/2], who+"-Mpps")
			}
		})
	}
}
