package packet

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// withHopByHop is a packet whose first header holds the options that text names
// in hexadecimal, padded to eight octets with zeroes.
func withHopByHop(t testing.TB, dst, text string) IPv6 {
	t.Helper()
	o, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	o = append([]byte{ProtocolNoNext, 0}, o...)
	for len(o)%8 != 0 {
		o = append(o, 0)
	}
	o[1] = byte(len(o)/8 - 1)
	b := make([]byte, IPv6HeaderLen, IPv6HeaderLen+len(o))
	PutIPv6(b, 0, ProtocolHopByHop, 64, netip.MustParseAddr("2001:db8:a::10"), netip.MustParseAddr(dst), len(o))
	return IPv6(append(b, o...))
}

func TestHopByHopOptions(t *testing.T) {
	const host, group = "2001:db8:b::10", "ff0e::1"
	for _, c := range []struct {
		name, dst, options string
		verdict            OptionVerdict
		pointer            int
	}{
		{"padding only", host, "01 04 00000000", OptionsPass, 0},
		{"seven octets of padding", host, "00 00 00 00 00 00 3e 00 00 00", OptionsPass, 0},
		{"eight octets of padding in a row", host, "01 06 000000000000 3e 00", OptionsMalformed, 0},
		{"padding that says something", host, "01 04 00000001", OptionsMalformed, 0},
		{"router alert", host, "05 02 0000", OptionsPass, 0},
		{"router alert of another length", host, "05 03 000000", OptionsMalformed, 0},
		{"beyond the header", host, "3e 08 0000", OptionsMalformed, 0},
		{"no length", host, "01 03 000000 3e", OptionsMalformed, 0},
		{"unknown, to be skipped", host, "3e 04 00000000", OptionsPass, 0},
		{"unknown, to be dropped", host, "7e 04 00000000", OptionsRefused, 42},
		{"unknown, to be reported", host, "be 04 00000000", OptionsUnknown, 42},
		{"unknown, to be reported, to a group", group, "be 04 00000000", OptionsUnknown, 42},
		{"unknown, to be reported unless to a group", host, "01 00 fe 02 0000", OptionsUnknown, 44},
		{"unknown, to be reported unless to a group, to one", group, "fe 04 00000000", OptionsRefused, 42},
		{"eight options", host, "3e00 3e00 3e00 3e00 3e00 3e00 3e00 3e00", OptionsPass, 0},
		{"nine options", host, "3e00 3e00 3e00 3e00 3e00 3e00 3e00 3e00 3e00", OptionsMalformed, 0},
		{"jumbo payload beside a payload length", host, "c2 04 00010000", OptionsField, 42},
		{"jumbo payload of 65535", host, "c2 04 0000ffff", OptionsField, 44},
		{"jumbo payload at a wrong place", host, "00 c2 04 00010000", OptionsMalformed, 0},
		{"jumbo payload of a wrong length", host, "c2 03 000100", OptionsMalformed, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if v, at := CheckHopByHop(withHopByHop(t, c.dst, c.options)); v != c.verdict || at != c.pointer {
				t.Errorf("verdict %d at %d, want %d at %d", v, at, c.verdict, c.pointer)
			}
		})
	}
	short := withHopByHop(t, host, "3e 04 00000000")
	short[41] = 1
	if v, _ := CheckHopByHop(short); v != OptionsMalformed {
		t.Errorf("a header beyond the packet: verdict %d", v)
	}
	empty := withHopByHop(t, host, "c2 04 00010000")[:40]
	if v, _ := CheckHopByHop(empty); v != OptionsMalformed {
		t.Errorf("no header at all: verdict %d", v)
	}
}

// FuzzHopByHop: whatever stands in the header is read within its bounds, and the
// octet to report lies in it.
func FuzzHopByHop(f *testing.F) {
	for _, o := range []string{"01 04 00000000", "05 02 0000", "c2 04 00010000", "be 00", "3e 08"} {
		f.Add([]byte(withHopByHop(f, "ff0e::1", o)[40:]))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 300 {
			return
		}
		h := IPv6(append(withHopByHop(t, "2001:db8:b::10", "")[:40], b...))
		if v, at := CheckHopByHop(h); (v == OptionsUnknown || v == OptionsField) && (at < 42 || at >= len(h)) {
			t.Fatalf("verdict %d at %d of %d", v, at, len(h))
		}
	})
}
