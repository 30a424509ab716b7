package server

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/dormer-project/dormer"
)

// withSettings returns the text of a configuration in which some settings,
// strings all, have other values; what else stands in it stays, comments too.
// The result is parsed again: what is written in an unusual way is written
// anew, without its comments.
func withSettings(text []byte, values map[string]string) ([]byte, Config, error) {
	want, err := parseWith(text, values)
	if err != nil {
		return nil, Config{}, err
	}
	edited, err := setLines(text, values, want)
	if err != nil {
		if edited, err = toml.Marshal(want); err != nil {
			return nil, Config{}, fmt.Errorf("write the configuration: %w", err)
		}
	}
	got, err := ParseConfig(edited)
	if err != nil {
		return nil, Config{}, fmt.Errorf("the configuration with its new settings:\n%w", err)
	}
	return edited, got, nil
}

// editSettings is withSettings that leaves to a person what is written in an
// unusual way: ErrUnsupported.
func editSettings(text []byte, values map[string]string) ([]byte, error) {
	want, err := parseWith(text, values)
	if err != nil {
		return nil, err
	}
	return setLines(text, values, want)
}

// parseWith returns the configuration that a text would be with other values.
func parseWith(text []byte, values map[string]string) (Config, error) {
	c, err := ParseConfig(text)
	if err != nil {
		return Config{}, err
	}
	eachString(reflect.ValueOf(&c).Elem(), "", func(path string, v reflect.Value) {
		if s, ok := values[path]; ok {
			v.SetString(s)
		}
	})
	return c, nil
}

// setLines sets values where they stand in a plain way, or adds them, and looks
// that want comes of it.
func setLines(text []byte, values map[string]string, want Config) ([]byte, error) {
	for _, path := range slices.Sorted(maps.Keys(values)) {
		text = setLine(text, path, values[path])
	}
	got, err := ParseConfig(text)
	if err != nil {
		return nil, fmt.Errorf("it is written in a way that needs a person: %w", dormer.ErrUnsupported)
	}
	is, err := toml.Marshal(got)
	if err != nil {
		return nil, fmt.Errorf("compare configurations: %w", err)
	}
	should, err := toml.Marshal(want)
	if err != nil {
		return nil, fmt.Errorf("compare configurations: %w", err)
	}
	if !bytes.Equal(is, should) {
		return nil, fmt.Errorf("it is written in a way that needs a person: %w", dormer.ErrUnsupported)
	}
	return text, nil
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
			if name, _, ok := strings.Cut(strings.TrimSpace(l), "]"); ok && strings.HasPrefix(name, "[") && strings.TrimSpace(name[1:]) == table {
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
