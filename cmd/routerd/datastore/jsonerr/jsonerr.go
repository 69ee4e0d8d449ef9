// Package jsonerr says where in a text JSON is wrong, for the router and its shell.
package jsonerr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// InLine returns err, of decoding data, with the line that it is about before it. An
// error that is not of syntax, or of a text of a single line, it returns as it is.
func InLine(data []byte, err error) error {
	var wrong *json.SyntaxError
	if !errors.As(err, &wrong) || !bytes.Contains(bytes.TrimSpace(data), []byte("\n")) {
		return err
	}
	return fmt.Errorf("line %d: %w", 1+bytes.Count(data[:min(int(wrong.Offset), len(data))], []byte("\n")), err)
}
