package models

import (
	"reflect"
	"runtime"
	"testing"

	"github.com/openconfig/ygot/ygot"

	"router/gen"
)

// Many objects are compiled on several processors; the change and the violations are those of one.
func TestManyObjectsAtOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	sound := large(100, 3*aside)
	broken := large(100, 3*aside)
	for prefix, r := range broken.GetInstance("i3").StaticRoute {
		if prefix > "20.9" {
			r.GetOrCreateConfig().Action = gen.Routerd_RouteAction_discard
			r.GetOrCreateConfig().Description = ygot.String("with a next hop")
		}
	}
	for _, tc := range []struct {
		name string
		dev  *gen.Device
	}{{"sound", sound}, {"broken", broken}} {
		t.Run(tc.name, func(t *testing.T) {
			many, manyErrs := NewCompiled().Update(tc.dev, AllObjects(tc.dev))
			runtime.GOMAXPROCS(1)
			one, oneErrs := NewCompiled().Update(tc.dev, AllObjects(tc.dev))
			runtime.GOMAXPROCS(4)
			if !reflect.DeepEqual(many, one) || !reflect.DeepEqual(manyErrs, oneErrs) {
				t.Errorf("four processors find %d changes and %d violations, one %d and %d", many.Len(), len(manyErrs), one.Len(), len(oneErrs))
			}
			if (tc.name == "sound") != (len(oneErrs) == 0) {
				t.Errorf("%d violations", len(oneErrs))
			}
		})
	}
}

// Whatever a Change can hold, append takes over.
func TestAppendTakesAll(t *testing.T) {
	var all, got Change
	v := reflect.ValueOf(&all).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		case f.Kind() == reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		}
	}
	if got.append(&all); !reflect.DeepEqual(got, all) {
		t.Errorf("%+v became %+v", all, got)
	}
}
