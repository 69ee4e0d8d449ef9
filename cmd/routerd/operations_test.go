package main

import (
	"slices"
	"testing"

	"router/cmd/routerd/boot"
	"router/cmd/routerd/northbound/gnoi"
)

func TestDirectories(t *testing.T) {
	audit := gnoi.Directory{Name: "audit", Path: "/var/lib/routerd/audit"}
	captures := gnoi.Directory{Name: "capture", Path: "/var/lib/routerd/captures", Removable: true}
	for name, c := range map[string]struct {
		file string
		want []gnoi.Directory
	}{
		"log on standard error": {want: []gnoi.Directory{audit, captures}},
		"log in a file": {file: "/var/log/routerd.log", want: []gnoi.Directory{
			audit, captures, {Name: "log", Path: "/var/log", Prefix: "routerd.log"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := directories(boot.Settings{StateDir: "/var/lib/routerd", LogFile: c.file})
			if !slices.Equal(got, c.want) {
				t.Errorf("clients may read %v, want %v", got, c.want)
			}
		})
	}
}
