package desk

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

// Document returns the OpenAPI 3.1 document of the local API, made from the
// route table and the Go types. api/local.json is a copy of it.
func Document() ([]byte, error) {
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Dormer on this computer", Version: "v1",
			Description: "What `dormer console` adds to the REST API on the administrator's computer: images of this computer. It is for the console that the same program serves. Errors are problem documents (RFC 9457).",
		},
		Servers:    []*huma.Server{{URL: Prefix}},
		Paths:      map[string]*huma.PathItem{},
		Components: &huma.Components{Schemas: registry},
	}
	for _, r := range routes() {
		doc.AddOperation(r.operation(registry))
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

// schemaName names types as huma does, with a capital.
func schemaName(t reflect.Type, hint string) string {
	called := huma.DefaultSchemaNamer(t, hint)
	return strings.ToUpper(called[:1]) + called[1:]
}

func (r route) operation(registry huma.Registry) *huma.Operation {
	op := &huma.Operation{
		Method: r.method, Path: r.path, Summary: r.summary, OperationID: r.operationID(),
		Tags:      []string{strings.Split(strings.Trim(r.path, "/"), "/")[0]},
		Responses: map[string]*huma.Response{},
	}
	for part := range strings.SplitSeq(r.path, "/") {
		if strings.HasPrefix(part, "{") {
			op.Parameters = append(op.Parameters, &huma.Param{Name: strings.Trim(part, "{}"), In: "path", Required: true, Schema: &huma.Schema{Type: "string"}})
		}
	}
	for _, p := range r.query {
		op.Parameters = append(op.Parameters, &huma.Param{Name: p.name, In: "query", Description: p.doc, Schema: &huma.Schema{Type: "string"}})
	}
	if r.body != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: content(registry, r.body)}
	}
	success := &huma.Response{Description: "Success"}
	if r.answer != nil {
		success.Content = content(registry, r.answer)
	}
	op.Responses[strconv.Itoa(r.status)] = success
	op.Responses["default"] = &huma.Response{
		Description: "Error",
		Content:     map[string]*huma.MediaType{wire.ProblemType: {Schema: registry.Schema(reflect.TypeFor[wire.Problem](), true, "Problem")}},
	}
	return op
}

// operationID is the method and the words of the path.
func (r route) operationID() string {
	id := strings.ToLower(r.method)
	for _, word := range strings.FieldsFunc(r.path, func(c rune) bool { return strings.ContainsRune("/{}", c) }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func content(registry huma.Registry, t reflect.Type) map[string]*huma.MediaType {
	return map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(t, true, t.Name())}}
}
