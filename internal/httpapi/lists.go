package httpapi

import "reflect"

// emptyLists returns v with an empty list in place of each that is nil: whoever
// reads an answer finds a list where the document says that there is one. Lists
// are changed in a copy of what v holds by value; what pointers and maps lead to
// is left as it is.
func emptyLists(v any) any {
	if v == nil {
		return nil
	}
	out := reflect.New(reflect.TypeOf(v)).Elem()
	out.Set(reflect.ValueOf(v))
	fillLists(out)
	return out.Interface()
}

func fillLists(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fillLists(f)
			}
		}
	case reflect.Slice:
		bytes := v.Type().Elem().Kind() == reflect.Uint8
		if v.IsNil() && v.CanSet() && !bytes {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		if v.Len() == 0 || bytes || !holdsLists(v.Type().Elem()) {
			return
		}
		own := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(own, v)
		v.Set(own)
		for i := range v.Len() {
			fillLists(v.Index(i))
		}
	default:
	}
}

// holdsLists reports whether values of a type hold lists by value.
func holdsLists(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Slice:
		return t.Elem().Kind() != reflect.Uint8
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && holdsLists(f.Type) {
				return true
			}
		}
	default:
	}
	return false
}
