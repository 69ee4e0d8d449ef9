// Package gen holds the Go structs of the model in yang/, made by ygot and
// never edited. Paths are uncompressed: a YANG path and a chain of fields map
// one to one. Only models and the programs under cmd import it.
//
// The structs are plain data without locks; whoever owns a tree serialises
// access to it.
package gen

// The output depends only on yang/ and on the version of ygot in go.mod, so that
// a check can fail where it has drifted; -trimpath keeps the machine's paths out.

//go:generate go run -trimpath github.com/openconfig/ygot/generator -path=../yang -output_file=routerd.go -package_name=gen -compress_paths=false -generate_fakeroot -fakeroot_name=device -generate_getters -generate_delete -generate_append=false -generate_simple_unions -include_model_data -include_schema -include_descriptions ../yang/routerd.yang
//go:generate gofmt -w routerd.go
