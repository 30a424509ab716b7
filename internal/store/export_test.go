package store

import (
	"fmt"
	"testing"
)

// LimitPages bounds the size of a SQLite database, as a full disk does.
func LimitPages(t *testing.T, s *Events, pages int) {
	t.Helper()
	if _, err := s.db.write.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
		t.Fatal(err)
	}
}
