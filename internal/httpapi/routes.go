package httpapi

import (
	"errors"
	"net/http"
	"reflect"
	"slices"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// need is what a route asks of its caller.
type need string

// What routes ask for.
const (
	public   need = "public" // no sign-in
	readOnly need = need(dormer.RoleReadOnly)
	full     need = need(dormer.RoleFull)
)

// route is one row of the route table.
type route struct {
	method, path string // path below rest.Prefix
	need         need
	// area that the route is in; outside says why where there is none.
	area    access.Area
	outside string
	// proof is what the routes take that sign people in; empty elsewhere.
	proof        access.Method
	summary      string
	handle       func(*API, *call) error
	body, answer media
	query        []parameter
	headers      []parameter
	status       int // of success
	// limit of the body in bytes; 0 is maxBody.
	limit int64
	// changed tells others before the answer goes out; nil: nobody needs to know.
	changed func(*API, *call) error
	// unaudited routes change nothing by themselves.
	unaudited bool
	// streams: the body or the answer may take as long as bytes flow.
	streams bool
}

// media describes a body for the OpenAPI document.
type media struct {
	typ   reflect.Type // nil: none
	types []string     // media types; JSON if empty
}

// parameter is a parameter in the query or in the header.
type parameter struct {
	name, doc string
	number    bool
	flag      bool // true or false
	required  bool
}

var (
	before   = parameter{name: "before", doc: "only items older than this one (see next)", number: true}
	limit    = parameter{name: "limit", doc: "at most so many items", number: true}
	ofClient = parameter{name: "client", doc: "only those of this client"}
	ifMatch  = parameter{name: "If-Match", doc: "entity tag of what this replaces, in quotes", required: true}
	force    = parameter{name: "force", doc: "delete what workspaces use, too; without it that is a conflict that names them", flag: true}
	figures  = parameter{name: "figures", doc: "with what each comes to now: grants, image, machines", flag: true}
	message  = parameter{name: rest.HeaderMessage, doc: "says why, for the history"}
	keeping  = parameter{name: rest.HeaderSession, doc: "cookie: the session is kept in a cookie that scripts cannot read, and the answer has no token"}
)

// routes is the whole API, by area. An API token may be confined to areas; what
// lies outside of them says why.
func routes() []route {
	return slices.Concat(
		outside("whoever signs in has no role yet",
			act("POST", "/sessions", public, "Sign in", (*API).signIn).with(status(http.StatusCreated), proves(access.MethodPassword), headers(keeping), limited(maxSignIn)),
			act("GET", "/sign-in-methods", public, "How people may sign in", (*API).signInMethods),
			raw("POST", "/sessions/kerberos", public, "Sign in with a Kerberos ticket (RFC 4559); the body may be left out", (*API).signInKerberos, of[rest.For](), of[rest.ProofAnswer]()).
				with(proves(access.MethodKerberos), headers(keeping), limited(maxSignIn)),
			act("POST", "/sessions/openid/begin", public, "Begin to sign in at an OpenID provider in a browser", (*API).beginOpenID).with(proves(access.MethodOpenID), limited(maxSignIn), unaudited),
			act("POST", "/sessions/openid", public, "Sign in with what the browser brought back", (*API).signInOpenID).with(proves(access.MethodOpenID), headers(keeping), limited(maxSignIn)),
			act("POST", "/sessions/device/begin", public, "Begin to sign in at an OpenID provider on another device", (*API).beginDevice).with(proves(access.MethodOpenID), limited(maxSignIn), unaudited),
			act("POST", "/sessions/device", public, "Sign in once the other device is done; 503 until then", (*API).signInDevice).with(proves(access.MethodOpenID), limited(maxSignIn)),
		),
		outside("a session is its owner's",
			act("GET", "/sessions/current", readOnly, "Who is signed in", (*API).currentSession),
			act("DELETE", "/sessions/current", readOnly, "Sign out", (*API).signOut),
		),
		outside("it says nothing of what is kept here",
			act("GET", "/instance", public, "What this server is", (*API).instance),
			raw("GET", "/openapi.json", public, "This API as an OpenAPI document", (*API).openAPI, media{}, jsonDocument),
			raw("GET", "/schema/workspace.json", public, "JSON Schema of the workspace document", (*API).workspaceSchema, media{}, jsonDocument),
			raw("GET", "/schema/organization.json", public, "JSON Schema of the document that plans are made from", (*API).organizationSchema, media{}, jsonDocument),
		),
		in(access.AreaWorkspaces,
			act("GET", "/workspaces", readOnly, "List workspaces", (*API).listWorkspaces).with(query(parameter{name: "name", doc: "only the one of that name"}, figures)),
			raw("POST", "/workspaces", full, "Create a workspace", (*API).createWorkspace, workspaceDocument, of[rest.Committed]()).with(headers(message), status(http.StatusCreated)),
			raw("POST", "/workspaces/validate", readOnly, "Validate a workspace document", (*API).validateWorkspace, workspaceDocument, of[rest.Validated]()).with(unaudited),
			act("POST", "/workspaces/name-preview", readOnly, "Names of computers that a pattern gives", (*API).previewNames).with(unaudited),
			raw("GET", "/workspaces/{id}", readOnly, "Read a workspace document", (*API).getWorkspace, media{}, workspaceDocument),
			raw("PUT", "/workspaces/{id}", full, "Commit a new revision", (*API).commitWorkspace, workspaceDocument, of[rest.Committed]()).with(headers(ifMatch, message)),
			act("DELETE", "/workspaces/{id}", full, "Delete a workspace", (*API).deleteWorkspace).with(headers(ifMatch)),
			act("POST", "/workspaces/{id}/rename", full, "Rename a workspace", (*API).renameWorkspace).with(headers(ifMatch)),
			act("POST", "/workspaces/{id}/clone", full, "Copy a workspace", (*API).cloneWorkspace).with(status(http.StatusCreated)),
			act("GET", "/workspaces/{id}/revisions", readOnly, "History, newest first", (*API).workspaceHistory),
			raw("GET", "/workspaces/{id}/revisions/{number}", readOnly, "Read one revision", (*API).workspaceRevision, media{}, workspaceDocument),
			act("GET", "/workspaces/{id}/principals", readOnly, "What the directories know of who is granted it", (*API).workspacePrincipals),
			act("POST", "/workspaces/{id}/why", readOnly, "What a user gets of it, and why", (*API).whyWorkspace).with(unaudited),
		),
		in(access.AreaDirectory,
			act("GET", "/directory/users", readOnly, "List users of the embedded directory", (*API).listUsers),
			act("POST", "/directory/users", full, "Add a user", (*API).createUser).with(status(http.StatusCreated), changes((*API).directoryChanged)),
			act("GET", "/directory/users/{id}", readOnly, "Read a user", (*API).getUser),
			act("PATCH", "/directory/users/{id}", full, "Change a user", (*API).changeUser).with(changes((*API).directoryChanged)),
			act("DELETE", "/directory/users/{id}", full, "Remove a user", (*API).deleteUser).with(changes((*API).directoryChanged)),
			act("POST", "/directory/users/{id}/password", full, "Set a user's password", (*API).setPassword).with(changes((*API).directoryChanged)),
			act("GET", "/directory/groups", readOnly, "List groups of the embedded directory", (*API).listGroups),
			act("POST", "/directory/groups", full, "Add a group", (*API).createGroup).with(status(http.StatusCreated), changes((*API).directoryChanged)),
			act("DELETE", "/directory/groups/{id}", full, "Remove a group", (*API).deleteGroup).with(changes((*API).directoryChanged)),
			act("PUT", "/directory/groups/{id}/members/{kind}/{member}", full, "Add a member", (*API).addMember).with(changes((*API).directoryChanged)),
			act("DELETE", "/directory/groups/{id}/members/{kind}/{member}", full, "Remove a member", (*API).removeMember).with(changes((*API).directoryChanged)),
			act("GET", "/directory/find", readOnly, "Search users and groups", (*API).findPrincipals).with(query(parameter{name: "prefix", doc: "beginning of the name"}, limit)),
			act("GET", "/directory/resolve", readOnly, "Check a name", (*API).resolvePrincipal).with(query(
				parameter{name: "kind", doc: "user or group", required: true}, parameter{name: "name", doc: `name, or DIRECTORY\name`, required: true})),
			act("GET", "/directory/check", readOnly, "List who goes by a name, in all directories", (*API).checkPrincipal).with(query(
				parameter{name: "kind", doc: "user or group; both when absent"}, parameter{name: "name", doc: `name, DIRECTORY\name or name@domain`, required: true}, limit)),
			act("POST", "/directory/test", full, "Examine the directories, setting by setting", (*API).testDirectories).with(unaudited),
		),
		in(access.AreaAccess,
			act("GET", "/operators", readOnly, "List operators", (*API).listOperators),
			act("PUT", "/operators", full, "Give an operator a role, or take it away", (*API).setOperator),
			act("POST", "/sessions/end", full, "End all sessions of a user, as an operator and on clients", (*API).endSessions),
			act("GET", "/api-tokens", readOnly, "List API tokens, without their texts", (*API).listAPITokens),
			act("POST", "/api-tokens", full, "Make an API token for yourself", (*API).createAPIToken).with(status(http.StatusCreated)),
			act("DELETE", "/api-tokens/{id}", full, "Revoke an API token", (*API).revokeAPIToken),
			act("GET", "/secrets", readOnly, "List the secrets of the server by name", (*API).listSecrets),
			act("PUT", "/secrets/{name}", full, "Leave a secret with the server, or replace it", (*API).setSecret),
			act("DELETE", "/secrets/{name}", full, "Delete a secret of the server", (*API).deleteSecret),
		),
		in(access.AreaClients,
			act("GET", "/join-tokens", readOnly, "List join tokens, without their texts", (*API).listJoinTokens),
			act("POST", "/join-tokens", full, "Make a join token", (*API).createJoinToken).with(status(http.StatusCreated)),
			act("DELETE", "/join-tokens/{id}", full, "Revoke a join token", (*API).revokeJoinToken),
			act("GET", "/clients", readOnly, "List clients", (*API).listClients).with(query(clientFilters...)),
			act("GET", "/client-figures", readOnly, "Count clients by how they are", (*API).clientFigures),
			act("GET", "/clients/{id}", readOnly, "Read a client", (*API).getClient),
			act("POST", "/clients/{id}/revoke", full, "Revoke a client for good", (*API).revokeClient),
			act("POST", "/clients/{id}/orders", full, "Order a client to lock, stop, reset, delete, refresh or send diagnostics", (*API).orderClient).with(status(http.StatusCreated)),
			act("GET", "/orders", readOnly, "List orders to clients, newest first", (*API).listOrders).with(query(
				ofClient, parameter{name: "waiting", doc: "those alone that wait for their clients", flag: true}, limit)),
			act("DELETE", "/orders/{id}", full, "Withdraw an order that waits for its client", (*API).withdrawOrder),
			act("GET", "/diagnostics", readOnly, "List archives of diagnostics that clients have sent", (*API).listDiagnostics).with(query(ofClient)),
			raw("GET", "/diagnostics/{id}", readOnly, "Download an archive of diagnostics: tar, compressed with gzip", (*API).getDiagnostics, media{}, archives),
			act("DELETE", "/diagnostics/{id}", full, "Delete an archive of diagnostics", (*API).deleteDiagnostics),
			act("GET", "/machines", readOnly, "List machines", (*API).listMachines).with(query(
				ofClient, parameter{name: "workspace", doc: "only those from the workspace of this identity"},
				parameter{name: "image", doc: "only those that run the image of this identity"}, parameter{name: "limit", doc: "at most so many; absent: all", number: true})),
			act("GET", "/deletions", readOnly, "List machines that their policies want deleted, and that wait", (*API).listDeletions),
			act("POST", "/deletions/confirm", full, "Let the deletions go on that were halted", (*API).confirmDeletions),
		),
		in(access.AreaImages,
			act("GET", "/images", readOnly, "List images and their versions", (*API).listImages),
			act("GET", "/image-key", full, "The key that image objects are encrypted under", (*API).imageKey),
			act("GET", "/images/{name}", readOnly, "List versions of an image", (*API).getImage),
			act("GET", "/images/{name}/deletion", readOnly, "What deleting versions of an image would free, and who uses them", (*API).previewDeletion).
				with(query(parameter{name: "numbers", doc: "of the versions, as 1,2,5; all without it"})),
			act("GET", "/images/{name}/{number}", readOnly, "Read a version of an image", (*API).getImageVersion),
			act("DELETE", "/images/{name}", full, "Delete all versions of an image", (*API).deleteImage).with(query(force), changes((*API).imagesChanged)),
			act("DELETE", "/images/{name}/{number}", full, "Delete a version of an image", (*API).deleteImageVersion).with(query(force), changes((*API).imagesChanged)),
			act("POST", "/image-pushes", full, "Begin to push an image", (*API).beginPush).with(status(http.StatusCreated), limited(maxPush)),
			act("GET", "/image-pushes/{push}", full, "What a push still lacks", (*API).getPush),
			raw("PUT", "/image-pushes/{push}/objects/{kind}/{hex}", full, "Upload an object of a push", (*API).putObject, octets, media{}).with(streaming(maxObject), unaudited),
			act("POST", "/image-pushes/{push}/commit", full, "Make a complete push a version", (*API).commitPush).with(status(http.StatusCreated), changes((*API).imagesChanged)),
			act("GET", "/publishers", readOnly, "List keys whose images are trusted", (*API).listPublishers),
			act("POST", "/publishers", full, "Trust a publisher", (*API).addPublisher).with(status(http.StatusCreated)),
			act("DELETE", "/publishers/{id}", full, "Trust a publisher no more", (*API).removePublisher),
		),
		in(access.AreaReports, reportRoutes()...),
		in(access.AreaReports, planRoutes()...),
		noticeRoutes(),
		in(access.AreaReports,
			act("GET", "/health", readOnly, "How the server is, part by part, and what to do about it", (*API).health),
			act("GET", "/audit", readOnly, "Who changed what, newest first", (*API).listAudit).with(query(append(slices.Clone(auditFilters), before, limit)...)),
			raw("GET", "/audit/export", readOnly, "Who changed what, newest first, as a file", (*API).exportAudit, media{}, exportMedia()).
				with(query(append(slices.Clone(auditFilters), formatParameter)...), streaming(maxBody)),
		),
		in(access.AreaReports,
			act("GET", "/alerts", readOnly, "List alerts that are open, newest first", (*API).listAlerts).with(query(
				parameter{name: "all", doc: "those that were cleared too", flag: true}, before, limit)),
			act("POST", "/alerts/{id}/acknowledge", full, "Say that you look after an alert", (*API).acknowledgeAlert),
			act("GET", "/alert-rules", readOnly, "List the rules of alerts", (*API).listAlertRules),
			act("POST", "/alert-rules/validate", readOnly, "Check a rule", (*API).validateAlertRule).with(unaudited),
			act("GET", "/alert-rules/{name}", readOnly, "Read a rule", (*API).getAlertRule),
			act("PUT", "/alert-rules/{name}", full, "Make a rule, or change one", (*API).setAlertRule),
			act("DELETE", "/alert-rules/{name}", full, "Delete a rule; one of the program's counts again as it comes", (*API).deleteAlertRule),
		),
	)
}

// in makes the rows those of an area.
func in(area access.Area, rows ...route) []route {
	for i := range rows {
		rows[i].area = area
	}
	return rows
}

// outside makes the rows those that API tokens reach whatever they are confined
// to; why says why that does no harm.
func outside(why string, rows ...route) []route {
	for i := range rows {
		rows[i].outside = why
	}
	return rows
}

// act makes a route whose bodies are JSON of the types of f; rest.None stands
// for no body. So the document and the decoder cannot disagree.
func act[In, Out any](method, path string, n need, summary string, f func(*API, *call, In) (Out, error)) route {
	r := route{method: method, path: path, need: n, summary: summary, status: http.StatusOK, body: of[In](), answer: of[Out]()}
	if r.answer.typ == nil {
		r.status = http.StatusNoContent
	}
	r.handle = func(a *API, c *call) error {
		var in In
		if r.body.typ != nil {
			b, err := c.readBody()
			if err != nil {
				return err
			}
			if err := decodeStrict(b, &in); err != nil {
				return err
			}
		}
		out, err := f(a, c, in)
		// What was changed and could not be recorded is changed nevertheless.
		if c.route.changed != nil && (err == nil || c.made) {
			err = errors.Join(err, c.route.changed(a, c))
		}
		if err != nil {
			return err
		}
		if r.answer.typ == nil {
			c.w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return c.json(c.route.status, out)
	}
	return r
}

// raw makes a route that reads and writes its bodies itself.
func raw(method, path string, n need, summary string, f func(*API, *call) error, body, answer media) route {
	r := route{method: method, path: path, need: n, summary: summary, handle: f, body: body, answer: answer, status: http.StatusOK}
	if answer.typ == nil {
		r.status = http.StatusNoContent
	}
	return r
}

func of[T any]() media {
	t := reflect.TypeFor[T]()
	if t == reflect.TypeFor[rest.None]() {
		return media{}
	}
	return media{typ: t}
}

var (
	// jsonDocument is a document that is described elsewhere.
	jsonDocument = media{typ: reflect.TypeFor[map[string]any]()}
	// workspaceDocument is what package policy decodes.
	workspaceDocument = media{typ: reflect.TypeFor[map[string]any](), types: []string{"application/json", "application/yaml"}}
	// archives are tar archives, compressed.
	archives = media{typ: reflect.TypeFor[[]byte](), types: []string{"application/gzip"}}
	// octets are bytes.
	octets = media{typ: reflect.TypeFor[[]byte](), types: []string{"application/octet-stream"}}
)

func (r route) with(change ...func(*route)) route {
	for _, f := range change {
		f(&r)
	}
	return r
}

func status(code int) func(*route)        { return func(r *route) { r.status = code } }
func query(p ...parameter) func(*route)   { return func(r *route) { r.query = p } }
func headers(p ...parameter) func(*route) { return func(r *route) { r.headers = p } }
func limited(limit int64) func(*route)    { return func(r *route) { r.limit = limit } }
func streaming(limit int64) func(*route)  { return func(r *route) { r.streams, r.limit = true, limit } }
func unaudited(r *route)                  { r.unaudited = true }
func proves(m access.Method) func(*route) { return func(r *route) { r.proof = m } }
func changes(tell func(*API, *call) error) func(*route) {
	return func(r *route) { r.changed = tell }
}
