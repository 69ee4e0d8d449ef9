package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"router/internal/bench/net/peers"
)

// A kernelRouter is the namespace where the kernel forwards, by itself or with an
// XDP program in front.
type kernelRouter struct {
	w      *world
	dir    string           // for rules
	loaded map[bool][]route // by family
}

// newKernelRouter gives the ports addresses and neighbours.
func newKernelRouter(w *world, dir string) *kernelRouter {
	k := &kernelRouter{w: w, dir: dir, loaded: make(map[bool][]route)}
	ns := w.spaces[inKernel]
	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		ns.Sysctl(w.t, key, "1")
	}
	for _, key := range []string{"all", "default", ports[0], ports[1]} {
		ns.Sysctl(w.t, "net/ipv4/conf/"+key+"/rp_filter", "0")
	}
	mac := w.sinkMAC("kernel")
	for _, v6 := range []bool{false, true} {
		for i, port := range ports {
			// An earlier run may have left them.
			w.do(inKernel, "ip", "address", "replace", routerPrefix[v6][i], "dev", port, "nodad")
		}
		for i := range gateways {
			ns.Neighbor(w.t, ports[1], gateway(v6, i).String(), mac)
		}
	}
	return k
}

// load makes the kernel's main table what list says, and nothing else.
func (k *kernelRouter) load(list []route, v6 bool) error {
	ns := k.w.spaces[inKernel]
	device := ns.Link(k.w.t, ports[1]).Attrs().Index
	old := k.loaded[v6]
	// Tables mostly grow.
	same := 0
	for same < min(len(old), len(list)) && old[same] == list[same] {
		same++
	}
	err := kernelRoutes(ns, old[same:], v6, unix.RT_TABLE_MAIN, device, true)
	if err == nil {
		err = kernelRoutes(ns, list[same:], v6, unix.RT_TABLE_MAIN, device, false)
	}
	if err != nil {
		return fmt.Errorf("kernel's table of %d routes: %w", len(list), err)
	}
	k.loaded[v6] = list
	return nil
}

// clear takes out of the kernel what was loaded.
func (k *kernelRouter) clear() error {
	return errors.Join(k.load(nil, false), k.load(nil, true))
}

// program attaches a peer to the first port until end is called.
func (k *kernelRouter) program(kind peers.Kind) (end func() error, err error) {
	ns := k.w.spaces[inKernel]
	in, out := ns.Link(k.w.t, ports[0]), ns.Link(k.w.t, ports[1])
	var p *peers.Peer
	err = ns.Do(func() (err error) {
		p, err = peers.Attach(kind, peers.Config{
			In: in.Attrs().Index, Out: out.Attrs().Index, SourceMAC: out.Attrs().HardwareAddr, DestMAC: k.w.sinkMAC("kernel"),
			Tables: firstTable,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.Close, nil
}

// nftables puts a ruleset into force until end is called. Without one, there is an
// empty chain all the same.
func (k *kernelRouter) nftables(r *ruleset, v6 bool) (end func() error, err error) {
	text := map[bool]string{false: "table ip bench", true: "table ip6 bench"}[v6] +
		" {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t}\n}\n"
	if r != nil {
		text = r.nft
	}
	file := filepath.Join(k.dir, "rules.nft")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	ns := k.w.spaces[inKernel]
	if _, err := ns.Run("nft", "-f", file); err != nil {
		return nil, err
	}
	return func() error {
		_, err := ns.Run("nft", "flush", "ruleset")
		return err
	}, nil
}
