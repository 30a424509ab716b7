package desk

import (
	"github.com/dormer-project/dormer/internal/openapi"
)

// Document returns the OpenAPI 3.1 document of the local API, made from the
// route table and the Go types. api/local.json is a copy of it.
func Document() ([]byte, error) {
	api := openapi.API{
		Title: "Dormer on this computer", Version: "v1", Prefix: Prefix,
		Description: "What `dormer console` adds to the REST API on the administrator's computer: images of this computer. It is for the console that the same program serves. Errors are problem documents (RFC 9457).",
	}
	for _, r := range routes() {
		api.Operations = append(api.Operations, r.operation())
	}
	return api.Document()
}

func (r route) operation() openapi.Operation {
	op := openapi.Operation{
		Method: r.method, Path: r.path, Summary: r.summary, Status: r.status,
		Body: openapi.Media{Type: r.body}, Answer: openapi.Media{Type: r.answer},
	}
	for _, p := range r.query {
		op.Parameters = append(op.Parameters, openapi.Parameter{In: openapi.InQuery, Name: p.name, Doc: p.doc})
	}
	return op
}
