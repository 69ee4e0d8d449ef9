package northbound

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// rows are the rows of the conformance checklist of docs/gnmi.md: what a client
// does, by the row's number.
var rows = [...]string{
	1:  "Capabilities",
	2:  "reflection",
	3:  "plaintext, old TLS, mutual TLS",
	4:  "who may call",
	5:  "Get of all types",
	6:  "Get CONFIG and STATE",
	7:  "encoding unset or unsupported",
	8:  "Get with several paths",
	9:  "an absent path, a default",
	10: "unknown and malformed paths",
	11: "wildcards",
	12: "prefix and path, the root",
	13: "target",
	14: "origin given twice",
	15: "origin unset",
	16: "use_models",
	17: "JSON_IETF and JSON",
	18: "PROTO",
	19: "an empty Set",
	20: "the order in a Set",
	21: "the answer to a Set",
	22: "one operation fails",
	23: "a path that can't be parsed",
	24: "update and replace of unknown paths",
	25: "type, range, pattern, enumeration",
	26: "an unsupported payload",
	27: "writes to state",
	28: "replace without a leaf",
	29: "replace of a list",
	30: "replace by nothing",
	31: "update",
	32: "partial keys",
	33: "keys that differ",
	34: "delete by pattern",
	35: "delete of what is absent",
	36: "union_replace among others",
	37: "union_replace",
	38: "origin routerd_cli",
	39: "several origins",
	40: "a large Set",
	41: "the annotation",
	42: "arbitration",
	43: "commit confirmed",
	44: "a commit while one is pending",
	45: "confirm, cancel, set-duration",
	46: "set-duration of nothing",
	47: "a confirmed commit that fails, a restart",
	48: "depth",
	49: "ConfigSubscription",
	50: "History",
	51: "first message",
	52: "second SubscriptionList",
	53: "ONCE",
	54: "POLL",
	55: "ON_CHANGE",
	56: "heartbeat",
	57: "SAMPLE",
	58: "suppress_redundant",
	59: "TARGET_DEFINED",
	60: "updates_only",
	61: "a valid path that is absent",
	62: "Subscribe to unknown and malformed paths",
	63: "no aggregation",
	64: "atomic containers",
	65: "back to the default",
	66: "a slow reader",
	67: "timestamps",
	68: "mixed modes",
	69: "qos.marking",
}

// A checklist is the test of all rows, with what became of each.
type checklist struct {
	*testing.T
	passed, failed map[int]int // cases by row
}

// row runs one case of a row. Its name begins with the row's number; what
// follows behind a slash tells several cases apart. A name without a number is
// no row's.
func (c *checklist) row(name string, f func(t *testing.T)) {
	c.Helper()
	number, rest, _ := strings.Cut(name, "/")
	n, err := strconv.Atoi(number)
	if err != nil {
		c.Run(name, f)
		return
	}
	title := fmt.Sprintf("row %d: %s", n, rows[n])
	if rest != "" {
		title += ", " + rest
	}
	if c.Run(title, f) {
		c.passed[n]++
	} else {
		c.failed[n]++
	}
}

// TestChecklist is the conformance test: every row has a case, against a
// server over TLS.
func TestChecklist(t *testing.T) {
	c := &checklist{T: t, passed: map[int]int{}, failed: map[int]int{}}
	for _, part := range []func(*checklist){
		testCapabilities, testTLS, testAccess, testGet, testSet, testOrigins, testAnnotation, testArbitration,
		testConfirm, testConfigSubscription, testHistory,
		testSubscribe, testSlowReader, testMarking, testAtomic,
	} {
		part(c)
	}
	passed, failed, cases := 0, 0, 0
	for n := 1; n < len(rows); n++ {
		cases += c.passed[n] + c.failed[n]
		switch {
		case c.failed[n] > 0:
			failed++
		case c.passed[n] > 0:
			passed++
		default:
			t.Errorf("row %d, %s, has no case", n, rows[n])
		}
	}
	t.Logf("checklist: %d rows in %d cases: passed %d, failed %d", len(rows)-1, cases, passed, failed)
}

// A pair of a key and a certificate for 127.0.0.1, for all servers of tests.
var testCertificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bed"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
})
