package capture

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"router/dataplane/packet"
	"router/intf"
)

// An Expression picks frames. The zero Expression takes all. It is immutable.
type Expression struct {
	test func(*key) bool // nil takes all
	text string
}

// String is the text that it was parsed from.
func (e Expression) String() string { return e.text }

// Match reports whether the frame, from its Ethernet header on, is picked.
func (e Expression) Match(frame []byte) bool {
	if e.test == nil {
		return true
	}
	k := keyOf(frame)
	return e.test(&k)
}

// maxTokens bounds an expression: people write a dozen words.
const maxTokens = 256

// Parse reads an expression in the words of tcpdump (pcap-filter(7)), of which it knows
//
//	[src|dst] host ADDRESS   [src|dst] net PREFIX   [src|dst] port N
//	ether [src|dst] [host] MAC   ether proto N   vlan [ID]
//	ip  ip6  arp  tcp  udp  sctp  icmp  icmp6  proto N  fragment
//
// joined by and, or, not and parentheses; and binds closer than or. An address alone is a host, a
// prefix alone a net. The addresses of ARP count as hosts. "" takes all.
func Parse(text string) (Expression, error) {
	e := Expression{text: strings.TrimSpace(text)}
	p := parser{tokens: tokens(text)}
	if len(p.tokens) == 0 {
		return e, nil
	}
	if len(p.tokens) > maxTokens {
		return e, fmt.Errorf("filter: %d words: %d are the most", len(p.tokens), maxTokens)
	}
	test, err := p.or()
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("%q is not expected here: join with and, or", p.peek())
	}
	if err != nil {
		return e, fmt.Errorf("filter: %w", err)
	}
	e.test = test
	return e, nil
}

func tokens(text string) []string {
	for _, s := range []string{"(", ")", "!", "&&", "||"} {
		text = strings.ReplaceAll(text, s, " "+s+" ")
	}
	return strings.Fields(text)
}

// A parser is a recursive descent over the words; each level of parentheses or not takes one, so
// maxTokens bounds its depth.
type parser struct {
	tokens []string
	at     int
}

func (p *parser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *parser) next() string {
	t := p.peek()
	p.at++
	return t
}

func (p *parser) take(words ...string) bool {
	for _, w := range words {
		if p.peek() == w {
			p.at++
			return true
		}
	}
	return false
}

type test = func(*key) bool

func (p *parser) or() (test, error) {
	left, err := p.and()
	for err == nil && p.take("or", "||") {
		var right test
		if right, err = p.and(); err == nil {
			a := left
			left = func(k *key) bool { return a(k) || right(k) }
		}
	}
	return left, err
}

func (p *parser) and() (test, error) {
	left, err := p.not()
	for err == nil && p.take("and", "&&") {
		var right test
		if right, err = p.not(); err == nil {
			a := left
			left = func(k *key) bool { return a(k) && right(k) }
		}
	}
	return left, err
}

func (p *parser) not() (test, error) {
	if p.take("not", "!") {
		t, err := p.not()
		if err != nil {
			return nil, err
		}
		return func(k *key) bool { return !t(k) }, nil
	}
	if p.take("(") {
		t, err := p.or()
		if err != nil {
			return nil, err
		}
		if !p.take(")") {
			return nil, errors.New("a parenthesis is open: close it")
		}
		return t, nil
	}
	return p.primitive()
}

// Directions of a primitive.
const (
	either = iota
	source
	destination
)

func (p *parser) direction() int {
	switch {
	case p.take("src"):
		return source
	case p.take("dst"):
		return destination
	}
	return either
}

// protocols are the words for what IP carries.
var protocols = map[string]uint8{"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132, "gre": 47, "esp": 50, "ospf": 89, "vrrp": 112}

func (p *parser) primitive() (test, error) {
	word := p.peek()
	switch word {
	case "":
		return nil, errors.New("something is missing at the end")
	case "ip", "ip6", "arp":
		p.at++
		want := map[string]uint16{"ip": packet.EtherTypeIPv4, "ip6": packet.EtherTypeIPv6, "arp": packet.EtherTypeARP}[word]
		return p.narrowed(func(k *key) bool { return k.ethertype == want })
	case "fragment":
		p.at++
		return func(k *key) bool { return k.fragmented }, nil
	case "vlan":
		p.at++
		return p.vlan()
	case "ether":
		p.at++
		return p.ether()
	case "proto":
		p.at++
		n, err := p.number("a protocol", 255)
		return func(k *key) bool { return k.ip && int(k.protocol) == n }, err
	}
	if number, ok := protocols[word]; ok {
		p.at++
		return p.narrowed(func(k *key) bool { return k.ip && k.protocol == number })
	}
	return p.address(p.direction())
}

// narrowed takes what may follow a protocol without a word between: tcp port 22, ip host 192.0.2.1.
func (p *parser) narrowed(first test) (test, error) {
	switch p.peek() {
	case "src", "dst", "host", "net", "port":
	default:
		return first, nil
	}
	second, err := p.address(p.direction())
	if err != nil {
		return nil, err
	}
	return func(k *key) bool { return first(k) && second(k) }, nil
}

func (p *parser) vlan() (test, error) {
	if _, err := strconv.Atoi(p.peek()); err != nil {
		return func(k *key) bool { return k.n > 0 }, nil
	}
	id, err := p.number("a VLAN id", 4095)
	return func(k *key) bool { return k.n > 0 && int(k.tags[0]) == id || k.n > 1 && int(k.tags[1]) == id }, err
}

func (p *parser) ether() (test, error) {
	if p.take("proto") {
		n, err := p.number("an EtherType", 65535)
		return func(k *key) bool { return int(k.ethertype) == n }, err
	}
	dir := p.direction()
	p.take("host")
	text := p.next()
	hw, err := net.ParseMAC(text)
	if err != nil || len(hw) != len(intf.MAC{}) {
		return nil, fmt.Errorf("ether %q: want a MAC address such as 02:00:00:00:00:01", text)
	}
	mac := intf.MAC(hw)
	return func(k *key) bool { return dir != destination && k.src == mac || dir != source && k.dst == mac }, nil
}

func (p *parser) number(what string, most uint64) (int, error) {
	text := p.next()
	n, err := strconv.ParseUint(text, 0, 16)
	if err != nil || n > most {
		return 0, fmt.Errorf("%q: want %s, 0 to %d", text, what, most)
	}
	return int(n), nil
}

func (p *parser) address(dir int) (test, error) {
	switch word := p.next(); word {
	case "port":
		n, err := p.number("a port", 65535)
		return func(k *key) bool {
			return k.ports && (dir != destination && int(k.sport) == n || dir != source && int(k.dport) == n)
		}, err
	case "host", "net":
		text := p.next()
		return network(dir, word, text)
	default:
		return network(dir, "", word)
	}
}

// network is the test for a host or a net; word is what stood before it, "" for nothing.
func network(dir int, word, text string) (test, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil || word == "host" {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			if word == "" {
				return nil, fmt.Errorf("%q is unknown: want host, net, port, a protocol, vlan or ether", text)
			}
			return nil, fmt.Errorf("%s %q: want an address such as 192.0.2.1, or net and a prefix", word, text)
		}
		prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
	}
	return func(k *key) bool {
		return dir != destination && prefix.Contains(k.from) || dir != source && prefix.Contains(k.to)
	}, nil
}
