package models

import (
	"net/netip"
	"strings"

	"router/intf"
)

// pathEscaper escapes the value of a key in a gNMI path.
var pathEscaper = strings.NewReplacer(`\`, `\\`, `]`, `\]`)

func keyed(path, list, key, value string) string {
	return path + "/" + list + "[" + key + "=" + pathEscaper.Replace(value) + "]"
}

func devicePath(name string) string { return keyed("", "interface", "name", name) }

func unitPath(k intf.UnitKey) string { return keyed(devicePath(k.Device), "unit", "id", k.ID) }

func familyPath(unit string, f intf.Family) string { return keyed(unit, "family", "type", f.String()) }

func addressPath(family, prefix string) string { return keyed(family, "address", "prefix", prefix) }

func neighborPath(family, address string) string {
	return keyed(family, "neighbor", "address", address)
}

func instancePath(name string) string { return keyed("", "instance", "name", name) }

func staticPath(k StaticKey) string { return staticPathText(k.Instance, k.Prefix.String()) }

func staticPathText(instance, prefix string) string {
	return keyed(instancePath(instance), "static-route", "prefix", prefix)
}

func multicastPathText(instance, group, source string) string {
	return keyed(instancePath(instance), "multicast-route", "group", group) + "[source=" + pathEscaper.Replace(source) + "]"
}

// nextHopPath is the path of a next hop of a route, by its index.
func nextHopPath(k StaticKey, index uint8) string {
	return staticPath(k) + nextHopElem(index)
}

// nextHopElem is the end of the path of a next hop, below its route.
func nextHopElem(index uint8) string { return keyed("", "next-hop", "index", uintText(uint64(index))) }

func classPath(name string) string { return keyed("", "local-class", "name", name) }

func sessionPath(name string) string { return keyed("", "session", "name", name) }

func filterPath(name string) string { return keyed("", "filter", "name", name) }

func termPath(filter, term string) string { return keyed(filterPath(filter), "term", "name", term) }

func prefixListPath(name string) string { return keyed("", "prefix-list", "name", name) }

func policerPath(name string) string { return keyed("", "policer", "name", name) }

// hostPrefix is the prefix that holds a and nothing else.
func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
