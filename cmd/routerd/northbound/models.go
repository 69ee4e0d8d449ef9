package northbound

import (
	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/northbound/openconfig"
	"router/gen"
	"router/models"
)

// version is the gNMI service version of the proto in use: the file option
// gnmi_service of gnmi.proto.
const version = "0.10.0"

// encodings are those of Get and Subscribe.
var encodings = []gnmi.Encoding{gnmi.Encoding_JSON, gnmi.Encoding_JSON_IETF, gnmi.Encoding_PROTO, gnmi.Encoding_ASCII}

// modelData lists every module; those without a revision of their own share the
// model's.
func modelData() []*gnmi.ModelData {
	var list []*gnmi.ModelData
	for _, m := range gen.ΓModelData {
		d := &gnmi.ModelData{Name: m.GetName(), Organization: m.GetOrganization(), Version: m.GetVersion()}
		if d.GetVersion() == "" {
			d.Version = models.Revision
		}
		list = append(list, d)
	}
	return append(list, openconfig.Models()...)
}

// useModels checks the models that a client wants to see, and returns the set
// of their names; nil is all.
func useModels(want []*gnmi.ModelData) (map[string]bool, error) {
	if len(want) == 0 {
		return nil, nil
	}
	have := modelData()
	set := make(map[string]bool)
	for _, w := range want {
		found := false
		for _, h := range have {
			found = found || h.GetName() == w.GetName() &&
				(w.GetVersion() == "" || w.GetVersion() == h.GetVersion()) &&
				(w.GetOrganization() == "" || w.GetOrganization() == h.GetOrganization())
		}
		if !found {
			return nil, failf(codes.Unimplemented, "model %q, version %q is not supported: see Capabilities", w.GetName(), w.GetVersion())
		}
		set[w.GetName()] = true
	}
	return set, nil
}

func checkEncoding(e gnmi.Encoding) error {
	for _, have := range encodings {
		if e == have {
			return nil
		}
	}
	return failf(codes.Unimplemented, "encoding %s is not supported: use JSON_IETF, JSON, PROTO or ASCII", e)
}
