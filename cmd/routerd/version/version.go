// Package version holds what the build says about itself.
package version

// Version is set by the linker (-X); it is what git describe said.
var Version = "unknown"
