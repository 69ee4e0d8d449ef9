package main

import (
	"fmt"
	"time"

	"github.com/openconfig/gnoi/system"
)

// printRestart prints what is pending, or what was last.
func (o *options) printRestart(st *system.RebootStatusResponse) error {
	if o.json {
		return o.printMessage(st)
	}
	why := ""
	if st.GetReason() != "" {
		why = ": " + st.GetReason()
	}
	when := time.Unix(0, int64(st.GetWhen())).UTC().Format(time.RFC3339)
	var err error
	switch {
	case st.GetActive():
		_, err = fmt.Fprintf(o.out, "restarts at %s, in %v%s\n", when, time.Duration(st.GetWait()).Round(time.Second), why)
	case st.GetCount() == 0:
		_, err = fmt.Fprintln(o.out, "no restart is pending, and none was asked for before")
	default:
		_, err = fmt.Fprintf(o.out, "no restart is pending; the last of %d was at %s%s\n", st.GetCount(), when, why)
	}
	return err
}
