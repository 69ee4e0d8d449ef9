// Package configpb holds the messages and the services of package routerd.v1, from
// the .proto files of cmd/routerd/northbound, made by protoc and never edited.
// docs/configuration-service.md and docs/operations.md say what they mean.
package configpb

// protoc finds its plug-ins by path: generate.sh takes those that go.mod names.

//go:generate ./generate.sh
