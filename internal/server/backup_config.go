package server

import (
	"fmt"
	"reflect"
	"strings"
)

// namedFile is a setting that names a file whose content belongs to the
// instance: certificates, keys, keytabs, passwords.
type namedFile struct {
	setting string // as directories[0].keytab
	path    string
}

// namedFiles lists the files that a configuration names, in the order of the
// settings. Two settings may name one file.
func (c *Config) namedFiles() []namedFile {
	var all []namedFile
	eachString(reflect.ValueOf(c).Elem(), "", func(path string, v reflect.Value) {
		if namesFile(path) && v.String() != "" {
			all = append(all, namedFile{setting: path, path: v.String()})
		}
	})
	return all
}

// namesFile reports whether the value of a setting is the name of a file.
func namesFile(path string) bool {
	switch path[strings.LastIndexByte(path, '.')+1:] {
	case "certificate", "authority", "keytab":
		return true
	case "key":
		return path == "tls.key"
	}
	return strings.HasSuffix(path, "_file")
}

// eachString calls f for each setting that is a string, with its path.
func eachString(v reflect.Value, prefix string, f func(path string, v reflect.Value)) {
	for i := range v.NumField() {
		key, field := v.Type().Field(i).Tag.Get("toml"), v.Field(i)
		path := prefix + key
		switch {
		case field.Kind() == reflect.Struct:
			eachString(field, path+".", f)
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct:
			for n := range field.Len() {
				eachString(field.Index(n), fmt.Sprintf("%s[%d].", path, n), f)
			}
		case field.Kind() == reflect.String:
			f(path, field)
		}
	}
}
