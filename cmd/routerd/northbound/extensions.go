package northbound

import (
	"fmt"

	"github.com/openconfig/gnmi/proto/gnmi_ext"
	"google.golang.org/grpc/codes"
)

// An rpc names an RPC of gNMI, for what differs between them.
type rpc uint8

const (
	rpcCapabilities rpc = iota
	rpcGet
	rpcSet
	rpcSubscribe
)

func (c rpc) String() string {
	switch c {
	case rpcCapabilities:
		return "Capabilities"
	case rpcGet:
		return "Get"
	case rpcSet:
		return "Set"
	case rpcSubscribe:
		return "Subscribe"
	}
	return fmt.Sprintf("rpc(%d)", uint8(c))
}

// wanted is what the extensions of a request ask for; nil and 0 for nothing.
type wanted struct {
	depth       int
	arbitration *gnmi_ext.MasterArbitration
	commit      *gnmi_ext.Commit
	history     *gnmi_ext.History
	configOnly  bool // ConfigSubscription
}

// maxDepth bounds the extension depth: no path is that long.
const maxDepth = 1 << 20

// extensions reads the extensions of a request. Registered extensions that
// nobody here knows are passed over, as the specification of extensions wants. A
// well-known one where it has no meaning is refused, since its client relies on it.
func extensions(list []*gnmi_ext.Extension, in rpc) (wanted, error) {
	var w wanted
	seen := make(map[string]bool)
	for _, e := range list {
		name, takes := extensionName(e)
		switch {
		case name == "":
			continue
		case !takes[in]:
			return w, failf(codes.InvalidArgument, "extension %s has no meaning in %s", name, in)
		case seen[name]:
			return w, failf(codes.InvalidArgument, "extension %s stands twice: give it once", name)
		}
		seen[name] = true
		switch x := e.GetExt().(type) {
		case *gnmi_ext.Extension_Depth:
			w.depth = int(min(x.Depth.GetLevel(), maxDepth))
		case *gnmi_ext.Extension_MasterArbitration:
			w.arbitration = x.MasterArbitration
			if w.arbitration == nil {
				w.arbitration = &gnmi_ext.MasterArbitration{}
			}
		case *gnmi_ext.Extension_History:
			w.history = x.History
			if w.history == nil {
				w.history = &gnmi_ext.History{}
			}
		case *gnmi_ext.Extension_Commit:
			w.commit = x.Commit
			if w.commit == nil {
				w.commit = &gnmi_ext.Commit{}
			}
		case *gnmi_ext.Extension_ConfigSubscription:
			if x.ConfigSubscription.GetStart() == nil {
				return w, failf(codes.InvalidArgument, "extension config_subscription of a request needs its action start")
			}
			w.configOnly = true
		}
	}
	return w, nil
}

// extensionName is the name of a well-known extension, "" for another, and the
// calls that take it.
func extensionName(e *gnmi_ext.Extension) (string, map[rpc]bool) {
	switch e.GetExt().(type) {
	case *gnmi_ext.Extension_Depth:
		return "depth", map[rpc]bool{rpcGet: true, rpcSubscribe: true}
	case *gnmi_ext.Extension_MasterArbitration:
		return "master_arbitration", map[rpc]bool{rpcSet: true}
	case *gnmi_ext.Extension_Commit:
		return "commit", map[rpc]bool{rpcSet: true}
	case *gnmi_ext.Extension_History:
		return "history", map[rpc]bool{rpcSubscribe: true}
	case *gnmi_ext.Extension_ConfigSubscription:
		return "config_subscription", map[rpc]bool{rpcSubscribe: true}
	}
	return "", nil
}

// supportedExtensions is how Capabilities names the well-known extensions that
// are served: an empty message of each.
func supportedExtensions() []*gnmi_ext.Extension {
	return []*gnmi_ext.Extension{
		{Ext: &gnmi_ext.Extension_MasterArbitration{MasterArbitration: &gnmi_ext.MasterArbitration{}}},
		{Ext: &gnmi_ext.Extension_History{History: &gnmi_ext.History{}}},
		{Ext: &gnmi_ext.Extension_Commit{Commit: &gnmi_ext.Commit{}}},
		{Ext: &gnmi_ext.Extension_Depth{Depth: &gnmi_ext.Depth{}}},
		{Ext: &gnmi_ext.Extension_ConfigSubscription{ConfigSubscription: &gnmi_ext.ConfigSubscription{}}},
	}
}
