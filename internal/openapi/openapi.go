// Package openapi makes the OpenAPI 3.1 documents of APIs over HTTP from their
// route tables and Go types. Whoever has a route table imports it; it serves
// nothing. Errors are problem documents in all of them.
package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dormer-project/dormer/internal/wire"
)

// Where a parameter is.
const (
	InQuery  = "query"
	InHeader = "header"
)

// API is what a document describes.
type API struct {
	Title, Version, Description string
	// Prefix is the path that the paths of operations are below.
	Prefix string
	// Schemes are the ways to say who one is, by name.
	Schemes map[string]Scheme
	// Types have tags that are for somebody else: only their names and
	// descriptions are taken.
	Types []reflect.Type
	// Name names a schema where the name of its type does not say enough; nil:
	// it does.
	Name func(t reflect.Type, called string) string
	// Lists are lists also when nothing is in them, never null.
	Lists      bool
	Operations []Operation
}

// Scheme is a scheme of the header Authorization.
type Scheme struct{ Scheme, Description string }

// Operation is what one row of a route table says of itself.
type Operation struct {
	Method, Path         string // path below the prefix, as http.ServeMux takes it
	Summary, Description string
	// Scheme is the name of the scheme that callers need; empty: none.
	Scheme string
	// Parameters are those outside the path.
	Parameters []Parameter
	Body       Media
	// BodyOptional: the body may be left out.
	BodyOptional bool
	Answer       Media
	Status       int // of success
	Extensions   map[string]any
}

// Parameter is a parameter in the query or in the header: a text, unless it is
// a number or a flag.
type Parameter struct {
	In, Name, Doc          string
	Number, Flag, Required bool
}

// Media is what a body holds.
type Media struct {
	Type  reflect.Type // nil: there is no body; []byte: bytes as they are
	Types []string     // media types; JSON if empty
}

// Document returns the document, indented, with a newline at its end.
func (a API) Document() ([]byte, error) {
	names := naming{name: a.Name, plain: map[reflect.Type]reflect.Type{}}
	registry := huma.NewMapRegistry("#/components/schemas/", names.schema)
	for _, t := range a.Types {
		plain := untagged(t)
		names.plain[plain] = t
		registry.RegisterTypeAlias(t, plain)
	}
	doc := &huma.OpenAPI{
		OpenAPI:    "3.1.0",
		Info:       &huma.Info{Title: a.Title, Version: a.Version, Description: a.Description},
		Servers:    []*huma.Server{{URL: a.Prefix}},
		Paths:      map[string]*huma.PathItem{},
		Components: &huma.Components{Schemas: registry},
	}
	for name, s := range a.Schemes {
		if doc.Components.SecuritySchemes == nil {
			doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{}
		}
		doc.Components.SecuritySchemes[name] = &huma.SecurityScheme{Type: "http", Scheme: s.Scheme, Description: s.Description}
	}
	for _, o := range a.Operations {
		doc.AddOperation(o.operation(registry))
	}
	if a.Lists {
		for _, schema := range registry.Map() {
			neverNull(schema)
		}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("make OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, fmt.Errorf("make OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// neverNull says of the lists in a schema that they are never null.
func neverNull(s *huma.Schema) {
	if s == nil {
		return
	}
	if s.Type == huma.TypeArray {
		s.Nullable = false
	}
	neverNull(s.Items)
	for _, p := range s.Properties {
		neverNull(p)
	}
	if more, ok := s.AdditionalProperties.(*huma.Schema); ok {
		neverNull(more)
	}
}

// untagged is a struct with the tags that huma is to see.
func untagged(t reflect.Type) reflect.Type {
	fields := make([]reflect.StructField, t.NumField())
	for i := range fields {
		f := t.Field(i)
		fields[i] = reflect.StructField{Name: f.Name, Type: f.Type, Tag: reflect.StructTag(fmt.Sprintf("json:%q doc:%q", f.Tag.Get("json"), f.Tag.Get("doc")))}
	}
	return reflect.StructOf(fields)
}

// naming names schemas.
type naming struct {
	name  func(t reflect.Type, called string) string
	plain map[reflect.Type]reflect.Type // what an untagged type stands for
}

// schema names a type as huma does, with a capital; "" for one without a name.
func (n naming) schema(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if of, ok := n.plain[t]; ok {
		t = of
	}
	called := huma.DefaultSchemaNamer(t, hint)
	if called == "" {
		return ""
	}
	called = strings.ToUpper(called[:1]) + called[1:]
	if n.name == nil {
		return called
	}
	return n.name(t, called)
}

func (o Operation) operation(registry huma.Registry) *huma.Operation {
	op := &huma.Operation{
		Method: o.Method, Path: o.Path, Summary: o.Summary, Description: o.Description, OperationID: o.id(),
		Tags:       []string{strings.Split(strings.Trim(o.Path, "/"), "/")[0]},
		Responses:  map[string]*huma.Response{},
		Extensions: o.Extensions,
	}
	if o.Scheme != "" {
		op.Security = []map[string][]string{{o.Scheme: {}}}
	}
	for part := range strings.SplitSeq(o.Path, "/") {
		if strings.HasPrefix(part, "{") {
			op.Parameters = append(op.Parameters, &huma.Param{Name: strings.Trim(part, "{}."), In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
		}
	}
	for _, p := range o.Parameters {
		op.Parameters = append(op.Parameters, &huma.Param{Name: p.Name, In: p.In, Description: p.Doc, Required: p.Required, Schema: p.schema()})
	}
	if content := o.Body.content(registry); content != nil {
		op.RequestBody = &huma.RequestBody{Required: !o.BodyOptional, Content: content}
	}
	op.Responses[strconv.Itoa(o.Status)] = &huma.Response{Description: "Success", Content: o.Answer.content(registry)}
	op.Responses["default"] = &huma.Response{
		Description: "Error",
		Content:     map[string]*huma.MediaType{wire.ProblemType: {Schema: registry.Schema(reflect.TypeFor[wire.Problem](), true, "Problem")}},
	}
	return op
}

// id is the method and the words of the path.
func (o Operation) id() string {
	id := strings.ToLower(o.Method)
	for _, word := range strings.FieldsFunc(o.Path, func(c rune) bool { return strings.ContainsRune("/{}.-", c) }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func (p Parameter) schema() *huma.Schema {
	switch {
	case p.Number:
		return &huma.Schema{Type: huma.TypeInteger, Format: "int64"}
	case p.Flag:
		return &huma.Schema{Type: huma.TypeBoolean}
	}
	return &huma.Schema{Type: huma.TypeString}
}

func (m Media) content(registry huma.Registry) map[string]*huma.MediaType {
	if m.Type == nil {
		return nil
	}
	types := m.Types
	if len(types) == 0 {
		types = []string{"application/json"}
	}
	schema := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	if m.Type != reflect.TypeFor[[]byte]() {
		schema = registry.Schema(m.Type, true, m.Type.Name())
	}
	content := map[string]*huma.MediaType{}
	for _, t := range types {
		content[t] = &huma.MediaType{Schema: schema}
	}
	return content
}
