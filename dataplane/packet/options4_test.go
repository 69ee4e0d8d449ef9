package packet

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// withOptions is a packet with the options that text names in hexadecimal.
func withOptions(t testing.TB, text string) IPv4 {
	t.Helper()
	o, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	for len(o)%4 != 0 {
		o = append(o, 0)
	}
	b := make([]byte, IPv4MinHeaderLen, 64)
	PutIPv4(b, 0, 1, false, 64, ProtocolUDP, netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("198.51.100.10"), len(o)+8)
	b[0] = 0x40 | byte(5+len(o)/4)
	h := IPv4(append(append(b, o...), make([]byte, 8)...))
	h.SetChecksum()
	return h
}

func TestIPv4Options(t *testing.T) {
	const addr, millis = 0xcb007101, 0x01020304 // 203.0.113.1
	for _, c := range []struct {
		name, options string
		set           OptionSet
		bad           int
		named         bool
		after         string // "": unchanged
	}{
		{name: "none"},
		{name: "no operation", options: "01 01 01 01"},
		{name: "end of options", options: "01 00 00 00"},
		{name: "octets behind the end are cleared", options: "01 00 aa bb", set: OptionStamp, after: "01 00 00 00"},
		{name: "length of 1", options: "01 82 01 00", bad: 21},
		{name: "length beyond the header", options: "01 82 04 00", bad: 21},
		{name: "no length", options: "01 01 01 82", bad: 23},
		{name: "unknown", options: "5e 04 01 02"},
		{name: "router alert", options: "94 04 00 00", set: OptionAlert},
		{name: "router alert of another value", options: "94 04 00 01"},
		{name: "router alert, short", options: "94 03 00 00", bad: 21},

		{name: "loose source route", options: "83 07 04 c0000201 00", set: OptionSourceRoute},
		{name: "strict source route", options: "89 07 08 c0000201 00", set: OptionSourceRoute},
		{name: "source route without a pointer", options: "83 02 01 01", bad: 21},
		{name: "source route with a pointer below 4", options: "83 07 03 c0000201 00", bad: 22},
		{name: "two source routes", options: "83 03 04 89 03 04", set: OptionSourceRoute, bad: 23},

		{name: "record route", options: "07 0b 04 00000000 00000000 00", set: OptionStamp, after: "07 0b 08 cb007101 00000000 00"},
		{name: "record route, second place", options: "07 0b 08 01020304 00000000 00", set: OptionStamp, after: "07 0b 0c 01020304 cb007101 00"},
		{name: "record route, full", options: "07 07 08 01020304 00"},
		{name: "record route, half a place", options: "07 09 08 01020304 0000 00", bad: 22},
		{name: "record route without a pointer", options: "07 02 01 01", bad: 21},
		{name: "record route with a pointer below 4", options: "07 07 03 00000000 00", bad: 22},
		{name: "two record routes", options: "07 03 04 07 03 04", bad: 23},

		{name: "timestamp", options: "44 0c 05 00 00000000 00000000", set: OptionStamp, after: "44 0c 09 00 01020304 00000000"},
		{name: "timestamp, full", options: "44 08 09 20 01020304", set: OptionStamp, after: "44 08 09 30 01020304"},
		{name: "timestamp, overflow full", options: "44 08 09 f0 01020304", bad: 23},
		{name: "timestamp with address", options: "44 0c 05 01 00000000 00000000", set: OptionStamp, after: "44 0c 0d 01 cb007101 01020304"},
		{name: "timestamp with address, half a place", options: "44 08 05 01 00000000", bad: 22},
		{name: "timestamp that waits for us", options: "44 0c 05 03 cb007101 00000000", set: OptionStamp, named: true, after: "44 0c 0d 03 cb007101 01020304"},
		{name: "timestamp that waits for another", options: "44 0c 05 03 c0000299 00000000", set: OptionStamp},
		{name: "timestamp that waited, full", options: "44 0c 0d f3 cb007101 00000000"},
		{name: "timestamp of unknown kind", options: "44 0c 05 07 00000000 00000000"},
		{name: "timestamp without flags", options: "44 03 05 00", bad: 21},
		{name: "timestamp with a pointer below 5", options: "44 08 04 00 00000000", bad: 22},
		{name: "timestamp, half a place", options: "44 06 05 00 0000 00 00", bad: 22},
		{name: "two timestamps", options: "44 04 05 03 44 04 05 03", bad: 24},
		{name: "record route and timestamp", options: "07 07 04 00000000 44 08 05 00 00000000", set: OptionStamp, after: "07 07 08 cb007101 44 08 09 00 01020304"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := withOptions(t, c.options)
			set, bad := CheckIPv4Options(h)
			if bad != c.bad || c.bad == 0 && set != c.set {
				t.Fatalf("options %03b, bad at %d; want %03b, %d", set, bad, c.set, c.bad)
			}
			if bad != 0 || set&OptionStamp == 0 {
				return
			}
			a, ok := PrespecifiedIPv4(h)
			if c.named != (ok && a == addr) {
				t.Fatalf("prespecified %x %v", a, ok)
			}
			StampIPv4Options(h, addr, millis, c.named)
			want := c.after
			if want == "" {
				want = c.options
			}
			if w := withOptions(t, want); !bytes.Equal(h.Options(), w.Options()) {
				t.Errorf("options are\n%x, want\n%x", h.Options(), w.Options())
			}
			if _, fault := CheckIPv4(h); fault != FaultNone {
				t.Errorf("the packet is not valid any more: %v", fault)
			}
		})
	}
}

// FuzzIPv4Options: whatever stands behind the fixed header is read within its
// bounds, and a header that was stamped passes the same check again.
func FuzzIPv4Options(f *testing.F) {
	for _, o := range []string{"", "01", "00ff", "070704000000", "44080500", "440c0d01", "83070401020304", "8304", "94040000", "440c0503cb007101"} {
		f.Add([]byte(withOptions(f, o)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < IPv4MinHeaderLen {
			return
		}
		h := append(bytes.Clone(b), make([]byte, IPv4MaxHeaderLen)...)
		h[0], h[2], h[3] = 0x40|max(5, h[0]&15), byte(len(h)>>8), byte(len(h))
		IPv4(h).SetChecksum()
		ip, fault := CheckIPv4(h)
		if fault != FaultNone {
			return
		}
		set, bad := CheckIPv4Options(ip)
		if bad != 0 {
			if bad < IPv4MinHeaderLen || bad >= ip.HeaderLen() {
				t.Fatalf("bad octet %d in a header of %d", bad, ip.HeaderLen())
			}
			return
		}
		a, ok := PrespecifiedIPv4(ip)
		if set&OptionStamp == 0 {
			return
		}
		StampIPv4Options(ip, 1, 2, ok && a&1 != 0)
		if _, fault := CheckIPv4(ip); fault != FaultNone {
			t.Fatalf("stamped: %v", fault)
		}
		// A place of odd size may be left over, which is wrong at the next router.
		_, _ = CheckIPv4Options(ip)
	})
}
