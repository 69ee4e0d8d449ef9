package northbound

import (
	"github.com/openconfig/gnmi/proto/gnmi"
	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/northbound/openconfig"
	"router/gen"
	"router/models"
)

// version is the gNMI service version of the proto in use: the file option
// gnmi_service of gnmi.proto.
const version = "0.10.0"

// encodings are those of Get and Subscribe.
var encodings = []gnmi.Encoding{gnmi.Encoding_JSON, gnmi.Encoding_JSON_IETF, gnmi.Encoding_PROTO}

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
	return failf(codes.Unimplemented, "encoding %s is not supported: use JSON_IETF, JSON or PROTO", e)
}

// extensions checks the extensions of a request. Depth is taken where depthOK
// says so. Registered extensions that nobody here knows are passed over, as the
// specification of extensions wants; well-known ones that are not served are refused, since
// a client relies on them.
func extensions(list []*gnmi_ext.Extension, depthOK bool) (depth int, err error) {
	for _, e := range list {
		switch x := e.GetExt().(type) {
		case *gnmi_ext.Extension_Depth:
			if !depthOK {
				return 0, failf(codes.InvalidArgument, "extension depth has no meaning in this request")
			}
			depth = int(x.Depth.GetLevel())
		case *gnmi_ext.Extension_MasterArbitration:
			return 0, failf(codes.Unimplemented, "extension master_arbitration is not supported")
		case *gnmi_ext.Extension_History:
			return 0, failf(codes.Unimplemented, "extension history is not supported")
		case *gnmi_ext.Extension_Commit:
			return 0, failf(codes.Unimplemented, "extension commit (commit confirmed) is not supported")
		case *gnmi_ext.Extension_ConfigSubscription:
			return 0, failf(codes.Unimplemented, "extension config_subscription is not supported")
		}
	}
	return depth, nil
}
