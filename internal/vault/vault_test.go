package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/store"
	"github.com/dormer-project/dormer/internal/vault"
)

// spy is a store that shows what it is given.
type spy struct {
	*store.State
	sealed map[string][]byte
}

func (s *spy) PutSecret(ctx context.Context, about vault.Secret, sealed []byte, most int) error {
	s.sealed[about.Name] = sealed
	return s.State.PutSecret(ctx, about, sealed, most)
}

func newVault(t *testing.T, s vault.Store, fill byte) *vault.Vault {
	t.Helper()
	v, err := vault.New(s, bytes.Repeat([]byte{fill}, vault.KeySize), rand.Reader, func() time.Time { return time.Unix(1_750_000_000, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVault(t *testing.T) {
	ctx := t.Context()
	state, err := store.OpenState(ctx, "sqlite:"+filepath.Join(t.TempDir(), "state.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer state.Close()
	s := &spy{State: state, sealed: map[string][]byte{}}
	v := newVault(t, s, 1)
	const value = "correct horse battery staple"
	for _, name := range []string{"join.corp", "other"} {
		if err := v.Set(ctx, name, value, "admin"); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(s.sealed[name], []byte("horse")) {
			t.Error("the secret is stored in the clear")
		}
	}
	if got, err := v.Open(ctx, "join.corp"); err != nil || got != value {
		t.Errorf("opened as %q, %v", got, err)
	}
	list, err := v.List(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "join.corp" || list[0].By != "admin" || list[0].Set.Unix() != 1_750_000_000 {
		t.Errorf("list is %+v, %v", list, err)
	}
	if _, err := newVault(t, s, 2).Open(ctx, "join.corp"); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("opened with another key: %v", err)
	}
	if err := state.PutSecret(ctx, vault.Secret{Name: "other"}, s.sealed["join.corp"], 9); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Open(ctx, "other"); !errors.Is(err, dormer.ErrCorrupt) {
		t.Errorf("one secret took the place of another: %v", err)
	}
	if err := v.Delete(ctx, "join.corp"); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Open(ctx, "join.corp"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("a deleted secret: %v", err)
	}
	if err := v.Delete(ctx, "join.corp"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	for name, bad := range map[string][2]string{
		"no name": {"", "x"}, "a space": {"a b", "x"}, "a path": {"../x", "x"}, "a long name": {strings.Repeat("x", 101), "x"},
		"no value": {"x", ""}, "two lines": {"x", "a\nb"}, "too long": {"x", strings.Repeat("x", vault.MaxValue+1)},
	} {
		err := v.Set(ctx, bad[0], bad[1], "admin")
		if !errors.Is(err, dormer.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := state.PutSecret(ctx, vault.Secret{Name: "third"}, nil, 1); !errors.Is(err, dormer.ErrTooLarge) {
		t.Errorf("more secrets than there may be: %v", err)
	}
}
