package httpapi

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/policy"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// WorkspaceReader reads workspaces. ErrNotFound for one that there is not.
type WorkspaceReader interface {
	// List returns the current revisions by name, without documents.
	List(ctx context.Context) ([]catalog.Revision, error)
	Get(ctx context.Context, id dormer.WorkspaceID) (catalog.Revision, error)
	GetByName(ctx context.Context, name string) (catalog.Revision, error)
	// History returns all revisions, newest first, without documents.
	History(ctx context.Context, id dormer.WorkspaceID) ([]catalog.Revision, error)
	RevisionOf(ctx context.Context, id dormer.WorkspaceID, number dormer.Revision) (catalog.Revision, error)
	// UsedBy returns the names of the workspaces whose image is that version; 0
	// is any.
	UsedBy(ctx context.Context, image string, number int) ([]string, error)
	// Figures returns what lists say of workspaces, for people to see: it may be
	// seconds old.
	Figures() map[dormer.WorkspaceID]catalog.Figures
	// ImageUses returns which images workspaces use, for people to see: it may
	// be seconds old.
	ImageUses() []catalog.ImageUse
}

// WorkspaceWriter changes workspaces. by is the operator's name; ifMatch the
// entity tag that is replaced, *dormer.ConflictError when it is not current.
// Documents are raw as they came; errors are *dormer.InvalidError with paths.
type WorkspaceWriter interface {
	Create(ctx context.Context, raw []byte, by, message string) (catalog.Revision, []dormer.FieldError, error)
	Commit(ctx context.Context, id dormer.WorkspaceID, raw []byte, ifMatch, by, message string) (catalog.Revision, []dormer.FieldError, error)
	Rename(ctx context.Context, id dormer.WorkspaceID, name, ifMatch, by string) (catalog.Revision, error)
	Clone(ctx context.Context, id dormer.WorkspaceID, name, by string) (catalog.Revision, error)
	Delete(ctx context.Context, id dormer.WorkspaceID, ifMatch, by string) error
	// Validate returns the warnings of a document that could be committed.
	Validate(ctx context.Context, raw []byte) ([]dormer.FieldError, error)
}

// Workspaces is what the API needs of the catalog.
type Workspaces interface {
	// NameSecret returns the names of the workspaces that name a secret of the
	// server.
	NameSecret(ctx context.Context, secret string) ([]string, error)
	WorkspaceReader
	WorkspaceWriter
	WorkspaceExplainer
}

func workspaceOf(r catalog.Revision) rest.Workspace {
	return rest.Workspace{
		ID: r.Workspace, Name: r.Name, Revision: r.Number, ETag: r.ETag, Author: r.Author, Time: r.Time, Message: r.Message,
	}
}

func workspacesOf(all []catalog.Revision) rest.List[rest.Workspace] {
	items := make([]rest.Workspace, len(all))
	for i, r := range all {
		items[i] = workspaceOf(r)
	}
	return rest.List[rest.Workspace]{Items: items}
}

func (c *call) workspace() (dormer.WorkspaceID, error) {
	id, err := c.id("id")
	return dormer.WorkspaceID(id), err
}

func setTag(h http.Header, r catalog.Revision) {
	h.Set("ETag", `"`+r.ETag+`"`)
	h.Set(rest.HeaderRevision, strconv.Itoa(int(r.Number)))
}

// committed answers a change with the new revision.
func (c *call) committed(r catalog.Revision, warnings []dormer.FieldError, action, detail string) error {
	if err := c.audit(action, named(r.Name, string(r.Workspace)), detail); err != nil {
		return err
	}
	setTag(c.w.Header(), r)
	return c.json(c.route.status, rest.Committed{Workspace: workspaceOf(r), Warnings: warnings})
}

func (a *API) listWorkspaces(c *call, _ rest.None) (rest.List[rest.Workspace], error) {
	figures, err := c.flag("figures")
	if err != nil {
		return rest.List[rest.Workspace]{}, err
	}
	var all []catalog.Revision
	if name := c.r.URL.Query().Get("name"); name != "" {
		all = make([]catalog.Revision, 1)
		all[0], err = a.Workspaces.GetByName(c.ctx(), name)
	} else {
		all, err = a.Workspaces.List(c.ctx())
	}
	switch {
	case err != nil:
		return rest.List[rest.Workspace]{}, err
	case figures:
		return a.withFigures(c, workspacesOf(all))
	}
	return workspacesOf(all), nil
}

func (a *API) createWorkspace(c *call) error {
	raw, err := c.readBody()
	if err != nil {
		return err
	}
	r, warnings, err := a.Workspaces.Create(c.ctx(), raw, c.who(), c.r.Header.Get(rest.HeaderMessage))
	if err != nil {
		return err
	}
	c.w.Header().Set("Location", rest.Prefix+"/workspaces/"+string(r.Workspace))
	return c.committed(r, warnings, "workspace.create", "")
}

func (a *API) validateWorkspace(c *call) error {
	raw, err := c.readBody()
	if err != nil {
		return err
	}
	warnings, err := a.Workspaces.Validate(c.ctx(), raw)
	if err != nil {
		return err
	}
	if warnings == nil {
		warnings = []dormer.FieldError{}
	}
	return c.json(http.StatusOK, rest.Validated{Warnings: warnings})
}

// previewed is how many names of computers are shown for a pattern.
const previewed = 3

// maxNameValue bounds each value that a name is made of: no directory has longer names.
const maxNameValue = 1000

func (a *API) previewNames(_ *call, in rest.NamePreview) (rest.PreviewedNames, error) {
	for field, value := range map[string]string{"user": in.User, "domain": in.Domain, "host": in.Host, "workspace": in.Workspace} {
		if len(value) > maxNameValue {
			return rest.PreviewedNames{}, dormer.Invalidf(field, "is longer than %d bytes", maxNameValue)
		}
	}
	vars := policy.NameVars{
		User: cmp.Or(in.User, "alice"), Domain: cmp.Or(in.Domain, "CORP"), Host: cmp.Or(in.Host, "desk-17"), Workspace: cmp.Or(in.Workspace, "office"),
	}
	names, err := policy.PreviewComputerNames(in.Pattern, vars, previewed, a.Random)
	if err != nil {
		return rest.PreviewedNames{}, err
	}
	return rest.PreviewedNames{Names: names, Warning: policy.ComputerNameWarning(in.Pattern)}, nil
}

func (a *API) getWorkspace(c *call) error {
	id, err := c.workspace()
	if err != nil {
		return err
	}
	r, err := a.Workspaces.Get(c.ctx(), id)
	if err != nil {
		return err
	}
	return c.workspaceDocument(r)
}

// workspaceDocument answers with the document, as YAML where that is asked for.
func (c *call) workspaceDocument(r catalog.Revision) error {
	setTag(c.w.Header(), r)
	c.w.Header().Set("Vary", "Accept")
	if !strings.Contains(c.r.Header.Get("Accept"), "yaml") {
		return c.bytes(http.StatusOK, "application/json", r.Document)
	}
	doc, err := policy.DecodeStored(r.Document)
	if err != nil {
		return err
	}
	return c.bytes(http.StatusOK, "application/yaml", doc.YAML())
}

func (a *API) commitWorkspace(c *call) error {
	id, err := c.workspace()
	if err != nil {
		return err
	}
	tag, err := c.ifMatch()
	if err != nil {
		return err
	}
	raw, err := c.readBody()
	if err != nil {
		return err
	}
	r, warnings, err := a.Workspaces.Commit(c.ctx(), id, raw, tag, c.who(), c.r.Header.Get(rest.HeaderMessage))
	if err != nil {
		return err
	}
	return c.committed(r, warnings, "workspace.commit", "revision "+strconv.Itoa(int(r.Number)))
}

func (a *API) deleteWorkspace(c *call, _ rest.None) (rest.None, error) {
	id, err := c.workspace()
	if err != nil {
		return rest.None{}, err
	}
	tag, err := c.ifMatch()
	if err != nil {
		return rest.None{}, err
	}
	r, err := a.Workspaces.Get(c.ctx(), id)
	if err != nil {
		return rest.None{}, err
	}
	if err := a.Workspaces.Delete(c.ctx(), id, tag, c.who()); err != nil {
		return rest.None{}, err
	}
	return rest.None{}, c.audit("workspace.delete", named(r.Name, string(id)), "")
}

func (a *API) renameWorkspace(c *call, in rest.Rename) (rest.Committed, error) {
	id, err := c.workspace()
	if err != nil {
		return rest.Committed{}, err
	}
	tag, err := c.ifMatch()
	if err != nil {
		return rest.Committed{}, err
	}
	r, err := a.Workspaces.Rename(c.ctx(), id, in.Name, tag, c.who())
	if err != nil {
		return rest.Committed{}, err
	}
	setTag(c.w.Header(), r)
	return rest.Committed{Workspace: workspaceOf(r)}, c.audit("workspace.rename", named(r.Name, string(id)), "")
}

func (a *API) cloneWorkspace(c *call, in rest.Clone) (rest.Committed, error) {
	id, err := c.workspace()
	if err != nil {
		return rest.Committed{}, err
	}
	r, err := a.Workspaces.Clone(c.ctx(), id, in.Name, c.who())
	if err != nil {
		return rest.Committed{}, err
	}
	setTag(c.w.Header(), r)
	c.w.Header().Set("Location", rest.Prefix+"/workspaces/"+string(r.Workspace))
	return rest.Committed{Workspace: workspaceOf(r)}, c.audit("workspace.clone", named(r.Name, string(r.Workspace)), "of "+string(id))
}

func (a *API) workspaceHistory(c *call, _ rest.None) (rest.List[rest.Workspace], error) {
	id, err := c.workspace()
	if err != nil {
		return rest.List[rest.Workspace]{}, err
	}
	all, err := a.Workspaces.History(c.ctx(), id)
	return workspacesOf(all), err
}

func (a *API) workspaceRevision(c *call) error {
	id, err := c.workspace()
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(c.r.PathValue("number"))
	if err != nil || n < 1 {
		return dormer.Invalidf("number", "must be a whole number from 1")
	}
	r, err := a.Workspaces.RevisionOf(c.ctx(), id, dormer.Revision(n))
	if err != nil {
		return err
	}
	return c.workspaceDocument(r)
}
