package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/catalog"
	"github.com/dormer-project/dormer/internal/name"
)

const revisionColumns = "r.workspace, r.name, r.number, r.etag, r.author, r.time, r.message"

func scanRevision(s scanner) (catalog.Revision, error) {
	var (
		r  catalog.Revision
		at int64
	)
	err := s.Scan(&r.Workspace, &r.Name, &r.Number, &r.ETag, &r.Author, &at, &r.Message, &r.Document)
	r.Time = moment(at)
	return r, err
}

func scanRevisionHead(s scanner) (catalog.Revision, error) {
	var (
		r  catalog.Revision
		at int64
	)
	err := s.Scan(&r.Workspace, &r.Name, &r.Number, &r.ETag, &r.Author, &at, &r.Message)
	r.Time = moment(at)
	return r, err
}

// currentRevision selects the current revision of workspaces.
const currentRevision = "SELECT " + revisionColumns + `, r.document FROM workspaces w
	JOIN revisions r ON r.workspace = w.id AND r.number = w.current_number `

// Workspaces implements catalog.Store.
func (s *State) Workspaces(ctx context.Context) ([]catalog.Revision, error) {
	return all(ctx, s.db.read, "list workspaces", scanRevision, currentRevision+"ORDER BY w.name_folded")
}

// Workspace implements catalog.Store.
func (s *State) Workspace(ctx context.Context, id dormer.WorkspaceID) (catalog.Revision, error) {
	return workspace(ctx, s.db.read, id)
}

func workspace(ctx context.Context, q querier, id dormer.WorkspaceID) (catalog.Revision, error) {
	return one(ctx, q, "find workspace", scanRevision, currentRevision+"WHERE w.id = $1", string(id))
}

// WorkspaceByName implements catalog.Store.
func (s *State) WorkspaceByName(ctx context.Context, n string) (catalog.Revision, error) {
	return one(ctx, s.db.read, "find workspace", scanRevision, currentRevision+"WHERE w.name_folded = $1", name.Fold(n))
}

// Commit implements catalog.Store. An empty r.ETag is worked out here. A
// workspace that is new but has the identity of a deleted one goes on with its
// numbers.
func (s *State) Commit(ctx context.Context, r catalog.Revision, ifMatch string) (catalog.Revision, error) {
	if r.ETag == "" {
		sum := sha256.Sum256(r.Document)
		r.ETag = hex.EncodeToString(sum[:])
	}
	r.Time = moment(micros(r.Time))
	r.Document = bytesOf(r.Document)
	err := s.db.update(ctx, "commit workspace", func(tx *sql.Tx) error {
		current, err := workspace(ctx, tx, r.Workspace)
		exists := err == nil
		switch {
		case err != nil && !errors.Is(err, dormer.ErrNotFound):
			return err
		case !exists && ifMatch != "":
			return err
		case exists && ifMatch == "":
			return fmt.Errorf("workspace %q: %w", current.Name, dormer.ErrExists)
		case exists && ifMatch != current.ETag:
			return stale(current)
		case exists && current.Name == r.Name && bytes.Equal(current.Document, r.Document):
			r = current
			return nil
		}
		return commitNew(ctx, tx, &r)
	})
	if err != nil {
		return catalog.Revision{}, err
	}
	return r, nil
}

// commitNew stores r as the next revision and as the current one.
func commitNew(ctx context.Context, tx *sql.Tx, r *catalog.Revision) error {
	last, err := one(ctx, tx, "find last revision", value[int], "SELECT coalesce(max(number), 0) FROM revisions WHERE workspace = $1", string(r.Workspace))
	if err != nil {
		return err
	}
	r.Number = dormer.Revision(last + 1)
	if _, err := tx.ExecContext(ctx, `INSERT INTO revisions (workspace, number, name, etag, author, time, message, document)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		string(r.Workspace), int64(r.Number), r.Name, r.ETag, r.Author, micros(r.Time), r.Message, r.Document); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO workspaces (id, name, name_folded, current_number) VALUES ($1, $2, $3, $4)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_folded = excluded.name_folded, current_number = excluded.current_number`,
		string(r.Workspace), r.Name, name.Fold(r.Name), int64(r.Number))
	return err
}

// stale says that current is not what the caller had seen.
func stale(current catalog.Revision) error {
	return &dormer.ConflictError{What: "workspace " + current.Name, By: current.Author, At: current.Time, Current: current.ETag}
}

// Delete implements catalog.Store.
func (s *State) Delete(ctx context.Context, id dormer.WorkspaceID, ifMatch string) error {
	return s.db.update(ctx, "delete workspace", func(tx *sql.Tx) error {
		current, err := workspace(ctx, tx, id)
		if err != nil {
			return err
		}
		if current.ETag != ifMatch {
			return stale(current)
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM workspaces WHERE id = $1", string(id))
		return err
	})
}

// History implements catalog.Store. ErrNotFound for a workspace that never was.
func (s *State) History(ctx context.Context, id dormer.WorkspaceID) ([]catalog.Revision, error) {
	const what = "list revisions"
	list, err := all(ctx, s.db.read, what, scanRevisionHead,
		"SELECT "+revisionColumns+" FROM revisions r WHERE r.workspace = $1 ORDER BY r.number DESC", string(id))
	if err != nil {
		return nil, err
	}
	return list, mustChange(what, int64(len(list)), nil)
}

// RevisionOf implements catalog.Store.
func (s *State) RevisionOf(ctx context.Context, id dormer.WorkspaceID, number dormer.Revision) (catalog.Revision, error) {
	return one(ctx, s.db.read, "find revision", scanRevision,
		"SELECT "+revisionColumns+", r.document FROM revisions r WHERE r.workspace = $1 AND r.number = $2", string(id), int64(number))
}

// PutPolicy implements catalog.PolicyStore.
func (s *State) PutPolicy(ctx context.Context, hash string, body []byte) error {
	_, err := s.db.exec(ctx, "store policy", "INSERT INTO policies (hash, body) VALUES ($1, $2) ON CONFLICT DO NOTHING", hash, bytesOf(body))
	return err
}

// Policy implements catalog.PolicyStore.
func (s *State) Policy(ctx context.Context, hash string) ([]byte, error) {
	return one(ctx, s.db.read, "find policy", value[[]byte], "SELECT body FROM policies WHERE hash = $1", hash)
}
