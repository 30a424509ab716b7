package server

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
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

// withSettings returns the text of a configuration in which some settings,
// strings all, have other values; what else stands in it stays, comments too.
// The result is parsed again: what is written in an unusual way is written
// anew, without its comments.
func withSettings(text []byte, values map[string]string) ([]byte, Config, error) {
	want, err := ParseConfig(text)
	if err != nil {
		return nil, Config{}, fmt.Errorf("the configuration in the backup:\n%w", err)
	}
	eachString(reflect.ValueOf(&want).Elem(), "", func(path string, v reflect.Value) {
		if s, ok := values[path]; ok {
			v.SetString(s)
		}
	})
	edited := text
	for _, path := range slices.Sorted(maps.Keys(values)) {
		edited = setLine(edited, path, values[path])
	}
	whole, err := toml.Marshal(want)
	if err != nil {
		return nil, Config{}, fmt.Errorf("write the configuration: %w", err)
	}
	if got, err := ParseConfig(edited); err == nil {
		if again, err := toml.Marshal(got); err == nil && bytes.Equal(again, whole) {
			return edited, got, nil
		}
	}
	got, err := ParseConfig(whole)
	if err != nil {
		return nil, Config{}, fmt.Errorf("the configuration with its new paths:\n%w", err)
	}
	return whole, got, nil
}

// setLine sets one string where it stands in a plain way, or adds it.
func setLine(text []byte, path, value string) []byte {
	table, key := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		table, key = path[:i], path[i+1:]
	}
	var line bytes.Buffer
	if err := toml.NewEncoder(&line).Encode(map[string]string{key: value}); err != nil {
		return text // the caller compares
	}
	lines := strings.Split(string(text), "\n")
	keys := keysOf(text)
	for _, k := range keys {
		if k.path == path {
			lines[k.line-1] = strings.TrimSuffix(line.String(), "\n")
			return []byte(strings.Join(lines, "\n"))
		}
	}
	at := 0
	if table != "" {
		at = len(lines)
		for n, l := range lines {
			if strings.TrimSpace(l) == "["+table+"]" {
				at = n + 1
				break
			}
		}
		if at == len(lines) {
			lines = append(lines, "["+table+"]")
			at = len(lines)
		}
	}
	return []byte(strings.Join(slices.Insert(lines, at, strings.TrimSuffix(line.String(), "\n")), "\n"))
}
