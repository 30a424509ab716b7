package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/wire"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Document returns the OpenAPI 3.1 document of the API, made from the route
// table and the Go types. api/openapi.json is a copy of it.
func Document() ([]byte, error) {
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Dormer", Version: "v" + strconv.Itoa(rest.Version),
			Description: "The REST API of dormerd. Errors are problem documents (RFC 9457). Changes of workspaces need If-Match.",
		},
		Servers: []*huma.Server{{URL: rest.Prefix}},
		Paths:   map[string]*huma.PathItem{},
		Components: &huma.Components{Schemas: registry, SecuritySchemes: map[string]*huma.SecurityScheme{
			"session":   {Type: "http", Scheme: "bearer", Description: "the token of a session, or an API token"},
			"negotiate": {Type: "http", Scheme: "negotiate", Description: "a SPNEGO token (RFC 4559)"},
		}},
	}
	for _, t := range documented {
		registry.RegisterTypeAlias(t, untagged(t))
	}
	for _, r := range routes() {
		doc.AddOperation(r.operation(registry))
	}
	for _, schema := range registry.Map() {
		neverNull(schema)
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

// neverNull says of the lists in a schema that they are lists also when nothing
// is in them; see emptyLists.
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

// documented are types of documents that answers hold: their tags are for
// package document and mean something else to huma.
var documented = []reflect.Type{reflect.TypeFor[organization.Question](), reflect.TypeFor[organization.Observed]()}

// untagged is a struct with the tags that huma is to see.
func untagged(t reflect.Type) reflect.Type {
	fields := make([]reflect.StructField, t.NumField())
	for i := range fields {
		f := t.Field(i)
		fields[i] = reflect.StructField{Name: f.Name, Type: f.Type, Tag: reflect.StructTag(fmt.Sprintf("json:%q doc:%q", f.Tag.Get("json"), f.Tag.Get("doc")))}
	}
	return reflect.StructOf(fields)
}

// schemaName names types as huma does; those of the planner have the name of
// their package before their own, as some of several packages have the same.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for _, d := range documented {
		if t == untagged(d) {
			return "Organization" + d.Name()
		}
	}
	called := huma.DefaultSchemaNamer(t, hint)
	_, below, ok := strings.Cut(t.PkgPath(), "/internal/plan")
	if !ok || t.Name() == "" {
		return called
	}
	of := below[strings.LastIndexByte(below, '/')+1:]
	if of == "" {
		of = "plan"
	}
	of = strings.ToUpper(of[:1]) + of[1:]
	return of + strings.TrimPrefix(called, of)
}

func (r route) operation(registry huma.Registry) *huma.Operation {
	op := &huma.Operation{
		Method: r.method, Path: r.path, Summary: r.summary, OperationID: r.operationID(),
		Tags:      []string{strings.Split(strings.Trim(r.path, "/"), "/")[0]},
		Responses: map[string]*huma.Response{},
	}
	op.Extensions = map[string]any{"x-dormer-role": string(r.need)}
	if r.area != "" {
		op.Extensions["x-dormer-area"] = string(r.area)
	}
	switch {
	case r.need != public && r.area != "":
		op.Security = []map[string][]string{{"session": {}}}
		op.Description = fmt.Sprintf("Needs the role %s, and of an API token that it is for the area %s.", r.need, r.area)
	case r.need != public:
		op.Security = []map[string][]string{{"session": {}}}
		op.Description = fmt.Sprintf("Needs the role %s.", r.need)
	case r.proof == access.MethodKerberos:
		op.Security = []map[string][]string{{"negotiate": {}}}
	}
	for part := range strings.SplitSeq(r.path, "/") {
		if strings.HasPrefix(part, "{") {
			op.Parameters = append(op.Parameters, &huma.Param{Name: strings.Trim(part, "{}."), In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
		}
	}
	for _, place := range []struct {
		in   string
		list []parameter
	}{{"query", r.query}, {"header", r.headers}} {
		for _, p := range place.list {
			s := &huma.Schema{Type: "string"}
			switch {
			case p.number:
				s = &huma.Schema{Type: "integer", Format: "int64"}
			case p.flag:
				s = &huma.Schema{Type: "boolean"}
			}
			op.Parameters = append(op.Parameters, &huma.Param{Name: p.name, In: place.in, Description: p.doc, Required: p.required, Schema: s})
		}
	}
	if content := r.body.content(registry); content != nil {
		// Clients that negotiate send their body once they know that it is wanted.
		op.RequestBody = &huma.RequestBody{Required: r.proof != access.MethodKerberos, Content: content}
	}
	op.Responses[strconv.Itoa(r.status)] = &huma.Response{Description: "Success", Content: r.answer.content(registry)}
	op.Responses["default"] = &huma.Response{
		Description: "Error",
		Content:     map[string]*huma.MediaType{wire.ProblemType: {Schema: registry.Schema(reflect.TypeFor[wire.Problem](), true, "Problem")}},
	}
	return op
}

// operationID is the method and the words of the path.
func (r route) operationID() string {
	id := strings.ToLower(r.method)
	for _, word := range strings.FieldsFunc(r.path, func(c rune) bool { return strings.ContainsRune("/{}.-", c) }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func (m media) content(registry huma.Registry) map[string]*huma.MediaType {
	if m.typ == nil {
		return nil
	}
	types := m.types
	if len(types) == 0 {
		types = []string{"application/json"}
	}
	schema := registry.Schema(m.typ, true, m.typ.Name())
	if m.typ == octets.typ {
		schema = &huma.Schema{Type: "string", Format: "binary"}
	}
	content := map[string]*huma.MediaType{}
	for _, t := range types {
		content[t] = &huma.MediaType{Schema: schema}
	}
	return content
}
