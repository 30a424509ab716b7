package apiclient

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// Format is the form of a workspace document.
type Format string

// The forms of documents.
const (
	JSON Format = "application/json"
	YAML Format = "application/yaml"
)

// Document is a workspace document as the server gave it.
type Document struct {
	Body     []byte
	ETag     string // for Commit
	Revision dormer.Revision
}

func ifMatch(tag string) string { return `"` + tag + `"` }

// Workspaces lists the workspaces; with a name, only the one so called.
func (c *Client) Workspaces(ctx context.Context, name string) ([]rest.Workspace, error) {
	return c.listWorkspaces(ctx, name, false)
}

// WorkspacesWithFigures returns all workspaces with what they come to now.
func (c *Client) WorkspacesWithFigures(ctx context.Context) ([]rest.Workspace, error) {
	return c.listWorkspaces(ctx, "", true)
}

func (c *Client) listWorkspaces(ctx context.Context, name string, figures bool) ([]rest.Workspace, error) {
	q := url.Values{}
	if name != "" {
		q.Set("name", name)
	}
	if figures {
		q.Set("figures", "true")
	}
	l, err := ask[rest.List[rest.Workspace]](ctx, c, http.MethodGet, "/workspaces", q, nil)
	return l.Items, err
}

// WorkspaceByName returns the workspace of that name, or ErrNotFound.
func (c *Client) WorkspaceByName(ctx context.Context, name string) (rest.Workspace, error) {
	all, err := c.Workspaces(ctx, name)
	if err != nil {
		return rest.Workspace{}, err
	}
	if len(all) == 0 {
		return rest.Workspace{}, fmt.Errorf("workspace %q: %w", name, dormer.ErrNotFound)
	}
	return all[0], nil
}

// Workspace reads a document.
func (c *Client) Workspace(ctx context.Context, id dormer.WorkspaceID, f Format) (Document, error) {
	return c.document(ctx, "/workspaces"+segment(string(id)), f)
}

// WorkspaceRevision reads one revision of a document.
func (c *Client) WorkspaceRevision(ctx context.Context, id dormer.WorkspaceID, n dormer.Revision, f Format) (Document, error) {
	return c.document(ctx, fmt.Sprintf("/workspaces%s/revisions/%d", segment(string(id)), n), f)
}

func (c *Client) document(ctx context.Context, path string, f Format) (Document, error) {
	h, b, err := c.send(ctx, request{method: http.MethodGet, path: path, headers: http.Header{"Accept": {string(f)}}})
	if err != nil {
		return Document{}, err
	}
	d := Document{Body: b, ETag: strings.Trim(h.Get("ETag"), `"`)}
	if n, err := strconv.Atoi(h.Get(rest.HeaderRevision)); err == nil {
		d.Revision = dormer.Revision(n)
	}
	return d, nil
}

// sendDocument sends a document as it is and decodes the answer.
func (c *Client) sendDocument(ctx context.Context, method, path string, raw []byte, headers http.Header, out any) error {
	_, b, err := c.send(ctx, request{
		method: method, path: path, headers: headers,
		body: bytes.NewReader(raw), length: int64(len(raw)), contentType: string(YAML),
	})
	if err != nil {
		return err
	}
	return decode(b, out)
}

// CreateWorkspace stores a new document, in YAML or JSON.
func (c *Client) CreateWorkspace(ctx context.Context, raw []byte, message string) (rest.Committed, error) {
	return c.commit(ctx, http.MethodPost, "/workspaces", raw, "", message)
}

// CommitWorkspace stores a new revision in place of the one with that entity
// tag. ErrConflict, as a *dormer.ConflictError, when another is current.
func (c *Client) CommitWorkspace(ctx context.Context, id dormer.WorkspaceID, raw []byte, tag, message string) (rest.Committed, error) {
	return c.commit(ctx, http.MethodPut, "/workspaces"+segment(string(id)), raw, tag, message)
}

func (c *Client) commit(ctx context.Context, method, path string, raw []byte, tag, message string) (rest.Committed, error) {
	h := http.Header{}
	if tag != "" {
		h.Set("If-Match", ifMatch(tag))
	}
	if message != "" {
		h.Set(rest.HeaderMessage, message)
	}
	var out rest.Committed
	err := c.sendDocument(ctx, method, path, raw, h, &out)
	return out, err
}

// ValidateWorkspace checks a document without storing it.
func (c *Client) ValidateWorkspace(ctx context.Context, raw []byte) ([]dormer.FieldError, error) {
	var out rest.Validated
	err := c.sendDocument(ctx, http.MethodPost, "/workspaces/validate", raw, nil, &out)
	return out.Warnings, err
}

// RenameWorkspace gives a workspace another name.
func (c *Client) RenameWorkspace(ctx context.Context, id dormer.WorkspaceID, name, tag string) (rest.Committed, error) {
	return ask[rest.Committed](ctx, c, http.MethodPost, "/workspaces"+segment(string(id))+"/rename", nil, rest.Rename{Name: name}, "If-Match", ifMatch(tag))
}

// CloneWorkspace copies a workspace; an empty name takes the first free one.
func (c *Client) CloneWorkspace(ctx context.Context, id dormer.WorkspaceID, name string) (rest.Committed, error) {
	return ask[rest.Committed](ctx, c, http.MethodPost, "/workspaces"+segment(string(id))+"/clone", nil, rest.Clone{Name: name})
}

// DeleteWorkspace removes a workspace; its machines stop at their clients'
// next poll and are kept there.
func (c *Client) DeleteWorkspace(ctx context.Context, id dormer.WorkspaceID, tag string) error {
	_, err := ask[rest.None](ctx, c, http.MethodDelete, "/workspaces"+segment(string(id)), nil, nil, "If-Match", ifMatch(tag))
	return err
}

// WorkspaceHistory returns the revisions, newest first.
func (c *Client) WorkspaceHistory(ctx context.Context, id dormer.WorkspaceID) ([]rest.Workspace, error) {
	l, err := ask[rest.List[rest.Workspace]](ctx, c, http.MethodGet, "/workspaces"+segment(string(id))+"/revisions", nil, nil)
	return l.Items, err
}
