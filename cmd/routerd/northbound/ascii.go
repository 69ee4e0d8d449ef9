package northbound

import (
	"github.com/openconfig/gnmi/proto/gnmi"
	"google.golang.org/grpc/codes"

	"router/cmd/routerd/datastore/command"
	"router/cmd/routerd/datastore/tree"
)

// The encoding ASCII (gNMI specification, section 2.3.4). A leaf is its value in
// YANG's lexical form, the values of a leaf-list stand in a row; anything else is the
// set-commands that make it, with state as comments. What isn't configured but a
// default is no command.

func ascii(text string) *gnmi.TypedValue {
	return &gnmi.TypedValue{Value: &gnmi.TypedValue_AsciiVal{AsciiVal: text}}
}

// asciiLeaf is the value of a leaf or leaf-list.
func asciiLeaf(v tree.Value) *gnmi.TypedValue {
	if _, list := v.List(); list {
		return ascii(command.Value(v))
	}
	return ascii(v.Text())
}

// defaults reports whether an answer to path p has the defaults in use.
func (g *getter) defaults(p readable) bool {
	if g.encoding != gnmi.Encoding_ASCII {
		return true
	}
	for _, n := range p.schema.Nodes(p.path) {
		if !n.IsLeaf() {
			return false
		}
	}
	return true
}

// encodeASCII adds the one update of a match.
func (g *getter) encodeASCII(n *gnmi.Notification, f *found) error {
	var text *gnmi.TypedValue
	if f.node.IsLeaf() {
		for _, l := range f.leaves {
			if !l.Extra {
				text = asciiLeaf(l.Value)
			}
		}
	} else if s := command.Format(f.leaves); s != "" || len(f.at) == 0 {
		text = ascii(s)
	}
	f.leaves = nil
	if text == nil {
		return nil
	}
	if g.left -= len(text.GetAsciiVal()); g.left < 0 {
		return errTooLarge
	}
	n.Update = append(n.Update, &gnmi.Update{Path: &gnmi.Path{Elem: f.at}, Val: text})
	return nil
}

// checkView refuses what the view can't be read in: its paths are none of
// set-commands, which are the native tree's.
func checkView(e gnmi.Encoding, r readable) error {
	if r.view != nil && e == gnmi.Encoding_ASCII {
		return failf(codes.Unimplemented, "origin %s has no encoding ASCII: use JSON_IETF, JSON or PROTO", openconfigOrigin)
	}
	return nil
}

// checkCommands checks a Get of origin routerd_cli: what it answers is the
// configuration as set-commands.
func checkCommands(req *gnmi.GetRequest) error {
	switch {
	case req.GetEncoding() != gnmi.Encoding_ASCII:
		return failf(codes.InvalidArgument, "origin %s is read in encoding ASCII, not %s", cliOrigin, req.GetEncoding())
	case req.GetType() != gnmi.GetRequest_ALL && req.GetType() != gnmi.GetRequest_CONFIG:
		return failf(codes.InvalidArgument, "origin %s has configuration only, and not type %s", cliOrigin, req.GetType())
	}
	return nil
}
