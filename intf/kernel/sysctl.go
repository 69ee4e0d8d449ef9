package kernel

import (
	"fmt"
	"os"
	"strings"
)

// Sysctl reads a setting below /proc/sys/net, such as
// "ipv6/conf/ge0.100/accept_ra", of the calling thread's namespace: call it
// within Namespace.Do. A setting that does not exist is os.ErrNotExist.
func Sysctl(key string) (string, error) {
	b, err := os.ReadFile("/proc/sys/net/" + key)
	if err != nil {
		return "", fmt.Errorf("sysctl: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// SetSysctl changes a setting below /proc/sys/net of the calling thread's
// namespace, unless it has that value already, and reports whether it did.
func SetSysctl(key, value string) (changed bool, err error) {
	old, err := Sysctl(key)
	if err != nil || old == value {
		return false, err
	}
	if err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0o644); err != nil {
		return false, fmt.Errorf("sysctl: %w; /proc/sys must be writable", err)
	}
	return true, nil
}
