package intf

import (
	"maps"
	"testing"
)

func TestIndexesAreStable(t *testing.T) {
	x, err := NewIndexes(map[string]Index{"ge0": 3, "ge0.0": 7})
	if err != nil {
		t.Fatal(err)
	}
	if x.Fresh() {
		t.Error("fresh before anything was asked")
	}
	for _, tt := range []struct {
		name  string
		want  Index
		fresh bool
	}{
		{"ge0", 3, false}, {"ge1", 8, true}, {"ge0.0", 7, false}, {"ge1", 8, false}, {"ge2", 9, true},
	} {
		if i, fresh := x.Get(tt.name); i != tt.want || fresh != tt.fresh {
			t.Errorf("%s: %d, fresh %v, want %d, %v", tt.name, i, fresh, tt.want, tt.fresh)
		}
	}
	x.Forget("ge2")
	x.Forget("ge2")
	if i, fresh := x.Get("ge2"); i != 10 || !fresh {
		t.Errorf("a forgotten name got %d, want 10", i)
	}
	if !x.Fresh() || x.Name(9) != "" || x.Name(10) != "ge2" || x.Lookup("ge1") != 8 || x.Lookup("ge9") != 0 {
		t.Errorf("after forgetting: fresh %v, 9 is %q, 10 is %q", x.Fresh(), x.Name(9), x.Name(10))
	}
	all := x.All()
	if want := map[string]Index{"ge0": 3, "ge0.0": 7, "ge1": 8, "ge2": 10}; !maps.Equal(all, want) || x.Fresh() {
		t.Errorf("all %v, fresh %v, want %v", all, x.Fresh(), want)
	}
	again, err := NewIndexes(all)
	if err != nil {
		t.Fatal(err)
	}
	if i, _ := again.Get("ge1"); i != 8 {
		t.Errorf("restored ge1 is %d, want 8", i)
	}
}

func TestIndexesRefuseWhatCannotBe(t *testing.T) {
	for name, remembered := range map[string]map[string]Index{
		"number 0":         {"ge0": 0},
		"two with one":     {"ge0": 1, "ge1": 1},
		"the last of them": {"ge0": 1<<32 - 1},
	} {
		if _, err := NewIndexes(remembered); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestFirstIndexIsOne(t *testing.T) {
	x, err := NewIndexes(nil)
	if err != nil {
		t.Fatal(err)
	}
	if i, fresh := x.Get("ge0"); i != 1 || !fresh {
		t.Errorf("first index %d, fresh %v", i, fresh)
	}
}

func TestFlagsReadAsWords(t *testing.T) {
	for d, want := range map[Down]string{
		0:                     "up",
		AdminDown:             "disabled",
		ParentDown | LinkDown: "parent disabled, link down",
		NoParent | BadTags | MRUTooSmall | MTUTooSmall: "no parent, bad tags, mru too small, mtu too small",
	} {
		if got := d.String(); got != want {
			t.Errorf("%#x: %q, want %q", uint16(d), got, want)
		}
	}
	for s, want := range map[OperStatus]string{OperUp: "up", OperDown: "down", OperPending: "pending", 9: "oper-status(9)"} {
		if s.String() != want {
			t.Errorf("%d: %q, want %q", uint8(s), s, want)
		}
	}
}
