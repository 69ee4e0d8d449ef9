package render

import (
	"fmt"
	"strconv"
	"time"
)

// scaled is n with a decimal prefix, three digits that count.
func scaled(n float64, base float64, prefixes []string) string {
	i := 0
	for n >= base && i < len(prefixes)-1 {
		n /= base
		i++
	}
	digits := 0
	if i > 0 {
		switch {
		case n < 9.995:
			digits = 2
		case n < 99.95:
			digits = 1
		}
	}
	text := strconv.FormatFloat(n, 'f', digits, 64)
	return text + " " + prefixes[i]
}

// BitRate is a rate in bits per second for people: "0 bit/s", "9.42 Gbit/s".
func BitRate(bps float64) string {
	return scaled(bps, 1000, []string{"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"})
}

// PacketRate is a rate in packets per second for people: "812 pps", "1.49 Mpps".
func PacketRate(pps float64) string {
	return scaled(pps, 1000, []string{"pps", "kpps", "Mpps", "Gpps"})
}

// Octets is an amount of memory or of data for people: "512 B", "58.1 MB". The
// prefixes are decimal.
func Octets(n float64) string {
	return scaled(n, 1000, []string{"B", "kB", "MB", "GB", "TB", "PB"})
}

// Duration is a span of time in at most two units: "12 s", "3 h 20 min",
// "41 d 7 h".
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-d)
	}
	if d > 0 && d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	s := int64(d / time.Second)
	pair := func(a int64, x string, b int64, y string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, x)
		}
		return fmt.Sprintf("%d %s %d %s", a, x, b, y)
	}
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return pair(s/60, "min", s%60, "s")
	case s < 24*3600:
		return pair(s/3600, "h", s%3600/60, "min")
	}
	return pair(s/86400, "d", s%86400/3600, "h")
}
