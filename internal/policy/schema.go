package policy

import (
	_ "embed"
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// SchemaID is the address that the schema names itself by.
const SchemaID = "https://dormer-project.github.io/schema/workspace.schema.json"

//go:embed schema/workspace.schema.json
var committedSchema []byte

// Schema returns the JSON Schema (draft 2020-12) of a document, for editors.
// It knows fields, types, closed lists and forms; contradictions between
// fields are known to Validate alone. The caller must not change it.
func Schema() []byte { return committedSchema }

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
	Items                *property            `json:"items,omitzero"`
	Properties           map[string]*property `json:"properties,omitzero"`
	Required             []string             `json:"required,omitzero"`
	AdditionalProperties *bool                `json:"additionalProperties,omitzero"`
}

// generateSchema makes the schema from the types and their tags.
func generateSchema() ([]byte, error) {
	root := schemaOf(reflect.TypeFor[Document]())
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.ID = SchemaID
	root.Title = "Dormer workspace"
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, err
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
	if w, ok := zero.(written); ok {
		p.Type, p.Pattern = "string", w.pattern()
		return p
	}
	if e, ok := zero.(enumerated); ok {
		p.Type, p.Enum = "string", e.values()
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
		for _, f := range fieldsOf(t) {
			p.Properties[f.name] = schemaOfField(f)
			if f.tag.Get("required") != "" {
				p.Required = append(p.Required, f.name)
			}
		}
	}
	return p
}

func schemaOfField(f field) *property {
	p := schemaOf(f.typ)
	p.Description = f.tag.Get("doc")
	p.Const = f.tag.Get("const")
	if s := f.tag.Get("enum"); s != "" {
		p.Enum = strings.Split(s, ",")
	}
	if s := f.tag.Get("pattern"); s != "" {
		p.Pattern = s
	}
	if p.Type == "string" && f.tag.Get("required") != "" && p.Enum == nil && p.Pattern == "" && p.Const == "" {
		p.MinLength = 1
	}
	p.Minimum, p.Maximum = bound(f.tag.Get("min")), bound(f.tag.Get("max"))
	p.Default = literalDefault(f)
	return p
}

func bound(s string) *int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return nil
	}
	return &n
}

// literalDefault returns the default of a field where it is a value of the
// field's type, and nil where it is said in words.
func literalDefault(f field) any {
	text, ok := f.tag.Lookup("default")
	if !ok {
		return nil
	}
	t := f.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	fresh := reflect.New(t)
	if w, ok := fresh.Interface().(encoding.TextUnmarshaler); ok {
		if w.UnmarshalText([]byte(text)) != nil {
			return nil
		}
		return text
	}
	if _, ok := fresh.Elem().Interface().(enumerated); ok {
		return text
	}
	switch t.Kind() {
	case reflect.Bool:
		return text == "true"
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil
		}
		return n
	case reflect.String:
		if f.tag.Get("pattern") != "" || f.name == "directory" {
			return text
		}
	default:
	}
	return nil
}
