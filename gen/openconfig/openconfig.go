// Package oc holds the Go structs of the OpenConfig models that the router
// serves, less what openconfig-routerd-deviations takes away; made by ygot from
// yang/openconfig/ and never edited. Only cmd/routerd/northbound/openconfig imports it.
//
// The structs are plain data without locks.
package oc

// Modules whose roots are not served are left out; of the others the
// deviations, made first, leave what supported.txt lists.

//go:generate go run -trimpath ../../internal/ocdeviations ../../yang/openconfig
//go:generate go run -trimpath github.com/openconfig/ygot/generator -path=../../yang/openconfig -output_file=structs.go -package_name=oc -compress_paths=false -generate_fakeroot -fakeroot_name=device -generate_getters -generate_append=false -generate_simple_unions -include_model_data -include_schema -exclude_modules=openconfig-acl,openconfig-aft,openconfig-bfd,openconfig-keychain,openconfig-lacp,openconfig-license,openconfig-messages,openconfig-platform,openconfig-qos,openconfig-routing-policy,openconfig-terminal-device,openconfig-defined-sets,openconfig-sampling,ietf-interfaces ../../yang/openconfig/openconfig-interfaces.yang ../../yang/openconfig/openconfig-if-ip.yang ../../yang/openconfig/openconfig-vlan.yang ../../yang/openconfig/openconfig-network-instance.yang ../../yang/openconfig/openconfig-local-routing-network-instance.yang ../../yang/openconfig/openconfig-system.yang ../../yang/openconfig/openconfig-routerd-deviations.yang
//go:generate go run -trimpath ../../internal/ocschema structs.go
