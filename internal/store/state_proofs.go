package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/name"
)

// UseOnce implements access.OnceStore.
func (s *State) UseOnce(ctx context.Context, purpose string, id [32]byte, expires time.Time) error {
	_, err := s.db.exec(ctx, "note a use", "INSERT INTO used_once (purpose, id, expires) VALUES ($1, $2, $3)", purpose, id[:], micros(expires))
	return err
}

// DeleteExpiredUses implements access.OnceStore.
func (s *State) DeleteExpiredUses(ctx context.Context, now time.Time) error {
	_, err := s.db.exec(ctx, "delete expired uses", "DELETE FROM used_once WHERE expires <= $1", micros(now))
	return err
}

const apiTokenColumns = "id, hash, name, owner_directory, owner_kind, owner_key, owner_name, role, areas, created, expires, last_used, revoked"

func scanAPIToken(s scanner) (access.APIToken, error) {
	var (
		t                 access.APIToken
		hash              []byte
		areas             string
		created, expires  int64
		lastUsed, revoked sql.NullInt64
	)
	if err := s.Scan(&t.ID, &hash, &t.Name, &t.Owner.Directory, &t.Owner.Kind, &t.Owner.Key, &t.Owner.Name, &t.Role, &areas,
		&created, &expires, &lastUsed, &revoked); err != nil {
		return t, err
	}
	if len(hash) != len(t.Hash) {
		return t, fmt.Errorf("API token %s has a hash of %d bytes: %w", t.ID, len(hash), dormer.ErrCorrupt)
	}
	if err := json.Unmarshal([]byte(areas), &t.Areas); err != nil {
		return t, fmt.Errorf("areas of API token %s: %w: %w", t.ID, dormer.ErrCorrupt, err)
	}
	copy(t.Hash[:], hash)
	t.Created, t.Expires, t.LastUsed, t.Revoked = moment(created), moment(expires), momentOrNil(lastUsed), momentOrNil(revoked)
	return t, nil
}

// CreateAPIToken implements access.APITokenStore.
func (s *State) CreateAPIToken(ctx context.Context, t access.APIToken) error {
	areas, err := json.Marshal(t.Areas) // nil becomes null and nil again
	if err != nil {
		return fmt.Errorf("create API token: %w", err)
	}
	_, err = s.db.exec(ctx, "create API token", "INSERT INTO api_tokens ("+apiTokenColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		t.ID, t.Hash[:], t.Name, t.Owner.Directory, string(t.Owner.Kind), t.Owner.Key, t.Owner.Name, string(t.Role), string(areas),
		micros(t.Created), micros(t.Expires), microsOrNull(t.LastUsed), microsOrNull(t.Revoked))
	return err
}

// APIToken implements access.APITokenStore.
func (s *State) APIToken(ctx context.Context, id string) (access.APIToken, error) {
	return one(ctx, s.db.read, "find API token", scanAPIToken, "SELECT "+apiTokenColumns+" FROM api_tokens WHERE id = $1", id)
}

// APITokens implements access.APITokenStore.
func (s *State) APITokens(ctx context.Context) ([]access.APIToken, error) {
	return all(ctx, s.db.read, "list API tokens", scanAPIToken, "SELECT "+apiTokenColumns+" FROM api_tokens ORDER BY created DESC, id")
}

// RevokeAPIToken implements access.APITokenStore. The first time counts.
func (s *State) RevokeAPIToken(ctx context.Context, id string, at time.Time) error {
	const what = "revoke API token"
	n, err := s.db.exec(ctx, what, "UPDATE api_tokens SET revoked = coalesce(revoked, $2) WHERE id = $1", id, micros(at))
	return mustChange(what, n, err)
}

// UsedAPITokens implements access.APITokenStore. Unknown tokens, and times
// before what is stored, are passed over.
func (s *State) UsedAPITokens(ctx context.Context, used map[string]time.Time) error {
	if len(used) == 0 {
		return nil
	}
	rows := make([][]any, 0, len(used))
	for id, at := range used {
		rows = append(rows, []any{id, micros(at)})
	}
	return s.db.update(ctx, "note the use of API tokens", func(tx *sql.Tx) error {
		return s.db.bulk(ctx, tx, "UPDATE api_tokens SET last_used = v.column2 FROM (VALUES ", []string{"text", "bigint"},
			") AS v WHERE api_tokens.id = v.column1 AND (api_tokens.last_used IS NULL OR api_tokens.last_used < v.column2)", rows, nil)
	})
}

const federatedColumns = "directory, account_key, name, display_name, group_names, refresh, signed_in, checked, refused"

func scanFederated(s scanner) (access.FederatedAccount, error) {
	var (
		a                 access.FederatedAccount
		groups            string
		signedIn, checked int64
	)
	if err := s.Scan(&a.Directory, &a.Key, &a.Name, &a.DisplayName, &groups, &a.Refresh, &signedIn, &checked, &a.Refused); err != nil {
		return a, err
	}
	if err := json.Unmarshal([]byte(groups), &a.Groups); err != nil {
		return a, fmt.Errorf("groups of an account of %s: %w: %w", a.Directory, dormer.ErrCorrupt, err)
	}
	if len(a.Refresh) == 0 {
		a.Refresh = nil
	}
	a.SignedIn, a.Checked = moment(signedIn), moment(checked)
	return a, nil
}

// PutFederated implements access.FederatedStore. ErrInvalid for a key or a name
// that is not valid UTF-8 or has a NUL in it: both come from a provider, and
// what stands for somebody is not mended.
func (s *State) PutFederated(ctx context.Context, a access.FederatedAccount) error {
	const what = "keep account of a provider"
	for field, text := range map[string]string{"key": a.Key, "name": a.Name} {
		if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
			return fmt.Errorf("%s: %w", what, dormer.Invalidf(field, "is not valid UTF-8 or has a NUL in it"))
		}
	}
	groups, err := json.Marshal(a.Groups)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	_, err = s.db.exec(ctx, what, `INSERT INTO federated_accounts
		(directory, account_key, name, name_folded, display_name, group_names, refresh, signed_in, checked, refused)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (directory, account_key) DO UPDATE SET name = excluded.name, name_folded = excluded.name_folded,
			display_name = excluded.display_name, group_names = excluded.group_names, refresh = excluded.refresh, signed_in = excluded.signed_in,
			checked = excluded.checked, refused = excluded.refused`,
		a.Directory, a.Key, a.Name, name.Fold(a.Name), clean(a.DisplayName), string(groups), bytesOf(a.Refresh),
		micros(a.SignedIn), micros(a.Checked), string(a.Refused))
	return err
}

// Federated implements access.FederatedStore.
func (s *State) Federated(ctx context.Context, directory, key string) (access.FederatedAccount, error) {
	return one(ctx, s.db.read, "find account of a provider", scanFederated,
		"SELECT "+federatedColumns+" FROM federated_accounts WHERE directory = $1 AND account_key = $2", directory, key)
}

// FederatedAccounts implements access.FederatedStore.
func (s *State) FederatedAccounts(ctx context.Context, directory string) ([]access.FederatedAccount, error) {
	return all(ctx, s.db.read, "list accounts of a provider", scanFederated,
		"SELECT "+federatedColumns+" FROM federated_accounts WHERE directory = $1 ORDER BY name_folded, account_key", directory)
}

// DeleteFederated implements access.FederatedStore. Repeating it changes
// nothing.
func (s *State) DeleteFederated(ctx context.Context, directory, key string) error {
	_, err := s.db.exec(ctx, "delete account of a provider", "DELETE FROM federated_accounts WHERE directory = $1 AND account_key = $2", directory, key)
	return err
}
