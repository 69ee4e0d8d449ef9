package boot

import (
	"path/filepath"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// A Keep says when the fast path goes on forwarding without the daemon.
type Keep string

// The Keeps. The zero Keep, of Settings that Load has not made, is KeepNever.
const (
	// KeepUnlessStopped: after a crash, a kill, a restart that a client asks for,
	// and SIGUSR2; SIGTERM and SIGINT stop forwarding.
	KeepUnlessStopped Keep = "unless-stopped"
	KeepAlways        Keep = "always" // SIGTERM and SIGINT don't stop it either
	KeepNever         Keep = "never"  // it ends with the process
)

func keepFlags(f *pflag.FlagSet) {
	f.String("keep-forwarding", string(KeepUnlessStopped), "when the fast path goes on forwarding without routerd: unless-stopped (by SIGTERM), always or never")
	f.String("pin-dir", "", "directory, on a BPF file system, of what goes on forwarding without routerd (default: one of this state directory below /sys/fs/bpf/routerd)")
	f.Bool("release", false, "stop what a routerd that is no more has left forwarding, give its devices back, and exit")
}

func (s *Settings) readKeep(v *viper.Viper) error {
	s.KeepForwarding = Keep(v.GetString("keep-forwarding"))
	switch s.KeepForwarding {
	case KeepUnlessStopped, KeepAlways, KeepNever:
	default:
		return usage("keep-forwarding %q: want unless-stopped, always or never", s.KeepForwarding)
	}
	s.PinDir = v.GetString("pin-dir")
	if s.PinDir != "" && !filepath.IsAbs(s.PinDir) {
		return usage("pin-dir %q: want an absolute path, such as /sys/fs/bpf/routerd/one", s.PinDir)
	}
	if s.Release && s.Flush {
		return usage("release and flush: release exits, and keeps the configuration; give one of them")
	}
	return nil
}
