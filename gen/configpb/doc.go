// Package configpb holds the messages and the service of
// cmd/routerd/northbound/configuration.proto, made by protoc and never edited.
// docs/configuration-service.md says what they mean.
package configpb

// protoc finds its plug-ins by path: generate.sh takes those that go.mod names.

//go:generate ./generate.sh
