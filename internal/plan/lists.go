package plan

import (
	"reflect"
	"strings"
)

// listed puts an empty list in place of none wherever JSON always has one, so
// that programs which read a plan need not ask for null.
func listed(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			listed(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			listed(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			of := v.Field(i)
			if of.Kind() == reflect.Slice && of.IsNil() && !strings.Contains(field.Tag.Get("json"), ",omitzero") {
				of.Set(reflect.MakeSlice(of.Type(), 0, 0))
			}
			listed(of)
		}
	}
}
