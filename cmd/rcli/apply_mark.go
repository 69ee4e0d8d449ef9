package main

import "router/cmd/rcli/render"

// An applyTree is what state says of whether an object is in place.
type applyTree struct {
	Apply  string `json:"apply-status"`
	Why    string `json:"apply-reason"`
	Failed int    `json:"apply-retries"`
}

// mark is the name of an object in a table, with what is the matter with it if it isn't in place.
func (a applyTree) mark(name string) string {
	if a.Apply == "" || a.Apply == "applied" {
		return name
	}
	return name + " (" + a.Apply + ")"
}

// sayWhy prints below a table why an object isn't in place.
func (o *options) sayWhy(name string, a applyTree) error {
	switch {
	case a.Apply == "" || a.Apply == "applied":
		return nil
	case a.Failed > 0:
		return o.say(render.Bad, "%s: %s, tried %d times: %s", name, a.Apply, a.Failed, a.Why)
	}
	return o.say(render.Notice, "%s: %s: %s", name, a.Apply, a.Why)
}
