package main

import (
	"cmp"
	"context"
	"strconv"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

type logServerTree struct {
	Name  string `json:"name"`
	State struct {
		Host      string `json:"host"`
		Port      int    `json:"port"`
		Transport string `json:"transport"`
		Severity  string `json:"severity"`
		Connected bool   `json:"connected"`
		Reason    string `json:"reason"`
		Sent      string `json:"sent"`
		Dropped   string `json:"dropped"`
	} `json:"state"`
}

func showLogServers(ctx context.Context, o *options, c *client) error {
	var list []logServerTree
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "log-server", Key: map[string]string{"name": "*"}}}}
	done, _, err := o.fetch(ctx, c, gpb.GetRequest_STATE, path, collect(&list))
	if err != nil || done {
		return err
	}
	var rows [][]string
	for _, s := range list {
		is := "connected"
		if !s.State.Connected {
			is = cmp.Or(s.State.Reason, "not connected")
		}
		rows = append(rows, []string{s.Name, s.State.Host, strconv.Itoa(s.State.Port), dash(s.State.Transport), dash(s.State.Severity),
			dash(s.State.Sent), dash(s.State.Dropped), is})
	}
	return o.rows("Server Host Port Transport Severity Sent Dropped State", rows)
}
