package fresh

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/access"
	"github.com/dormer-project/dormer/internal/store"
)

// TestFresh: each is whole, empty and apart from others.
func TestFresh(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	Lay(t, dir)
	// AsIs: they have the schema of this build already.
	s, err := store.OpenState(ctx, "sqlite:"+filepath.Join(dir, StateFile), store.Options{AsIs: true})
	if err != nil {
		t.Fatal(err)
	}
	e, err := store.OpenEvents(ctx, "sqlite:"+filepath.Join(dir, EventsFile), store.Options{AsIs: true})
	if err != nil {
		t.Fatal(errors.Join(err, s.Close()))
	}
	if err := errors.Join(s.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}

	one, other := State(t), State(t)
	anna := dormer.Principal{Directory: "corp", Kind: dormer.KindUser, Key: "anna", Name: "anna"}
	if err := one.SetOperator(ctx, access.Operator{Principal: anna, Role: dormer.RoleFull}); err != nil {
		t.Fatal(err)
	}
	if list, err := other.Operators(ctx); err != nil || len(list) != 0 {
		t.Errorf("the other one has the operators %+v, %v", list, err)
	}
	if err := errors.Join(one.Close(), other.Close()); err != nil {
		t.Error(err)
	}
}
