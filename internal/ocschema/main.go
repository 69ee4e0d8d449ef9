// Command ocschema takes out of the schema that ygot put into a generated file
// what nobody reads at run time: descriptions, extensions, and the list of
// augments, whose order changes from run to run. Nor is the schema unzipped when
// the program starts: who needs it calls UnzipSchema. The file is formatted, too.
//
//	ocschema FILE
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"go/format"
	"log"
	"os"
	"regexp"
	"strconv"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: ocschema FILE")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatalf("ocschema: %s: %v", os.Args[1], err)
	}
}

var (
	variable = regexp.MustCompile(`(?s)(\bySchema = \[\]byte\{)(.*?)(\n\t*\})`)
	octet    = regexp.MustCompile(`0x[0-9a-f]{2}`)
)

// Unzipped at start, the schema would take memory of every router.
const (
	eager = `func init() {
	var err error
	initΛEnumTypes()
	if SchemaTree, err = UnzipSchema(); err != nil {
		panic("schema error: " + err.Error())
	}
}`
	lazy = `func init() { initΛEnumTypes() }`
)

func run(file string) error {
	src, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if src, err = format.Source(src); err != nil {
		return err
	}
	at := variable.FindSubmatchIndex(src)
	if at == nil {
		return fmt.Errorf("there is no variable ySchema")
	}
	var packed []byte
	for _, o := range octet.FindAll(src[at[4]:at[5]], -1) {
		b, err := strconv.ParseUint(string(o), 0, 8)
		if err != nil {
			return err
		}
		packed = append(packed, byte(b))
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	var schema any
	d := json.NewDecoder(z)
	d.UseNumber() // ranges go up to 2^64-1
	if err := d.Decode(&schema); err != nil {
		return err
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(w).Encode(strip(schema)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	var text bytes.Buffer
	const perLine = 16
	for i, b := range out.Bytes() {
		if i%perLine == 0 {
			text.WriteString("\n\t\t")
		}
		fmt.Fprintf(&text, "0x%02x, ", b)
	}
	made := bytes.Join([][]byte{src[:at[3]], text.Bytes(), src[at[6]:]}, nil)
	if !bytes.Contains(made, []byte(eager)) {
		return fmt.Errorf("init is not as expected: see what the generator's new version does")
	}
	made = bytes.Replace(made, []byte(eager), []byte(lazy), 1)
	if made, err = format.Source(made); err != nil {
		return err
	}
	return os.WriteFile(file, made, 0o644)
}

// strip drops members of the entries' JSON. No node of YANG has such a name.
func strip(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			switch k {
			case "Augmented", "Augments", "Description", "Exts", "extra-unstable":
				delete(v, k)
			default:
				v[k] = strip(m)
			}
		}
	case []any:
		for i := range v {
			v[i] = strip(v[i])
		}
	}
	return v
}
