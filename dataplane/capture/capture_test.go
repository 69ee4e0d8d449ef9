package capture

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"os"

	"router/intf"
)

// frame makes one from hexadecimal words.
func frame(t testing.TB, words string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(words), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	macs = "020000000002 020000000001 "
	ip4  = "45000028 00010000 40060000 c0000201 c6336402 "
	tcp  = "04d20050 00000001 00000000 50020000 00000000"
	ip6  = "60000000 00083a40 20010db8000000000000000000000001 20010db8000000000000000000000002 "
)

var samples = map[string]string{
	"tcp":      macs + "0800" + ip4 + tcp,
	"vlan":     macs + "8100 0064 0800" + ip4 + tcp,
	"qinq":     macs + "88a8 0064 8100 0007 0800" + ip4 + tcp,
	"priority": macs + "8100 6000 0800" + ip4 + tcp,
	"later":    macs + "0800 45000028 00010010 40060000 c0000201 c6336402" + tcp,
	"udp":      macs + "0800 4500001c 00010000 40110000 c0000201 c6336402 12670035 00080000",
	"echo6":    macs + "86dd" + ip6 + "8000 0000 0001 0001",
	"options6": macs + "86dd 60000000 00100040 20010db8000000000000000000000001 20010db8000000000000000000000002 3a00000000000000 8000 0000 0001 0001",
	"arp":      "ffffffffffff 020000000001 0806 0001 0800 06 04 0001 020000000001 c0000201 000000000000 c0000202",
	"short":    "0200",
	"llc":      macs + "0026 424203",
}

func TestExpressions(t *testing.T) {
	for _, c := range []struct {
		text string
		want string // the samples that it picks, in order of their names
	}{
		{"", "arp echo6 later llc options6 priority qinq short tcp udp vlan"},
		{"tcp", "later priority qinq tcp vlan"},
		{"tcp port 80", "priority qinq tcp vlan"},
		{"tcp and src port 80", ""},
		{"dst port 80 or udp", "priority qinq tcp udp vlan"},
		{"port 53", "udp"},
		{"udp && !port 53", ""},
		{"host 192.0.2.1", "arp later priority qinq tcp udp vlan"},
		{"192.0.2.1 and not arp", "later priority qinq tcp udp vlan"},
		{"dst 198.51.100.0/24", "later priority qinq tcp udp vlan"},
		{"src net 198.51.100.0/24", ""},
		{"ip6", "echo6 options6"},
		{"icmp6", "echo6 options6"},
		{"ip host 2001:db8::1", ""},
		{"host 2001:db8::1 and proto 58", "echo6 options6"},
		{"arp", "arp"},
		{"vlan", "priority qinq vlan"},
		{"vlan 100", "qinq vlan"},
		{"vlan 7", "qinq"},
		{"fragment", "later"},
		{"ether proto 0x0806", "arp"},
		{"ether src 02:00:00:00:00:01 and arp", "arp"},
		{"ether dst 02:00:00:00:00:01", ""},
		{"ether host 02:00:00:00:00:02 and udp", "udp"},
		{"not (tcp or udp or arp or ip6)", "llc short"},
		{"icmp or tcp and port 80", "priority qinq tcp vlan"},
	} {
		e, err := Parse(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		var got []string
		for _, name := range strings.Fields("arp echo6 later llc options6 priority qinq short tcp udp vlan") {
			if e.Match(frame(t, samples[name])) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q picks %v, want %s", c.text, got, c.want)
		}
	}
}

func TestMistakesInExpressions(t *testing.T) {
	for text, want := range map[string]string{
		"tcp and":                 "something is missing",
		"(tcp":                    "a parenthesis is open",
		"tcp udp":                 `"udp" is not expected here`,
		"tcp)":                    `")" is not expected here`,
		"port http":               `"http": want a port`,
		"port 65536":              "want a port",
		"host 192.0.2.0/24":       "want an address",
		"host":                    "want an address",
		"net 192.0.2":             "want an address",
		"vlan 4096":               "want a VLAN id",
		"ether host 1":            "want a MAC address",
		"greater 100":             `"greater" is unknown`,
		"fe80::1%eth0":            "is unknown",
		strings.Repeat("! ", 300): "are the most",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, text := range []string{"tcp port 80", "not (arp or ip6)", "vlan 7 and ether host 02:00:00:00:00:01", "net 10.0.0.0/8 && ! fragment", "((", "proto 0x3a"} {
		for _, s := range samples {
			b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text, b)
		}
	}
	f.Fuzz(func(_ *testing.T, text string, b []byte) {
		if e, err := Parse(text); err == nil {
			e.Match(b)
		}
		Summary(b, len(b))
	})
}

func TestPickOfAUnit(t *testing.T) {
	pick := func(stack intf.VLAN) string {
		p := Pick{Tagged: true, Stack: stack, In: true}
		var got []string
		for _, name := range strings.Fields("priority qinq tcp vlan") {
			if p.wants(new(key), false, frame(t, samples[name])) {
				got = append(got, name)
			}
			if p.wants(new(key), true, frame(t, samples[name])) {
				t.Errorf("%s is picked in the other direction", name)
			}
		}
		return strings.Join(got, " ")
	}
	for _, c := range []struct {
		stack intf.VLAN
		want  string
	}{
		{intf.VLAN{}, "priority tcp"},
		{intf.VLAN{OuterTPID: 0x8100, OuterID: 100}, "vlan"},
		{intf.VLAN{OuterTPID: 0x88a8, OuterID: 100, InnerTPID: 0x8100, InnerID: 7}, "qinq"},
		{intf.VLAN{OuterTPID: 0x88a8, OuterID: 100}, ""},
	} {
		if got := pick(c.stack); got != c.want {
			t.Errorf("tags %+v pick %q, want %q", c.stack, got, c.want)
		}
	}
}

// TestReader has two workers fill their rings while they are read: what is not counted as lost
// comes whole and in the order of each worker.
func TestReader(t *testing.T) {
	r := NewReader(Pick{In: true, Out: true, Snap: 64})
	taps := []*Tap{r.NewTap(), r.NewTap()}
	const each = 50_000
	var workers sync.WaitGroup
	for i, tap := range taps {
		workers.Go(func() {
			b := make([]byte, 14+100)
			b[0] = byte(i)
			for n := range each {
				binary.BigEndian.PutUint32(b[14:], uint32(n))
				tap.Frame(int64(n), i == 1, b[:14+4+n%97])
			}
		})
	}
	done := make(chan struct{})
	go func() { workers.Wait(); close(done) }()
	var got [2]int
	last := [2]int{-1, -1}
	for running := true; running || got[0]+got[1]+int(r.Dropped()) < 2*each; {
		select {
		case <-done:
			running = false
		default:
		}
		for _, p := range r.Read() {
			who := int(p.Data[0])
			n := int(binary.BigEndian.Uint32(p.Data[14:]))
			if p.Out != (who == 1) || p.At != int64(n) || p.Length != 14+4+n%97 || len(p.Data) != min(p.Length, 64) || n <= last[who] {
				t.Fatalf("packet %+v of worker %d after number %d", p, who, last[who])
			}
			last[who] = n
			got[who]++
		}
	}
	if got[0] == 0 || got[1] == 0 {
		t.Errorf("%v packets were read", got)
	}
}

func TestRingThatIsFull(t *testing.T) {
	r := newRing(256)
	for range 5 {
		r.push(1, false, make([]byte, 60), 64)
	}
	if n := r.dropped.Load(); n != 2 {
		t.Errorf("%d frames were dropped, want 2: each of the 256 octets takes 80", n)
	}
	for i := range 3 {
		if p, ok := r.pop(); !ok || len(p.Data) != 60 {
			t.Errorf("frame %d: %+v, %t", i, p, ok)
		}
	}
	if _, ok := r.pop(); ok {
		t.Error("there is a fourth")
	}
}

func TestTapsDontAllocate(t *testing.T) {
	e, err := Parse("tcp port 80 or udp")
	if err != nil {
		t.Fatal(err)
	}
	tap := NewReader(Pick{In: true, Tagged: true, Filter: e, Snap: 64}).NewTap()
	b := frame(t, samples["tcp"])
	if n := testing.AllocsPerRun(100, func() { tap.Frame(1, false, b) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func TestSummary(t *testing.T) {
	for name, want := range map[string]string{
		"tcp":   "02:00:00:00:00:01 > 02:00:00:00:00:02 192.0.2.1:1234 > 198.51.100.2:80 tcp S ttl 64, 54 octets",
		"vlan":  "vlan 100 192.0.2.1:1234",
		"qinq":  "vlan 100 vlan 7 192.0.2.1",
		"later": "192.0.2.1 > 198.51.100.2 tcp fragment",
		"echo6": "2001:db8::1 > 2001:db8::2 icmp6 echo request hlim 64",
		"arp":   "ARP who has 192.0.2.2, asks 192.0.2.1",
		"llc":   "802.3 length 38",
		"short": "cut short",
	} {
		b := frame(t, samples[name])
		if got := Summary(b, len(b)); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q in it", name, got, want)
		}
	}
}

// TestFile has tshark read what was written.
func TestFile(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, "ge0", "tcp port 80", "what is seen", 40)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"tcp", "udp", "echo6"} {
		b := frame(t, samples[name])
		if err := w.Packet(Packet{At: 1_700_000_000_123_456_789 + int64(i), Out: i == 1, Length: len(b), Data: b[:min(len(b), 40)]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(1_700_000_001_000_000_000, 5, 2); err != nil {
		t.Fatal(err)
	}
	if w.Size() != int64(file.Len()) {
		t.Errorf("size %d, and %d octets were written", w.Size(), file.Len())
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("REQUIRE_PRIVILEGED") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "x.pcapng")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tshark", "-r", path, "-T", "fields", "-E", "separator=,", "-e", "frame.time_epoch", "-e", "frame.interface_name", "-e", "frame.len", "-e", "frame.cap_len", "-e", "frame.packet_flags_direction", "-e", "ip.dst")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1700000000.123456789,ge0,54,40,0x00000001,198.51.100.2", "1700000000.123456790,ge0,42,40,0x00000002,198.51.100.2", "1700000000.123456791,ge0,62,40,0x00000001,"}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("tshark read\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
