package testnet

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/vishvananda/netns"
)

// Remove removes the namespaces whose names begin with prefix, and with each its
// devices, as soon as no process is in it any more. That there are none is no
// error.
func Remove(prefix string) error {
	entries, err := os.ReadDir("/run/netns")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("list namespaces: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if err := netns.DeleteNamed(e.Name()); err != nil {
			errs = append(errs, fmt.Errorf("remove namespace %s: %w", e.Name(), err))
		}
	}
	return errors.Join(errs...)
}
