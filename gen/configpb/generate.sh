#!/usr/bin/env bash
# Makes the Go code of the services of package routerd.v1 with the plug-ins of go.mod.
set -euo pipefail
cd "$(dirname "$0")"
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -trimpath -o "$bin/" google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc
protos=$(cd ../../cmd/routerd/northbound && ls -- *.proto)
PATH="$bin:$PATH" protoc -I ../../cmd/routerd/northbound --go_out=. --go_opt=paths=source_relative \
  --go-grpc_out=. --go-grpc_opt=paths=source_relative $protos
# Which protoc made it is no matter of the code: distributions differ.
sed -i '/^\/\/ \(- \)\?\tprotoc  *v/d;/^\/\/ - protoc  *v/d' ./*.pb.go
gofmt -w ./*.pb.go
