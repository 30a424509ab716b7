package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/dormer-project/dormer"
	"github.com/dormer-project/dormer/internal/lease"
	"github.com/dormer-project/dormer/internal/store"
)

// TestDiagnosticsAreFew: the newest archives of a client are kept, for a while.
func TestDiagnosticsAreFew(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { testDiagnosticsAreFew(t, openState(t, e.dsn(t))) })
	}
}

func testDiagnosticsAreFew(t *testing.T, s *store.State) {
	t.Helper()
	at := time.Unix(1_750_000_000, 0).UTC()
	keep := func(id string, client dormer.ClientID, after time.Duration) error {
		return s.KeepDiagnostics(t.Context(), lease.Diagnostics{ID: id, Client: client, Order: "order " + id, Received: at.Add(after)}, []byte(id))
	}
	for i, id := range []string{"a", "b", "c", "d"} {
		if err := errors.Join(keep(id, "one", time.Duration(i)*time.Hour), keep(id+id, "two", -time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := keep("d", "one", 0); !errors.Is(err, dormer.ErrExists) {
		t.Errorf("again: %v", err)
	}
	list, err := s.Diagnostics(t.Context(), "one")
	if err != nil || len(list) != lease.DiagnosticsOfClient || list[0].ID != "d" || list[2].ID != "b" || list[0].Size != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if d, b, err := s.DiagnosticsArchive(t.Context(), "c"); err != nil || string(b) != "c" || d.Client != "one" {
		t.Errorf("%+v, %q, %v", d, b, err)
	}
	if err := s.ExpireDiagnostics(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Diagnostics(t.Context(), ""); err != nil || len(all) != lease.DiagnosticsOfClient {
		t.Errorf("after a while: %+v, %v", all, err)
	}
	if _, err := s.DeleteDiagnostics(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.DiagnosticsArchive(t.Context(), "c"); !errors.Is(err, dormer.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
}
