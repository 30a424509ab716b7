package storetest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/audit"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/seal"
)

func revision(w, name, document string) catalog.Revision {
	sum := sha256.Sum256([]byte(document))
	return catalog.Revision{
		Workspace: dormer.WorkspaceID(id(w)), Name: name, ETag: hex.EncodeToString(sum[:]), Author: "admin", Time: at(0),
		Message: "why", Document: []byte(document),
	}
}

func testRevisions(t *testing.T, s State) {
	ctx := t.Context()
	commit := must[catalog.Revision](t)
	first := revision("a", "Office", `{"a":1}`)
	_, err := s.Commit(ctx, first, "00")
	is(t, err, dormer.ErrNotFound)
	want := first
	want.Number = 1
	equal(t, commit(s.Commit(ctx, first, "")), want)
	_, err = s.Commit(ctx, first, "")
	is(t, err, dormer.ErrExists)

	// The same document again is no new revision, whoever commits it.
	same := first
	same.Author, same.Time = "somebody", at(time.Hour)
	equal(t, commit(s.Commit(ctx, same, first.ETag)), want)

	second := revision("a", "Office", `{"a":2}`)
	second.Author, second.Time, second.ETag = "anna", at(time.Minute), ""
	got := commit(s.Commit(ctx, second, first.ETag))
	if sum := sha256.Sum256(second.Document); got.Number != 2 || got.ETag != hex.EncodeToString(sum[:]) {
		t.Fatalf("second revision is %+v", got)
	}
	equal(t, must[catalog.Revision](t)(s.Workspace(ctx, first.Workspace)), got)

	_, err = s.Commit(ctx, revision("a", "Office", `{"a":3}`), first.ETag)
	var conflict *dormer.ConflictError
	if !errors.As(err, &conflict) || conflict.By != "anna" || !conflict.At.Equal(at(time.Minute)) || conflict.Current != got.ETag {
		t.Fatalf("a stale commit gives %#v, want who changed it when", err)
	}
	is(t, err, dormer.ErrConflict)

	// Back to the first document is a revision of its own.
	third := first
	third.Time = at(time.Hour)
	if r := commit(s.Commit(ctx, third, got.ETag)); r.Number != 3 || r.ETag != first.ETag {
		t.Fatalf("third revision is %+v", r)
	}
	equal(t, must[catalog.Revision](t)(s.RevisionOf(ctx, first.Workspace, 2)), got)
	_, err = s.RevisionOf(ctx, first.Workspace, 9)
	is(t, err, dormer.ErrNotFound)

	is(t, s.Delete(ctx, first.Workspace, got.ETag), dormer.ErrConflict)
	ok(t, s.Delete(ctx, first.Workspace, first.ETag))
	is(t, s.Delete(ctx, first.Workspace, first.ETag), dormer.ErrNotFound)
	_, err = s.Workspace(ctx, first.Workspace)
	is(t, err, dormer.ErrNotFound)
	_, err = s.WorkspaceByName(ctx, "Office")
	is(t, err, dormer.ErrNotFound)

	history := must[[]catalog.Revision](t)(s.History(ctx, first.Workspace))
	if len(history) != 3 || history[0].Number != 3 || history[2].Number != 1 || history[1].Author != "anna" || history[0].Document != nil {
		t.Fatalf("history is %+v", history)
	}
	equal(t, must[catalog.Revision](t)(s.RevisionOf(ctx, first.Workspace, 2)), got)
	_, err = s.History(ctx, "never")
	is(t, err, dormer.ErrNotFound)
	if r := commit(s.Commit(ctx, first, "")); r.Number != 4 {
		t.Errorf("after deletion the number is %d, want 4", r.Number)
	}
}

func testWorkspaceNames(t *testing.T, s State) {
	ctx := t.Context()
	commit := must[catalog.Revision](t)
	commit(s.Commit(ctx, revision("a", "Büro", `1`), ""))
	_, err := s.Commit(ctx, revision("b", "BU\u0308RO", `2`), "")
	is(t, err, dormer.ErrExists)
	if n := len(must[[]catalog.Revision](t)(s.Workspaces(ctx))); n != 1 {
		t.Fatalf("%d workspaces after a refused commit, want 1", n)
	}
	if _, err := s.History(ctx, dormer.WorkspaceID(id("b"))); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("the refused commit left a revision: %v", err)
	}
	b := commit(s.Commit(ctx, revision("b", "Archive", `2`), ""))
	equal(t, must[catalog.Revision](t)(s.WorkspaceByName(ctx, "bu\u0308ro")).Document, []byte(`1`))
	// Renaming is a commit; into a name in use it is refused.
	_, err = s.Commit(ctx, revision("b", "BÜRO", `3`), b.ETag)
	is(t, err, dormer.ErrExists)
	b = commit(s.Commit(ctx, revision("b", "ARCHIVE", `3`), b.ETag))
	equal(t, must[catalog.Revision](t)(s.WorkspaceByName(ctx, "archive")), b)
	b = commit(s.Commit(ctx, revision("b", "Zoo", `4`), b.ETag))
	list := must[[]catalog.Revision](t)(s.Workspaces(ctx))
	if len(list) != 2 || list[0].Name != "Büro" || list[1].Name != "Zoo" {
		t.Errorf("workspaces are %+v", list)
	}
	// The name that became free can be used.
	commit(s.Commit(ctx, revision("c", "Archive", `5`), ""))
}

func testCommitsAtOnce(t *testing.T, s State) {
	ctx := t.Context()
	first := must[catalog.Revision](t)(s.Commit(ctx, revision("a", "Office", `0`), ""))
	done, refused := count(t, together(8, func(i int) error {
		_, err := s.Commit(ctx, revision("a", "Office", fmt.Sprint(i+1)), first.ETag)
		return err
	}), dormer.ErrConflict)
	if done != 1 || refused != 7 {
		t.Errorf("%d of 8 commits over the same revision went through, %d were refused; want 1 and 7", done, refused)
	}
	if n := len(must[[]catalog.Revision](t)(s.History(ctx, first.Workspace))); n != 2 {
		t.Errorf("%d revisions, want 2", n)
	}
	done, _ = count(t, together(8, func(i int) error {
		_, err := s.Commit(ctx, revision(string(rune('b'+i)), []string{"New", "NEW"}[i%2], "x"), "")
		return err
	}), dormer.ErrExists)
	if done != 1 {
		t.Errorf("%d workspaces of the same name were made at once, want 1", done)
	}
}

func testPolicies(t *testing.T, s State) {
	ctx := t.Context()
	for range 2 {
		ok(t, s.PutPolicy(ctx, "sha256:1", []byte("one")))
	}
	ok(t, s.PutPolicy(ctx, "sha256:2", nil))
	equal(t, must[[]byte](t)(s.Policy(ctx, "sha256:1")), []byte("one"))
	if b := must[[]byte](t)(s.Policy(ctx, "sha256:2")); len(b) != 0 {
		t.Errorf("empty policy came back as %q", b)
	}
	_, err := s.Policy(ctx, "sha256:3")
	is(t, err, dormer.ErrNotFound)
	for _, err := range together(6, func(int) error { return s.PutPolicy(ctx, "sha256:4", []byte("four")) }) {
		ok(t, err)
	}
}

func testAudit(t *testing.T, s State) {
	ctx := t.Context()
	for i := range 5 {
		ok(t, s.Append(ctx, audit.Record{
			Time: at(time.Duration(5-i) * time.Second), Who: "admin", Principal: "local/x", Action: "workspace.commit",
			Object: fmt.Sprint("w", i), Detail: "d\x00", Request: "r", Remote: "192.0.2.1",
		}))
	}
	page := must[[]audit.Record](t)(s.Records(ctx, 0, 2))
	if len(page) != 2 || page[0].Object != "w4" || page[1].Object != "w3" {
		t.Fatalf("newest records are %+v", page)
	}
	equal(t, page[0], audit.Record{
		ID: page[0].ID, Time: at(time.Second), Who: "admin", Principal: "local/x", Action: "workspace.commit", Object: "w4",
		Detail: "d\uFFFD", Request: "r", Remote: "192.0.2.1",
	})
	page = must[[]audit.Record](t)(s.Records(ctx, page[1].ID, 10))
	if len(page) != 3 || page[0].Object != "w2" || page[2].Object != "w0" {
		t.Fatalf("older records are %+v", page)
	}
	_, err := s.Records(ctx, 0, 0)
	is(t, err, dormer.ErrInvalid)
}

func testPublishers(t *testing.T, s State) {
	ctx := t.Context()
	key := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	k := seal.PublicKey{ID: seal.IDOf(key), Purposes: []seal.Purpose{seal.PurposePublisher}, Key: key, Name: "publisher anna"}
	ok(t, s.AddPublisher(ctx, k, "admin", at(0)))
	is(t, s.AddPublisher(ctx, k, "admin", at(0)), dormer.ErrExists)
	equal(t, must[[]seal.PublicKey](t)(s.Publishers(ctx)), []seal.PublicKey{k})
	ok(t, s.RemovePublisher(ctx, k.ID))
	is(t, s.RemovePublisher(ctx, k.ID), dormer.ErrNotFound)
}
