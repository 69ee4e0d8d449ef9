package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	gpb "github.com/openconfig/gnmi/proto/gnmi"
)

type userTree struct {
	Name  string `json:"name"`
	State struct {
		Enabled       bool     `json:"enabled"`
		Role          []string `json:"role"`
		Certificate   []string `json:"certificate"`
		HasPassword   bool     `json:"has-password"`
		Logins        string   `json:"logins"`
		FailedLogins  string   `json:"failed-logins"`
		LastLogin     string   `json:"last-login"`
		LastLoginFrom string   `json:"last-login-from"`
	} `json:"state"`
}

type roleTree struct {
	Name  string `json:"name"`
	State struct {
		Description string `json:"description"`
		Origin      string `json:"origin"`
		Users       int    `json:"users"`
	} `json:"state"`
	Rule []struct {
		Name  string `json:"name"`
		State struct {
			Path      string `json:"path"`
			RPC       string `json:"rpc"`
			Operation string `json:"operation"`
			Action    string `json:"action"`
		} `json:"state"`
	} `json:"rule"`
}

type auditTree struct {
	Number         string   `json:"number"`
	Time           string   `json:"time"`
	User           string   `json:"user"`
	Authentication string   `json:"authentication"`
	Source         string   `json:"source"`
	Method         string   `json:"method"`
	Path           []string `json:"path"`
	Status         string   `json:"status"`
	Duration       string   `json:"duration"`
}

type certificateTree struct {
	Fingerprint       string `json:"fingerprint"`
	Subject           string `json:"subject"`
	Issuer            string `json:"issuer"`
	NotBefore         string `json:"not-before"`
	NotAfter          string `json:"not-after"`
	Source            string `json:"source"`
	Loaded            string `json:"loaded"`
	ClientAuthorities int    `json:"client-authorities"`
	Error             string `json:"error"`
}

func oneOrAll(args []string) string {
	if len(args) > 0 {
		return args[0]
	}
	return "*"
}

// timeText is a time in nanoseconds since 1970 for people.
func timeText(ns string) string {
	n, err := strconv.ParseInt(ns, 10, 64)
	if err != nil {
		return dash(ns)
	}
	return time.Unix(0, n).Format("2006-01-02T15:04:05")
}

func showUsers(ctx context.Context, o *options, c *client, args []string) error {
	var list []userTree
	done, absent, err := o.fetch(ctx, c, gpb.GetRequest_STATE, rootEntry("user", oneOrAll(args)), collect(&list))
	if err != nil || done {
		return err
	}
	if absent {
		_, err := fmt.Fprintln(o.out, "no user is declared")
		return err
	}
	var rows [][]string
	administrators := false
	for _, u := range list {
		enabled := "yes"
		if !u.State.Enabled {
			enabled = "no"
		}
		proof := []string{}
		if u.State.HasPassword {
			proof = append(proof, "password")
		}
		if len(u.State.Certificate) > 0 {
			proof = append(proof, "certificate")
		}
		administrators = administrators || u.State.Enabled && slices.Contains(u.State.Role, "admin")
		rows = append(rows, []string{u.Name, enabled, dash(strings.Join(u.State.Role, ",")), dash(strings.Join(proof, ",")),
			dash(u.State.Logins), dash(u.State.FailedLogins), timeText(u.State.LastLogin), dash(u.State.LastLoginFrom)})
	}
	if err := o.rows("User Enabled Roles Proof Logins Failed Last-login From", rows); err != nil {
		return err
	}
	if !administrators && len(args) == 0 {
		_, err = fmt.Fprintln(o.out, "\nno enabled user has the role admin: only root on the router's Unix socket can change users")
	}
	return err
}

func showRoles(ctx context.Context, o *options, c *client, args []string) error {
	var list []roleTree
	done, _, err := o.fetch(ctx, c, gpb.GetRequest_STATE, rootEntry("role", oneOrAll(args)), collect(&list))
	if err != nil || done {
		return err
	}
	var rows [][]string
	if len(args) > 0 {
		for _, r := range list {
			for i, rule := range r.Rule {
				object := rule.State.Path
				if object == "" {
					object = rule.State.RPC
				}
				operation := rule.State.Operation
				if operation == "" {
					operation = "read,write"
				}
				rows = append(rows, []string{strconv.Itoa(i + 1), rule.Name, rule.State.Action, operation, object})
			}
		}
		return o.rows("Number Rule Action Operation Object", rows)
	}
	for _, r := range list {
		rows = append(rows, []string{r.Name, dash(r.State.Origin), strconv.Itoa(r.State.Users), strconv.Itoa(len(r.Rule)), dash(r.State.Description)})
	}
	return o.rows("Role Origin Users Rules Description", rows)
}

func showAudit(ctx context.Context, o *options, c *client, last int) error {
	var list []auditTree
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "audit", Key: map[string]string{"number": "*"}}}}
	done, _, err := o.fetch(ctx, c, gpb.GetRequest_STATE, path, collect(&list))
	if err != nil || done {
		return err
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(o.out, "no call is kept that your roles permit to read")
		return err
	}
	slices.SortFunc(list, func(a, b auditTree) int { return number(a.Number).Cmp(number(b.Number)) })
	if last > 0 && len(list) > last {
		list = list[len(list)-last:]
	}
	var rows [][]string
	for _, e := range list {
		took := e.Duration
		if ns, err := strconv.ParseInt(e.Duration, 10, 64); err == nil {
			took = time.Duration(ns).Round(time.Microsecond).String()
		}
		rows = append(rows, []string{timeText(e.Time), dash(e.User), dash(e.Authentication), dash(e.Source), e.Method, dash(e.Status), dash(took), dash(strings.Join(e.Path, ", "))})
	}
	return o.rows("Time User By From Method Status Took Paths", rows)
}

func showCertificate(ctx context.Context, o *options, c *client) error {
	var list []certificateTree
	path := &gpb.Path{Elem: []*gpb.PathElem{{Name: "system"}, {Name: "state"}, {Name: "tls"}}}
	done, absent, err := o.fetch(ctx, c, gpb.GetRequest_STATE, path, collect(&list))
	if err != nil || done {
		return err
	}
	if absent {
		_, err := fmt.Fprintln(o.out, "the router does without TLS")
		return err
	}
	for _, t := range list {
		rows := [][]string{
			{"subject", t.Subject}, {"issuer", t.Issuer}, {"sha256", t.Fingerprint}, {"valid-from", timeText(t.NotBefore)}, {"valid-until", timeText(t.NotAfter)},
			{"source", t.Source}, {"loaded", timeText(t.Loaded)}, {"client-authorities", strconv.Itoa(t.ClientAuthorities)},
		}
		if t.Error != "" {
			rows = append(rows, []string{"error", t.Error})
		}
		if err := o.rows("Certificate Value", rows); err != nil {
			return err
		}
	}
	return nil
}
