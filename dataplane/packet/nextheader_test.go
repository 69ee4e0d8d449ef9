package packet

import "testing"

// The field found is that through which Upper went to the header.
func TestNextHeaderField(t *testing.T) {
	options := func(next byte, units int) []byte {
		return append([]byte{next, byte(units)}, make([]byte, 6+8*units)...)
	}
	ah := func(next byte, words int) []byte {
		return append([]byte{next, byte(words)}, make([]byte, 6+4*words)...)
	}
	atomic := func(next byte) []byte { return []byte{next, 0, 0, 0, 0, 0, 0, 0} }
	for _, c := range []struct {
		name  string
		next  byte
		chain [][]byte
		want  int
	}{
		{"none", 17, nil, 6},
		{"hop-by-hop", 0, [][]byte{options(17, 0)}, 40},
		{"long options", 60, [][]byte{options(17, 3)}, 40},
		{"options and routing", 60, [][]byte{options(43, 1), options(17, 2)}, 56},
		{"fragment", 44, [][]byte{atomic(60), options(17, 1)}, 48},
		{"authentication", 51, [][]byte{ah(60, 4), options(17, 0)}, 64},
	} {
		h := make(IPv6, IPv6HeaderLen)
		h[0], h[6] = 0x60, c.next
		for _, e := range c.chain {
			h = append(h, e...)
		}
		h = append(h, make([]byte, 8)...)
		u, fault := h.Upper()
		if fault != FaultNone || u.Protocol != 17 {
			t.Fatalf("%s: %+v, %v", c.name, u, fault)
		}
		if got := h.NextHeaderField(u.Offset); got != c.want {
			t.Errorf("%s: field at %d, want %d", c.name, got, c.want)
		}
	}
}

func FuzzNextHeaderField(f *testing.F) {
	f.Add([]byte{0x60, 0, 0, 0, 0, 16, 60, 64})
	f.Fuzz(func(t *testing.T, b []byte) {
		h := make(IPv6, IPv6HeaderLen)
		copy(h, b)
		if len(b) > IPv6HeaderLen {
			h = append(h, b[IPv6HeaderLen:]...)
		}
		u, fault := h.Upper()
		at := h.NextHeaderField(u.Offset)
		if fault == FaultNone && h[at] != u.Protocol {
			t.Errorf("the field at %d holds %d, not %d", at, h[at], u.Protocol)
		}
	})
}
