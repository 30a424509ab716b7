package document

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// property is one schema; the order of its fields is the order in the file.
type property struct {
	Schema               string               `json:"$schema,omitzero"`
	ID                   string               `json:"$id,omitzero"`
	Title                string               `json:"title,omitzero"`
	Description          string               `json:"description,omitzero"`
	Type                 string               `json:"type,omitzero"`
	Const                string               `json:"const,omitzero"`
	Enum                 []string             `json:"enum,omitzero"`
	Pattern              string               `json:"pattern,omitzero"`
	MinLength            int                  `json:"minLength,omitzero"`
	Minimum              *int                 `json:"minimum,omitzero"`
	Maximum              *int                 `json:"maximum,omitzero"`
	Default              any                  `json:"default,omitzero"`
	DefaultWords         string               `json:"x-default,omitzero"`
	Items                *property            `json:"items,omitzero"`
	MinItems             int                  `json:"minItems,omitzero"`
	MaxItems             *int                 `json:"maxItems,omitzero"`
	Properties           map[string]*property `json:"properties,omitzero"`
	Required             []string             `json:"required,omitzero"`
	AdditionalProperties *bool                `json:"additionalProperties,omitzero"`
}

// Schema makes the JSON Schema (draft 2020-12) of a type, for editors, from the
// type and its tags. It knows fields, types, closed lists and forms, not what
// contradicts each other. id is the address that it names itself by.
func Schema(of reflect.Type, id, title string) ([]byte, error) {
	root := schemaOf(of)
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.ID = id
	root.Title = title
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("make the schema of %s: %w", of, err)
	}
	return append(out, '\n'), nil
}

// schemaOf returns the schema of a type.
func schemaOf(t reflect.Type) *property {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	zero := reflect.New(t).Elem().Interface()
	p := &property{}
	if w, ok := zero.(Written); ok {
		p.Type, p.Pattern = "string", w.Pattern()
		return p
	}
	if e, ok := zero.(Enumerated); ok {
		p.Type, p.Enum = "string", e.Values()
		return p
	}
	switch t.Kind() {
	case reflect.String:
		p.Type = "string"
	case reflect.Bool:
		p.Type = "boolean"
	case reflect.Int:
		p.Type = "integer"
	case reflect.Slice:
		p.Type, p.Items = "array", schemaOf(t.Elem())
	default:
		p.Type, p.Properties, p.AdditionalProperties = "object", map[string]*property{}, new(bool)
		for _, f := range Fields(t) {
			p.Properties[f.Name] = schemaOfField(f)
			if f.Tag.Get("required") != "" {
				p.Required = append(p.Required, f.Name)
			}
		}
	}
	return p
}

func schemaOfField(f Field) *property {
	p := schemaOf(f.Type)
	p.Description = f.Tag.Get("doc")
	p.Const = f.Tag.Get("const")
	if s := f.Tag.Get("enum"); s != "" {
		p.Enum = strings.Split(s, ",")
	}
	if s := f.Tag.Get("pattern"); s != "" {
		p.Pattern = s
	}
	if p.Type == "string" && f.Tag.Get("required") != "" && p.Enum == nil && p.Pattern == "" && p.Const == "" {
		p.MinLength = 1
	}
	p.Minimum, p.Maximum = bound(f.Tag.Get("min")), bound(f.Tag.Get("max"))
	if p.Type == "array" {
		if p.MaxItems = bound(f.Tag.Get("most")); f.Tag.Get("required") != "" {
			p.MinItems = 1
		}
	}
	// A default that is no single value is said in words.
	if p.Default = f.Default(); p.Default == nil {
		p.DefaultWords = f.Tag.Get("default")
	}
	return p
}

func bound(s string) *int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return nil
	}
	return &n
}
