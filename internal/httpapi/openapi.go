package httpapi

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/openapi"
	"github.com/dormer-project/dormer/internal/plan/organization"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Names of the schemes in the document.
const (
	schemeSession   = "session"
	schemeNegotiate = "negotiate"
)

// Document returns the OpenAPI 3.1 document of the API, made from the route
// table and the Go types. api/openapi.json is a copy of it. It is the same for all
// who ask, and nobody changes it.
func Document() ([]byte, error) { return openAPI() }

// openAPI is made once: that takes longer than all else of a server's start.
var openAPI = sync.OnceValues(func() ([]byte, error) {
	api := openapi.API{
		Title: "Dormer", Version: "v" + strconv.Itoa(rest.Version), Prefix: rest.Prefix,
		Description: "The REST API of dormerd. Errors are problem documents (RFC 9457). Changes of workspaces need If-Match.",
		Schemes: map[string]openapi.Scheme{
			schemeSession:   {Scheme: "bearer", Description: "the token of a session, or an API token"},
			schemeNegotiate: {Scheme: "negotiate", Description: "a SPNEGO token (RFC 4559)"},
		},
		// Their tags are for package document and mean something else to huma.
		Types: []reflect.Type{reflect.TypeFor[organization.Question](), reflect.TypeFor[organization.Observed]()},
		Name:  schemaName,
		Lists: true, // see emptyLists
	}
	for _, r := range routes() {
		api.Operations = append(api.Operations, r.operation())
	}
	return api.Document()
})

// schemaName puts before the names of the planner's types that of their
// package, as some of several packages have the same.
func schemaName(t reflect.Type, called string) string {
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

func (r route) operation() openapi.Operation {
	op := openapi.Operation{
		Method: r.method, Path: r.path, Summary: r.summary, Status: r.status,
		Body: openapi.Media{Type: r.body.typ, Types: r.body.types}, Answer: openapi.Media{Type: r.answer.typ, Types: r.answer.types},
		// Clients that negotiate send their body once they know that it is wanted.
		BodyOptional: r.proof == access.MethodKerberos,
		Extensions:   map[string]any{"x-dormer-role": string(r.need)},
	}
	if r.area != "" {
		op.Extensions["x-dormer-area"] = string(r.area)
	}
	switch {
	case r.need != public && r.area != "":
		op.Scheme = schemeSession
		op.Description = fmt.Sprintf("Needs the role %s, and of an API token that it is for the area %s.", r.need, r.area)
	case r.need != public:
		op.Scheme = schemeSession
		op.Description = fmt.Sprintf("Needs the role %s.", r.need)
	case r.proof == access.MethodKerberos:
		op.Scheme = schemeNegotiate
	}
	for _, p := range r.query {
		op.Parameters = append(op.Parameters, p.in(openapi.InQuery))
	}
	for _, p := range r.headers {
		op.Parameters = append(op.Parameters, p.in(openapi.InHeader))
	}
	return op
}

func (p parameter) in(place string) openapi.Parameter {
	return openapi.Parameter{In: place, Name: p.name, Doc: p.doc, Number: p.number, Flag: p.flag, Required: p.required}
}
