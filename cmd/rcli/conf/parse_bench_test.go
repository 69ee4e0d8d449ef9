package conf

import (
	"fmt"
	"strings"
	"testing"

	"router/cmd/rcli/schema"
)

// BenchmarkParse reads the form with braces of 10,000 units, as load replace does.
func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	for d := range 10 {
		fmt.Fprintf(&text, "interface ge%d {\n", d)
		for u := range 1000 {
			fmt.Fprintf(&text, "    unit %d {\n        description \"unit %d\";\n        vlan {\n            outer-vlan-id %d;\n        }\n        family inet {\n            address 10.%d.%d.1/30;\n        }\n    }\n", u, u, u+1, u>>8, u&255)
		}
		text.WriteString("}\n")
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text.String(), schema.Path{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEdits reads the same as set-commands in words.
func BenchmarkEdits(b *testing.B) {
	var text strings.Builder
	for d := range 10 {
		for u := range 1000 {
			fmt.Fprintf(&text, "set interface ge%d unit %d description \"unit %d\"\nset interface ge%d unit %d vlan outer-vlan-id %d\nset interface ge%d unit %d family inet address 10.%d.%d.1/30\n", d, u, u, d, u, u+1, d, u, u>>8, u&255)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Edits(text.String(), schema.Path{}); err != nil {
			b.Fatal(err)
		}
	}
}
