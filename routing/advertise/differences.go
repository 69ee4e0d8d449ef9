package advertise

import (
	"fmt"
	"strings"

	"router/intf"
)

// Differences lists in words what of theirs contradicts ours (RFC 4861, 6.2.7),
// empty for nothing. A value that one of the two leaves open contradicts
// nothing. Lifetimes that count down contradict until they are declared the same.
func Differences(ours, theirs *intf.Advert) string {
	var list []string
	differ := func(what string, a, b any) { list = append(list, fmt.Sprintf("%s %v, ours is %v", what, b, a)) }
	if ours.HopLimit != 0 && theirs.HopLimit != 0 && ours.HopLimit != theirs.HopLimit {
		differ("hop limit", ours.HopLimit, theirs.HopLimit)
	}
	if ours.Managed != theirs.Managed {
		differ("managed", ours.Managed, theirs.Managed)
	}
	if ours.Other != theirs.Other {
		differ("other-config", ours.Other, theirs.Other)
	}
	if ours.Reachable != 0 && theirs.Reachable != 0 && ours.Reachable != theirs.Reachable {
		differ("reachable time", ours.Reachable, theirs.Reachable)
	}
	if ours.Retrans != 0 && theirs.Retrans != 0 && ours.Retrans != theirs.Retrans {
		differ("retransmission time", ours.Retrans, theirs.Retrans)
	}
	if ours.MTU != 0 && theirs.MTU != 0 && ours.MTU != theirs.MTU {
		differ("mtu", ours.MTU, theirs.MTU)
	}
	for _, p := range ours.Prefixes {
		for _, q := range theirs.Prefixes {
			if p.Prefix != q.Prefix {
				continue
			}
			if p.Valid != q.Valid {
				differ("valid lifetime of "+p.Prefix.String(), p.Valid, q.Valid)
			}
			if p.Preferred != q.Preferred {
				differ("preferred lifetime of "+p.Prefix.String(), p.Preferred, q.Preferred)
			}
		}
	}
	return strings.Join(list, "; ")
}
