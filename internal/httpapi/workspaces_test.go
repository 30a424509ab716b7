package httpapi_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/apiclient"
	"github.com/dormer-project/dormer/internal/policymatrix"
	"github.com/dormer-project/dormer/internal/problem"
	"github.com/dormer-project/dormer/internal/wire/rest"
)

// TestStaleCommit: a change needs If-Match, and a stale one is refused with
// the name of who changed the workspace meanwhile.
func TestStaleCommit(t *testing.T) {
	h := newHarness(t)
	h.must("PUT", "/operators", h.admin, rest.SetOperator{Kind: "user", Name: "nobody", Role: "full"}, nil)
	other := h.client(h.signIn("nobody", nobodyPassword))
	mine := h.client(h.admin)
	first, err := mine.CreateWorkspace(t.Context(), []byte(document), "first")
	if err != nil {
		t.Fatal(err)
	}
	second, err := other.CommitWorkspace(t.Context(), first.ID, []byte(strings.Replace(document, "Office", "Office 2", 1)), first.ETag, "")
	if err != nil {
		t.Fatal(err)
	}
	if second.Revision != 2 || second.Author != "nobody" || second.Name != "Office 2" {
		t.Errorf("second revision: %+v", second.Workspace)
	}
	path := "/workspaces/" + string(first.ID)

	a := h.ask("PUT", rest.Prefix+path, h.admin, document)
	if p := a.problem(t); a.status != http.StatusPreconditionRequired || p.Kind != problem.KindPreconditionRequired {
		t.Errorf("without If-Match: %+v", p)
	}
	a = h.ask("PUT", rest.Prefix+path, h.admin, document, "If-Match", "*")
	if a.status != http.StatusBadRequest {
		t.Errorf("If-Match *: status %d", a.status)
	}
	for _, q := range []struct {
		method, path string
		body         any
	}{{"PUT", path, document}, {"DELETE", path, nil}, {"POST", path + "/rename", rest.Rename{Name: "x"}}} {
		a := h.ask(q.method, rest.Prefix+q.path, h.admin, q.body, "If-Match", `"`+first.ETag+`"`)
		p := a.problem(t)
		if a.status != http.StatusPreconditionFailed || p.By != "nobody" || p.Current != second.ETag || p.At == "" {
			t.Errorf("stale %s: status %d, %+v", q.method, a.status, p)
		}
	}
	_, err = mine.CommitWorkspace(t.Context(), first.ID, []byte(document), first.ETag, "")
	conflict, ok := errors.AsType[*dormer.ConflictError](err)
	if !ok || !errors.Is(err, dormer.ErrConflict) || conflict.By != "nobody" || conflict.Current != second.ETag || conflict.At.IsZero() {
		t.Errorf("the client's error is %#v", err)
	}
	if got, err := mine.Workspace(t.Context(), first.ID, apiclient.JSON); err != nil || got.ETag != second.ETag || got.Revision != 2 {
		t.Errorf("after refused changes: revision %d (%v)", got.Revision, err)
	}
}

// TestWorkspaceJourney goes through every operation on a workspace with the
// typed client.
func TestWorkspaceJourney(t *testing.T) {
	policymatrix.Exercised(t, policymatrix.Product, "metadata.id", "metadata.name")
	h := newHarness(t)
	c := h.client(h.admin)
	warnings, err := c.ValidateWorkspace(t.Context(), []byte(document))
	if err != nil || len(warnings) == 0 {
		t.Errorf("a document whose image is missing: warnings %v, %v", warnings, err)
	}
	made, err := c.CreateWorkspace(t.Context(), []byte(document), "why not")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateWorkspace(t.Context(), []byte(strings.Replace(document, "Office", "OFFICE", 1)), ""); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("the same name in other case: %v", err)
	}
	yaml, err := c.Workspace(t.Context(), made.ID, apiclient.YAML)
	if err != nil {
		t.Fatal(err)
	}
	// What was exported is the same revision when it is committed again.
	again, err := c.CommitWorkspace(t.Context(), made.ID, yaml.Body, yaml.ETag, "")
	if err != nil || again.Revision != 1 || again.ETag != made.ETag {
		t.Errorf("export and commit: revision %d, %v", again.Revision, err)
	}
	renamed, err := c.RenameWorkspace(t.Context(), made.ID, "Bureau", made.ETag)
	if err != nil {
		t.Fatal(err)
	}
	clone, err := c.CloneWorkspace(t.Context(), made.ID, "")
	if err != nil || clone.Name != "Bureau - 2" {
		t.Errorf("clone: %+v, %v", clone.Workspace, err)
	}
	byName, err := c.WorkspaceByName(t.Context(), "bureau")
	if err != nil || byName.ID != made.ID {
		t.Errorf("by name: %+v, %v", byName, err)
	}
	history, err := c.WorkspaceHistory(t.Context(), made.ID)
	if err != nil || len(history) != 2 || history[0].Revision != 2 || history[1].Message != "why not" {
		t.Errorf("history: %+v, %v", history, err)
	}
	old, err := c.WorkspaceRevision(t.Context(), made.ID, 1, apiclient.YAML)
	if diff := cmp.Diff(string(yaml.Body), string(old.Body)); err != nil || diff != "" {
		t.Errorf("revision 1 (%v):\n%s", err, diff)
	}
	if err := c.DeleteWorkspace(t.Context(), made.ID, renamed.ETag); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Workspace(t.Context(), made.ID, apiclient.JSON); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("after it was deleted: %v", err)
	}
	_, err = c.CreateWorkspace(t.Context(), []byte("apiVersion: dormer/v1\nkind: Workspace\nmetadata: {name: X}\nspec:\n  mashine: {}\n"), "")
	invalid, ok := errors.AsType[*dormer.InvalidError](err)
	if !ok || !slices.ContainsFunc(invalid.Fields, func(f dormer.FieldError) bool { return f.Line == 5 && f.Path == "spec.mashine" }) {
		t.Errorf("unknown field: %#v", err)
	}
}
